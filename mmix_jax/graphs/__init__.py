"""Graphs: their type, normalisation, diffusion and padding."""

from mmix_jax.graphs.diffusion import diffuse, diffusion_matrix, sparse_diffusion
from mmix_jax.graphs.normalize import gcn_weights, propagate, row_normalize
from mmix_jax.graphs.padding import (
    edge_mask,
    graph_mask,
    node_graph,
    node_mask,
    pad_graph,
    padded_size,
    to_jraph,
)
from mmix_jax.graphs.types import Graph, Split, make_graph

__all__ = [
    "Graph",
    "Split",
    "diffuse",
    "diffusion_matrix",
    "edge_mask",
    "gcn_weights",
    "graph_mask",
    "make_graph",
    "node_graph",
    "node_mask",
    "pad_graph",
    "padded_size",
    "propagate",
    "row_normalize",
    "sparse_diffusion",
    "to_jraph",
]
