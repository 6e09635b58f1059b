"""Experiments join data and model: the only readers of a config."""

from typing import TYPE_CHECKING

from mmix_jax.lazy import importer

if TYPE_CHECKING:
    from mmix_jax.experiments.configs import (
        edit_distance_config,
        finish,
        graph_config,
        image_config,
        node_config,
        read,
    )
    from mmix_jax.experiments.graphs.config import EDIT_DISTANCE_VARIANTS, GRAPH_VARIANTS
    from mmix_jax.experiments.images.config import IMAGE_VARIANTS
    from mmix_jax.experiments.nodes.config import GRACE, GRACE_PAPER, VARIANTS

__getattr__ = importer(
    __name__,
    {
        **dict.fromkeys(
            (
                "edit_distance_config",
                "finish",
                "graph_config",
                "image_config",
                "node_config",
                "read",
            ),
            "configs",
        ),
        **dict.fromkeys(("EDIT_DISTANCE_VARIANTS", "GRAPH_VARIANTS"), "graphs.config"),
        "IMAGE_VARIANTS": "images.config",
        **dict.fromkeys(("GRACE", "GRACE_PAPER", "VARIANTS"), "nodes.config"),
    },
)

__all__ = [
    "EDIT_DISTANCE_VARIANTS",
    "GRACE",
    "GRACE_PAPER",
    "GRAPH_VARIANTS",
    "IMAGE_VARIANTS",
    "VARIANTS",
    "edit_distance_config",
    "finish",
    "graph_config",
    "image_config",
    "node_config",
    "read",
]
