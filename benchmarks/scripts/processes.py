"""One run on 1, 2 and 4 processes of this machine: are they the same run, and at what price?

    python -m benchmarks.scripts.processes [--tasks=nodes,shared,graphs,images,slow]
        [--steps=50] [--out=FILE]
    python -m benchmarks.scripts.processes --where [--out=FILE]   # what a step of nodes spends

Each task is trained by the program itself: in one process with one device and with two and four,
and in two and four processes with one device each. Printed, and written to FILE as JSON, are the
largest differences over the losses of all steps and over the final embeddings, to one device and to
one process with as many devices; seconds per step (of the later half), and of these the share in
which no step ran. `shared` are nodes whose propagated features several processes share by rows;
`slow` are the images at a learning rate that amplifies less what sums in another order differ by.

`--where`: of a step of nodes on 1, 2 and 4 processes, wall time, processor time of all processes
in their own code and in the kernel, and how often their threads wait; the difference of runs of
so many steps and of five times as many.
"""

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_IMAGES = ("num_train=512", "num_test=64", "batch_size=128", "chunk_steps=1")
TASKS = {
    "nodes": ("digits_graph:mo", "width=64", "num_classifiers=1"),
    "shared": (
        *("synthetic_graph:mo", "num_nodes=2000", "batch_size=256", "width=64"),
        *("num_classifiers=1", "num_clusterings=0"),
    ),
    "graphs": ("mutag:mp", "width=32", "depth=2"),
    "images": ("digits:mo_op", *_IMAGES),
    "slow": ("digits:mo_op", *_IMAGES, "learning_rate=1e-4"),
}
# (processes, devices of each)
LAYOUTS = ((1, 1), (1, 2), (1, 4), (2, 1), (4, 1))


class Ran(NamedTuple):
    """What a run came to: a loss for each step, embeddings, seconds per step, the share of them
    in which no step ran."""

    losses: np.ndarray
    z: np.ndarray
    seconds: float
    host_share: float


def of_processes(command: list[str], processes: int) -> list[list[str]]:
    """One command for each process of a run; as it is for one alone."""
    if processes == 1:
        return [command]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    several = [f"--coordinator=127.0.0.1:{port}", f"--num_processes={processes}"]
    return [[*command, *several, f"--process_id={rank}"] for rank in range(processes)]


def run(task: str, steps: int, layout: tuple[int, int]) -> Ran:
    """Train in a folder of its own, and read what came out."""
    (config, *changes), (processes, devices) = TASKS[task], layout
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder) / "run"
        fields = (*changes, f"num_steps={steps}", "eval_every=1", "checkpoint_every=0")
        command = [sys.executable, "-m", "mmix_jax.main", f"--config={config}"]
        command += [*(f"--config.{field}" for field in fields), f"--workdir={workdir}"]
        tables = ["--config.tables=shared"] if task == "shared" and processes > 1 else []
        environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices)}
        started = [
            subprocess.Popen(
                each, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            for each in of_processes([*command, *tables], processes)
        ]  # fmt: skip
        told = [child.communicate()[0] for child in started]
        if any(child.returncode for child in started):
            raise SystemExit("\n".join(told))
        lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
        subprocess.run([*command, "--mode=embed"], check=True, capture_output=True)
        with np.load(workdir / "embeddings.npz") as arrays:
            z = arrays["z"]
    late = lines[len(lines) // 2 :]
    samples = np.array([line["samples_per_second"] for line in late])
    share = float(np.median([line["host_share"] for line in late]))
    losses = np.array([line["loss"] for line in lines])
    return Ran(losses, z, float(np.median(1.0 / samples)), share)


def spent(processes: int, steps: int) -> np.ndarray:
    """Wall seconds, user's and kernel's seconds of all processes, and their voluntary waits."""
    config, *changes = TASKS["nodes"]
    fields = (*changes, f"num_steps={steps}", "eval_every=1000000", "checkpoint_every=0")
    fields += ("patience=0", "num_clusterings=0")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mmix_jax.main", f"--config={config}"]
        command += [*(f"--config.{field}" for field in fields), f"--workdir={folder}/run"]
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        started = [
            subprocess.Popen(
                each, env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for each in of_processes(command, processes)
        ]  # fmt: skip
        statuses = [child.wait() for child in started]
        if any(statuses):
            raise SystemExit("a process has failed; run the tasks, which tell what it said")
        wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = ("ru_utime", "ru_stime", "ru_nvcsw")
    return np.array([wall, *(getattr(after, name) - getattr(before, name) for name in used)])


def where(steps: int) -> list[dict[str, Any]]:
    """Print what a step spends, for each number of processes."""
    rows = []
    for processes in (1, 2, 4):
        spent(processes, 1)  # compiles, and keeps what the runs below have in common
        a_step = (spent(processes, 5 * steps) - spent(processes, steps)) / (4 * steps)
        names = ("wall_seconds", "user_seconds", "kernel_seconds", "waits")
        rows.append({"processes": processes, **dict(zip(names, a_step.tolist(), strict=True))})
        wall, user, kernel, waits = a_step
        print(
            f"{processes} processes: a step {1000 * wall:.1f} ms; processors {1000 * user:.1f} ms, "
            f"kernel {1000 * kernel:.1f} ms; {waits:.0f} waits",
            flush=True,
        )
    return rows


def largest(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a share of the largest value."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main() -> None:
    """Print a line for each task and layout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--where", action="store_true", help="what a step of nodes spends")
    parser.add_argument("--out")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = where(args.steps) if args.where else []
    for task in [] if args.where else args.tasks.split(","):
        found = {layout: run(task, args.steps, layout) for layout in LAYOUTS}
        for (processes, devices), ran in found.items():
            one, alike = found[LAYOUTS[0]], found[1, processes * devices]
            row = {
                "task": task,
                "config": TASKS[task][0],
                "processes": processes,
                "devices": devices,
                "losses": largest(ran.losses, one.losses),
                "embeddings": largest(ran.z, one.z),
                "losses_of_devices": largest(ran.losses, alike.losses),
                "embeddings_of_devices": largest(ran.z, alike.z),
                "step_ratio": ran.seconds / one.seconds,
                "host_share": ran.host_share,
            }
            rows.append(row)
            print(
                f"{task:7} {processes} x {devices}  to one device: losses {row['losses']:.1e} "
                f"embeddings {row['embeddings']:.1e}  to as many: {row['losses_of_devices']:.1e} "
                f"{row['embeddings_of_devices']:.1e}  step {row['step_ratio']:.2f} x  host "
                f"{row['host_share']:.0%}",
                flush=True,
            )
    if args.out:
        Path(args.out).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
