"""What is logged of a training: on disk as metrics.jsonl and TensorBoard events, or in memory."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmix_jax.errors import InputError

METRICS_FILE = "metrics.jsonl"


class History:
    """Logged steps kept in memory: `rows`, a dict {"step": …, name: value} each.

    A context manager, as `MetricsWriter` is.
    """

    def __init__(self):
        self.rows: list[dict[str, Any]] = []

    def __enter__(self):
        return self

    def __exit__(self, *exception): ...

    def write(self, step: int, values: dict[str, float]) -> None:
        """One row."""
        self.rows.append({"step": step, **values})


def read_history(workdir: str | Path, seed: int) -> list[dict[str, Any]]:
    """The rows of a `History` from `workdir/metrics.jsonl`: what was logged of one seed.

    Empty where nothing was logged; the half-written last line of a killed run is left out.

    Raises:
      InputError: the file cannot be read.
    """
    path = Path(workdir) / METRICS_FILE
    try:
        records = [record for _, record in _lines(path)] if path.exists() else []
    except OSError as error:
        raise InputError(
            f"metrics must be readable at {path}, found {error}; choose another --workdir"
        ) from error
    return [record for record in records if record.pop("seed", None) == seed]


def write_history(workdir: str | Path, seed: int, rows: Iterable[dict[str, Any]]) -> None:
    """Write `workdir/metrics.jsonl` anew, so that `read_history` gives these rows of a seed."""
    lines = [json.dumps({"seed": seed, **row}) + "\n" for row in rows]
    (Path(workdir) / METRICS_FILE).write_text("".join(lines), encoding="utf-8")


class MetricsWriter:
    """Appends a JSON line per logged step to `workdir/metrics.jsonl` and writes TensorBoard events.

    Opened at `step` of a resumed training, lines of the same `seed` beyond that step are dropped:
    they will be written again. Use as a context manager.

    Raises:
      InputError: the workdir cannot be written.
    """

    def __init__(self, workdir: str | Path, *, seed: int, step: int = 0):
        from tensorboardX import SummaryWriter

        self.path = Path(workdir) / METRICS_FILE
        self.seed = seed
        events = Path(workdir) / "tensorboard" / f"seed_{seed}"
        try:
            if self.path.exists():
                self._drop_after(step)
            events.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"metrics must be writable at {workdir}, found {error}; choose another --workdir"
            ) from error
        self._events = SummaryWriter(str(events), purge_step=step + 1)

    def _drop_after(self, step: int) -> None:
        kept = [
            line + "\n"
            for line, record in _lines(self.path)
            if record.get("seed") != self.seed or record.get("step", 0) <= step
        ]
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(kept), encoding="utf-8")
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


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Lines with their records; what is none, as the cut last line of a killed run, is left out."""
    for line in path.read_text("utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield line, record
