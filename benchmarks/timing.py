"""Timing of alternatives in turns, and the line that says what they ran on."""

import datetime
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def alternate(
    sides: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    warm_up: int,
    pause: float = 0.05,
) -> dict[str, list[float]]:
    """Seconds of `repeats` calls of each side, taken in turns: A B, B A, A B, …

    A side must not return before its work is done. Turns spread a machine's drift over all sides,
    and the changing order spreads what one side leaves behind in the caches. The pause lets the
    worker threads of the side before go to sleep.
    """
    for function in sides.values():
        for _ in range(warm_up):
            function()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeats):
        for name in list(sides)[:: 1 if turn % 2 == 0 else -1]:
            time.sleep(pause)
            begin = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def compare(seconds: dict[str, list[float]], base: str) -> list[str]:
    """A line per side: median seconds, and how many times those of `base` they are.

    The ratio is that of the medians; the range in brackets is that of the ratios of single turns.
    """
    lines = []
    for name, values in seconds.items():
        line = f"  {name:<28}{statistics.median(values):>10.4f} s"
        if name != base:
            turns = [x / y for x, y in zip(values, seconds[base], strict=True)]
            ratio = statistics.median(values) / statistics.median(seconds[base])
            line += f"   {ratio:.2f} x {base} ({min(turns):.2f} to {max(turns):.2f})"
        lines.append(line)
    return lines


def num_threads() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> dict[str, dict]:
    """`hardware` and `versions`: what belongs beside every number, as plain data."""
    import jax

    from mmix_jax.results import versions

    devices = jax.local_devices()
    found = {"python": platform.python_version(), **versions()}
    try:
        found["torch"] = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        found["torch"] = "absent"
    hardware = {
        "processor": _processor(),
        "threads": num_threads(),
        "platform": devices[0].platform,
        "device": devices[0].device_kind,
        "num_devices": len(devices),
    }
    return {"hardware": hardware, "versions": found}


def header() -> str:
    """Date, machine, accelerator and versions in three lines."""
    return f"date      {datetime.date.today()}\n" + describe(machine())


def describe(found: dict[str, dict]) -> str:
    """What `machine` found in two lines."""
    hardware = found["hardware"]
    names = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"hardware  {hardware['processor']}, {hardware['threads']} threads; jax uses 1 of "
        f"{hardware['num_devices']} {hardware['platform']} devices ({hardware['device']})\n"
        f"versions  {names}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
