"""M-Mix: each embedding replaced by a weighted mixture of several similar samples.

The settings and the table of rules are light; what computes is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from mmix_jax.lazy import importer
from mmix_jax.mixing.rules import RULES, Mixture
from mmix_jax.mixing.settings import (
    CANDIDATES,
    MIX_INTO,
    MIXINGS,
    PAIR_CANDIDATES,
    SYNTHETIC_RULES,
    Mixing,
)

if TYPE_CHECKING:
    from mmix_jax.mixing.edges import mix_edges
    from mmix_jax.mixing.imix import draw_partners, i_mix_inputs, mix_with
    from mmix_jax.mixing.neighbourhood import Neighbours
    from mmix_jax.mixing.pairs import mix_pairs
    from mmix_jax.mixing.statistics import mixing_statistics, rank_correlation
    from mmix_jax.mixing.synthetic import SyntheticNegatives, synthetic_negatives

__getattr__ = importer(
    __name__,
    {
        "mix_edges": "edges",
        "draw_partners": "imix",
        "i_mix_inputs": "imix",
        "mix_with": "imix",
        "Neighbours": "neighbourhood",
        "mix_pairs": "pairs",
        "mixing_statistics": "statistics",
        "rank_correlation": "statistics",
        "SyntheticNegatives": "synthetic",
        "synthetic_negatives": "synthetic",
    },
)

__all__ = [
    "CANDIDATES",
    "MIXINGS",
    "MIX_INTO",
    "PAIR_CANDIDATES",
    "RULES",
    "SYNTHETIC_RULES",
    "Mixing",
    "Mixture",
    "Neighbours",
    "SyntheticNegatives",
    "draw_partners",
    "i_mix_inputs",
    "mix_edges",
    "mix_pairs",
    "mix_with",
    "mixing_statistics",
    "rank_correlation",
    "synthetic_negatives",
]
