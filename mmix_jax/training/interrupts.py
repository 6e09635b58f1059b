"""Interrupts that are answered at once, also while a compiler runs for a minute.

Python calls a signal's handler between two of its own instructions, so none while C++ code runs.
What is done at once, by C, is to write the signal's number to a pipe; a thread waits at its other
end, and runs wherever C++ code has released the interpreter, as compilers do.
"""

import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

from mmix_jax.processes.supervisor import CHILD

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STATUS = 130
STOPPING = "stopping after this step; again to quit now"
QUITTING = "quit; what was saved before is whole, start the same command again to go on from there"

# Who writes what must be whole holds it; a second interrupt waits for it, but not for ever.
_writing = threading.RLock()
_PATIENCE = 20.0  # seconds
_AT_ONCE = 1.0  # seconds


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """Within, an interrupt does not end the process."""
    with _writing:
        yield


@contextlib.contextmanager
def listening() -> Iterator[list[bool]]:
    """Take interrupts meanwhile; yields a list that is empty until the first.

    The first is answered by a line on standard error, and left to who looks at the list. The second
    ends the process with `STATUS`, after a line and without any more of its Python code.

    Where a pipe cannot take signals (Windows) neither has a line. In another thread than the main
    one nothing is taken.
    """
    asked: list[bool] = []

    def ask(number, _frame):
        asked.append(True)
        if os.name != "posix":
            signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals are the main thread's
        return
    with contextlib.ExitStack() as stack:
        if os.name == "posix":
            stack.enter_context(_answering())
        for number in SIGNALS:
            before = signal.signal(number, ask)
            stack.callback(signal.signal, number, before)
        yield asked


@contextlib.contextmanager
def stopping() -> Iterator[list[bool]]:
    """Take the first keyboard interrupt meanwhile, for a library's caller: the list yielded is
    empty until then. A second one is raised as ever.

    In another thread than the main one nothing is taken.
    """
    asked: list[bool] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(_number, _frame):
        asked.append(True)
        signal.signal(signal.SIGINT, before)
        _tell("stopping after this step; again to stop now")

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    thread = threading.Thread(target=_answer, args=(reader,), name="interrupts", daemon=True)
    thread.start()
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)  # ends the thread
        thread.join()
        os.close(reader)


def _answer(reader: int) -> None:
    """Answer what is read: numbers of signals, those that others listen for among them."""
    count, last = 0, -math.inf
    while number := os.read(reader, 1):
        if number[0] not in SIGNALS:
            continue
        # Who is watched gets a signal that is sent to all processes twice: passed on, too.
        before, last = last, time.monotonic()
        if CHILD in os.environ and last - before < _AT_ONCE:
            continue
        count += 1
        if count == 1:
            _tell(STOPPING)
            continue
        _tell(QUITTING)
        _writing.acquire(timeout=_PATIENCE)
        os._exit(STATUS)  # an exit by exception would wait for the C++ code


def _tell(line: str) -> None:
    """Write a line by itself: a progress bar may stand at the cursor."""
    with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
        try:
            number = sys.stderr.fileno()
        except (OSError, ValueError, AttributeError):  # a stream of somebody's own, or none
            number = 2
        os.write(number, f"\n{line}\n".encode())
