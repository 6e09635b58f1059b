"""Part `frontier`: accuracy over seconds on the public split, each training a process of its own.

A process writes its embedding at some steps, with the seconds since it was started: imports, data
and compiling included, writing left out. All embeddings are judged afterwards, off that clock, by
one evaluator: the protocol's logistic regressions. What is reported at a time is the embedding of
the best validation accuracy so far.
"""

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import suite, timing
from benchmarks.curves import Point, at, best_so_far, first_reaching
from benchmarks.suite import Options, Row
from benchmarks.trainings import QUICK_NODES, train_ours, train_torch

# Variants of configs/<data set>.py, by the names of the table.
OURS = {
    "MVGRL frame": "none",
    "MVGRL frame, mo": "mo",
    "GRACE frame": "grace",
    "GRACE frame, mo": "grace+mo",
}
# Modules of benchmarks/torch.
TORCH = {"CCA-SSG, torch": "cca_ssg", "GRACE, torch": "grace"}
# Test and validation accuracies whose first time is told, per cent.
ACCURACIES = {"cora": (80.0, 83.0, 84.5), "pubmed": (77.0, 79.0, 80.0)}
TIMES = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180)
WARM_UP_STEPS = 2  # the second may compile again, for a state that a step has placed


def methods_of(options: Options) -> list[str]:
    """Names of the methods that are measured, in their order."""
    # Compiling is most of a quick training, and the others take the same way.
    ours = list(OURS)[:1] if options.quick else list(OURS)
    return ours + (list(TORCH) if suite.HAVE_TORCH else [])


def train(name: str, dataset: str, seed: int, folder: str, graph: str, options: Options) -> dict:
    """What the process of a training told; `graph` is the file that PyTorch reads."""
    budget_s, quick, begin = options.budget_s, options.quick, time.monotonic()
    if name in TORCH:
        which = (dataset, TORCH[name], seed, folder, begin, budget_s)
        return timing.apart(train_torch, *which, graph, quick)
    which = (dataset, OURS[name], seed, folder, begin, budget_s)
    return timing.apart(train_ours, *which, suite.data_folder(options), quick)


def warm_up(dataset: str, options: Options) -> None:
    """Fill the cache of compiled programs, as a run before would have."""
    for variant in OURS.values():
        suite.say(f"{dataset}, {variant}: compiled programs")
        with tempfile.TemporaryDirectory() as folder:
            which = (dataset, variant, 0, folder, time.monotonic(), options.budget_s)
            data_dir = suite.data_folder(options)
            timing.apart(train_ours, *which, data_dir, False, WARM_UP_STEPS)


def judge_of(data: Any, num_classifiers: int) -> Callable[[dict, int], Point]:
    """The one evaluator: (a point as its process told it, seed) -> the same with accuracies."""
    import jax

    from mmix_jax.evaluation.logistic import logistic, protocol_l2

    def judge(told: dict, seed: int) -> Point:
        judged = logistic(
            np.load(told["path"]),
            data.labels,
            data.split,
            num_runs=num_classifiers,
            key=jax.random.key(seed),
            num_classes=data.num_classes,
            l2=protocol_l2("standard", ""),
        )
        return Point(told["step"], told["seconds"], judged.valid.mean, judged.test.mean)

    return judge


def runs_of(dataset: str, options: Options) -> dict[str, list[dict[str, Any]]]:
    """By method, a run per seed: its judged `points`, `steps`, `cut`. Methods take turns."""
    from benchmarks import tasks

    num_nodes = QUICK_NODES if options.quick else None
    data = tasks.load_nodes(dataset, suite.data_folder(options), num_nodes)
    judge = judge_of(data, options.num_classifiers)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in methods_of(options)}
    if not options.quick:
        warm_up(dataset, options)
    with tempfile.TemporaryDirectory() as room:
        graph = str(Path(room) / "graph.npz")
        x, senders, receivers, _ = data.graph
        np.savez(graph, x=x, senders=senders, receivers=receivers)
        for seed in range(options.seeds):
            for name, of_method in runs.items():
                with tempfile.TemporaryDirectory(dir=room) as folder:
                    told = train(name, dataset, seed, folder, graph, options)
                    points = [judge(point, seed) for point in told["points"]]
                of_method.append(told | {"seed": seed, "points": points})
                suite.say(f"{dataset}, {name}, seed {seed}: {_in_words(points)}")
    return runs


def _in_words(points: list[Point]) -> str:
    """The last line of who waits, and what is left of a run should a later one fail."""
    curve = best_so_far(points)
    if not curve:
        return "no point in its time"
    best, end = curve[-1], points[-1]
    return (
        f"{end.step} steps, {end.seconds:.1f} s, best {100 * best.valid:.1f} / "
        f"{100 * best.test:.1f} at {best.seconds:.1f} s"
    )


def rows_of(dataset: str, runs: dict[str, list[dict[str, Any]]], options: Options) -> list[Row]:
    """A row for every time and accuracy, a column per method; numbers in `values`, for the file."""
    curves = {name: [best_so_far(run["points"]) for run in of] for name, of in runs.items()}
    rows: list[Row] = []

    def add(what: str, cell: Callable[[list[dict], list[list[Point]]], tuple[str, Any]]) -> None:
        """Cells are made of a method's runs and curves: what is shown, and its numbers."""
        cells = {name: cell(of, curves[name]) for name, of in runs.items()}
        shown = {name: text for name, (text, _) in cells.items()}
        values = {name: numbers for name, (_, numbers) in cells.items()}
        rows.append({"dataset": dataset, "at": what, **shown, "values": values})

    def when(seconds: list[float | None]) -> tuple[str, Any]:
        return _times(seconds, options.seeds)

    add("untrained", lambda of, _: _accuracies([run["points"][0] for run in of]))
    for seconds in TIMES:
        add(f"{seconds} s", lambda _, c, s=seconds: _accuracies([at(curve, s) for curve in c]))
    add("the end", lambda _, c: _accuracies([at(curve, float("inf")) for curve in c]))
    add("the end, s", lambda of, _: when([run["points"][-1].seconds for run in of]))
    add(f"cut off at {options.budget_s:g} s", lambda of, _: _cut(of))
    for part, name in (("valid", "validation"), ("test", "test")):
        for accuracy in ACCURACIES[dataset]:
            first = functools.partial(first_reaching, part=part, accuracy=accuracy / 100)
            add(f"{name} {accuracy:g} first, s", lambda _, c, f=first: when([f(x) for x in c]))
    # Every judged embedding of every run, in the file alone.
    rows[0]["runs"] = {
        name: [run | {"points": [point._asdict() for point in run["points"]]} for run in of]
        for name, of in runs.items()
    }
    return rows


def _accuracies(points: list[Point | None]) -> tuple[str, Any]:
    """Mean validation / test ± deviation of test (seeds), of those that have a point."""
    from mmix_jax.results import score

    there = [point for point in points if point is not None]
    if not there:
        return "", None
    valid, test = score([p.valid for p in there]), score([p.test for p in there])
    text = f"{100 * valid.mean:.1f} / {100 * test.mean:.1f} ± {100 * test.std:.1f} ({test.n})"
    names = {"valid": valid, "test": test}
    return text, {n: {"mean": s.mean, "std": s.std, "n": s.n} for n, s in names.items()}


def _times(seconds: list[float | None], num_seeds: int) -> tuple[str, Any]:
    """The mean over the seeds that have one, and how many those are."""
    there = [second for second in seconds if second is not None]
    if not there:
        return "never", {"mean": None, "n": 0}
    mean = sum(there) / len(there)
    return f"{mean:.1f} ({len(there)} of {num_seeds})", {"mean": mean, "n": len(there)}


def _cut(runs: list[dict[str, Any]]) -> tuple[str, Any]:
    """After how many steps the budget ended trainings, and how many; "" for none."""
    steps = [run["steps"] for run in runs if run["cut"]]
    if not steps:
        return "", None
    return f"step {sum(steps) / len(steps):.0f} ({len(steps)} of {len(runs)})", steps


def measure(options: Options) -> list[Row]:
    """A table per data set; without torch of this library alone."""
    if not suite.HAVE_TORCH:
        suite.say("torch is not installed: only this library is measured; pip install torch")
    return [
        row
        for dataset in options.datasets
        for row in rows_of(dataset, runs_of(dataset, options), options)
    ]
