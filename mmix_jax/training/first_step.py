"""How long a program takes to its first training step, and how much of that is compiling."""

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar

_COMPILING = "/jax/core/compile/backend_compile_duration"  # reading a kept program counts too


class _Wait:
    """From `begin` to the first step."""

    def __init__(self, begin: float):
        self.begin, self.compiling, self.over = begin, 0.0, False

    def listen(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == _COMPILING and not self.over:
            self.compiling += duration_secs


_wait: ContextVar[_Wait | None] = ContextVar("wait", default=None)


@contextlib.contextmanager
def awaited(begin: float) -> Iterator[None]:
    """Within, the first call of `reached` tells the seconds since `begin` (of time.monotonic)."""
    from jax import monitoring

    wait = _Wait(begin)
    token = _wait.set(wait)
    monitoring.register_event_duration_secs_listener(wait.listen)
    try:
        yield
    finally:
        monitoring.unregister_event_duration_listener(wait.listen)
        _wait.reset(token)


def reached() -> dict[str, float]:
    """`first_step_seconds` and, of these, `compile_seconds`, at the end of the first step.

    Empty after that, and where nobody has begun to wait: a library call is no program.
    """
    wait = _wait.get()
    if wait is None or wait.over:
        return {}
    wait.over = True
    return {
        "first_step_seconds": time.monotonic() - wait.begin,
        "compile_seconds": wait.compiling,
    }
