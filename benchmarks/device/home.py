"""What comes home from a device: one document, and an archive of logs, metrics and pictures."""

import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.suite import Row, write_whole

DOCUMENT, LOGS = "device.json", "logs.tar.gz"
_SUFFIXES = (".log", ".json", ".jsonl", ".png")
_MOST = 2**20  # bytes of a file; of a longer one its end


def rows_in(path: Path) -> list[Row]:
    """The rows that a measure has written; a line that was cut off is none."""
    rows = []
    for line in path.read_text("utf-8").split("\n") if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def bring(runs: Path, out: Path, content: Mapping[str, Any]) -> None:
    """Write both anew. Checkpoints stay where they are; files that go meanwhile are passed over."""
    write_whole(out / DOCUMENT, json.dumps(content, indent=1) + "\n")
    temporary = out / f".{LOGS}.tmp"
    with tarfile.open(temporary, "w:gz") as archive:
        for path in _files(runs):
            try:
                content_of, seconds = path.read_bytes()[-_MOST:], path.stat().st_mtime
            except OSError:
                continue
            entry = tarfile.TarInfo(path.relative_to(runs).as_posix())
            entry.size, entry.mtime = len(content_of), seconds
            archive.addfile(entry, io.BytesIO(content_of))
    os.replace(temporary, out / LOGS)


def _files(runs: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(runs):
        folders[:] = sorted(name for name in folders if name not in ("checkpoints", "tensorboard"))
        for name in sorted(files):
            if name.endswith(_SUFFIXES) and name != DOCUMENT:
                yield Path(folder, name)
