"""What a training wrote to metrics.jsonl, for comparisons."""

import json
import pathlib

SPEED = ("samples_per_second", "host_share")  # a clock's, not the same twice
START = ("first_step_seconds", "compile_seconds")  # in a program's first line alone


def lines_of(workdir: pathlib.Path) -> list[dict]:
    """The lines without what a clock told."""
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [{n: value for n, value in line.items() if n not in SPEED + START} for line in lines]
