"""What is wrong is told at once: before anything is imported that takes seconds."""

import json
import os
import subprocess
import sys

import pytest

from tests.main.program import CONFIGS, ROOT

SLOW = {"jax", "flax", "optax", "orbax", "scipy", "sklearn", "tensorflow_datasets", "matplotlib"}
DIGITS = f"--config={CONFIGS}/digits_graph.py:smoke"
CALLS = {
    "help": (["--help"], 0),
    "no config": ([], 2),
    "no such config": (["--config=nowhere.py"], 2),
    "unknown variant": ([DIGITS + "r"], 2),
    "misspelt key": ([DIGITS, "--config.mixin=mo"], 2),
    "misspelt flag": ([DIGITS, "--wordir=x"], 2),
    "wrong type": ([DIGITS, "--config.width=abc"], 2),
    "unknown mode": ([DIGITS, "--mode=fly"], 2),
    "unknown rule": ([DIGITS, "--config.mixing=mo_mix"], 2),
    "unknown dataset": ([DIGITS, "--config.dataset=coral"], 2),
    "unknown images": ([f"--config={CONFIGS}/digits.py", "--config.dataset=cora"], 2),
    "out of range": ([DIGITS, "--config.temperature=0"], 2),
    "contradiction": ([DIGITS, "--config.mixing=propagate", "--config.candidates=op"], 2),
    "other settings": ([DIGITS, "--workdir=run", "--config.width=4"], 2),
}  # fmt: skip
# The last call is right as far as settings go, and asks for what only the data can tell.
RIGHT = [f"--config={CONFIGS}/graph_file.py:smoke", "--config.data_path=nowhere.npz"]
PROGRAM = """
import json, sys
from mmix_jax import main
for arguments in json.loads(sys.argv[1]):
    sys.modules.pop("config_config", None)  # of the call before
    try:
        status = main.main(["mmix_jax.main", *arguments])
    except SystemExit as stop:
        status = stop.code
    imported = sorted({name.split(".")[0] for name in sys.modules})
    print("\\n" + json.dumps([status, imported]), flush=True)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict[str, tuple[int, set[str]]]:
    """Exit status of every call, and what had been imported by its end."""
    folder = tmp_path_factory.mktemp("start")
    (folder / "run" / "checkpoints").mkdir(parents=True)
    (folder / "run" / "config.json").write_text('{"width": 16}')
    calls = {name: call for name, (call, _) in CALLS.items()} | {"right": RIGHT}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(list(calls.values()))],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("[")]
    return {
        name: (status, set(imported)) for name, (status, imported) in zip(calls, lines, strict=True)
    }


@pytest.mark.parametrize("name", CALLS)
def test_nothing_slow_is_imported_for_an_answer(answers, name):
    status, imported = answers[name]
    assert status == CALLS[name][1]
    assert imported & SLOW == set()


def test_what_only_the_data_can_tell_comes_after_the_imports(answers):
    status, imported = answers["right"]
    assert status == 2
    assert "jax" in imported
