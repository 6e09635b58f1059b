"""Trainings that write their embeddings as they go, for processes of their own.

Light: what a method needs is imported in its function, on its clock, and nothing of the others'.
"""

import dataclasses
import importlib
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import timing

NUM_POINTS = 20  # of a whole training, about
# Of methods whose budget ends long before their steps do, a point after so many seconds, too.
LONGEST_GAP = 10.0
QUICK_NODES = 120
QUICK = {
    "width": 16,
    "head_width": 16,
    "sampler": "nodes",
    "batch_size": 64,
    "num_steps": 4,
}


class Clock:
    """Seconds since a process was started, in which it stands still while an embedding is written.

    begin: `time.monotonic()` of the process that started it; a machine's processes share it.
    """

    def __init__(self, begin: float):
        self._begin, self._paused = begin, 0.0

    def seconds(self) -> float:
        return time.monotonic() - self._begin - self._paused

    def write(self, path: Path, z: np.ndarray) -> None:
        """Off the clock."""
        begin = time.monotonic()
        np.save(path, np.asarray(z, np.float32))
        self._paused += time.monotonic() - begin


class Points:
    """Embeddings of one training in a folder, with the step and the seconds of each."""

    def __init__(self, folder: str, begin: float):
        self.clock, self._folder = Clock(begin), Path(folder)
        self._kept: list[dict[str, Any]] = []

    def keep(self, step: int, z: np.ndarray) -> None:
        """z [N, D] on the host: what computed it is on the clock, what writes it is not."""
        path = self._folder / f"{step}.npy"
        self._kept.append({"step": step, "seconds": self.clock.seconds(), "path": str(path)})
        self.clock.write(path, z)

    def since_last(self) -> float:
        return self.clock.seconds() - (self._kept[-1]["seconds"] if self._kept else 0.0)

    def told(self, *, steps: int, cut: bool) -> dict[str, Any]:
        """As JSON: the points, the steps that were taken, whether the budget ended them."""
        return {"points": self._kept, "steps": steps, "cut": cut}


def train_ours(
    dataset: str,
    variant: str,
    seed: int,
    folder: str,
    begin: float,
    budget_s: float,
    data_dir: str | None,
    quick: bool,
    num_steps: int | None = None,
) -> dict[str, Any]:
    """Train as the program does, but for the judge, which writes; for a process of its own."""
    from mmix_jax.config_files import load_config
    from mmix_jax.experiments import pretrain, programs, run
    from mmix_jax.experiments.task import keys_of
    from mmix_jax.training.loop import Interrupted

    points = Points(folder, begin)
    config = load_config(Path("configs") / f"{dataset}.py", variant)
    config.selection, config.data_dir = "last", data_dir or ""
    if quick:
        config.update(QUICK)
    config.num_steps = num_steps or config.num_steps
    config.eval_every = max(config.num_steps // NUM_POINTS, 1)
    with programs.kept():
        if quick:
            from benchmarks import tasks

            task = run.task_of(config, tasks.load_nodes(dataset, None, QUICK_NODES))
        else:
            task = run.load(config)
        watched = _Watched(task, points, keys_of(seed)[2])
        watched.keep(task.start(seed))
        try:
            pretrain(
                watched, seed, show=False, interrupted=lambda: points.clock.seconds() > budget_s
            )
        except Interrupted as stopped:
            return points.told(steps=stopped.step, cut=stopped.step < config.num_steps)
    return points.told(steps=config.num_steps, cut=False)


class _Watched:
    """A task whose trainings write their embeddings where they would be judged."""

    def __init__(self, task: Any, points: Points, key: Any):
        self.task, self.points, self.key = task, points, key
        self.config, self.devices, self.start = task.config, task.devices, task.start

    def keep(self, state: Any) -> None:
        import jax

        name = self.config.representation
        # As `pretrain` hands them over, untrained ones too: others would be compiled for anew.
        params = jax.device_get(state.params)
        by_name, _ = self.task.represent(params, self.key, None, (name,))
        self.points.keep(int(state.step), np.asarray(by_name[name]))

    def training(self, seed: int, workdir: Path | None = None) -> Any:
        def judge(state: Any) -> tuple[None, dict[str, float]]:
            self.keep(state)
            return None, {}

        return self.task.training(seed, workdir)._replace(judge=judge)


def train_torch(
    dataset: str,
    method: str,
    seed: int,
    folder: str,
    begin: float,
    budget_s: float,
    graph: str,
    quick: bool,
) -> dict[str, Any]:
    """Train a method of `benchmarks.torch` on the arrays of a file; for a process of its own."""
    points = Points(folder, begin)
    gcn = importlib.import_module("benchmarks.torch.gcn")
    module = importlib.import_module(f"benchmarks.torch.{method}")
    settings = module.PUBLISHED[dataset]
    if quick:
        settings = dataclasses.replace(settings, width=QUICK["width"], epochs=QUICK["num_steps"])
    every = max(settings.epochs // NUM_POINTS, 1)
    device = gcn.set_up(timing.num_threads())
    epoch = 0
    for epoch, embed in module.train(gcn.graph_of(np.load(graph), device), settings, seed):
        last = epoch == settings.epochs
        if epoch % every == 0 or last or points.since_last() > LONGEST_GAP:
            points.keep(epoch, embed().cpu().numpy())
        if not last and points.clock.seconds() > budget_s:
            break
    return points.told(steps=epoch, cut=epoch < settings.epochs)
