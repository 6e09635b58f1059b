"""How seconds and memory are taken: in turns, in processes of their own; and on what machine."""

import datetime
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Nothing heavy is imported here: it would count as the memory of what is measured apart.


def seconds_of_calls(function: Callable[[], object], number: int) -> list[float]:
    """Seconds of each of `number` calls, one after another."""
    seconds = []
    for _ in range(number):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return seconds


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
            seconds[name] += seconds_of_calls(sides[name], 1)
    return seconds


def ratio_lines(seconds: dict[str, list[float]], base: str) -> list[str]:
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


def apart(
    function: Callable[..., Any], *arguments: Any, environment: Mapping[str, str] | None = None
) -> Any:
    """What a module's function returns in a process of its own, to which its memory belongs.

    Args:
      function: its arguments and its value are JSON; what it prints is not shown.
      environment: variables to set beside those of this process.

    Raises:
      SystemExit: the process failed; 2 where its input was bad, else 1.
    """
    module, name = sys.modules[function.__module__], function.__name__
    assert module.__spec__ is not None  # of a program too, which `python -m` starts by its name
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.timing", module.__spec__.name, name],
        input=json.dumps(arguments),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        if done.returncode not in (1, 2):  # with these it has said why
            print(f"{name} {arguments} ended with status {done.returncode}", file=sys.stderr)
        raise SystemExit(2 if done.returncode == 2 else 1)
    return json.loads(done.stdout.splitlines()[-1])


def _answer(module: str, name: str) -> None:
    """In the process of its own: the function's value as the last line."""
    from mmix_jax.errors import InputError

    function, arguments = getattr(importlib.import_module(module), name), json.load(sys.stdin)
    try:
        print(json.dumps(function(*arguments), allow_nan=False))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def resident_mb(field: str = "VmHWM") -> float:
    """This process's largest (`VmHWM`) or present (`VmRSS`) resident set, MB.

    Without /proc the largest one either way. Unlike `getrusage`'s on Linux, what a parent needed
    does not count.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines[field].split()[0]) * 1024 / 1e6
    import resource

    per_mb = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # bytes there, else KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_mb


def device_peak() -> dict[str, float]:
    """The peak of JAX's device, where it has memory of its own."""
    import jax

    counters = jax.local_devices()[0].memory_stats()  # None on a CPU
    return {"device_peak_mb": counters["peak_bytes_in_use"] / 1e6} if counters else {}


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
    by_package = {"python": platform.python_version(), **versions()}
    try:
        by_package["torch"] = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        by_package["torch"] = "absent"
    hardware = {
        "processor": _processor(),
        "threads": num_threads(),
        "platform": devices[0].platform,
        "device": devices[0].device_kind,
        "num_devices": len(devices),
    }
    return {"hardware": hardware, "versions": by_package}


def header() -> str:
    """Date, machine, accelerator and versions in three lines."""
    return f"date      {datetime.date.today()}\n" + describe(machine())


def describe(machine: dict[str, dict]) -> str:
    """What `machine` returned, in two lines."""
    hardware = machine["hardware"]
    names = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
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


if __name__ == "__main__":
    _answer(*sys.argv[1:])
