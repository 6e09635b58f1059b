"""The time to the first step: counted from where it is said, told once."""

import time

import jax
import jax.numpy as jnp
import pytest
from jax import monitoring

from mmix_jax.training import first_step


def test_nothing_is_told_where_nobody_waits():
    assert first_step.reached() == {}


def test_seconds_count_from_the_beginning_and_are_told_once():
    with first_step.awaited(time.monotonic() - 100):
        found = first_step.reached()
        assert set(found) == {"first_step_seconds", "compile_seconds"}
        assert 100 <= found["first_step_seconds"] < 110
        assert found["compile_seconds"] == 0.0
        assert first_step.reached() == {}
    assert first_step.reached() == {}


def test_compiling_is_counted_from_the_beginning_to_the_first_step():
    compiled = "/jax/core/compile/backend_compile_duration"
    monitoring.record_event_duration_secs(compiled, 1.0)
    with first_step.awaited(time.monotonic()):
        monitoring.record_event_duration_secs(compiled, 2.0)
        monitoring.record_event_duration_secs("/jax/core/compile/jaxpr_trace_duration", 4.0)
        monitoring.record_event_duration_secs(compiled, 8.0)
        assert first_step.reached()["compile_seconds"] == 10.0


def test_jax_tells_what_it_compiles():
    def unlike_any_other(x):
        return jnp.sin(x) * 0.123456789

    with first_step.awaited(time.monotonic()):
        jax.jit(unlike_any_other)(jnp.ones(3)).block_until_ready()
        found = first_step.reached()
    assert 0 < found["compile_seconds"] <= found["first_step_seconds"]


def test_a_failing_run_leaves_nothing_behind():
    with pytest.raises(KeyError), first_step.awaited(time.monotonic()):
        raise KeyError
    assert first_step.reached() == {}
