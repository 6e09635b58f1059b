"""One part in a process of its own: what `python -m benchmarks` starts, one after another.

    python -m benchmarks.one_part MODULE FILE < OPTIONS

A part then finds the device's memory free, and processes that it starts to measure their memory do
not inherit another part's peak. OPTIONS are `suite.Options` as JSON; FILE receives `rows` and
`machine`.
"""

import importlib
import json
import sys
from pathlib import Path

from benchmarks import suite


def main(module: str, path: str) -> None:
    options = suite.Options(**json.load(sys.stdin))
    rows = importlib.import_module(module).measure(options)
    from benchmarks import timing  # after measuring: describing the machine imports jax

    found = {"machine": timing.machine(), "rows": rows}
    Path(path).write_text(json.dumps(found, allow_nan=False), encoding="utf-8")


if __name__ == "__main__":
    from mmix_jax.errors import InputError

    try:
        main(*sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
