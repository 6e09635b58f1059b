"""`python -m mmix_jax.main` as a program of its own: exit status and signals."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from mmix_jax.training.interrupts import QUITTING, STOPPING
from tests.main.program import ROOT, Ran, refused, run, steps_of


def start(*arguments) -> subprocess.Popen:
    command = [sys.executable, "-m", "mmix_jax.main", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for(path: pathlib.Path, started: subprocess.Popen, seconds: float = 300.0) -> None:
    """Until the file has content."""
    end = time.monotonic() + seconds
    while not (path.exists() and path.stat().st_size):
        assert started.poll() is None, started.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_program_ends_with_the_status(tmp_path):
    started = start("--config=nowhere.py", f"--workdir={tmp_path}/run")
    out, err = started.communicate()
    refused(Ran(started.returncode, out, err), "nowhere.py")


ENDLESS = ["--config.num_steps=1000000", "--config.patience=0", "--config.checkpoint_every=0"]


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_an_interrupted_program_saves_and_says_how_to_resume(smoke, tmp_path, number):
    workdir = tmp_path / "run"
    started = start(*smoke, *ENDLESS, f"--workdir={workdir}")
    try:
        wait_for(workdir / "metrics.jsonl", started)
        started.send_signal(number)
        out, err = started.communicate(timeout=300)
    finally:
        started.kill()
    ran = Ran(started.returncode, out, err)
    assert ran.status == 130
    at_once, line = ran.told
    assert at_once == STOPPING
    found = re.search(r"after step (\d+), a checkpoint was saved; .*same command.*resume", line)
    assert found, line
    assert steps_of(workdir)[-1] == int(found[1])
    assert not (workdir / "results.jsonl").exists()


# Each step takes longer than any test waits, as a compilation may.
SLOW = """
import hashlib, sys
from mmix_jax import main
from mmix_jax.training import loop
def step(state, *_): hashlib.pbkdf2_hmac("sha256", b"", b"", 300_000_000)
train = loop.train
def slow(*given, step_fn, **options):
    calls = []
    def stepping(*arguments):
        calls.append(1)
        if len(calls) > 3: step(*arguments)
        return step_fn(*arguments)
    return train(*given, step_fn=stepping, **options)
from mmix_jax.experiments import pretraining
pretraining.train = slow
sys.exit(main.main())
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_second_interrupt_ends_at_once_and_the_same_command_goes_on(smoke, tmp_path):
    workdir = tmp_path / "run"
    steps = ["--config.num_steps=6", "--config.checkpoint_every=1", "--config.eval_every=1"]
    arguments = [*smoke, *steps, f"--workdir={workdir}"]
    command = [sys.executable, "-c", SLOW, *map(str, arguments)]
    started = subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        wait_for(workdir / "checkpoints" / "seed_0" / "3" / "digests.json", started)
        time.sleep(0.5)  # into the slow step
        for _ in range(2):
            started.send_signal(signal.SIGINT)
            time.sleep(0.5)
        out, err = started.communicate(timeout=60)
    finally:
        started.kill()
    ran = Ran(started.returncode, out, err)
    assert (ran.status, ran.told[-2:]) == (130, [STOPPING, QUITTING])
    assert "Traceback" not in err
    assert steps_of(workdir)[-1] == 3
    names = [path.name for path in workdir.rglob("*")]
    assert not [name for name in names if "tmp" in name]
    again = run(*arguments)
    assert (again.status, again.told) == (0, [])
    assert steps_of(workdir)[-1] == 6
