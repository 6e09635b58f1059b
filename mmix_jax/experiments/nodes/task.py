"""The node task: one graph, or several as one; which nodes train and which are scored."""

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from mmix_jax.data.catalog import load_nodes
from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph
from mmix_jax.data.scaling import Scaling
from mmix_jax.data.types import NodeDataset, names_of_labels
from mmix_jax.experiments.nodes.config import NodeConfig
from mmix_jax.experiments.nodes.embedding import Represent, make_represent, pieces_in_chunks
from mmix_jax.experiments.nodes.figures import mixtures_of, points_of
from mmix_jax.experiments.nodes.inputs import (
    normalised_graph,
    num_contrasted,
    scaling_of,
    settings_of,
    training_graph,
    with_sampler,
)
from mmix_jax.experiments.nodes.remembered import as_remembered, facts_of
from mmix_jax.experiments.nodes.scores import (
    check_protocol,
    part_to_score,
    score_representations,
    single_label,
    validation_judge,
)
from mmix_jax.experiments.nodes.tables import (
    NO_TABLES,
    check_in_files,
    drawn_in_files,
    mapped,
    tables_in_files,
)
from mmix_jax.experiments.task import (
    Encoder,
    Files,
    Pieces,
    Points,
    Scores,
    Training,
    devices_of,
    in_epochs,
    kept_scaling,
    keys_of,
    remembered_of,
)
from mmix_jax.frameworks import node_framework
from mmix_jax.frameworks.base import NodeFramework
from mmix_jax.graphs.neighbours import NeighbourTable
from mmix_jax.graphs.on_disk import StoredTables
from mmix_jax.graphs.shared_tables import SharedTables
from mmix_jax.graphs.types import Graph
from mmix_jax.training.step import Optimization, TrainState, init_state, make_optimizer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NodeTask:
    """A config with its data and model.

    graph and tables are what pretraining sees; `represent(params, key, nodes, names)` embeds any
    nodes (None: all). scaling: that of the features, fitted to what pretraining sees. asked: the
    config as it was given, whose epochs may be steps in `config`, and its sampler auto another;
    length: the epochs in words. stored: propagated features in files, and `pieces(params, key)`,
    representations of one stretch of nodes after the other; None: tables are in `tables`.
    """

    config: NodeConfig
    dataset: NodeDataset
    framework: NodeFramework
    graph: Graph
    settings: Hashable
    tables: Any
    devices: list
    represent: Represent
    scaling: Scaling | None
    asked: NodeConfig
    length: str
    stored: StoredTables | SharedTables | None = None
    pieces: Callable | None = None

    @property
    def labelled(self) -> bool:
        return self.dataset.labels is not None

    @property
    def collective(self) -> bool:
        """Whether all processes embed together, as none has all rows."""
        return isinstance(self.stored, SharedTables)

    @property
    def optimization(self) -> Optimization:
        return Optimization(self.config.learning_rate, self.config.weight_decay)

    def start(self, seed: int) -> TrainState:
        """The state before the first step."""
        num_features = self.graph.x.shape[1]
        params = self.framework.init_params(self.settings, num_features, keys_of(seed)[0])
        return init_state(params, make_optimizer(self.optimization))

    def training(self, seed: int, workdir: Path | None = None) -> Training:
        config = self.config
        sampler = self.framework.make_sampler(
            self.settings,
            self.graph,
            sampler=config.sampler,
            batch_size=config.batch_size,
            num_windows=config.num_windows,
            seed=seed,
            num_devices=len(self.devices),
            **({} if self.stored is None else {"stored": self.stored}),
        )
        return Training(
            self.start(seed),
            self.optimization,
            self.framework.make_loss,
            self.settings,
            self.tables,
            sampler.batch,
            validation_judge(config, self.dataset, self.represent, keys_of(seed)[2]),
            num_contrasted(config, self.graph.num_nodes),
            remembered=remembered_of(self.scaling) | facts_of(self.dataset),
            classes=self._classes(),
        )

    def _classes(self) -> Callable | None:
        """Of a batch's anchors, where each node of the graph that trains has one."""
        labels = self.dataset.labels
        if labels is None or not single_label(self.dataset) or len(labels) != self.graph.num_nodes:
            return None
        of_nodes = jnp.asarray(labels)
        return lambda tables, shard: of_nodes[shard.rows[: shard.anchor_mask.shape[0]]]

    def score(self, encoder: Encoder, interrupted: Callable[[], bool]) -> Scores:
        key = keys_of(encoder.seed)[2]
        part = part_to_score(self.config, self.dataset)
        represent = self.as_trained(encoder).represent
        representations, _ = represent(encoder.state.params, key, part.nodes)
        return score_representations(
            self.config, part.dataset, representations, encoder.seed, key, part.clustered
        )

    def embed(self, encoder: Encoder) -> dict[str, Any]:
        """z [N, D] of all nodes, whose features are scaled as those of the training were."""
        name = self.config.representation
        key = keys_of(encoder.seed)[2]
        task, labels = self.as_trained(encoder), names_of_labels(self.dataset)
        z: Any
        if task.pieces is not None:
            z = Pieces(by_name[name] for by_name in task.pieces(encoder.state.params, key))
        else:
            z = task.represent(encoder.state.params, key, names=(name,))[0][name]
        return {"z": z, "labels": labels, "ids": self.dataset.ids}

    def points(self, encoder: Encoder) -> Points | str:
        return points_of(self.as_trained(encoder), encoder)

    def mixtures(self, encoder: Encoder) -> Files | str:
        return mixtures_of(self.as_trained(encoder), encoder)

    def as_trained(self, encoder: Encoder) -> "NodeTask":
        """This task with features as an encoder's training had its own: the same columns, filled
        and scaled by its statistics.

        Raises:
          InputError: the features are others.
        """
        dataset = as_remembered(self.dataset, encoder.progress)
        scaling = kept_scaling(encoder, self.scaling)
        if scaling is self.scaling and dataset is self.dataset:
            return self
        _log.info("features: filled and scaled by statistics of the training, not of these nodes")
        return _with_scaling(self.asked, dataset, scaling)

    def fitting(self, progress: Mapping[str, Any]) -> "NodeTask":
        """A task of the shape that a training had, by the record of its checkpoint."""
        dataset = as_remembered(self.dataset, progress)
        return self if dataset is self.dataset else _with_scaling(self.asked, dataset, None)


def synthetic_of(config: NodeConfig) -> SyntheticGraph:
    """The graph that a config of `synthetic_graph` draws."""
    return SyntheticGraph(
        config.num_nodes,
        config.mean_degree,
        config.num_features,
        config.num_classes,
        config.graph_seed,
        config.homophily,
        config.signal,
        config.labels_per_class,
    )


def load(config: NodeConfig, check: Callable[[], None] = lambda: None) -> NodeTask:
    """Read the data and lay it on the device, or in files; `check` is called often meanwhile."""
    synthetic = synthetic_of(config)
    drawn = config.dataset == "synthetic_graph"
    if drawn and mapped(config, config.num_nodes, config.num_features):
        return task_of(config, drawn_in_files(config, synthetic, check), check)
    dataset = load_nodes(
        config.dataset,
        data_dir=config.data_dir or None,
        path=config.data_path or None,
        split=config.split,
        split_seed=config.split_seed,
        synthetic=synthetic,
        structure=config.structure,
        missing=config.missing,
        skip_columns=config.skip_columns,
    )
    return task_of(config, dataset, check)


def task_of(
    config: NodeConfig, dataset: NodeDataset, check: Callable[[], None] = lambda: None
) -> NodeTask:
    """The task on a graph that is at hand.

    Raises:
      InputError: the data cannot be judged, or trained, as the config wants.
    """
    check_protocol(config, dataset)
    check_in_files(config, dataset)
    return _with_scaling(config, dataset, scaling_of(config, dataset), check)


def _with_scaling(
    asked: NodeConfig,
    dataset: NodeDataset,
    scaling: Scaling | None,
    check: Callable[[], None] = lambda: None,
) -> NodeTask:
    framework = node_framework(asked.framework)
    whole = normalised_graph(asked, dataset, scaling)
    graph = training_graph(dataset, whole)
    config = with_sampler(asked, graph.num_nodes)
    per_epoch = max(graph.num_nodes // num_contrasted(config, graph.num_nodes), 1)
    config, length = in_epochs(config, per_epoch)
    settings = settings_of(config, graph.num_nodes)
    stored = all_stored = None
    if mapped(config, *whole.x.shape):
        tables = all_tables = NO_TABLES
        count = len(devices_of(config))
        stored = tables_in_files(config, graph, count, check)
        all_stored = stored if graph is whole else tables_in_files(config, whole, count, check)
    else:
        tables = framework.make_tables(settings, graph)
        # Nodes of unseen graphs are embedded by tables of their own.
        all_tables = tables if graph is whole else framework.make_tables(settings, whole)
    embed, pieces = partial(framework.embed, settings), None
    if all_stored is not None:
        table = NeighbourTable(whole, all_stored)
        pieces = pieces_in_chunks(embed, all_tables, table, config.width)
    represent = make_represent(
        embed,
        all_tables,
        whole,
        framework.batch_to_embed,
        dataset.labels if single_label(dataset) else None,
        width=config.width,
        by_edges=config.mixing.by_edges,
        stored=all_stored,
    )
    return NodeTask(
        *(config, dataset, framework, graph, settings, tables, devices_of(config), represent),
        scaling=scaling,
        asked=asked,
        length=length,
        stored=stored,
        pieces=pieces,
    )
