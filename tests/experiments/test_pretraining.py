"""One training: what is warned of, and that its evaluation compiles no more."""

import logging

import jax
import pytest
from jax import monitoring

from mmix_jax.experiments import run
from mmix_jax.experiments.watching import WatchedWriter
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
    watched = WatchedWriter(memory, Mixing(mixing))
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


def losses_told(caplog, losses: list[float], *, fresh: bool = True) -> list[str]:
    memory = Memory()
    watched = WatchedWriter(memory, Mixing("none"), fresh=fresh)
    with caplog.at_level(logging.WARNING, logger="mmix_jax"):
        for step, loss in enumerate(losses, start=1):
            watched.write(10 * step, {"loss": loss})
    return [record.getMessage() for record in caplog.records]


def test_a_loss_that_stands_still_is_said_at_the_tenth_evaluation(caplog):
    still = [7.6 + 0.0005 * (step % 2) for step in range(30)]
    (told,) = losses_told(caplog, still)
    assert told.startswith(
        "warning: the loss has not moved in 10 evaluations (7.6 to 7.6005 up to step 100)"
    )


@pytest.mark.parametrize(
    ("losses", "fresh"),
    [
        ([7.6] * 9, True),
        ([7.6 - 0.002 * step for step in range(30)], True),
        ([7.6] * 9 + [7.5] * 20, True),
        ([-3.99 + 0.001 * step for step in range(10)], True),
        ([6.8] * 30, False),  # resumed near its end
    ],
)
def test_nothing_is_said_of_a_loss_that_moves_or_was_not_seen_from_its_start(caplog, losses, fresh):
    assert losses_told(caplog, losses, fresh=fresh) == []


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
