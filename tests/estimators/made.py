"""Estimators that fit in seconds, and what they are fitted to."""

import networkx as nx
import numpy as np

from mmix_jax.estimators import GraphEmbedder, ImageEmbedder, NodeEmbedder
from tests.experiments.images import small_images
from tests.experiments.nodes import small

NODES = {
    "width": 8,
    "num_steps": 4,
    "eval_every": 2,
    "checkpoint_every": 2,
    "num_probes": 1,
    "num_devices": 1,
}
GRAPHS = {"width": 4, "num_steps": 2, "num_devices": 1}
IMAGES = {
    name: small_images.QUICK[name]
    for name in ("stages", "width", "head_width", "batch_size", "num_steps", "num_devices")
} | {"num_epochs": 0}


def nodes(**changes) -> NodeEmbedder:
    return NodeEmbedder(**(NODES | changes))


def graphs(**changes) -> GraphEmbedder:
    return GraphEmbedder(**(GRAPHS | changes))


def images(**changes) -> ImageEmbedder:
    return ImageEmbedder(**(IMAGES | changes))


def node_graph(num_nodes: int = small.N):
    """`(adjacency, x)` of the graph of thirty nodes, or of its first ones."""
    parts = small.arrays()
    adjacency = np.zeros((small.N, small.N))
    adjacency[tuple(parts["edge_index"])] = 1
    return adjacency[:num_nodes, :num_nodes], parts["x"][:num_nodes].astype(np.float32)


def some_graphs(count: int = 8) -> list[nx.Graph]:
    makers = (nx.cycle_graph, nx.star_graph)
    return [makers[i % 2](3 + i // 2) for i in range(count)]
