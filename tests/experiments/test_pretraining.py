"""One training: what is warned of, and that its evaluation compiles no more."""

import logging

import jax
import pytest
from jax import monitoring

from mmix_jax.experiments import run
from mmix_jax.experiments.pretraining import WatchedWriter
from mmix_jax.mixing import Mixing
from tests.experiments.nodes import small


class Memory:
    def __init__(self):
        self.steps = []

    def write(self, step, values):
        self.steps.append(step)


def warnings_of(caplog, mixing: str, shares: list[float]) -> list[str]:
    """What is said when these shares of unmixed rows are logged at steps 1, 2, …"""
    memory = Memory()
    watched = WatchedWriter(memory, Mixing(mixing), [])
    with caplog.at_level(logging.WARNING, logger="mmix_jax"):
        for step, share in enumerate(shares, start=1):
            watched.write(step, {"loss": 1.0, "mixing/unmixed": share})
    assert memory.steps == list(range(1, len(shares) + 1))
    return [record.getMessage() for record in caplog.records]


def test_mixing_that_has_all_but_stopped_is_said_once(caplog):
    (told,) = warnings_of(caplog, "mo", [0.5, 0.96, 0.99])
    assert told.startswith("warning: 96 % of samples are mixed with no other at step 2 (mixing mo")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("mixing", "shares"), [("mo", [0.95, 0.2]), ("none", [1.0]), ("i_mix", [1.0])]
)
def test_nothing_is_said_where_mixing_goes_on_or_is_not_asked_for(caplog, mixing, shares):
    assert warnings_of(caplog, mixing, shares) == []


def test_evaluating_after_the_training_needs_no_other_programs(tmp_path):
    config = small.config(small.save(tmp_path / "rings.npz"), num_steps=2, num_clusterings=0)
    programs = []

    def listen(event, _, **about):
        if event.endswith("/backend_compile_duration"):
            programs.append(about.get("fun_name"))

    jax.clear_caches()
    monitoring.register_event_duration_secs_listener(listen)
    try:
        run.train(config, tmp_path / "run", lambda: False)
    finally:
        monitoring.unregister_event_duration_listener(listen)
    assert programs.count("jit(embed)") == 1
