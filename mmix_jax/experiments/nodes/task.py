"""The node task: pretrain, evaluate the frozen encoder, write embeddings."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mmix_jax.data.catalog import load_nodes
from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph
from mmix_jax.data.types import NodeDataset
from mmix_jax.experiments import runs
from mmix_jax.experiments.defaults import Config
from mmix_jax.experiments.nodes.embedding import Represent, make_represent
from mmix_jax.experiments.nodes.inputs import (
    make_grace_tables,
    make_sampler,
    make_tables,
    normalised_graph,
    some_nodes,
    training_graph,
    whole_graph,
)
from mmix_jax.experiments.nodes.scores import (
    CLUSTERS,
    check_protocol,
    measure,
    part_to_score,
    protocol_of,
    single_label,
    validation_judge,
)
from mmix_jax.experiments.static_settings import grace_settings, mvgrl_settings
from mmix_jax.frameworks import grace, mvgrl_loss
from mmix_jax.frameworks import mvgrl_nodes as mvgrl
from mmix_jax.graphs.samplers import NodeBatch
from mmix_jax.graphs.types import Graph
from mmix_jax.results import Result, Score, score
from mmix_jax.training.loop import Interrupted
from mmix_jax.training.step import TrainState, init_state, make_optimizer


class NodeFramework(NamedTuple):
    """What a framework for nodes brings.

    `embed` returns representations by name, and the mixture of the anchors of a `batch`.
    """

    representations: tuple[str, ...]
    settings: Callable[[Config, int], Any]
    tables: Callable[[Config, Graph], Any]
    init_params: Callable[[Any, int, jax.Array], Any]
    make_loss: Callable[[Any, str], Callable]
    embed: Callable
    batch: Callable[[Graph], NodeBatch]


FRAMEWORKS = {
    "mvgrl": NodeFramework(
        ("a", "b", "mean"),
        mvgrl_settings,
        make_tables,
        mvgrl.init_params,
        mvgrl_loss.make_loss,
        mvgrl.embed,
        whole_graph,
    ),
    "grace": NodeFramework(
        ("single",),
        grace_settings,
        lambda config, graph: make_grace_tables(graph),
        grace.init_params,
        grace.make_loss,
        grace.embed,
        some_nodes,
    ),
}


class NodeTask(NamedTuple):
    """A config with its data and model.

    graph and tables are what pretraining sees; `represent(params, key, nodes, names)` embeds any
    nodes (None: all).
    """

    config: Config
    dataset: NodeDataset
    framework: NodeFramework
    graph: Graph
    settings: Any
    tables: Any
    devices: list
    represent: Represent


def load(config: Config) -> NodeTask:
    """Read the data and lay it on the device."""
    dataset = load_nodes(
        config.dataset,
        data_dir=config.data_dir or None,
        path=config.data_path or None,
        split=config.split,
        split_seed=config.split_seed,
        synthetic=_synthetic(config),
    )
    check_protocol(config, dataset)
    framework = FRAMEWORKS[config.framework]
    whole = normalised_graph(config, dataset)
    graph = training_graph(dataset, whole)
    settings = framework.settings(config, graph.num_nodes)
    tables = framework.tables(config, graph)
    # Nodes of unseen graphs are embedded by tables of their own.
    all_tables = tables if graph is whole else framework.tables(config, whole)
    represent = make_represent(
        config,
        partial(framework.embed, settings),
        all_tables,
        whole,
        framework.batch,
        dataset.labels if single_label(dataset) else None,
    )
    devices = runs.devices_of(config)
    return NodeTask(config, dataset, framework, graph, settings, tables, devices, represent)


def _synthetic(config: Config) -> SyntheticGraph:
    return SyntheticGraph(
        config.num_nodes,
        config.mean_degree,
        config.num_features,
        config.num_classes,
        config.graph_seed,
    )


def _start(task: NodeTask, seed: int) -> TrainState:
    """The state before the first step."""
    optimizer = make_optimizer(task.config.learning_rate, task.config.weight_decay)
    num_features = task.graph.x.shape[1]
    params = task.framework.init_params(task.settings, num_features, runs.keys_of(seed)[0])
    return init_state(params, optimizer)


def _samples(task: NodeTask) -> int:
    """Nodes that a step contrasts."""
    config = task.config
    if config.sampler == "full":
        return task.graph.num_nodes
    return config.batch_size * (config.num_windows if config.sampler == "window" else 1)


def pretrain(task: NodeTask, workdir: Path, seed: int, interrupted: Callable[[], bool]) -> bool:
    """Train one seed from its latest checkpoint to the end; False if it was there already."""
    sampler = make_sampler(task.config, task.graph, seed, len(task.devices))
    return runs.pretrain(
        task.config,
        workdir,
        seed,
        state=_start(task, seed),
        make_loss=task.framework.make_loss,
        settings=task.settings,
        tables=task.tables,
        batch=sampler.batch,
        evaluate=validation_judge(task.config, task.dataset, task.represent, runs.keys_of(seed)[2]),
        devices=task.devices,
        interrupted=interrupted,
        samples=_samples(task),
    )


def _restore(task: NodeTask, folder: Path, seed: int) -> tuple[Any, dict]:
    best = task.config.selection != "last"
    state, progress = runs.restore(_start(task, seed), folder, best=best)
    return state.params, progress


def _measure(task: NodeTask, params, seed: int) -> dict[tuple[str, str], Score]:
    key = runs.keys_of(seed)[2]
    part = part_to_score(task.config, task.dataset)
    representations, _ = task.represent(params, key, part.nodes)
    return measure(task.config, part.dataset, representations, seed, key, part.clustered)


def _result(task: NodeTask, name, metric, scores, **rest) -> Result:
    config = task.config
    clusters = metric in CLUSTERS
    protocol = protocol_of(config, task.dataset, metric)
    values, parts = score([found.mean for found in scores]), ()
    if protocol in ("reference", "splits"):  # deviation over classifiers, or over splits too
        pooled = score([value for found in scores for value in found.values])
        values = values._replace(mean=pooled.mean, std=pooled.std, n=pooled.n)
    if protocol == "splits":
        parts = tuple(found.values for found in scores)
    return runs.make_result(
        config,
        task.devices,
        values,
        task="clustering" if clusters else "node",
        representation=name,
        metric=metric,
        parts=parts,
        protocol=protocol,
        selection="test_watched" if config.protocol == "reference" else config.selection,
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
        rows[True].append(_measure(task, params, seed))
        rows[False].append(_measure(task, _start(task, seed).params, seed))
        seconds += (time.monotonic() - begin) / 2
        if interrupted():
            raise Interrupted(progress["step"])
    return [
        _result(
            task, name, metric, [found[name, metric] for found in rows[trained]],
            trained=trained, seeds=tuple(folders), steps=steps, seconds=seconds,
        )
        for metric in ("accuracy", "micro_f1", *CLUSTERS)
        for trained in (True, False)
        for name in task.framework.representations
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
    name = config.representation
    representations, _ = task.represent(params, runs.keys_of(seed)[2], names=(name,))
    z = representations[name]
    return runs.embeddings(z, task.dataset.labels, task.dataset.ids)
