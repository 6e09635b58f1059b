"""The settings of mixing (eq. 2–7): what a framework and a config say of it."""

import math
from dataclasses import dataclass, replace
from typing import Any

from mmix_jax.fields import POSITIVE, SHARE, between, setting
from mmix_jax.mixing.rules import RULES

# i-mix mixes inputs, not embeddings: no rule of the table, but a word of the settings.
MIXINGS = (*RULES, "i_mix")
PAIR_CANDIDATES = ("op", "all")
CANDIDATES = ("wp", *PAIR_CANDIDATES)
MIX_INTO = ("anchor", "negatives")
# Rules by which synthetic negatives are mixed: those that give weights to any set of candidates.
SYNTHETIC_RULES = ("mo", "mp", "random", "neighbour_mean")


@dataclass(frozen=True)
class Mixing:
    """How each embedding is mixed: rule, candidates, weights. Defaults are the paper's."""

    rule: str = setting(
        "mp", "Mixing rule (eq. 2–7); i_mix mixes inputs.", choices=MIXINGS, name="mixing"
    )
    candidates: str = setting(
        "wp", "Graph neighbours, scores of at least `threshold`, or all.", choices=CANDIDATES
    )
    temperature: float = setting(
        1.0, "τ_mix; 1 is the paper's.", within=POSITIVE, name="mixing_temperature"
    )
    self_weight: float = setting(
        0.2,
        "C of mo-mix; negative: self is an ordinary candidate (the authors' image code).",
        within=between(float("-inf"), 1.0),
    )
    threshold: float = setting(
        0.9, "θ of candidates op: 0.9 for mo; mp wants 0.", within=between(-1.0, 1.0)
    )
    mix_normalised: bool = setting(False, "Mix unit vectors instead of raw outputs.")
    stop_gradient: bool = setting(False, "No gradient through the weights (the authors' code).")
    start: float = setting(
        0.0,
        "Beyond the paper: share of the steps, from the first on, that mix nothing; at 1 "
        "embeddings alone are mixed.",
        within=between(0.0, 1.0),
        name="mixing_start",
    )
    into: str = setting(
        "anchor",
        "The mixture replaces its anchor; or, beyond the paper, mixtures join its negatives.",
        choices=MIX_INTO,
        name="mix_into",
    )
    num_synthetic: int = setting(
        16, "… s, mixtures of each anchor among its negatives.", within=POSITIVE
    )
    num_mixed: int = setting(4, "… m, candidates in each of them.", within=POSITIVE)
    num_hardest: int = setting(64, "… K, the hardest, from which they are drawn.", within=POSITIVE)
    skip_hardest: float = setting(
        0.0, "… the share of candidates, from the hardest on, that is never drawn.", within=SHARE
    )
    skip_hops: int = setting(
        0, "… candidates so near in the graph are never drawn: 0, 1 or 2.", within=between(0, 2)
    )

    @property
    def by_edges(self) -> bool:
        """Whether candidates are graph neighbours."""
        return self.candidates == "wp"

    @property
    def of_inputs(self) -> bool:
        """Whether inputs are mixed, and embeddings are not (i-mix)."""
        return self.rule == "i_mix"

    @property
    def into_negatives(self) -> bool:
        """Whether mixtures join the negatives, and anchors stay what they are."""
        return self.into == "negatives" and self.rule != "none"

    @property
    def projects(self) -> bool:
        """Whether weights come from two learned projections (mp-mix)."""
        return not self.of_inputs and RULES[self.rule].projects

    def options(self) -> dict[str, Any]:
        """Keywords that `mix_edges` and `mix_pairs` share; i-mix and mixtures among the negatives
        leave embeddings as they are."""
        return {
            "rule": "none" if self.of_inputs or self.into_negatives else self.rule,
            "self_weight": None if self.self_weight < 0 else self.self_weight,
            "temperature": self.temperature,
            "mix_normalised": self.mix_normalised,
            "stop_gradient": self.stop_gradient,
        }

    def synthetic_options(self) -> dict[str, Any]:
        """Keywords of `synthetic_negatives`."""
        return {
            "rule": self.rule,
            "temperature": self.temperature,
            "threshold": self.threshold if self.candidates == "op" else None,
            "stop_gradient": self.stop_gradient,
            "num_synthetic": self.num_synthetic,
            "num_mixed": self.num_mixed,
            "num_hardest": self.num_hardest,
            "skip_hardest": self.skip_hardest,
            "skip_hops": self.skip_hops,
        }

    def beyond(self) -> dict[str, Any]:
        """Options in use that the paper does not have, by their names in configs."""
        used: dict[str, Any] = {}
        if self.temperature != 1.0 and self.rule in ("mo", "mp"):
            used["mixing_temperature"] = self.temperature
        if self.start:
            used["mixing_start"] = self.start
        if self.into_negatives:
            used |= {
                "mix_into": "negatives", "num_synthetic": self.num_synthetic,
                "num_mixed": self.num_mixed, "num_hardest": self.num_hardest,
            }  # fmt: skip
            skipped = {"skip_hardest": self.skip_hardest, "skip_hops": self.skip_hops}
            used |= {name: value for name, value in skipped.items() if value}
        return used

    def first_step(self, num_steps: int) -> int:
        """The first step, from 0 on, that mixes: of so many the share `start` does not."""
        # A share such as 0.07 of 100 steps is 7.000000000000001 in floats.
        return math.ceil(self.start * num_steps - 1e-9)

    def before_start(self) -> "Mixing":
        """What holds in the first `start` of the steps: no mixing."""
        return replace(self, rule="none")
