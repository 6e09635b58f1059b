"""What a node config makes of its data: the graph as trained on, and the framework's settings."""

from collections.abc import Hashable
from typing import Any

import numpy as np

from mmix_jax.data.types import NodeDataset
from mmix_jax.experiments.nodes.config import NodeConfig
from mmix_jax.frameworks.grace import GraceSettings
from mmix_jax.frameworks.mvgrl import MVGRLSettings
from mmix_jax.graphs.normalize import row_normalize
from mmix_jax.graphs.types import Graph


def normalised_graph(config: NodeConfig, dataset: NodeDataset) -> Graph:
    """The graph, its features binarised where the config wants it and then its rows L1-normalised
    where config or bag-of-words data do."""
    wanted = {"on": True, "off": False, "auto": dataset.bag_of_words}[config.normalise_features]
    graph = dataset.graph
    if config.binarise_features:
        graph = graph._replace(x=(graph.x != 0).astype(np.float32))
    return graph._replace(x=row_normalize(graph.x)) if wanted else graph


def training_graph(dataset: NodeDataset, graph: Graph) -> Graph:
    """What pretraining sees: all of one graph; of several, those that hold training nodes."""
    if dataset.node_graph is None or dataset.split is None:
        return graph
    graphs = np.unique(dataset.node_graph[dataset.split.train])
    seen = np.isin(dataset.node_graph, graphs)
    place = np.cumsum(seen, dtype=np.int32) - 1
    edges = seen[graph.senders]  # none joins two graphs
    return Graph(
        graph.x[seen],
        place[graph.senders[edges]],
        place[graph.receivers[edges]],
        graph.edge_weight[edges],
    )


def num_contrasted(config: NodeConfig, num_nodes: int) -> int:
    """Nodes that a step contrasts."""
    if config.sampler == "full":
        return num_nodes
    return config.batch_size * (config.num_windows if config.sampler == "window" else 1)


def settings_of(config: NodeConfig, num_nodes: int) -> Hashable:
    """The framework's static settings for a graph of so many nodes."""
    common: dict[str, Any] = {
        "widths": (config.width,) * config.depth,
        "mixing": config.mixing,
        "contrast": config.contrast,
        "num_contrasted": num_contrasted(config, num_nodes),
        "num_nodes": num_nodes,
    }
    if config.framework == "grace":
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
