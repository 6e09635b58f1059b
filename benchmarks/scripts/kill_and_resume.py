"""Kill a run with SIGKILL at random moments, resume each time, compare with an unkilled run.

    python -m benchmarks.scripts.kill_and_resume [--kills 10] [--config configs/digits_graph.py:mp]
        [--processes 4]   # one of them, chosen at random, is killed; what each says is printed

Prints each kill and whether the last checkpoints agree bit for bit (exit status 1 if not).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import jax
import numpy as np

from benchmarks.scripts.processes import of_processes as arguments_of_processes


def command(config: str, workdir: Path, steps: int) -> list[str]:
    """A run whose checkpoints are frequent and whose evaluation is short."""
    return [
        sys.executable,
        "-m",
        "mmix_jax.main",
        f"--config={config}",
        f"--workdir={workdir}",
        f"--config.num_steps={steps}",
        "--config.checkpoint_every=7",
        "--config.num_classifiers=2",
        "--config.num_clusterings=0",
    ]


def last_checkpoint(workdir: Path) -> tuple[int, list[np.ndarray]]:
    """Step and arrays of the newest checkpoint of seed 0."""
    import orbax.checkpoint as ocp

    with ocp.CheckpointManager(workdir / "checkpoints" / "seed_0") as manager:
        step = manager.latest_step()
        if step is None:
            raise SystemExit(f"no checkpoint in {workdir}")
        kept = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore()))
    return step, [np.asarray(leaf) for leaf in jax.tree.leaves(kept["state"])]


def progress(workdir: Path) -> int:
    """The last step in metrics.jsonl, 0 before the first."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1])["step"] if lines and lines[-1].endswith("}") else 0


class Running(subprocess.Popen):
    """A process whose standard error is kept: a pipe that nobody reads would fill."""

    def __init__(self, command: list[str], environment: dict[str, str]):
        self.told = tempfile.TemporaryFile("w+")  # noqa: SIM115
        super().__init__(command, env=environment, stdout=subprocess.DEVNULL, stderr=self.told)

    def error(self) -> str:
        """Its last `error:` line, once it has ended."""
        self.told.seek(0)
        lines = self.told.read().replace("\r", "\n").split("\n")
        return next((line for line in reversed(lines) if "error:" in line), "")


def started(arguments: list[str], processes: int) -> list[Running]:
    """The run, on so many processes with a device each."""
    environment = os.environ | ({"JAX_NUM_CPU_DEVICES": "1"} if processes > 1 else {})
    several = arguments_of_processes(arguments, processes)
    return [Running(each, environment) for each in several]


def ended(running: list[Running]) -> list[tuple[int, str, float]]:
    """Of each process: exit status, the last line on standard error, and seconds until its end."""
    begin, found = time.monotonic(), {}

    def wait(rank: int, process: Running) -> None:
        status = process.wait()
        found[rank] = (status, process.error(), time.monotonic() - begin)

    threads = [threading.Thread(target=wait, args=each) for each in enumerate(running)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[rank] for rank in range(len(running))]


def time_whole_run(arguments: list[str], workdir: Path, processes: int) -> tuple[float, float]:
    """Run to the end: seconds until the first logged step, and from there on."""
    begin, first = time.monotonic(), None
    running = started(arguments, processes)
    while running[0].poll() is None:
        if first is None and progress(workdir):
            first = time.monotonic()
        time.sleep(0.05)
    end = time.monotonic()
    statuses = [status for status, _, _ in ended(running)]
    if any(statuses) or first is None:
        raise SystemExit(f"the uninterrupted run ended with statuses {statuses}")
    return first - begin, end - first


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--config", default="configs/digits_graph.py:mp")
    parser.add_argument("--seed", type=int, default=0, help="of the moments, and of who is killed")
    parser.add_argument("--processes", type=int, default=1, help="of which one is killed")
    options = parser.parse_args()
    count, draw = options.processes, random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        start, steps = time_whole_run(command(options.config, whole, options.steps), whole, count)
        print(f"uninterrupted run: {start:.1f} s to the first step, {steps:.1f} s of steps")
        again = command(options.config, killed, options.steps)
        for number in range(options.kills):
            running, victim = started(again, count), draw.randrange(count)
            # From within the start-up to twice a kill's share of the steps.
            wait = 0.8 * start + draw.uniform(0.0, 2.0) * steps / options.kills
            try:
                status = running[victim].wait(wait)
                print(f"{number + 1}: ended by itself with status {status}")
            except subprocess.TimeoutExpired:
                running[victim].kill()
                print(f"{number + 1}: process {victim} killed after {wait:.1f} s", end="")
            found = ended(running)
            print(f", last logged step {progress(killed)}", flush=True)
            for rank, (status, line, seconds) in enumerate(found if count > 1 else []):
                print(f"   {rank}: status {status} after {seconds:.1f} s  {line[:110]}", flush=True)
        if any(status for status, _, _ in ended(started(again, count))):
            raise SystemExit("the resumed run did not end")
        (step, expected), (resumed_step, resumed) = map(last_checkpoint, (whole, killed))
    equal = step == resumed_step and all(
        a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(expected, resumed, strict=True)
    )
    print(f"step {step}: {len(expected)} arrays, {'bitwise equal' if equal else 'DIFFERENT'}")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
