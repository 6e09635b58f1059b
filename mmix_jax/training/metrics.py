"""metrics.jsonl and TensorBoard events."""

import json
import os
from pathlib import Path

from mmix_jax.errors import InputError


class History:
    """A writer that keeps what is logged: `rows`, a dict with `step` each."""

    def __init__(self):
        self.rows: list[dict[str, float]] = []

    def write(self, step: int, values: dict[str, float]) -> None:
        self.rows.append({"step": step, **values})


def read_history(workdir: str | Path, seed: int) -> list[dict[str, float]]:
    """What one seed has logged in `workdir/metrics.jsonl`, as `History.rows`."""
    path, rows = Path(workdir) / "metrics.jsonl", []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except ValueError:  # the last line of a killed run may be half-written
            continue
        if record.pop("seed", None) == seed:
            rows.append(record)
    return rows


class MetricsWriter:
    """Appends a JSON line per logged step to `workdir/metrics.jsonl` and writes TensorBoard events.

    Opened at `step` of a resumed training, lines of the same `seed` beyond that step are dropped:
    they will be written again. Use as a context manager.

    Raises:
      InputError: the workdir cannot be written.
    """

    def __init__(self, workdir: str | Path, *, seed: int, step: int = 0):
        from tensorboardX import SummaryWriter

        self.path = Path(workdir) / "metrics.jsonl"
        self.seed = seed
        events = Path(workdir) / "tensorboard" / f"seed_{seed}"
        try:
            if self.path.exists():
                self._drop_after(step)
            events.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a")
        except OSError as error:
            raise InputError(
                f"metrics must be writable at {workdir}, found {error}; choose another --workdir"
            ) from error
        self._events = SummaryWriter(str(events), purge_step=step + 1)

    def _drop_after(self, step: int) -> None:
        kept = []
        for line in self.path.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # the last line of a killed run may be half-written
                continue
            if record.get("seed") != self.seed or record.get("step", 0) <= step:
                kept.append(line + "\n")
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(kept))
        os.replace(temporary, self.path)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()
        self._events.close()

    def write(self, step: int, values: dict[str, float]) -> None:
        """One line and one event per value; flushed, so that a killed run has its history."""
        self._file.write(json.dumps({"seed": self.seed, "step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, step)
