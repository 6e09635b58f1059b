"""Part `frontier`: accuracy over seconds on the public split, each training a process of its own.

A process writes its embedding at some steps, with the seconds since it was started: imports, data
and compiling included, writing left out. All embeddings are judged afterwards, off that clock, by
one evaluator: the protocol's logistic regressions. What is reported at a time is the embedding of
the best validation accuracy so far.
"""

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


def trainings(dataset: str, options: Options, graph: str) -> dict[str, Callable[[int, str], dict]]:
    """By the name of a method: (seed, folder) -> what its process told."""
    budget, quick, data_dir = options.budget_s, options.quick, suite.data_folder(options)

    def ours(variant: str, seed: int, folder: str) -> dict:
        begin = time.monotonic()
        return timing.apart(
            *(train_ours, dataset, variant, seed, folder, begin, budget, data_dir, quick)
        )

    def torch(method: str, seed: int, folder: str) -> dict:
        begin = time.monotonic()
        return timing.apart(train_torch, dataset, method, seed, folder, begin, budget, graph, quick)

    def bound(train: Callable, which: str) -> Callable[[int, str], dict]:
        return lambda seed, folder: train(which, seed, folder)

    # Compiling is most of a quick training, and the others take the same way.
    variants = dict(list(OURS.items())[:1]) if quick else OURS
    methods = {name: bound(ours, variant) for name, variant in variants.items()}
    if suite.HAVE_TORCH:
        methods |= {name: bound(torch, method) for name, method in TORCH.items()}
    return methods


def warm_up(dataset: str, options: Options) -> None:
    """Fill the cache of compiled programs, as a run before would have."""
    for variant in OURS.values():
        suite.say(f"{dataset}, {variant}: compiled programs")
        with tempfile.TemporaryDirectory() as folder:
            begin, data_dir = time.monotonic(), suite.data_folder(options)
            arguments = (dataset, variant, 0, folder, begin, float("1e9"), data_dir, False)
            timing.apart(train_ours, *arguments, WARM_UP_STEPS)


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

    quick = options.quick
    folder_of_data = suite.data_folder(options)
    data = tasks.load_nodes(dataset, folder_of_data, QUICK_NODES if quick else None)
    judge = judge_of(data, options.num_classifiers)
    if not quick:
        warm_up(dataset, options)
    with tempfile.TemporaryDirectory() as room:
        graph = str(Path(room) / "graph.npz")
        arrays = {name: getattr(data.graph, name) for name in ("x", "senders", "receivers")}
        np.savez(graph, **arrays)
        methods = trainings(dataset, options, graph)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in methods}
        for seed in range(options.seeds):
            for name, train in methods.items():
                with tempfile.TemporaryDirectory(dir=room) as folder:
                    told = train(seed, folder)
                    points = [judge(point, seed) for point in told["points"]]
                runs[name].append({"seed": seed, **told, "points": points})
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
    """A row for every time and accuracy, a column per method; numbers in `values`, as JSON."""
    curves = {name: [best_so_far(run["points"]) for run in of] for name, of in runs.items()}
    rows: list[Row] = []

    def add(what: str, cells: dict[str, tuple[str, Any]], **more: Any) -> None:
        shown = {name: text for name, (text, _) in cells.items()}
        values = {name: value for name, (_, value) in cells.items()}
        rows.append({"dataset": dataset, "at": what, **shown, "values": values, **more})

    kept = {n: [r | {"points": [p._asdict() for p in r["points"]]} for r in runs[n]] for n in runs}
    untrained = {n: [r["points"][0] for r in of] for n, of in runs.items()}
    add("untrained", {n: _accuracies(points) for n, points in untrained.items()}, runs=kept)
    for seconds in TIMES:
        chosen = {n: [at(curve, seconds) for curve in of] for n, of in curves.items()}
        add(f"{seconds} s", {n: _accuracies(points) for n, points in chosen.items()})
    last = {n: [at(curve, float("inf")) for curve in of] for n, of in curves.items()}
    add("the end", {n: _accuracies(points) for n, points in last.items()})
    ends = {n: [r["points"][-1].seconds for r in of] for n, of in runs.items()}
    add("the end, s", {n: _times(seconds, options.seeds) for n, seconds in ends.items()})
    cut = {n: [r["steps"] for r in of if r["cut"]] for n, of in runs.items()}
    add(f"cut off at {options.budget_s:g} s", {n: _cut(s, options.seeds) for n, s in cut.items()})
    for part, name in (("valid", "validation"), ("test", "test")):
        for accuracy in ACCURACIES[dataset]:
            reached = {
                n: [first_reaching(curve, part, accuracy / 100) for curve in of]
                for n, of in curves.items()
            }
            cells = {n: _times(seconds, options.seeds) for n, seconds in reached.items()}
            add(f"{name} {accuracy:g} first, s", cells)
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


def _cut(steps: list[int], num_seeds: int) -> tuple[str, Any]:
    """After how many steps trainings were cut off, "" for none."""
    if not steps:
        return "", None
    return f"step {sum(steps) / len(steps):.0f} ({len(steps)} of {num_seeds})", steps


def measure(options: Options) -> list[Row]:
    """A table per data set; without torch of this library alone."""
    if not suite.HAVE_TORCH:
        suite.say("torch is not installed: only this library is measured; pip install torch")
    return [
        row
        for dataset in options.datasets
        for row in rows_of(dataset, runs_of(dataset, options), options)
    ]
