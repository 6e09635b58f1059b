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
_CHILD = "MMIX_JAX_CHILD"
_PR_SET_PDEATHSIG = 1
_GONE = "JAX distributed service detected fatal errors"
# How absl's and Gloo's lines begin, in C++ code.
_RECORD = re.compile(r"([IWEF])\d{4} [\d:.]+ +\d+ (\w+)\.(?:cc|cpp|h):\d+\]|\[Gloo\]|\*\*\* ")
_OF_THE_RUN = ("coordination_service", "coordination_service_agent", "client", "add_port")


def is_child() -> bool:
    """Whether this process is watched already."""
    return _CHILD in os.environ


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
    noise = int(os.environ[_CHILD])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
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
    with subprocess.Popen(
        command,
        env=os.environ | {_CHILD: str(writer)},
        pass_fds=(writer,),
        start_new_session=True,  # a terminal's interrupt comes once, through here
    ) as child:
        os.close(writer)

        def pass_on(number, _frame):
            child.send_signal(number)

        before = {
            number: signal.signal(number, pass_on)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        noise = Noise()
        thread = threading.Thread(target=noise.read, args=(reader,), daemon=True)
        thread.start()
        try:
            status = child.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    thread.join(timeout=5.0)
    if status in (0, 2, 3, 130, 141):
        return status
    if noise.gone:
        print(f"error: {_why(noise.text, joining)}", file=sys.stderr)
        return STATUS
    for line in noise.kept:
        print(line, file=sys.stderr)
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
        """One line; those after a record belong to it."""
        if record := _RECORD.match(line):
            of = record[2]
            self._hiding = of is None or of in _OF_THE_RUN
        if self._hiding:
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
        if joining.rank == 0:
            return (
                f"all {joining.size} processes must join, found fewer after {seconds} s; start "
                "the others, and see that they reach this host's port"
            )
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
