"""What the package says while an estimator works: kept with it, and printed where that is asked."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import NamedTuple

_log = logging.getLogger("mmix_jax")
_lock = threading.Lock()


class _Ear(NamedTuple):
    thread: int
    verbose: bool
    said: list[str]


class _Ears(logging.Handler):
    """Stands for the package's logging while anybody listens: each hears what its own thread says.

    The logger's settings are the process's: the first who listens changes them, the last restores
    them.
    """

    def __init__(self):
        super().__init__(logging.INFO)
        self.listening: list[_Ear] = []

    def emit(self, record: logging.LogRecord) -> None:
        for ear in self.listening.copy():
            if record.levelno < logging.WARNING and ear.thread == threading.get_ident():
                ear.said.append(record.getMessage())
                if ear.verbose:
                    print(ear.said[-1], flush=True)
        if self._propagate and _log.parent is not None and record.levelno >= self._wanted:
            _log.parent.callHandlers(record)

    def begin(self, ear: _Ear) -> None:
        with _lock:
            if not self.listening:
                self._wanted, self._level = _log.getEffectiveLevel(), _log.level
                self._propagate = _log.propagate
                _log.addHandler(self)
                _log.setLevel(min(self._wanted, logging.INFO))
                _log.propagate = False
            self.listening.append(ear)

    def end(self, ear: _Ear) -> None:
        with _lock:
            self.listening = [other for other in self.listening if other is not ear]
            if not self.listening:
                _log.removeHandler(self)
                _log.setLevel(self._level)
                _log.propagate = self._propagate


_ears = _Ears()


@contextlib.contextmanager
def heard(verbose: bool) -> Iterator[list[str]]:
    """Yields the lines that this thread says within; printed too with `verbose`.

    Warnings go on to wherever the caller's logging takes them, and other lines where it wants
    them.
    """
    ear = _Ear(threading.get_ident(), verbose, [])
    _ears.begin(ear)
    try:
        yield ear.said
    finally:
        _ears.end(ear)
