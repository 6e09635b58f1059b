"""What the package says while an estimator works: kept with it, and printed where that is asked."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def heard(verbose: bool) -> Iterator[list[str]]:
    """Yields the lines that are said within; printed too with `verbose`.

    Warnings go on to wherever the caller's logging takes them, and other lines where it wants
    them.
    """
    log = logging.getLogger("mmix_jax")
    said: list[str] = []
    wanted, level, propagate = log.getEffectiveLevel(), log.level, log.propagate

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno < logging.WARNING:
                said.append(record.getMessage())
                if verbose:
                    print(said[-1], flush=True)
            if propagate and log.parent is not None and record.levelno >= wanted:
                log.parent.callHandlers(record)

    ear = Ear(logging.INFO)
    log.addHandler(ear)
    log.setLevel(min(wanted, logging.INFO))
    log.propagate = False
    try:
        yield said
    finally:
        log.removeHandler(ear)
        log.setLevel(level)
        log.propagate = propagate
