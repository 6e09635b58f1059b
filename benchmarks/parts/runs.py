"""Part `runs`: whole small runs of the program, each a process of its own as a user starts it.

Cold is the first run with an empty cache folder, warm the same command again in a new workdir:
where the program keeps compiled programs, the second finds them.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import suite
from benchmarks.suite import Options, Row

RUNS = {
    "digits graph": ["--config=configs/digits_graph.py:smoke"],
    "digits graph, GRACE": ["--config=configs/digits_graph.py:grace+smoke"],
    "digits images": ["--config=configs/digits.py:smoke"],
}
NEEDS_DATA = {"MUTAG": ["--config=configs/mutag.py:smoke", "--config.num_seeds=1"]}
# What the program says without training: arguments, exit status.
ANSWERS = {
    "--help": (["--help"], 0),
    "an unknown variant": (["--config=configs/digits_graph.py:no_such_variant"], 2),
    "a setting out of range": (["--config=configs/digits_graph.py", "--config.temperature=-1"], 2),
}


def seconds_of(arguments: list[str], cache: str, *, status: int = 0) -> float:
    """Wall time of the program from start to end; its compiled programs are kept below `cache`.

    Raises:
      SystemExit: it ended with another status; what it said is passed on.
    """
    environment = os.environ | {"XDG_CACHE_HOME": cache, "MMIX_COMPILE_CACHE": "on"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [sys.executable, "-m", "mmix_jax.main", *arguments]
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - begin
    if done.returncode != status:
        print(done.stderr, file=sys.stderr)
        raise SystemExit(f"{' '.join(arguments)} ended with status {done.returncode}")
    return seconds


def first_step_seconds(workdir: Path) -> float | None:
    """From the start of the program to the end of its first step, where it says so."""
    for line in (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        metrics = json.loads(line)
        if "first_step_seconds" in metrics:
            return metrics["first_step_seconds"]
    return None


def rows_of_run(name: str, arguments: list[str], repeats: int) -> list[Row]:
    """Two rows, cold and warm, each the median of `repeats`."""
    seconds: dict[str, list[float]] = {"cold": [], "warm": []}
    first: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            for state in seconds:
                suite.say(f"{name}, {state}")
                workdir = Path(folder) / state
                command = [*arguments, f"--workdir={workdir}"]
                seconds[state].append(seconds_of(command, str(Path(folder) / "cache")))
                step = first_step_seconds(workdir)
                first[state] += [] if step is None else [step]
    return [
        {
            "what": f"{name}, {state}",
            # Without the folder of the data, which is this machine's.
            "command": " ".join(a for a in arguments if "data_dir" not in a),
            "seconds": statistics.median(seconds[state]),
            "n": repeats,
            "first_step_seconds": statistics.median(first[state]) if first[state] else None,
        }
        for state in seconds
    ]


def measure(options: Options) -> list[Row]:
    """What the program says at once, and runs that train."""
    repeats = 1 if options.quick else min(options.repeats, 3)
    rows = []
    for name, (arguments, status) in ANSWERS.items():
        suite.say(name)
        with tempfile.TemporaryDirectory() as folder:
            workdir = f"--workdir={Path(folder) / 'run'}"
            seconds = [
                seconds_of([*arguments, workdir], folder, status=status) for _ in range(repeats)
            ]
        row = {"what": name, "command": " ".join(arguments)}
        rows.append(row | {"seconds": statistics.median(seconds), "n": repeats})
    runs = dict(list(RUNS.items())[:1]) if options.quick else dict(RUNS)
    folder = suite.data_folder(options)
    if folder and not options.quick:
        runs |= {name: [*a, f"--config.data_dir={folder}"] for name, a in NEEDS_DATA.items()}
    for name, arguments in runs.items():
        rows += rows_of_run(name, arguments, repeats)
    return rows
