"""Mixing over graph neighbours (`wp`): one weight per edge, rows are edges of one receiver."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from mmix_jax.mixing.rules import (
    RULES,
    Mixture,
    Weights,
    check_projections,
    check_rule,
    checked_numbers,
)
from mmix_jax.mixing.settings import Mixing
from mmix_jax.mixing.statistics import mixing_statistics
from mmix_jax.ops.arrays import floats, ids_of, indices, mask_of, native, widened
from mmix_jax.ops.numbers import whole_number
from mmix_jax.ops.segment import segment_best, segment_softmax
from mmix_jax.ops.similarity import normalise


@dataclass(frozen=True)
class _EdgeRows:
    z: jax.Array
    senders: jax.Array
    receivers: jax.Array
    mask: jax.Array
    num_rows: int
    q: jax.Array | None
    k: jax.Array | None
    key: jax.Array | None
    edge_weight: jax.Array | None
    self_edge_weight: jax.Array | None

    def _products(self, rows: jax.Array, columns: jax.Array) -> Weights:
        others = jnp.sum(rows[self.receivers] * columns[self.senders], axis=-1)
        own = jnp.sum(rows[: self.num_rows] * columns[: self.num_rows], axis=-1)
        return others, own

    def cosine(self) -> Weights:
        unit = normalise(self.z)
        return self._products(unit, unit)

    def projected(self) -> Weights:
        assert self.q is not None and self.k is not None  # check_rule has seen to it
        return self._products(normalise(self.q), normalise(self.k))

    def noise(self) -> Weights:
        assert self.key is not None
        edge_key, own_key = jax.random.split(self.key)
        dtype = self.z.dtype
        return (
            jax.random.normal(edge_key, self.senders.shape, dtype),
            jax.random.normal(own_key, (self.num_rows,), dtype),
        )

    def propagation(self) -> Weights:
        if self.edge_weight is not None and self.self_edge_weight is not None:
            return jnp.where(self.mask, self.edge_weight, 0.0), self.self_edge_weight
        dtype, size = self.z.dtype, self.z.shape[0]
        degree = 1.0 + jax.ops.segment_sum(self.mask.astype(dtype), self.receivers, size)
        root = jax.lax.rsqrt(degree)
        weights = jnp.where(self.mask, root[self.senders] * root[self.receivers], 0.0)
        return weights, (root * root)[: self.num_rows]

    def softmax(self, others: jax.Array, own: jax.Array | None) -> Weights:
        if own is None:
            weights = segment_softmax(others, self.receivers, self.num_rows, self.mask)
            return weights, jnp.zeros((self.num_rows,), weights.dtype)
        weights = segment_softmax(
            jnp.concatenate([others, own]),
            jnp.concatenate(
                [self.receivers, jnp.arange(self.num_rows, dtype=self.receivers.dtype)]
            ),
            self.num_rows,
            jnp.concatenate([self.mask, jnp.ones((self.num_rows,), bool)]),
        )
        return weights[: others.shape[0]], weights[others.shape[0] :]

    def best(self, scores: jax.Array) -> jax.Array:
        return segment_best(scores, self.senders, self.receivers, self.num_rows, self.mask)


def _check_shapes(z, senders, receivers, edge_mask, q, k, labels) -> None:
    if z.ndim != 2:
        raise ValueError(f"z must be [N, D], found shape {z.shape}; stack the embeddings as rows")
    for name, array in (("receivers", receivers), ("edge_mask", edge_mask)):
        if array.shape != senders.shape or senders.ndim != 1:
            raise ValueError(
                f"senders and {name} must be one array [E] each, found {senders.shape} and "
                f"{array.shape}; pad them to one length"
            )
    for name, array, rank in (("q", q, 2), ("k", k, 2), ("labels", labels, 1)):
        if array is not None and (array.ndim != rank or array.shape[0] != z.shape[0]):
            raise ValueError(
                f"{name} must be of rank {rank} with an entry for each of {z.shape[0]} rows of z, "
                f"found shape {array.shape}; give one for each row"
            )
    check_projections(q, k)


def mix_edges(
    z: jax.Array,
    senders: jax.Array,
    receivers: jax.Array,
    edge_mask: jax.Array | None = None,
    *,
    rule: str = "mo",
    self_weight: float | None = Mixing.self_weight,
    temperature: float = Mixing.temperature,
    q: jax.Array | None = None,
    k: jax.Array | None = None,
    key: jax.Array | None = None,
    edge_weight: jax.Array | None = None,
    self_edge_weight: jax.Array | None = None,
    mix_normalised: bool = Mixing.mix_normalised,
    stop_gradient: bool = Mixing.stop_gradient,
    num_rows: int | None = None,
    mask: jax.Array | None = None,
    labels: jax.Array | None = None,
) -> Mixture:
    """Mix each node with its neighbours: ẑ_i = λ_ii z_i + Σ_{j∈N(i)} λ_ij z_j (eq. 2; `wp`).

    A node without neighbours keeps weight 1 on itself under every rule, `propagate` excepted,
    whose weights are the entries of Â (1 there too). Padding changes neither value nor gradient.
    Cost O(E·D), never N×N.

    Args:
      z: [N, D] embeddings.
      senders, receivers: [E] node indices; receiver i may be mixed with sender j. Self-loops are
        ignored: a node is always a candidate of its own. An edge listed twice counts twice. Inside
        jit nobody can refuse an edge that points outside the nodes: it is left out, as padding is.
      edge_mask: [E] bool, False on padding; None where there is none.
      rule: `mo` (eq. 5, 7), `mp` (eq. 6), `random`, `binary`, `none`, `neighbour_mean` or
        `propagate`.
      self_weight: C of mo-mix, 0.2 in the paper; None makes self an ordinary candidate.
      temperature: τ_mix; 1 is the paper's. May be learned: a traced one that is not positive makes
        the mixture NaN.
      q, k: [N, D'] projections P_m z and P_n z, normalised here; `mp` only.
      key: PRNG key; `random` only.
      edge_weight, self_edge_weight: [E] and [R] entries of Â for `propagate`; computed from the
        edges where absent, which needs every edge of each node.
      mix_normalised: mix z/‖z‖ instead of z.
      stop_gradient: no gradient through the weights (the authors' graph code).
      num_rows: mix only the first R rows (all receivers < R); the rest are partners only.
      mask: [R] bool, real rows: the statistics leave the others out.
      labels: [N] classes, −1 unknown; adds `agreement` to the statistics.

    Returns:
      A `Mixture` with `weights [E]` (0 on padding and self-loops) and `self_weights [R]`.

    Raises:
      ValueError: unknown rule, a missing q, k or key, shapes that do not fit, a number out of
        range, or an edge that points outside the nodes.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmix_jax.mixing import mix_edges
      >>> z = jax.random.normal(jax.random.key(0), (3, 8))
      >>> senders, receivers = jnp.array([0, 1, 1, 2]), jnp.array([1, 0, 2, 1])
      >>> mix_edges(z, senders, receivers).z_mixed.shape
      (3, 8)
    """
    check_rule(rule, q=q, k=k, key=key)
    self_weight, temperature = checked_numbers(self_weight, temperature)
    z = floats("z", z)
    dtype, z = z.dtype, widened(z)
    q, k, edge_weight, self_edge_weight = (
        None if x is None else widened(floats(name, x))
        for name, x in (
            ("q", q), ("k", k), ("edge_weight", edge_weight), ("self_edge_weight", self_edge_weight)
        )
    )  # fmt: skip
    senders, receivers = native(senders), native(receivers)
    edge_mask = (
        jnp.ones(senders.shape, bool) if edge_mask is None else mask_of("edge_mask", edge_mask)
    )
    labels = None if labels is None else ids_of("labels", labels)
    _check_shapes(z, senders, receivers, edge_mask, q, k, labels)
    num_rows = z.shape[0] if num_rows is None else _checked_rows(num_rows, z.shape[0])
    # Padding may point anywhere; row 0 is always there, and its weight is masked.
    senders, from_inside = indices("senders", senders, z.shape[0], edge_mask)
    receivers, to_inside = indices("receivers", receivers, num_rows, edge_mask)
    real = edge_mask & from_inside & to_inside & (senders != receivers)
    senders, receivers = jnp.where(real, senders, 0), jnp.where(real, receivers, 0)
    row_mask = jnp.ones((num_rows,), bool) if mask is None else mask_of("mask", mask)
    if row_mask.shape != (num_rows,):
        raise ValueError(
            f"mask must have shape ({num_rows},), found {row_mask.shape}; give one for each row"
        )
    rows = _EdgeRows(
        z, senders, receivers, real, num_rows, q, k, key, edge_weight, self_edge_weight
    )
    weights, own = RULES[rule].weights(rows, self_weight, temperature)
    if rule != "propagate":
        alone = jax.ops.segment_max(real.astype(jnp.int32), receivers, num_rows) <= 0
        own = jnp.where(alone, 1.0, own)
    if stop_gradient:
        weights, own = jax.lax.stop_gradient((weights, own))
    source = normalise(z) if mix_normalised else z
    z_mixed = own[:, None] * source[:num_rows]
    if rule != "none":  # whose weights are zeros that the compiler would still multiply by
        z_mixed += jax.ops.segment_sum(weights[:, None] * source[senders], receivers, num_rows)
    stats = mixing_statistics(
        weights=weights,
        self_weights=own,
        similarity=rows.cosine()[0],
        rows=receivers,
        columns=senders,
        mask=real,
        row_mask=row_mask,
        z_mixed=z_mixed,
        anchors=z[:num_rows],
        labels=labels,
    )
    return Mixture(z_mixed.astype(dtype), weights, own, stats)


def _checked_rows(num_rows: int, num_all: int) -> int:
    return whole_number("num_rows", num_rows, 1, "None mixes all rows of z", high=num_all)
