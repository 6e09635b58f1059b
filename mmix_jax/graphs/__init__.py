"""Graphs: their type, normalisation, diffusion and padding.

The settings are light; what computes is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from mmix_jax.graphs.settings import SAMPLERS, STRUCTURES, Diffusion
from mmix_jax.lazy import importer

if TYPE_CHECKING:
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

__getattr__ = importer(
    __name__,
    {
        **dict.fromkeys(("diffuse", "diffusion_matrix", "sparse_diffusion"), "diffusion"),
        **dict.fromkeys(("gcn_weights", "propagate", "row_normalize"), "normalize"),
        **dict.fromkeys(("edge_mask", "graph_mask", "node_graph", "node_mask"), "padding"),
        **dict.fromkeys(("pad_graph", "padded_size", "to_jraph"), "padding"),
        **dict.fromkeys(("Graph", "Split", "make_graph"), "types"),
    },
)

__all__ = [
    "SAMPLERS",
    "STRUCTURES",
    "Diffusion",
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
