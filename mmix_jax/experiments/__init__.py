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
    from mmix_jax.experiments.images.config import IMAGE_VARIANTS, OWN_IMAGES
    from mmix_jax.experiments.nodes.config import GRACE, GRACE_PAPER, OWN_GRAPH, VARIANTS
    from mmix_jax.experiments.pretraining import pretrain
    from mmix_jax.experiments.run import evaluate, load, task_of

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
        **dict.fromkeys(("IMAGE_VARIANTS", "OWN_IMAGES"), "images.config"),
        **dict.fromkeys(("GRACE", "GRACE_PAPER", "OWN_GRAPH", "VARIANTS"), "nodes.config"),
        "pretrain": "pretraining",
        **dict.fromkeys(("evaluate", "load", "task_of"), "run"),
    },
)

__all__ = [
    "EDIT_DISTANCE_VARIANTS",
    "GRACE",
    "GRACE_PAPER",
    "GRAPH_VARIANTS",
    "IMAGE_VARIANTS",
    "OWN_GRAPH",
    "OWN_IMAGES",
    "VARIANTS",
    "edit_distance_config",
    "evaluate",
    "finish",
    "graph_config",
    "image_config",
    "load",
    "node_config",
    "pretrain",
    "read",
    "task_of",
]
