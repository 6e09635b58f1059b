"""Kill a run with SIGKILL at random moments, resume each time, compare with an unkilled run.

    python -m benchmarks.scripts.kill_and_resume [--kills 10] [--config configs/digits_graph.py:mp]

Prints each kill and whether the last checkpoints agree bit for bit (exit status 1 if not).
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np


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


def time_whole_run(arguments: list[str], workdir: Path) -> tuple[float, float]:
    """Run to the end: seconds until the first logged step, and from there on."""
    begin, first = time.monotonic(), None
    with subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            if first is None and progress(workdir):
                first = time.monotonic()
            time.sleep(0.05)
    if process.returncode or first is None:
        raise SystemExit(f"the uninterrupted run ended with status {process.returncode}")
    return first - begin, time.monotonic() - first


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--config", default="configs/digits_graph.py:mp")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        start, steps = time_whole_run(command(arguments.config, whole, arguments.steps), whole)
        print(f"uninterrupted run: {start:.1f} s to the first step, {steps:.1f} s of steps")
        for number in range(arguments.kills):
            process = subprocess.Popen(command(arguments.config, killed, arguments.steps), **quiet)
            # From within the start-up to twice a kill's share of the steps.
            wait = 0.8 * start + moments.uniform(0.0, 2.0) * steps / arguments.kills
            try:
                process.wait(wait)
                ended = f"ended by itself with status {process.returncode}"
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                ended = f"killed after {wait:.1f} s"
            print(f"{number + 1}: {ended}, last logged step {progress(killed)}", flush=True)
        subprocess.run(command(arguments.config, killed, arguments.steps), check=True, **quiet)
        (step, expected), (resumed_step, resumed) = map(last_checkpoint, (whole, killed))
    equal = step == resumed_step and all(
        a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(expected, resumed, strict=True)
    )
    print(f"step {step}: {len(expected)} arrays, {'bitwise equal' if equal else 'DIFFERENT'}")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
