"""Who stands outside a process of several, and says in one line what ended it.

When a process of a run is gone, JAX ends the others from C++: they abort, with a stack trace and no
Python code run. So the program is a child of this module's process, which hands signals on, keeps
what C++ code prints, and turns such an end into a line and a status.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NoReturn

from mmix_jax.processes.joining import Joining

STATUS = 3
CHILD = "MMIX_JAXCHILD"
_PR_SET_PDEATHSIG = 1
_GONE = "JAX distributed service detected fatal errors"
# How absl's lines begin, in C++ code.
_RECORD = re.compile(r"([IWEF])\d{4} [\d:.]+ +\d+ (\w+)\.(?:cc|cpp|h):\d+\]")
_OF_THE_RUN = ("coordination_service", "coordination_service_agent", "client", "add_port")


def is_child() -> bool:
    """Whether this process is watched already."""
    return CHILD in os.environ


@contextlib.contextmanager
def child() -> Iterator[None]:
    """Within, end with the parent, and leave it what C++ code prints; what Python prints goes out
    as ever. Whoever leaves by an exit status other than 0, or an exception, waits for no other
    process of the run.
    """
    _become_child()
    try:
        yield
    except SystemExit as exit:
        _end(exit.code if isinstance(exit.code, int) else 1)
    except BaseException:
        traceback.print_exc()
        _end(1)


def _end(status: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)  # jax would wait for the others


def _become_child() -> None:
    noise, parent = map(int, os.environ[CHILD].split(","))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has gone meanwhile
            os._exit(STATUS)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # it was closed
            continue
        stream.flush()
        own = os.dup(number)
        again = open(  # noqa: SIM115
            own, "w", encoding=stream.encoding, errors=stream.errors, buffering=1
        )
        again.reconfigure(write_through=name == "stderr")
        setattr(sys, name, again)
        os.dup2(noise, number)
    os.close(noise)


def watch(command: Sequence[str], joining: Joining) -> int:
    """Run the command as a child; returns the exit status, 3 where others of the run ended it."""
    reader, writer = os.pipe()
    asked: list[int] = []
    started: list[subprocess.Popen] = []

    def pass_on(number, _frame):
        asked.append(number)
        for child in started:
            child.send_signal(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    # Who is told to live on after its terminal (nohup) does.
    taken = [number for number in numbers if before[number] != signal.SIG_IGN]
    for number in taken:
        signal.signal(number, pass_on)
    noise = Noise()
    try:
        with subprocess.Popen(
            command,
            env=os.environ | {CHILD: f"{writer},{os.getpid()}"},
            pass_fds=(writer,),
            start_new_session=True,  # a terminal's interrupt comes once, through here
        ) as child:
            os.close(writer)
            started.append(child)
            for number in list(asked):  # before it was there
                child.send_signal(number)
            thread = threading.Thread(target=noise.read, args=(reader,), daemon=True)
            thread.start()
            status = child.wait()
    finally:
        for number in taken:
            signal.signal(number, before[number])
    thread.join(timeout=5.0)
    if status in (0, 2, 3, 130, 141):
        return status
    if noise.gone:
        print(f"error: {_why(noise.text, joining)}", file=sys.stderr)
        return STATUS
    for line in noise.kept:
        print(line, file=sys.stderr)
    if status < 0 and -status in asked:  # before it could listen
        print("interrupted before the first step, nothing was lost", file=sys.stderr)
        return 130
    if status < 0:
        name = signal.Signals(-status).name
        print(f"error: the process was ended by {name}; start it again to go on", file=sys.stderr)
        return 128 - status
    return status


class Noise:
    """What C++ code prints: lines about the run are kept, others passed on to standard error."""

    def __init__(self):
        self.kept: deque[str] = deque(maxlen=60)
        self._hiding = False

    @property
    def text(self) -> str:
        return "\n".join(self.kept)

    @property
    def gone(self) -> bool:
        """Whether JAX ended the process because others of the run are gone."""
        return _GONE in self.text

    def read(self, reader: int) -> None:
        with os.fdopen(reader, errors="replace") as lines:
            for line in lines:
                self.take(line.rstrip("\n"))

    def take(self, line: str) -> None:
        """One line; those after an error of the run belong to it."""
        hide = self._hiding
        if record := _RECORD.match(line):
            hide = record[2] in _OF_THE_RUN
            self._hiding = hide and record[1] in "EF"
        elif line.startswith("[Gloo]"):
            hide, self._hiding = True, False
        if hide:
            self.kept.append(line)
        else:
            print(line, file=sys.stderr, flush=True)


def _why(text: str, joining: Joining) -> str:
    """What ended a process, by what JAX printed."""
    seconds = joining.silence_s
    if "different incarnation" in text or "already in error" in text:
        return (
            "processes of one run must have different numbers, found one twice; give each its own "
            "--process_id (a process that was started anew joins with all others)"
        )
    if "RegisterTask" in text:
        if not joining.rank:  # or it is known to the cluster alone
            return (
                f"all {joining.size or ''} processes must join, found fewer after {seconds} s; "
                "start the others, and see that they reach the port of process 0's host"
            ).replace("  ", " ")
        where = joining.coordinator or "the cluster's coordinator"
        return (
            f"process 0 must answer at {where}, found nothing after {seconds} s; start it, and "
            "see that its port is open to this host"
        )
    return (
        "all processes of a run must go on, found one gone, or silent for "
        f"{seconds} s; start the same command in all of them again: the run resumes from its last "
        "checkpoint"
    )
