"""The time to the first step: counted from the program's beginning, told and logged once."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import monitoring

from mmix_jax.training.loop import Schedule, new_progress, time_to_first_step, train
from mmix_jax.training.metrics import History

COMPILING = "/jax/core/compile/backend_compile_duration"


class State(NamedTuple):
    step: Any


class NoCheckpoints:
    def save(self, *_, **__): ...

    def steps(self):
        return []


def rows_of(step_fn=lambda: None, *, chunk: int = 1) -> list[dict]:
    """The logged lines of four steps, evaluated at every second."""

    def take(state, number, count):
        step_fn()
        return State(np.int32(number + count)), {"loss": 1.0}

    history = History()
    train(
        State(np.int32(0)),
        new_progress(),
        step_fn=take,
        evaluate=lambda _: (None, {}),
        schedule=Schedule(4, 2, chunk=chunk),
        checkpointer=NoCheckpoints(),
        writer=history,
    )
    return history.rows


def test_nothing_is_told_where_nobody_waits(capsys):
    assert "first_step_seconds" not in rows_of()[0]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("chunk", "steps"), [(1, "step"), (2, "2 steps")])
def test_seconds_count_from_the_beginning_and_are_told_once(capsys, chunk, steps):
    with time_to_first_step(time.monotonic() - 100):
        first, second = rows_of(chunk=chunk)
        assert 100 <= first["first_step_seconds"] < 110
        assert first["compile_seconds"] == 0.0
        assert "first_step_seconds" not in second
        assert "first_step_seconds" not in rows_of()[0]
    assert "first_step_seconds" not in rows_of()[0]
    seconds = first["first_step_seconds"]
    out = capsys.readouterr().out
    assert out == f"first {steps} after {seconds:.1f} s (compiling 0.0 s)\n"


def test_compiling_is_counted_from_the_beginning_to_the_first_step():
    monitoring.record_event_duration_secs(COMPILING, 1.0)
    with time_to_first_step(time.monotonic()):
        monitoring.record_event_duration_secs(COMPILING, 2.0)
        monitoring.record_event_duration_secs("/jax/core/compile/jaxpr_trace_duration", 4.0)
        durations = iter([8.0, 16.0, 32.0, 64.0])
        rows = rows_of(lambda: monitoring.record_event_duration_secs(COMPILING, next(durations)))
    assert rows[0]["compile_seconds"] == 10.0


def test_jax_tells_what_it_compiles():
    def unlike_any_other(x):
        return jnp.sin(x) * 0.123456789

    with time_to_first_step(time.monotonic()):
        row, _ = rows_of(lambda: jax.jit(unlike_any_other)(jnp.ones(3)).block_until_ready())
    assert 0 < row["compile_seconds"] <= row["first_step_seconds"]


def test_a_failing_run_leaves_nothing_behind():
    with pytest.raises(KeyError), time_to_first_step(time.monotonic()):
        raise KeyError
    assert "first_step_seconds" not in rows_of()[0]
