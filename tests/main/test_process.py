"""`python -m mmix_jax.main` as a program of its own: exit status and signals."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.main.program import ROOT, Ran, refused, steps_of


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


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interrupted_program_saves_and_says_how_to_resume(smoke, tmp_path):
    workdir = tmp_path / "run"
    endless = ["--config.num_steps=1000000", "--config.patience=0", "--config.checkpoint_every=0"]
    started = start(*smoke, *endless, f"--workdir={workdir}")
    try:
        wait_for(workdir / "metrics.jsonl", started)
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=300)
    finally:
        started.kill()
    ran = Ran(started.returncode, out, err)
    assert ran.status == 130
    (line,) = ran.told
    found = re.search(r"after step (\d+), a checkpoint was saved; .*same command.*resume", line)
    assert found, line
    assert steps_of(workdir)[-1] == int(found[1])
    assert not (workdir / "results.jsonl").exists()
