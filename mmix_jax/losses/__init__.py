"""Contrastive losses: equations 8–11, i-mix's virtual labels, the original MVGRL objective."""

from mmix_jax.losses.diversity import diversity
from mmix_jax.losses.info_nce import anchor_info_nce, contrast, info_nce, virtual_labels
from mmix_jax.losses.node_graph import node_graph, node_graphs
from mmix_jax.losses.tiles import usual_block_size

__all__ = [
    "anchor_info_nce",
    "contrast",
    "diversity",
    "info_nce",
    "node_graph",
    "node_graphs",
    "usual_block_size",
    "virtual_labels",
]
