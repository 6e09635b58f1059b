"""Graphs beyond memory: seconds, resident memory and disk of every stage, with tables in files.

    python -m benchmarks.scripts.mapped --out=FILE [--nodes 1000000 10000000] [--folder=DIR]

Each size is a process of its own: it draws `configs/synthetic_graph.py` into files (mean degree 20,
64 features), opens it, propagates both views into files, takes steps, embeds some nodes. Peaks are
largest resident sets within a stage, pages of mapped files included. What is finished in DIR is not
done again, and its seconds are not told: give a new one.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FEATURES, DEGREE, WIDTH, ANCHORS = 64, 20.0, 64, 2048
STEPS = 20


class Stages:
    """Seconds and the peak of resident memory of one stage after the other."""

    def __init__(self, row: dict):
        self.row, self._begin = row, time.perf_counter()

    def end(self, name: str) -> None:
        """Book the time since the end before; the next stage begins."""
        status = dict(
            line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
        )
        self.row[f"{name}_seconds"] = round(time.perf_counter() - self._begin, 2)
        self.row[f"{name}_peak_mb"] = int(status["VmHWM"].split()[0]) // 1024
        print(name, self.row[f"{name}_seconds"], "s", self.row[f"{name}_peak_mb"], "MB", flush=True)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self._begin = time.perf_counter()


def measure(num_nodes: int, folder: Path, num_embedded: int) -> dict:
    """The row of one size, in this process."""
    os.environ["XDG_CACHE_HOME"] = str(folder)
    import jax
    import numpy as np

    from mmix_jax.experiments import node_config
    from mmix_jax.experiments.configs import read
    from mmix_jax.experiments.nodes import task as nodes
    from mmix_jax.experiments.pretraining import pretrain
    from mmix_jax.experiments.task import keys_of

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("jax").setLevel(logging.ERROR)
    row: dict = {"nodes": num_nodes}
    stages = Stages(row)
    config = node_config("synthetic_graph")
    config.update(
        num_nodes=num_nodes, num_features=FEATURES, mean_degree=DEGREE, width=WIDTH,
        batch_size=ANCHORS, sampler="nodes", mixing="mp", tables="mapped", num_steps=STEPS,
        eval_every=STEPS, checkpoint_every=0, num_classifiers=1, selection="last",
    )  # fmt: skip
    asked = read(config)
    shape = nodes.synthetic_of(asked)
    nodes.drawn_in_files(asked, shape)
    stages.end("draw")
    dataset = nodes.drawn_in_files(asked, shape)
    row["edges"] = dataset.graph.num_edges // 2
    stages.end("open")
    task = nodes.task_of(asked, dataset)
    stages.end("propagate")
    training = task.training(0)
    stages.end("sampler")
    batches = []
    for step in range(STEPS):
        begin = time.perf_counter()
        training.batch(step)
        batches.append(time.perf_counter() - begin)
    row["batch_seconds"] = statistics.median(batches)
    stages.end("batches")
    times: list[float] = []

    def after_a_step() -> bool:
        times.append(time.perf_counter())
        return False

    done = pretrain(task, show=False, interrupted=after_a_step)
    row["step_seconds"] = float(statistics.median(np.diff(times[STEPS // 4 : -1])))
    stages.end("train")
    some = np.unique(np.linspace(0, num_nodes - 1, num_embedded).astype(np.int64))
    assert task.pieces is not None
    pieces = task.pieces(done.encoder.state.params, keys_of(0)[2], some)
    count = sum(len(by_name["mean"]) for by_name in pieces)
    stages.end("embed")
    row["embedded_per_second"] = round(count / row["embed_seconds"])
    row["disk_mb"] = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) // 2**20
    row["versions"] = {"jax": jax.__version__, "numpy": np.__version__}
    return row


def main() -> None:
    """One process a size; results as JSON, and a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--folder")
    parser.add_argument("--embed", type=int, default=100_000, help="nodes to embed")
    parser.add_argument("--out")
    parser.add_argument("--one", action="store_true", help="the row of one size, here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.folder or temporary)
        if args.one:
            row = measure(args.nodes[0], folder, args.embed)
            Path(args.out).write_text(json.dumps(row), encoding="utf-8")
            return
        rows = []
        for number in args.nodes:
            own = folder / str(number)
            own.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "benchmarks.scripts.mapped", "--one"]
            command += [f"--nodes={number}", f"--embed={args.embed}"]
            command += [f"--folder={own}", f"--out={own / 'row.json'}"]
            subprocess.run(command, check=True)
            rows.append(json.loads((own / "row.json").read_text()))
            print(json.dumps(rows[-1]), flush=True)
            if args.out:
                Path(args.out).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
