"""What a node config makes of its data: the graph as trained on, and the framework's settings."""

import dataclasses
import logging
from collections.abc import Hashable
from typing import Any

import numpy as np

from mmix_jax.data.scaling import Scaling, fit_scaling, normalised
from mmix_jax.data.types import NodeDataset
from mmix_jax.experiments.nodes.config import NodeConfig
from mmix_jax.frameworks.grace import GraceSettings
from mmix_jax.frameworks.mvgrl import MVGRLSettings
from mmix_jax.graphs.types import Graph

_log = logging.getLogger(__name__)


def scaling_of(config: NodeConfig, dataset: NodeDataset) -> Scaling | None:
    """How the features are scaled: by statistics of what pretraining sees."""
    x = training_graph(dataset, dataset.graph).x
    own = dataset.own and not (dataset.bag_of_words or config.binarise_features)
    return fit_scaling(x, config.normalise_features, own=own)


def normalised_graph(config: NodeConfig, dataset: NodeDataset, scaling: Scaling | None) -> Graph:
    """The graph with its features as encoders take them."""
    x = normalised(
        dataset.graph.x,
        config.normalise_features,
        words=dataset.bag_of_words,
        scaling=scaling,
        binarise=config.binarise_features,
    )
    return dataset.graph._replace(x=x)


def training_nodes(dataset: NodeDataset) -> np.ndarray | None:
    """Whether pretraining sees each node [N]; None where it sees all.

    Of several graphs it sees those that hold training nodes.
    """
    if dataset.node_graph is None or dataset.split is None:
        return None
    return np.isin(dataset.node_graph, np.unique(dataset.node_graph[dataset.split.train]))


def training_graph(dataset: NodeDataset, graph: Graph) -> Graph:
    """What pretraining sees: all of one graph; of several, those that hold training nodes."""
    seen = training_nodes(dataset)
    if seen is None:
        return graph
    place = np.cumsum(seen, dtype=np.int32) - 1
    edges = seen[graph.senders]  # none joins two graphs
    return Graph(
        graph.x[seen],
        place[graph.senders[edges]],
        place[graph.receivers[edges]],
        graph.edge_weight[edges],
    )


def with_sampler(config: NodeConfig, num_nodes: int) -> NodeConfig:
    """The config with a sampler in the place of auto, said where it is not all nodes."""
    if config.sampler != "auto":
        return config
    if num_nodes <= config.batch_size:
        return dataclasses.replace(config, sampler="full")
    _log.info(
        "sampler: %d of %d nodes a step (batch_size), drawn anew; full contrasts all",
        *(config.batch_size, num_nodes),
    )
    return dataclasses.replace(config, sampler="nodes")


def num_contrasted(config: NodeConfig, num_nodes: int) -> int:
    """Nodes that a step contrasts."""
    if config.sampler == "full":
        return num_nodes
    return config.batch_size * (config.num_windows if config.sampler == "window" else 1)


def settings_of(config: NodeConfig, num_nodes: int) -> Hashable:
    """The framework's static settings for a graph of so many nodes."""
    grace = config.framework == "grace"
    common: dict[str, Any] = {
        "widths": config.grace_widths if grace else (config.width,) * config.depth,
        "mixing": config.mixing,
        "contrast": config.contrast,
        "num_contrasted": num_contrasted(config, num_nodes),
        "num_nodes": num_nodes,
    }
    if grace:
        return GraceSettings(
            **common,
            encoder=config.encoder,
            num_heads=config.num_heads,
            activation=config.activation,
            head_width=config.head_width,
            drop_edge=(config.drop_edge_a, config.drop_edge_b),
            drop_feature=(config.drop_feature_a, config.drop_feature_b),
            symmetric=config.symmetric,
        )
    return MVGRLSettings(
        **common,
        objective=config.objective,
        feature_mask=config.feature_mask,
        embed_from=config.embed_from,
        discriminator=config.discriminator,
        diffusion=config.diffusion,
    )
