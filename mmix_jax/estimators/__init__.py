"""Embeddings of data in memory, with scikit-learn's habits: fit, transform, save, load."""

from typing import TYPE_CHECKING

from mmix_jax.lazy import importer

if TYPE_CHECKING:
    from mmix_jax.estimators.graphs import GraphEmbedder
    from mmix_jax.estimators.images import ImageEmbedder
    from mmix_jax.estimators.nodes import NodeEmbedder

__all__ = ["GraphEmbedder", "ImageEmbedder", "NodeEmbedder"]

__getattr__ = importer(
    __name__, {"GraphEmbedder": "graphs", "ImageEmbedder": "images", "NodeEmbedder": "nodes"}
)
