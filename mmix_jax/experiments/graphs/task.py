"""The graph task: pretrain on a set of graphs, judge representations by a linear SVM."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mmix_jax.data.catalog import load_graphs
from mmix_jax.data.types import GraphDataset
from mmix_jax.errors import InputError
from mmix_jax.evaluation.clustering import clustering
from mmix_jax.evaluation.cross_validation import (
    knn_cross_validation,
    logistic_cross_validation,
    select_by_inner,
    svm_cross_validation,
)
from mmix_jax.experiments import runs
from mmix_jax.experiments.defaults import Config
from mmix_jax.experiments.graphs.inputs import make_sampler, make_tables
from mmix_jax.experiments.static_settings import mvgrl_settings
from mmix_jax.frameworks.mvgrl_graphs import (
    GraphSettings,
    GraphTables,
    embed_graphs,
    make_graph_loss,
)
from mmix_jax.frameworks.mvgrl_nodes import init_params
from mmix_jax.graphs.batches import Buckets, Union, unite
from mmix_jax.results import Result, score
from mmix_jax.training.loop import Interrupted
from mmix_jax.training.step import TrainState, init_state, make_optimizer

REPRESENTATIONS = ("a", "b", "mean")
# One for all tasks: sets of the same shapes share a program.
_embed = jax.jit(embed_graphs, static_argnums=0)


class GraphTask(NamedTuple):
    """A config with its data and model.

    `represent(params, key)` embeds all graphs; `mixture(params, key)` gives the statistics of
    mixing on the first batch alone.
    """

    config: Config
    dataset: GraphDataset
    union: Union
    tables: GraphTables
    devices: list
    represent: Callable
    mixture: Callable


def load(config: Config) -> GraphTask:
    """Read the data and lay it on the device."""
    dataset = load_graphs(
        config.dataset,
        data_dir=config.data_dir or None,
        path=config.data_path or None,
        features=config.features,
        max_degree=config.max_degree,
    )
    return task_of(config, dataset)


def task_of(config: Config, dataset: GraphDataset, *, keep: bool = True) -> GraphTask:
    """The task on graphs that are at hand; `keep` their diffusion in the cache folder."""
    union = unite(dataset.graphs)
    tables = make_tables(config, union, keep=keep)
    sampler = make_sampler(config, union, 0, 1)
    settings = graph_settings(config, sampler.buckets)

    def embed_batch(params, key, place: int):
        batch = jax.tree.map(lambda x: x[0], sampler.ordered(place))
        return batch, *_embed(settings, params, tables, batch, key)

    def represent(params, key):
        found = {}
        for place in range(sampler.num_batches):
            batch, h, _ = embed_batch(params, key, place)
            mask = batch.globals["mask"][:-1]
            for name, rows in h.items():
                shape = (len(dataset.graphs), rows.shape[1])
                whole = found.setdefault(name, np.zeros(shape, np.float32))
                whole[batch.globals["graph"][:-1][mask]] = np.asarray(rows)[mask]
        return found

    def mixture(params, key):
        return embed_batch(params, key, 0)[2]

    return GraphTask(config, dataset, union, tables, runs.devices_of(config), represent, mixture)


def graph_settings(config: Config, buckets: Buckets) -> GraphSettings:
    """The framework's static settings."""
    return GraphSettings(
        views=mvgrl_settings(config, buckets.num_rows),
        buckets=buckets,
        objective=config.objective,
        node_contrast=config.node_contrast,
        contrast_nodes=config.contrast_nodes,
        symmetric_graph=config.symmetric_graph,
        graph_temperature=config.graph_temperature,
        readout=config.readout,
    )


def start(task: GraphTask, seed: int) -> TrainState:
    """The state before the first step."""
    config = task.config
    optimizer = make_optimizer(config.learning_rate, config.weight_decay)
    views = mvgrl_settings(config, task.union.graph.num_nodes)
    params = init_params(views, task.union.graph.x.shape[1], runs.keys_of(seed)[0])
    return init_state(params, optimizer)


def _candidates(config: Config, workdir: Path, seed: int) -> Path:
    return workdir / "candidates" / config.readout / f"seed_{seed}"


def _judge(task: GraphTask, workdir: Path, seed: int, padding: float) -> Callable:
    """`evaluate(state) -> (None, metrics)`: no label is seen; the loss judges."""
    key = runs.keys_of(seed)[2]

    def evaluate(state: TrainState):
        stats = task.mixture(state.params, key)
        if task.config.selection == "inner_cv":
            path = _candidates(task.config, workdir, seed) / f"{int(state.step)}.npz"
            temporary = path.with_suffix(".tmp.npz")
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(temporary, **task.represent(state.params, key))
            os.replace(temporary, path)
        metrics = {f"mixing/{name}": float(value) for name, value in stats.items()}
        return None, metrics | {"padding": padding}

    return evaluate


def pretrain(task: GraphTask, workdir: Path, seed: int, interrupted: Callable[[], bool]) -> bool:
    """Train one seed from its latest checkpoint to the end; False if it was there already."""
    sampler = make_sampler(task.config, task.union, seed, len(task.devices))
    return runs.pretrain(
        task.config,
        workdir,
        seed,
        state=start(task, seed),
        make_loss=make_graph_loss,
        settings=graph_settings(task.config, sampler.buckets),
        tables=task.tables,
        batch=sampler.batch,
        evaluate=_judge(task, workdir, seed, sampler.padding),
        devices=task.devices,
        interrupted=interrupted,
    )


def restore(task: GraphTask, folder: Path, seed: int) -> tuple[Any, dict]:
    """Parameters to evaluate, and the progress record behind them."""
    state, progress = runs.restore(start(task, seed), folder, best=task.config.selection == "loss")
    return state.params, progress


def _progress(description: str, interrupted: Callable[[], bool], step: int) -> Callable:
    """A callback per fold that shows a bar and lets an interruption through."""
    from tqdm import tqdm

    bar = None  # none yet: where the protocol refuses the data, nothing else is printed

    def advance(done: int, num_folds: int):
        nonlocal bar
        if bar is None:
            bar = tqdm(total=num_folds, desc=description, unit="fold", leave=False)
        bar.update(1)
        if done == num_folds:
            bar.close()
        if interrupted():
            bar.close()
            raise Interrupted(step)

    return advance


def measure(
    task: GraphTask, representations: dict, seed: int, *, candidates=None, step=0, interrupted=None
) -> dict[tuple[str, str, str], float]:
    """Scores of one encoder by (protocol, representation, metric).

    `candidates` are the representations of several steps, of which each outer fold takes its own.
    """
    config, labels = task.config, task.dataset.labels
    assert labels is not None
    folds = {"seed": seed, "num_folds": config.num_folds}
    stop = interrupted or (lambda: False)
    scores = {}
    for name in REPRESENTATIONS:
        progress = _progress(f"svm {name} seed {seed}", stop, step)
        if candidates:
            of_steps = [candidate[name] for candidate in candidates]
            found = select_by_inner(of_steps, labels, progress=progress, **folds).result
        else:
            found = svm_cross_validation(representations[name], labels, progress=progress, **folds)
        scores["svm", name, "accuracy"] = found.mean
        scores["svm", name, "fold_std"] = score(found.folds).std
    headline = representations[config.representation]
    for protocol, judge in (
        ("logistic", logistic_cross_validation), ("knn", knn_cross_validation),
    ):  # fmt: skip
        progress = _progress(f"{protocol} seed {seed}", stop, step)
        found = judge(headline, labels, progress=progress, **folds)
        scores[protocol, config.representation, "accuracy"] = found.mean
    if config.num_clusterings:
        clusters = clustering(
            headline,
            labels,
            num_clusters=task.dataset.num_classes,
            seed=seed,
            num_repeats=config.num_clusterings,
        )
        for metric, value in clusters.items():
            scores["k-means", config.representation, metric] = value.mean
    return scores


def objective_name(config: Config) -> str:
    """The objective as results name it: a sampled contrast of nodes says so."""
    limit = config.contrast_nodes if config.objective in ("both", "node") else 0
    return f"{config.objective} ({limit} nodes a graph at most)" if limit else config.objective


def evaluate(
    task: GraphTask,
    folders: dict[int, Path],
    interrupted: Callable[[], bool] = lambda: False,
    workdir: Path | None = None,
) -> list[Result]:
    """Scores of the encoders in `folders` (by seed), and of random-initialised ones alike."""
    config = task.config
    if task.dataset.labels is None:
        return []
    rows: dict[bool, list[dict]] = {True: [], False: []}
    steps, seconds = 0, 0.0
    for seed, folder in folders.items():
        params, progress = restore(task, folder, seed)
        steps, seconds = max(steps, progress["step"]), seconds + progress["seconds"]
        key = runs.keys_of(seed)[2]
        options = {"step": progress["step"], "interrupted": interrupted}
        begin = time.monotonic()
        trained = task.represent(params, key)
        candidates = _read_candidates(config, workdir, seed)
        rows[True].append(measure(task, trained, seed, candidates=candidates, **options))
        seconds += time.monotonic() - begin
        untrained = task.represent(start(task, seed).params, key)
        rows[False].append(measure(task, untrained, seed, **options))
    return [
        runs.make_result(
            config,
            task.devices,
            score([found[protocol, name, metric] for found in rows[trained]]),
            task="clustering" if protocol == "k-means" else "graph",
            trained=trained,
            representation=name,
            metric=metric,
            seeds=tuple(folders),
            protocol=protocol if protocol == "k-means" else f"{protocol} {config.num_folds}-fold",
            selection=config.selection,
            steps=steps,
            seconds=seconds,
            objective=objective_name(config),
        )
        for trained in (True, False)
        for protocol, name, metric in rows[trained][0]
    ]


def _read_candidates(config: Config, workdir: Path | None, seed: int) -> list[dict] | None:
    if config.selection != "inner_cv":
        return None
    folder = None if workdir is None else _candidates(config, workdir, seed)
    paths = [] if folder is None else [p for p in folder.glob("*.npz") if p.stem.isdigit()]
    if not paths:
        raise InputError(
            "selection 'inner_cv' needs the embeddings that its training left in the workdir, "
            f"found none at {folder}; train there, or use selection fixed"
        )
    found = []
    for path in sorted(paths, key=lambda p: int(p.stem)):
        with np.load(path, allow_pickle=False) as arrays:
            found.append({name: arrays[name] for name in REPRESENTATIONS})
    return found


def run_train(config: Config, workdir: Path, interrupted: Callable[[], bool]) -> list[Result]:
    """Pretrain every seed, then evaluate; a finished run only reports."""
    return runs.train_and_evaluate(
        config,
        workdir,
        load=load,
        pretrain=pretrain,
        evaluate=partial(evaluate, workdir=workdir),
        interrupted=interrupted,
    )


def run_eval(config: Config, workdir: Path, checkpoint: str | None) -> list[Result]:
    """Evaluate the checkpoints of a workdir, or the one at `checkpoint`."""
    task = load(config)
    runs.require_labels(config, task.dataset.labels)
    folders = runs.checkpoint_folders(config, workdir, checkpoint)
    return evaluate(task, folders, workdir=None if checkpoint else workdir)


def run_embed(config: Config, workdir: Path, checkpoint: str | None) -> dict[str, np.ndarray]:
    """Arrays of `embeddings.npz`: z [M, D] of the first seed, labels and ids where known."""
    task = load(config)
    seed, folder = next(iter(runs.checkpoint_folders(config, workdir, checkpoint).items()))
    params, _ = restore(task, folder, seed)
    z = task.represent(params, runs.keys_of(seed)[2])[config.representation]
    return runs.embeddings(z, task.dataset.labels, task.dataset.ids)
