"""Functions measured in a process of their own."""

import json
import os

import pytest

from benchmarks import timing
from mmix_jax.errors import InputError


def environment_of(name: str, fallback: list[int]) -> list:
    print("what it prints is not its value")
    return [os.environ.get(name, fallback), os.getpid()]


def refuse() -> None:
    raise InputError("a rule, what was given, the way out")


def test_a_function_runs_apart_on_json():
    value, process = timing.apart(environment_of, "NO_SUCH_NAME", [1, 2])
    assert (value, process != os.getpid()) == ([1, 2], True)
    value, _ = timing.apart(environment_of, "A_NAME", [], environment={"A_NAME": "a value"})
    assert value == "a value"


def test_bad_input_apart_is_one_line_and_status_2(capfd):
    with pytest.raises(SystemExit) as ended:
        timing.apart(refuse)
    assert ended.value.code == 2
    assert capfd.readouterr().err == "error: a rule, what was given, the way out\n"


def test_a_row_of_memory_is_json():
    assert 0 < timing.resident_mb("VmRSS") <= timing.resident_mb()
    assert json.dumps(timing.device_peak()) == "{}"  # on a CPU
