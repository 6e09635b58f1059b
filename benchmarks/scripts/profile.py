"""What a call spends its time on, by operation of the compiled program."""

import collections
import gzip
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax

_SHOWN = 14
# Spans that hold others, or wait for them.
_OUTER = re.compile(
    r"^(\$|np\.asarray|Thunk|Pjit|Tfrt|Execute|Await|Slinky|while)|block_until_ready|::"
)


def operations(function: Callable[[], object]) -> list[str]:
    """Lines: share of all operations' time, seconds and calls of each kind of operation.

    Kinds are the compiler's names without their numbers. Times of operations that run side by side
    add up, so shares are of work, not of the clock.
    """
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, create_perfetto_trace=True):
            function()
        (path,) = Path(folder).rglob("perfetto_trace.json.gz")
        with gzip.open(path) as stream:
            events = json.load(stream)["traceEvents"]
    seconds: dict[str, float] = collections.defaultdict(float)
    calls: dict[str, int] = collections.defaultdict(int)
    for event in events:
        if event.get("ph") == "X" and not _OUTER.search(event["name"]):
            kind = re.sub(r"[.\d]+(\.clone)?$", "", event["name"])
            seconds[kind] += event["dur"] / 1e6
            calls[kind] += 1
    whole = sum(seconds.values())
    ordered = sorted(seconds, key=lambda kind: -seconds[kind])[:_SHOWN]
    return [
        f"  {100 * seconds[kind] / whole:5.1f} %  {seconds[kind]:8.4f} s  {calls[kind]:>6}  {kind}"
        for kind in ordered
    ]
