"""The node task: one graph, or several as one; which nodes train and which are scored."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmix_jax.data.catalog import load_nodes
from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph
from mmix_jax.data.scaling import Scaling
from mmix_jax.data.types import NodeDataset, names_of_labels
from mmix_jax.experiments.nodes.config import NodeConfig
from mmix_jax.experiments.nodes.embedding import Represent, make_represent
from mmix_jax.experiments.nodes.figures import mixtures_of, points_of
from mmix_jax.experiments.nodes.inputs import (
    normalised_graph,
    num_contrasted,
    scaling_of,
    settings_of,
    training_graph,
)
from mmix_jax.experiments.nodes.scores import (
    check_protocol,
    part_to_score,
    score_representations,
    single_label,
    validation_judge,
)
from mmix_jax.experiments.task import (
    Encoder,
    Files,
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
from mmix_jax.graphs.types import Graph
from mmix_jax.training.step import Optimization, TrainState, init_state, make_optimizer


@dataclass(frozen=True)
class NodeTask:
    """A config with its data and model.

    graph and tables are what pretraining sees; `represent(params, key, nodes, names)` embeds any
    nodes (None: all). scaling: that of the features, fitted to what pretraining sees. asked: the
    config as it was given, whose epochs may be steps in `config`; length: these in words.
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

    @property
    def labelled(self) -> bool:
        return self.dataset.labels is not None

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
            remembered=remembered_of(self.scaling),
        )

    def score(self, encoder: Encoder, interrupted: Callable[[], bool]) -> Scores:
        key = keys_of(encoder.seed)[2]
        part = part_to_score(self.config, self.dataset)
        represent = self._as_trained(encoder).represent
        representations, _ = represent(encoder.state.params, key, part.nodes)
        return score_representations(
            self.config, part.dataset, representations, encoder.seed, key, part.clustered
        )

    def embed(self, encoder: Encoder) -> dict[str, Any]:
        """z [N, D] of all nodes, whose features are scaled as those of the training were."""
        name = self.config.representation
        key = keys_of(encoder.seed)[2]
        represent = self._as_trained(encoder).represent
        representations, _ = represent(encoder.state.params, key, names=(name,))
        labels = names_of_labels(self.dataset)
        return {"z": representations[name], "labels": labels, "ids": self.dataset.ids}

    def points(self, encoder: Encoder) -> Points | str:
        return points_of(self._as_trained(encoder), encoder)

    def mixtures(self, encoder: Encoder) -> Files | str:
        return mixtures_of(self._as_trained(encoder), encoder)

    def _as_trained(self, encoder: Encoder) -> "NodeTask":
        """This task with features scaled as an encoder's training scaled its own."""
        scaling = kept_scaling(encoder, self.scaling)
        if scaling is self.scaling:
            return self
        return _with_scaling(self.asked, self.dataset, scaling)


def load(config: NodeConfig) -> NodeTask:
    """Read the data and lay it on the device."""
    synthetic = SyntheticGraph(
        config.num_nodes,
        config.mean_degree,
        config.num_features,
        config.num_classes,
        config.graph_seed,
    )
    dataset = load_nodes(
        config.dataset,
        data_dir=config.data_dir or None,
        path=config.data_path or None,
        split=config.split,
        split_seed=config.split_seed,
        synthetic=synthetic,
    )
    return task_of(config, dataset)


def task_of(config: NodeConfig, dataset: NodeDataset) -> NodeTask:
    """The task on a graph that is at hand.

    Raises:
      InputError: the data cannot be judged, or trained, as the config wants.
    """
    check_protocol(config, dataset)
    return _with_scaling(config, dataset, scaling_of(config, dataset))


def _with_scaling(asked: NodeConfig, dataset: NodeDataset, scaling: Scaling | None) -> NodeTask:
    framework = node_framework(asked.framework)
    whole = normalised_graph(asked, dataset, scaling)
    graph = training_graph(dataset, whole)
    per_epoch = max(graph.num_nodes // num_contrasted(asked, graph.num_nodes), 1)
    config, length = in_epochs(asked, per_epoch)
    settings = settings_of(config, graph.num_nodes)
    tables = framework.make_tables(settings, graph)
    # Nodes of unseen graphs are embedded by tables of their own.
    all_tables = tables if graph is whole else framework.make_tables(settings, whole)
    represent = make_represent(
        partial(framework.embed, settings),
        all_tables,
        whole,
        framework.batch_to_embed,
        dataset.labels if single_label(dataset) else None,
        width=config.width,
        by_edges=config.mixing.by_edges,
    )
    return NodeTask(
        *(config, dataset, framework, graph, settings, tables, devices_of(config), represent),
        scaling=scaling,
        asked=asked,
        length=length,
    )
