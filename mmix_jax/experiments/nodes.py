"""The node task: pretrain, evaluate the frozen encoder, write embeddings."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mmix_jax.data.catalog import load_nodes
from mmix_jax.data.types import NodeDataset
from mmix_jax.evaluation.clustering import clustering
from mmix_jax.evaluation.logistic import logistic, protocol_l2
from mmix_jax.experiments import runs
from mmix_jax.experiments.defaults import Config
from mmix_jax.experiments.node_inputs import (
    make_sampler,
    make_tables,
    normalised_graph,
    whole_graph,
)
from mmix_jax.experiments.settings import static_settings
from mmix_jax.frameworks.mvgrl import Settings, embed, init_params
from mmix_jax.frameworks.mvgrl_loss import make_loss
from mmix_jax.graphs.types import Graph
from mmix_jax.results import Result, score
from mmix_jax.training.loop import Interrupted
from mmix_jax.training.step import TrainState, init_state, make_optimizer

REPRESENTATIONS = ("a", "b", "mean")


class NodeTask(NamedTuple):
    """A config with its data and model; `represent(params, key)` is `embed` of all nodes."""

    config: Config
    dataset: NodeDataset
    graph: Graph
    settings: Settings
    tables: Any
    devices: list
    represent: Callable


def load(config: Config) -> NodeTask:
    """Read the data and lay it on the device."""
    dataset = load_nodes(
        config.dataset,
        data_dir=config.data_dir or None,
        path=config.data_path or None,
        split=config.split,
        split_seed=config.split_seed,
    )
    graph = normalised_graph(config, dataset)
    settings = static_settings(config, graph.num_nodes)
    tables = make_tables(config, graph)
    everything = whole_graph(graph)
    labels = None if dataset.labels is None else jax.numpy.asarray(dataset.labels)
    compute = jax.jit(partial(embed, settings))

    def represent(params, key):
        return compute(params, tables, everything, key, labels)

    return NodeTask(config, dataset, graph, settings, tables, runs.devices_of(config), represent)


def _start(task: NodeTask, seed: int) -> TrainState:
    """The state before the first step."""
    optimizer = make_optimizer(task.config.learning_rate, task.config.weight_decay)
    params = init_params(task.settings, task.graph.x.shape[1], runs.keys_of(seed)[0])
    return init_state(params, optimizer)


def _judge(task: NodeTask, seed: int) -> Callable:
    """`evaluate(state) -> (score, metrics)`: validation accuracy where labels allow."""
    config, key = task.config, runs.keys_of(seed)[2]
    labels, split = task.dataset.labels, task.dataset.split

    def evaluate(state: TrainState):
        representations, mixture = task.represent(state.params, key)
        metrics = {f"mixing/{name}": float(value) for name, value in mixture.stats.items()}
        if labels is None or split is None or config.selection != "validation":
            return None, metrics
        found = logistic(
            representations[config.representation],
            labels,
            split,
            num_runs=config.num_probes,
            key=key,
            num_classes=task.dataset.num_classes,
            l2=protocol_l2(config.protocol, config.dataset),
        )
        metrics["validation_accuracy"] = found.valid.mean
        if config.protocol == "reference":  # the authors watch the test set: only under this name
            metrics["test_accuracy"] = found.test.mean
            return found.test.mean, metrics
        return found.valid.mean, metrics

    return evaluate


def pretrain(task: NodeTask, workdir: Path, seed: int, interrupted: Callable[[], bool]) -> bool:
    """Train one seed from its latest checkpoint to the end; False if it was there already."""
    sampler = make_sampler(task.config, task.graph, seed, len(task.devices))
    return runs.pretrain(
        task.config,
        workdir,
        seed,
        state=_start(task, seed),
        make_loss=make_loss,
        settings=task.settings,
        tables=task.tables,
        batch=sampler.batch,
        evaluate=_judge(task, seed),
        devices=task.devices,
        interrupted=interrupted,
    )


def _restore(task: NodeTask, folder: Path, seed: int) -> tuple[Any, dict]:
    best = task.config.selection != "last"
    state, progress = runs.restore(_start(task, seed), folder, best=best)
    return state.params, progress


def measure(task: NodeTask, params, seed: int) -> dict[tuple[str, str], Any]:
    """Scores of one encoder by (representation, metric): accuracy, nmi, ari."""
    config, dataset, key = task.config, task.dataset, runs.keys_of(seed)[2]
    representations, _ = task.represent(params, key)
    scores = {}
    if dataset.labels is None:
        return scores
    for name in REPRESENTATIONS:
        z = np.asarray(representations[name])
        if dataset.split is not None:
            scores[name, "accuracy"] = logistic(
                z,
                dataset.labels,
                dataset.split,
                num_runs=config.num_classifiers,
                key=key,
                num_classes=dataset.num_classes,
                l2=protocol_l2(config.protocol, config.dataset),
            ).test
        if config.num_clusterings:
            found = clustering(
                z,
                dataset.labels,
                num_clusters=dataset.num_classes,
                seed=seed,
                num_repeats=config.num_clusterings,
            )
            scores |= {(name, metric): value for metric, value in found.items()}
    return scores


def _result(task: NodeTask, name, metric, scores, **rest) -> Result:
    config = task.config
    clusters, reference = metric != "accuracy", config.protocol == "reference"
    values = score([found.mean for found in scores])
    if reference and not clusters:  # deviation over classifiers
        pooled = score([value for found in scores for value in found.values])
        values = values._replace(mean=pooled.mean, std=pooled.std, n=pooled.n)
    return runs.make_result(
        config,
        task.devices,
        values,
        task="clustering" if clusters else "node",
        representation=name,
        metric=metric,
        protocol="k-means" if clusters else config.protocol,
        selection="test_watched" if reference else config.selection,
        **rest,
    )


def evaluate(
    task: NodeTask, folders: dict[int, Path], interrupted: Callable[[], bool] = lambda: False
) -> list[Result]:
    """Scores of the encoders in `folders` (by seed), and of random-initialised ones alike."""
    if task.dataset.labels is None:
        return []
    rows: dict[bool, list[dict]] = {True: [], False: []}
    steps, seconds = 0, 0.0
    for seed, folder in folders.items():
        params, progress = _restore(task, folder, seed)
        steps, seconds = max(steps, progress["step"]), seconds + progress["seconds"]
        begin = time.monotonic()
        rows[True].append(measure(task, params, seed))
        rows[False].append(measure(task, _start(task, seed).params, seed))
        seconds += (time.monotonic() - begin) / 2
        if interrupted():
            raise Interrupted(progress["step"])
    return [
        _result(
            task, name, metric, [found[name, metric] for found in rows[trained]],
            trained=trained, seeds=tuple(folders), steps=steps, seconds=seconds,
        )
        for metric in ("accuracy", "nmi", "ari")
        for trained in (True, False)
        for name in REPRESENTATIONS
        if (name, metric) in rows[trained][0]
    ]  # fmt: skip


def run_train(config: Config, workdir: Path, interrupted: Callable[[], bool]) -> list[Result]:
    """Pretrain every seed, then evaluate; a finished run only reports."""
    return runs.train_and_evaluate(
        config, workdir, load=load, pretrain=pretrain, evaluate=evaluate, interrupted=interrupted
    )


def run_eval(config: Config, workdir: Path, checkpoint: str | None) -> list[Result]:
    """Evaluate the checkpoints of a workdir, or the one at `checkpoint`."""
    task = load(config)
    runs.require_labels(config, task.dataset.labels)
    return evaluate(task, runs.checkpoint_folders(config, workdir, checkpoint))


def run_embed(config: Config, workdir: Path, checkpoint: str | None) -> dict[str, np.ndarray]:
    """Arrays of `embeddings.npz`: z [N, D] of the first seed, labels and ids where known."""
    task = load(config)
    seed, folder = next(iter(runs.checkpoint_folders(config, workdir, checkpoint).items()))
    params, _ = _restore(task, folder, seed)
    representations, _ = task.represent(params, runs.keys_of(seed)[2])
    z = representations[config.representation]
    return runs.embeddings(z, task.dataset.labels, task.dataset.ids)
