"""The settings of mixing (eq. 2–7): what a framework and a config say of it."""

from dataclasses import dataclass
from typing import Any

from mmix_jax.fields import POSITIVE, between, setting
from mmix_jax.mixing.rules import RULES

# i-mix mixes inputs, not embeddings: no rule of the table, but a word of the settings.
MIXINGS = (*RULES, "i_mix")
PAIR_CANDIDATES = ("op", "all")
CANDIDATES = ("wp", *PAIR_CANDIDATES)


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

    @property
    def by_edges(self) -> bool:
        """Whether candidates are graph neighbours."""
        return self.candidates == "wp"

    @property
    def of_inputs(self) -> bool:
        """Whether inputs are mixed, and embeddings are not (i-mix)."""
        return self.rule == "i_mix"

    @property
    def projects(self) -> bool:
        """Whether weights come from two learned projections (mp-mix)."""
        return not self.of_inputs and RULES[self.rule].projects

    def options(self) -> dict[str, Any]:
        """Keywords that `mix_edges` and `mix_pairs` share; i-mix leaves embeddings as they are."""
        return {
            "rule": "none" if self.of_inputs else self.rule,
            "self_weight": None if self.self_weight < 0 else self.self_weight,
            "temperature": self.temperature,
            "mix_normalised": self.mix_normalised,
            "stop_gradient": self.stop_gradient,
        }
