"""M-Mix: each embedding replaced by a weighted mixture of several similar samples."""

from mmix_jax.mixing.edges import mix_edges
from mmix_jax.mixing.imix import draw_partners, i_mix_inputs, mix_with
from mmix_jax.mixing.pairs import mix_pairs
from mmix_jax.mixing.rules import RULES, Mixture
from mmix_jax.mixing.statistics import mixing_statistics, rank_correlation

__all__ = [
    "RULES",
    "Mixture",
    "draw_partners",
    "i_mix_inputs",
    "mix_edges",
    "mix_pairs",
    "mix_with",
    "mixing_statistics",
    "rank_correlation",
]
