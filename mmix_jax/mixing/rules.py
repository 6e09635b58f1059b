"""The mixing rules: what weight a row gives to itself and to each of its candidates.

A rule knows nothing of how candidates are stored. It reads scores from a `Rows` object (edges or
dense pairs) and hands back weights; a new rule is one function and one entry in `RULES`. jax is
imported inside the functions: names of rules are asked for before a program imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mmix_jax.fields import POSITIVE, between, unknown

if TYPE_CHECKING:
    import jax

Weights = tuple["jax.Array", "jax.Array"]  # of the other candidates, and of the row itself [R]


class Mixture(NamedTuple):
    """Mixed samples ẑ_i = Σ_j λ_ij z_j (eq. 2) with their weights.

    z_mixed: [R, D], in the floating type of z; all else is float32 at least. weights: λ of each
    edge [E], or of each pair [R, N] (None where streamed). self_weights: λ_ii [R]. stats: scalars
    by name: `partners` (mean number of other samples in a mixture), `unmixed` (share of rows that
    stay as they are), `entropy` (nats), `cosine` (of mixture and anchor), `rank_correlation` (of
    λ_ij with H(z_i, z_j)), and `agreement` (share of the partners' weight that lies on the
    anchor's class) where labels were given.
    """

    z_mixed: jax.Array
    weights: jax.Array | None
    self_weights: jax.Array
    stats: dict[str, jax.Array]


class Rows(Protocol):
    """Scores of the candidates, and of each row with itself, whichever way they are stored."""

    def cosine(self) -> Weights: ...
    def projected(self) -> Weights: ...
    def noise(self) -> Weights: ...
    def propagation(self) -> Weights: ...
    def softmax(self, others: jax.Array, own: jax.Array | None) -> Weights: ...
    def best(self, scores: jax.Array) -> jax.Array: ...


def _mo(rows: Rows, self_weight: float | None, temperature: float) -> Weights:
    """Eq. 5 and 7: λ_ii = C, λ_ij = (1 − C) softmax_{j≠i}(H(z_i, z_j)/τ_mix)."""
    import jax.numpy as jnp

    others, own = rows.cosine()
    if self_weight is None:  # the authors' image code: self is an ordinary candidate
        return rows.softmax(others / temperature, own / temperature)
    weights, _ = rows.softmax(others / temperature, None)
    return (1.0 - self_weight) * weights, jnp.full_like(own, self_weight)


def _mp(rows: Rows, self_weight: float | None, temperature: float) -> Weights:
    """Eq. 6: λ_ij = softmax_j(q_i · k_j/τ_mix), self among the candidates."""
    others, own = rows.projected()
    return rows.softmax(others / temperature, own / temperature)


def _random(rows: Rows, self_weight: float | None, temperature: float) -> Weights:
    """Softmax of standard normal draws over the candidates, self included."""
    return rows.softmax(*rows.noise())


def _binary(rows: Rows, self_weight: float | None, temperature: float) -> Weights:
    """Half the most similar other candidate (ties: the lowest index), half the anchor."""
    import jax.numpy as jnp

    others, own = rows.cosine()
    return jnp.where(rows.best(others), 0.5, 0.0).astype(own.dtype), jnp.full_like(own, 0.5)


def _none(rows: Rows, self_weight: float | None, temperature: float) -> Weights:
    """ẑ_i = z_i."""
    import jax.numpy as jnp

    others, own = rows.cosine()
    return jnp.zeros_like(others), jnp.ones_like(own)


def _neighbour_mean(rows: Rows, self_weight: float | None, temperature: float) -> Weights:
    """The plain mean of the other candidates."""
    import jax.numpy as jnp

    others, own = rows.cosine()
    weights, _ = rows.softmax(jnp.zeros_like(others), None)
    return weights, jnp.zeros_like(own)


def _propagate(rows: Rows, self_weight: float | None, temperature: float) -> Weights:
    """Â z, the effect of the authors' node code; rows do not sum to one."""
    return rows.propagation()


class Rule(NamedTuple):
    """A mixing rule.

    weights: (rows, self_weight, temperature) -> `Weights`. needs: arguments of the mixing functions
    that may not be None, and `lacking`, the line that says so. edges_only: it has no meaning but
    along the edges of a graph. mergeable: all other candidates of a row may be given to it as one,
    whose score is their soft maximum (mixing is then streamed in tiles).
    """

    weights: Callable[[Rows, float | None, float], Weights]
    needs: tuple[str, ...] = ()
    lacking: str = ""
    edges_only: bool = False
    mergeable: bool = False

    @property
    def projects(self) -> bool:
        """Whether scores are those of two projections q and k."""
        return "q" in self.needs


RULES: dict[str, Rule] = {
    "mo": Rule(_mo, mergeable=True),
    "mp": Rule(
        _mp, ("q", "k"), "needs both projections, found None; pass q= and k=", mergeable=True
    ),
    "random": Rule(_random, ("key",), "draws weights, found key=None; pass key="),
    "binary": Rule(_binary, mergeable=True),
    "none": Rule(_none, mergeable=True),
    "neighbour_mean": Rule(_neighbour_mean, mergeable=True),
    "propagate": Rule(_propagate, edges_only=True),
}


# In float32 a cosine over a temperature below this leaves its range; above, all weight lies on the
# most similar candidates.
_LOWEST_TEMPERATURE = 1e-35


def check_projections(q, k) -> None:
    """Raise ValueError unless q and k, where both are given, have one width."""
    if q is not None and k is not None and q.shape[1] != k.shape[1]:
        raise ValueError(
            f"q and k must have one width, found {q.shape} and {k.shape}; project to the same"
        )


def check_rule(rule: str, *, q=None, k=None, key=None) -> None:
    """Raise ValueError where a rule is unknown or lacks what it reads."""
    if rule == "i_mix":
        raise ValueError("rule 'i_mix' mixes inputs, not embeddings; use mixing.i_mix_inputs")
    if rule not in RULES:
        raise ValueError(unknown("mixing rule", rule, RULES))
    given = {"q": q, "k": k, "key": key}
    if any(given[name] is None for name in RULES[rule].needs):
        raise ValueError(f"rule '{rule}' {RULES[rule].lacking}")


def checked_numbers(self_weight: Any, temperature: Any) -> tuple[Any, Any]:
    """C (or None) and τ_mix as floats, in range; traced ones are NaN where they are not.

    Raises:
      ValueError: no number, or out of range.
    """
    from mmix_jax.ops.numbers import real_number

    temperature = real_number("the mixing temperature", temperature, POSITIVE, "1.0 is the paper's")
    if isinstance(temperature, float):
        temperature = max(temperature, _LOWEST_TEMPERATURE)
    if self_weight is not None:
        self_weight = real_number(
            "self_weight", self_weight, between(0, 1),
            "0.2 is the paper's, None makes self an ordinary candidate",
        )  # fmt: skip
    return self_weight, temperature
