"""The progress bar of a training: where it is, how fast it goes, the best so far."""

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator

COMPILING = "/jax/core/compile/backend_compile_duration"  # reading a kept program counts too


class ProgressBar:
    """Steps done, with the rate and the remaining time of work that has been compiled.

    Of each kind of work the first piece compiles, and counts for neither; nor does the second where
    jax compiles in it. Elapsed time is all of it. A terminal gets a moving bar, a log file a line
    every ten seconds.

    Args:
      num_steps: at the end.
      step: steps that were done before.
      description: stands before the bar; None shows none.

    Example:
      >>> from mmix_jax.training.progress_bar import ProgressBar
      >>> with ProgressBar(300, 0, "cora mo seed 0") as bar:
      ...     with bar.work("steps", 10):
      ...         pass
      ...     bar.update(10, "loss 0.1")
    """

    def __init__(self, num_steps: int, step: int, description: str | None):
        from tqdm import tqdm

        of_bar = self

        class Bar(tqdm):
            @property
            def format_dict(self):
                # 0 is shown as a question mark; None would be replaced by an average over all.
                return {**super().format_dict, "rate": of_bar.rate}

        self._pieces: Counter[str] = Counter()
        self._compilations = 0
        self._steps, self._seconds = 0, 0.0
        interval = 0.2 if sys.stderr.isatty() else 10.0
        self._bar = Bar(
            total=num_steps, initial=step, desc=description, unit="step", mininterval=interval,
            maxinterval=interval, miniters=1, file=sys.stderr, dynamic_ncols=True,
            disable=description is None,
        )  # fmt: skip

    @property
    def rate(self) -> float:
        """Steps per second over all work that counts; 0 before there is any."""
        return self._steps / self._seconds if self._seconds else 0.0

    @contextlib.contextmanager
    def work(self, kind: str, steps: int = 0) -> Iterator[None]:
        """Times what runs within: a piece of work of this kind that takes so many steps."""
        begin, compilations = time.monotonic(), self._compilations
        yield
        compiled = self._compilations > compilations
        # Not every piece that compiles: one that always does takes that long.
        if self._pieces[kind] > (1 if compiled else 0):
            self._steps += steps
            self._seconds += time.monotonic() - begin
        self._pieces[kind] += 1

    def update(self, count: int, note: str = "") -> None:
        """So many more steps are done; the note stands behind the bar until there is another."""
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(count)

    def write(self, line: str) -> None:
        """Print a line on standard output without breaking the bar."""
        self._bar.write(line)

    def _listen(self, event: str, duration_secs: float, **_: str | int) -> None:
        self._compilations += event == COMPILING

    def __enter__(self) -> "ProgressBar":
        from jax import monitoring

        monitoring.register_event_duration_secs_listener(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        from jax import monitoring

        monitoring.unregister_event_duration_listener(self._listen)
        self._bar.close()
