"""Contrastive losses: equations 8–11, i-mix's virtual labels, the original MVGRL objective.

The settings are light; what computes is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from mmix_jax.lazy import importer
from mmix_jax.losses.settings import (
    DISCRIMINATORS,
    EXCHANGES,
    NEGATIVES,
    Contrast,
    usual_block_size,
)

if TYPE_CHECKING:
    from mmix_jax.losses.contrastive import anchor_info_nce, info_nce, virtual_labels
    from mmix_jax.losses.l_div import diversity
    from mmix_jax.losses.mvgrl import discrimination, discrimination_of_graphs
    from mmix_jax.losses.statistics import contrast_statistics

__getattr__ = importer(
    __name__,
    {
        "diversity": "l_div",
        "anchor_info_nce": "contrastive",
        "contrast_statistics": "statistics",
        "info_nce": "contrastive",
        "virtual_labels": "contrastive",
        "discrimination": "mvgrl",
        "discrimination_of_graphs": "mvgrl",
    },
)

__all__ = [
    "DISCRIMINATORS",
    "EXCHANGES",
    "NEGATIVES",
    "Contrast",
    "anchor_info_nce",
    "contrast_statistics",
    "discrimination",
    "discrimination_of_graphs",
    "diversity",
    "info_nce",
    "usual_block_size",
    "virtual_labels",
]
