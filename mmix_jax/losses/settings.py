"""The settings of the contrastive losses (eq. 8–11): what a framework and a config say of them."""

from dataclasses import dataclass
from typing import Any

from mmix_jax.fields import NOT_NEGATIVE, SHARE, between, setting

NEGATIVES = ("full", "cross")
EXCHANGES = ("gather", "ring")
# The forms of the node-against-graph objective of MVGRL.
DISCRIMINATORS = ("bce", "jsd")
# Powers of lower temperatures leave float32.
LOWEST_TEMPERATURE = 0.015
# Measured on two CPU cores: tiles of 2,048 are faster than smaller ones, and as fast as the dense
# form, whose three matrices pass 200 MB here.
_DENSE_ROWS, _USUAL_BLOCK = 4096, 2048


def usual_block_size(num_rows: int) -> int | None:
    """Rows per block that suit the rows of all devices: None (dense) up to 4,096, else 2,048."""
    return None if num_rows <= _DENSE_ROWS else _USUAL_BLOCK


@dataclass(frozen=True)
class Contrast:
    """How embeddings are contrasted: InfoNCE (eq. 9–10), L_div (eq. 8). Defaults: the paper's."""

    negatives: str = setting(
        "full",
        "Eq. 9, or no negatives within a view (the authors' graph code).",
        choices=NEGATIVES,
    )
    temperature: float = setting(1.0, "τ.", within=between(LOWEST_TEMPERATURE, float("inf")))
    diversity_weight: float = setting(1.0, "Weight of L_div (eq. 8), mp only; the paper has 1.")
    diversity_margin: float = setting(
        -1.0,
        "L_div stops pushing at this q·k: −1 is the paper's, 0 stops at orthogonality.",
        within=between(-1.0, 1.0),
    )
    debiased: float = setting(
        0.0,
        "τ⁺ of the debiased loss (Chuang et al. 2020), beyond the paper: the share of negatives "
        "that are of the anchor's class; 0 is off.",
        within=SHARE,
    )
    hardness: float = setting(
        0.0,
        "β (Robinson et al. 2021), beyond the paper: similar negatives weigh more; 0 is off.",
        within=NOT_NEGATIVE,
    )
    block_size: int = setting(
        0,
        "Rows per block of the streamed loss; 0: dense up to 4,096 rows a step, else 2,048.",
        within=NOT_NEGATIVE,
    )
    exchange: str = setting(
        "gather",
        "Between devices: each holds all vectors, or blocks are passed round.",
        choices=EXCHANGES,
    )

    def options(self, num_rows: int) -> dict[str, Any]:
        """Keywords of `info_nce` and its kin, for `num_rows` contrasted rows on all devices."""
        return {
            "temperature": self.temperature,
            "negatives": self.negatives,
            "block_size": self.block_size or usual_block_size(num_rows),
            "exchange": self.exchange,
            **self.beyond(),
        }

    def beyond(self) -> dict[str, Any]:
        """Keywords of the options beyond the paper that are on."""
        options = {"debiased": self.debiased, "hardness": self.hardness}
        return {name: value for name, value in options.items() if value}
