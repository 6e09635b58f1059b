"""What a training wrote to metrics.jsonl, for comparisons."""

import json
import pathlib

SPEED = ("samples_per_second", "host_share")  # a clock's, not the same twice


def lines_of(workdir: pathlib.Path) -> list[dict]:
    """The lines without the speed."""
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [{name: line[name] for name in line if name not in SPEED} for line in lines]
