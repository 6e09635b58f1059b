"""The one run: train, evaluate, embed. What a task is made of and how it is scored is its own."""

import contextlib
import importlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.experiments import together
from mmix_jax.experiments.configs import read
from mmix_jax.experiments.figures import check_plots, write_figures
from mmix_jax.experiments.pretraining import (
    Pretrained,
    checkpoint_folder,
    fresh_encoder,
    pretrain,
    restored_encoder,
)
from mmix_jax.experiments.records import check_checkpoint, read_record, seed_of
from mmix_jax.experiments.schema import Run
from mmix_jax.experiments.task import BEYOND, Encoder, Pieces, Row, Scores, Task, never, seeds_of
from mmix_jax.processes.group import group
from mmix_jax.results import RESULTS_FILE, Result, Score, read_results, score, versions
from mmix_jax.training.loop import Interrupted

# By the task in a config: the module that offers `load(config)` and `task_of(config, dataset)`.
_ROOMS = {
    "node": "nodes.task",
    "graph": "graphs.task",
    "edit_distance": "graphs.edit_distance",
    "image": "images.task",
}

Report = Callable[[list[Result]], None]


def _nobody(results: list[Result]) -> None:
    """Where nobody waits for a report."""


def _room(config: Run) -> Any:
    return importlib.import_module(f"mmix_jax.experiments.{_ROOMS[config.task]}")


def _typed(config: Any) -> Run:
    # Who loads a data set checks its name; in memory it has any.
    return config if isinstance(config, Run) else read(config, any_dataset=True)


def load(config: Any, interrupted: Callable[[], bool] = never) -> Task:
    """The task of a config (flat or typed) on the data that it names.

    Raises:
      Interrupted: `interrupted()` became true while features were propagated into files.
    """
    config = _typed(config)

    def check() -> None:
        if interrupted():
            raise Interrupted(0, "before the first step, finished columns of tables are kept")

    return _room(config).load(config, *([check] if config.task == "node" else []))


def task_of(config: Any, dataset: Any) -> Task:
    """The task of a config (flat or typed) on a data set in memory.

    Args:
      config: of `node_config("…")` and the like; its `dataset` is a name for results alone.
      dataset: a `NodeDataset`, `GraphDataset` or `ImageDataset`, as the config's task wants.

    Raises:
      InputError: the config is wrong, or asks for what the data have not.

    Example:
      >>> from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph, load_synthetic_graph
      >>> from mmix_jax.experiments import evaluate, node_config, pretrain, task_of
      >>> dataset = load_synthetic_graph(SyntheticGraph(num_nodes=200, num_classes=2))
      >>> config = node_config("synthetic_graph")
      >>> config.width, config.num_steps, config.num_classifiers = 8, 10, 2
      >>> task = task_of(config, dataset)
      >>> pretrained = pretrain(task)
      >>> results = evaluate(task, [pretrained.encoder])
      >>> task.embed(pretrained.encoder)["z"].shape
      (200, 8)
    """
    config = _typed(config)
    return _room(config).task_of(config, dataset)


def train(
    config: Any,
    workdir: Path,
    interrupted: Callable[[], bool] = never,
    report: Report = _nobody,
) -> list[Result]:
    """Pretrain every seed, then evaluate; a finished run only reports.

    Of several processes all pretrain, and process 0 evaluates: the others have no results.
    `report` is given the results before figures are drawn, where the config wants these.
    """
    task = load(config, interrupted)
    _check_scoring(task)  # better now than after the training
    together.check_data(getattr(task, "dataset", None))
    trained: list[Pretrained] = [
        pretrain(task, seed, workdir=workdir, interrupted=interrupted)
        for seed in seeds_of(task.config)
    ]
    encoders = [training.encoder for training in trained]
    results: list[Result] = []
    if group().first and any(training.ran for training in trained):
        # Were the evaluation cut off, older scores would pass for those of this training.
        with contextlib.suppress(OSError):  # who writes them says what is in the way
            (workdir / RESULTS_FILE).unlink()
    if collective := getattr(task, "collective", False):
        with together.stopping_as_one(interrupted) as asked:
            results = evaluate(task, encoders, asked)
    if not together.end():
        return []  # process 0 goes on alone
    if not collective and not (results := _kept(task.config, workdir)):
        results = evaluate(task, encoders, interrupted)
    report(results)
    _draw(task, encoders[0], workdir, results, interrupted)
    return results


def _kept(config: Run, workdir: Path) -> list[Result]:
    """Results in the workdir, where they are of all trainings: an evaluation that was cut off
    leaves those of fewer."""
    path, seeds = workdir / RESULTS_FILE, tuple(seeds_of(config))
    results = read_results(path) if path.is_file() else []
    return results if any(r.seeds == seeds for r in results) else []


def evaluate_checkpoints(
    config: Any,
    workdir: Path,
    checkpoint: str | None,
    interrupted: Callable[[], bool] = never,
    report: Report = _nobody,
) -> list[Result]:
    """Evaluate the checkpoints of a workdir, or the one at `checkpoint`; `report` as in `train`."""
    task = load(config, interrupted)
    if not task.labelled:
        raise InputError(
            f"evaluation needs labels, found none in '{task.config.dataset}'; use --mode=embed"
        )
    _check_scoring(task)
    encoders = list(encoders_of(task, workdir, checkpoint))
    results = evaluate(task, encoders, interrupted)
    report(results)
    _draw(task, encoders[0], workdir, results, interrupted)
    return results


def _draw(task: Task, encoder: Encoder, workdir: Path, results, interrupted) -> None:
    if task.config.figures:
        write_figures(task, encoder, workdir, results, interrupted)


def _check_scoring(task: Task) -> None:
    """Raise InputError where what the config wants to see of the data cannot be had."""
    if task.config.figures and getattr(task, "collective", False):
        raise InputError(
            "figures are drawn by one process that has all rows, found tables shared; leave them "
            "out, and draw them by --mode=eval with --config.tables=mapped"
        )
    if task.config.figures:
        check_plots()
    if check := getattr(task, "check_scoring", None):
        check()


def embed(
    config: Any,
    workdir: Path,
    checkpoint: str | None,
    interrupted: Callable[[], bool] = never,
) -> dict[str, np.ndarray | Pieces]:
    """Arrays of `embeddings.npz`: z of the first seed, and labels and ids where known; or z in
    pieces, where tables lie in files."""
    task = load(config, interrupted)
    arrays = task.embed(next(encoders_of(task, workdir, checkpoint)))
    return {
        name: values if isinstance(values, Pieces) else np.asarray(values)
        for name, values in arrays.items()
        if values is not None
    }


def encoders_of(task: Task, workdir: Path, checkpoint: str | None = None) -> Iterator[Encoder]:
    """The encoder of every seed from the checkpoints of a workdir, or the one at `checkpoint`."""
    if checkpoint:
        folder = checkpoints_in(Path(checkpoint))
        check_checkpoint(getattr(task, "asked", task.config), folder)
        told = seed_of(folder)  # its encoder before training hangs on it
        seed = task.config.seed if told is None else told
        yield restored_encoder(task, seed, folder, None)
        return
    for seed in seeds_of(task.config):
        yield restored_encoder(task, seed, checkpoint_folder(workdir, seed), workdir)


def checkpoints_in(path: Path) -> Path:
    """The checkpoints of a path: itself, or of a saved model or workdir those of its seed."""
    if not (path / "config.json").is_file():
        return path
    return checkpoint_folder(path, int(read_record(path / "config.json").get("seed", 0)))


def evaluate(
    task: Task, encoders: Iterable[Encoder], interrupted: Callable[[], bool] = never
) -> list[Result]:
    """Scores of encoders, one a seed, and of random-initialised ones alike; none without labels.

    Example:
      >>> from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph, load_synthetic_graph
      >>> from mmix_jax.experiments import evaluate, node_config, pretrain, task_of
      >>> config = node_config("synthetic_graph")
      >>> config.width, config.num_steps, config.num_classifiers = 8, 10, 2
      >>> dataset = load_synthetic_graph(SyntheticGraph(num_nodes=200, num_classes=2))
      >>> task = task_of(config, dataset)
      >>> results = evaluate(task, [pretrain(task, show=False).encoder])
      >>> sorted({(result.metric, result.trained) for result in results})[:2]
      [('accuracy', False), ('accuracy', True)]
    """
    if not task.labelled:
        return []
    scores: dict[bool, list[Scores]] = {True: [], False: []}
    seeds: list[int] = []
    steps, seconds, beyond = 0, 0.0, task.config.beyond
    for encoder in encoders:
        begin = time.monotonic()
        scores[True].append(task.score(encoder, interrupted))
        seconds += encoder.progress["seconds"] + time.monotonic() - begin
        steps = max(steps, encoder.progress["step"])
        scores[False].append(task.score(fresh_encoder(task, encoder.seed), interrupted))
        seeds.append(encoder.seed)
        beyond = encoder.progress.get(BEYOND, beyond)  # older checkpoints do not tell
        if interrupted():
            raise Interrupted(encoder.progress["step"])
    rows = [(row.place, not trained, row) for trained in scores for row in scores[trained][0]]
    results = [
        _result(
            task, row, [of_seed[row] for of_seed in scores[not untrained]], seeds,
            trained=not untrained, steps=steps, seconds=seconds, beyond=beyond,
        )
        for _, untrained, row in sorted(rows, key=lambda found: found[:2])
    ]  # fmt: skip
    if baselines := getattr(task, "baselines", None):
        for row, of_seeds, own_seeds, own_seconds in baselines(interrupted):
            results.append(
                _result(task, row, of_seeds, own_seeds, trained=True, steps=0, seconds=own_seconds)
            )
    return results


def _result(
    task: Task,
    row: Row,
    scores: Sequence[Score],
    seeds: Sequence[int],
    *,
    trained: bool,
    steps: int,
    seconds: float,
    beyond: str = "",
) -> Result:
    """One line of results.jsonl; a random-initialised encoder took no steps and no choice."""
    config, devices = task.config, task.devices
    over_seeds = score([of_seed.mean for of_seed in scores])
    if row.pooled:
        pooled = score([value for of_seed in scores for value in of_seed.values])
        over_seeds = over_seeds._replace(mean=pooled.mean, std=pooled.std, n=pooled.n)
    selection = row.selection or config.selection
    return Result(
        **over_seeds._asdict(),
        task=row.task,
        dataset=config.dataset,
        framework=row.method or config.framework,
        mixing="-" if row.method else config.mixing.rule,
        candidates="-" if row.method else config.mixing.candidates,
        objective=row.objective or config.objective,
        representation=row.representation,
        trained=trained,
        metric=row.metric,
        seeds=tuple(seeds),
        protocol=row.protocol,
        selection=selection if trained else "none",
        seed=config.seed,
        steps=steps if trained else 0,
        seconds=seconds if trained else 0.0,
        device=f"{len(devices)} x {devices[0].device_kind}",
        versions=versions(),
        parts=tuple(tuple(of_seed.values) for of_seed in scores) if row.parted else (),
        encoder=config.encoder,
        beyond="" if row.method else beyond,
    )
