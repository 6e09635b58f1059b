"""Interrupts: the first is answered at once, the second ends the process and cuts nothing."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from mmix_jax.training.interrupts import QUITTING, STATUS, STOPPING, listening, whole

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")
ROOT = pathlib.Path(__file__).parents[2]
NUMBERS = [signal.SIGINT, signal.SIGTERM]

# A call of C that nothing interrupts, and that releases the interpreter, like a compiler's.
BLOCKED = """
import hashlib, pathlib, sys
from mmix_jax.training.interrupts import listening, whole
def block(rounds): hashlib.pbkdf2_hmac("sha256", b"", b"", rounds)
"""
FOR_MINUTES = 300_000_000


@contextlib.contextmanager
def started(code: str, *arguments) -> Iterator[subprocess.Popen]:
    """A process that has said that it is ready; gone afterwards."""
    command = [sys.executable, "-c", BLOCKED + code, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen) -> str:
    assert process.stderr is not None
    return next(line.strip() for line in process.stderr if line.strip())


@pytest.mark.parametrize("number", NUMBERS, ids=str)
def test_interrupts_are_answered_while_other_code_runs(number):
    with started(
        f"with listening():\n  print('ready', flush=True)\n  block({FOR_MINUTES})"
    ) as process:
        begin = time.monotonic()
        process.send_signal(number)
        assert next_line(process) == STOPPING
        assert process.poll() is None
        process.send_signal(number)
        assert next_line(process) == QUITTING
        assert process.wait(timeout=30) == STATUS
        assert time.monotonic() - begin < 15  # seconds, on a busy machine
        assert process.communicate()[1].strip() == ""  # no traceback


def test_one_of_each_are_two(tmp_path):
    with started(
        f"with listening():\n  print('ready', flush=True)\n  block({FOR_MINUTES})"
    ) as process:
        process.send_signal(signal.SIGTERM)
        assert next_line(process) == STOPPING
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == STATUS


def test_what_must_be_whole_is_finished_first(tmp_path):
    """The second interrupt comes between two halves of what is written."""
    path = tmp_path / "file"
    with started(
        "path = pathlib.Path(sys.argv[1])\n"
        "with listening():\n"
        "  with whole():\n"
        "    path.write_text('one half, ')\n"
        "    print('ready', flush=True)\n"
        "    block(4_000_000)\n"
        "    path.write_text('one half, the other')\n"
        f"  block({FOR_MINUTES})",
        path,
    ) as process:
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            next_line(process)
        assert process.wait(timeout=60) == STATUS
        assert path.read_text() == "one half, the other"


def test_the_first_is_left_to_who_asks_and_all_is_put_back(capfd):
    before = [signal.getsignal(number) for number in NUMBERS]
    threads = threading.active_count()
    with listening() as asked:
        assert not asked and threading.active_count() == threads + 1
        os.kill(os.getpid(), signal.SIGTERM)
        end = time.monotonic() + 30
        told = ""
        while STOPPING not in told and time.monotonic() < end:
            time.sleep(0.01)
            told += capfd.readouterr().err
        assert asked == [True]
        assert told == f"\n{STOPPING}\n"
    assert [signal.getsignal(number) for number in NUMBERS] == before
    assert threading.active_count() == threads
    assert signal.set_wakeup_fd(-1) == -1


def test_signals_of_others_are_not_answered(capfd):
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with listening() as asked:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.2)
        assert (asked, capfd.readouterr().err) == ([], "")
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_in_another_thread_nothing_is_taken():
    seen = []

    def inside():
        with listening() as asked, whole():
            seen.append((asked, [signal.getsignal(number) for number in NUMBERS]))

    expected = [signal.getsignal(number) for number in NUMBERS]
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [([], expected)]
