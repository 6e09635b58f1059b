"""Who stands outside a process: signals, exit statuses, and what C++ code printed."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from mmix_jax.processes import supervisor
from mmix_jax.processes.joining import Joining
from tests.main.program import ROOT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

JOINING = Joining("10.0.0.1:80", 3, 1, 20)
FATAL = (
    "F1129 05:35:03.729089    3569 client.h:80] Terminating process because the JAX distributed "
    "service detected fatal errors. absl::Status: {why}\nRPC: /x\n*** Check failure stack trace: "
    "***\n    @     0x7f log_internal()"
)
# The program's part in a few words: `{body}` runs as a child does.
CHILD = """
import os, signal, sys, time
from mmix_jax.processes import supervisor
with supervisor.child():
    {body}
"""
PARENT = """
import sys
from mmix_jax.processes import supervisor
from mmix_jax.processes.joining import Joining
sys.exit(supervisor.watch([sys.executable, "-c", sys.argv[1]], Joining("10.0.0.1:80", 3, 1, 20)))
"""


def start(body: str) -> subprocess.Popen:
    command = [sys.executable, "-c", PARENT, CHILD.format(body=body)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, **pipes)


def watched(body: str) -> tuple[int, str, str]:
    process = start(body)
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error


def test_what_python_prints_goes_out_and_statuses_come_back():
    body = "print('out'); print('err', file=sys.stderr); sys.exit({})"
    for status in (0, 2, 3, 130):
        assert watched(body.format(status)) == (status, "out\n", "err\n")


def test_an_end_from_within_jax_is_one_line():
    text = FATAL.format(why="UNAVAILABLE: gone")
    status, out, error = watched(f"os.write(2, {text.encode()!r} + b'\\n'); os.abort()")
    assert (status, out) == (3, "")
    assert error.startswith("error: all processes of a run must go on, found one gone, or silent")
    assert error.count("\n") == 1


def test_any_other_end_is_told_with_what_was_printed():
    status, out, error = watched("os.write(1, b'[Gloo] Rank 0\\n'); os.kill(os.getpid(), 9)")
    assert (status, out) == (128 + 9, "")
    assert error.startswith("[Gloo] Rank 0\nerror: the process was ended by SIGKILL")
    status, _, error = watched("raise ValueError('x')")
    assert status == 1 and error.endswith("ValueError: x\n")


def test_other_lines_of_c_are_passed_on():
    lines = (
        b"[Gloo] Rank 0 is connected\nW1129 05:35:03.729089 3569 gpu.cc:8] out of memory\nmore\\n"
    )
    found = watched(f"os.write(2, {lines!r})")
    assert found[2] == "W1129 05:35:03.729089 3569 gpu.cc:8] out of memory\nmore\\n" + "\n"


def test_a_line_after_gloo_s_is_passed_on():
    found = watched("os.write(1, b'[Gloo] Rank 0 is connected\\n\\nstopping after this step\\n')")
    assert found[2] == "\nstopping after this step\n"


def test_a_signal_before_the_child_listens_is_an_interrupt():
    process = start("print('there', flush=True); time.sleep(60)")
    with process:
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == "interrupted before the first step, nothing was lost\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_handed_on(number):
    body = (
        f"signal.signal({int(number)}, lambda *_: sys.exit(130)); print('there', flush=True); "
        "time.sleep(60)"
    )
    with start(body) as process:
        assert process.stdout.readline() == "there\n"
        process.send_signal(number)
        assert process.wait(timeout=30) == 130


@pytest.mark.skipif(sys.platform != "linux", reason="by a call of Linux")
def test_a_child_ends_with_its_parent():
    with start("print(os.getpid(), flush=True); time.sleep(60)") as process:
        child = pathlib.Path("/proc") / process.stdout.readline().strip() / "stat"
        assert child.exists()
        process.kill()
    end = time.monotonic() + 10
    while child.exists() and child.read_text().split()[2] != "Z":  # nobody need wait for it
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("why", "rank", "told"),
    [
        ("DEADLINE_EXCEEDED\nRPC: /x/RegisterTask", 0, "all 3 processes must join, found fewer"),
        ("DEADLINE_EXCEEDED\nRPC: /x/RegisterTask", 1, "process 0 must answer at 10.0.0.1:80"),
        ("ABORTED: 1 tried with a different incarnation", 1, "must have different numbers"),
        ("UNAVAILABLE", 1, "found one gone, or silent for 20 s; start the same command"),
    ],
)
def test_the_reason_is_told(why, rank, told):
    assert told in supervisor._why(why, JOINING._replace(rank=rank))
