"""Mixing among samples of a batch (`op`, `all`): dense rows of weights, streamed where large."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from mmix_jax.mixing.rules import RULES, Mixture, Weights, check_rule
from mmix_jax.mixing.statistics import mixing_statistics
from mmix_jax.ops.collectives import device_index, gather
from mmix_jax.ops.similarity import normalise

CANDIDATES = ("op", "all")
_STATISTICS_ROWS = 128  # rank statistics of dense rows are taken on the first rows of the batch


@dataclass(frozen=True)
class _PairRows:
    """A block of rows [R] against all columns [N]; `index [R]` is each row's own column."""

    index: jax.Array
    mask: jax.Array
    similarity: jax.Array
    scores: jax.Array | None
    key: jax.Array | None
    own: jax.Array

    def _split(self, scores: jax.Array) -> Weights:
        return scores, jnp.take_along_axis(scores, self.index[:, None], axis=1)[:, 0]

    def cosine(self) -> Weights:
        return self._split(self.similarity)

    def projected(self) -> Weights:
        assert self.scores is not None  # check_rule has seen to it
        return self._split(self.scores)

    def noise(self) -> Weights:
        assert self.key is not None
        # A key per row of the whole batch: blocks and devices draw what one dense call draws.
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(self.key, self.index)
        width = self.similarity.shape[1]
        return self._split(
            jax.vmap(lambda key: jax.random.normal(key, (width,), self.similarity.dtype))(keys)
        )

    def propagation(self) -> Weights:
        raise ValueError("rule 'propagate' runs along graph edges; use candidates='wp'")

    def softmax(self, others: jax.Array, own: jax.Array | None) -> Weights:
        allowed = self.mask if own is None else self.mask | self.own
        highest = jnp.max(
            jnp.where(allowed, jax.lax.stop_gradient(others), -jnp.inf), axis=1, keepdims=True
        )
        highest = jnp.where(jnp.isfinite(highest), highest, 0.0)
        powers = jnp.where(allowed, jnp.exp(jnp.where(allowed, others - highest, 0.0)), 0.0)
        total = jnp.sum(powers, axis=1, keepdims=True)
        weights = powers / jnp.where(total > 0, total, 1.0)
        return jnp.where(self.own, 0.0, weights), self._split(weights)[1]

    def best(self, scores: jax.Array) -> jax.Array:
        best = jnp.argmax(jnp.where(self.mask, scores, -jnp.inf), axis=1)
        columns = jnp.arange(scores.shape[1])
        return (columns[None, :] == best[:, None]) & self.mask


def mix_pairs(
    z: jax.Array,
    *,
    rule: str = "mo",
    candidates: str = "op",
    threshold: float = 0.9,
    mask: jax.Array | None = None,
    self_weight: float | None = 0.2,
    temperature: float = 1.0,
    q: jax.Array | None = None,
    k: jax.Array | None = None,
    key: jax.Array | None = None,
    mix_normalised: bool = False,
    stop_gradient: bool = False,
    axis_name: str | None = None,
    block_size: int | None = None,
    labels: jax.Array | None = None,
) -> Mixture:
    """Mix each sample with similar ones of the batch: ẑ_i = Σ_j λ_ij z_j (eq. 2; `op`, `all`).

    A row with no candidate but itself keeps λ_ii = 1 under every rule. Padded rows stay as they
    are and are nobody's candidate. With `axis_name` the batch is that of all devices.

    Args:
      z: [N, D] embeddings.
      rule: `mo` (eq. 5, 7), `mp` (eq. 6), `random`, `binary`, `none`, `neighbour_mean`.
      candidates: `op`: j whose score (q_i·k_j for `mp`, H(z_i, z_j) otherwise) is at least
        `threshold`; `all`: every j.
      threshold: θ; 0.9 is the paper's for mo on images, 0 suits mp.
      mask: [N] bool, False on padded rows.
      self_weight: C of mo-mix; None makes self an ordinary candidate (the authors' image code).
      temperature: τ_mix; 1 is the paper's.
      q, k: [N, D'] projections, normalised here; `mp` only.
      key: PRNG key; `random` only.
      mix_normalised: mix z/‖z‖ instead of z.
      stop_gradient: no gradient through the weights (the paper's authors on images).
      axis_name: the device axis, inside pmap or shard_map: candidates of all devices.
      block_size: rows at a time; weights are recomputed in the backward pass, not returned.
      labels: [N] classes, −1 unknown; adds `agreement` to the statistics.

    Returns:
      A `Mixture` with `weights [N, k N]`, diagonal included (None where streamed), and
      `self_weights [N]`. The statistics are of the first 128 rows, except `partners` and
      `unmixed` where weights are returned.

    Raises:
      ValueError: unknown rule or candidates, a missing q, k or key, shapes that do not fit.

    Example:
      >>> z = jax.random.normal(jax.random.key(0), (4, 8))
      >>> mix_pairs(z, rule="mo", candidates="all").z_mixed.shape
      (4, 8)
    """
    check_rule(rule, q=q, k=k, key=key, temperature=temperature)
    if rule == "propagate":
        raise ValueError("rule 'propagate' runs along graph edges; use mix_edges (candidates 'wp')")
    if candidates not in CANDIDATES:
        raise ValueError(
            f"unknown candidates {candidates!r}; expected one of: {', '.join(CANDIDATES)} "
            "(or mix_edges for 'wp')"
        )
    if block_size is not None and block_size < 1:
        raise ValueError(f"block_size must be positive, found {block_size}; None is dense")
    if z.ndim != 2:
        raise ValueError(f"z must be [N, D], found shape {z.shape}; stack the embeddings as rows")
    mask = jnp.ones((z.shape[0],), bool) if mask is None else mask
    for name, array in (("mask", mask), ("q", q), ("k", k), ("labels", labels)):
        if array is not None and array.shape[0] != z.shape[0]:
            raise ValueError(
                f"{name} must have an entry for each of {z.shape[0]} rows of z, found {array.shape}"
            )
    unit = normalise(z)
    source = gather(unit if mix_normalised else z, axis_name)
    all_unit, all_mask = gather(unit, axis_name), gather(mask, axis_name)
    all_k = None if k is None else gather(normalise(k), axis_name)
    queries = None if q is None else normalise(q)
    index = device_index(axis_name) * z.shape[0] + jnp.arange(z.shape[0])

    def mix_rows(block):
        unit_rows, query_rows, row_index, row_mask, anchors = block
        similarity = unit_rows @ all_unit.T
        scores = None if query_rows is None or all_k is None else query_rows @ all_k.T
        own_column = jnp.arange(similarity.shape[1])[None, :] == row_index[:, None]
        allowed = row_mask[:, None] & all_mask[None, :] & ~own_column
        if candidates == "op":
            deciding = scores if rule == "mp" and scores is not None else similarity
            allowed = allowed & (deciding >= threshold)
        rows = _PairRows(row_index, allowed, similarity, scores, key, own_column)
        weights, own = RULES[rule](rows, self_weight, temperature)
        own = jnp.where(jnp.any(allowed, axis=1), own, 1.0)
        if stop_gradient:
            weights, own = jax.lax.stop_gradient((weights, own))
        own_source = normalise(anchors) if mix_normalised else anchors
        z_mixed = own[:, None] * own_source + weights @ source
        return z_mixed, weights, own, similarity

    blocks = (unit, queries, index, mask, z)
    if block_size is None or block_size >= z.shape[0]:
        z_mixed, weights, own, similarity = mix_rows(blocks)
        full = jnp.where(
            jnp.arange(weights.shape[1])[None, :] == index[:, None], own[:, None], weights
        )
    else:
        z_mixed, own = _mix_blocks(mix_rows, blocks, block_size)
        head = jax.tree.map(lambda x: jax.lax.stop_gradient(x[:_STATISTICS_ROWS]), blocks)
        _, weights, _, similarity = mix_rows(head)
        full = None
    all_labels = None if labels is None else gather(labels, axis_name)
    stats = _pair_statistics(weights, own, similarity, index, mask, z_mixed, z, all_labels, labels)
    return Mixture(z_mixed, full, own, stats)


def _mix_blocks(mix_rows, blocks, block_size: int) -> tuple[jax.Array, jax.Array]:
    """Rows in blocks, nothing N×N kept: the backward pass computes each block anew."""
    num_rows = blocks[0].shape[0]
    num_blocks = -(-num_rows // block_size)

    def cut(x):
        padding = [(0, num_blocks * block_size - num_rows)] + [(0, 0)] * (x.ndim - 1)
        return jnp.pad(x, padding).reshape(num_blocks, block_size, *x.shape[1:])

    @jax.checkpoint
    def mix_block(block):
        z_mixed, _, own, _ = mix_rows(block)
        return z_mixed, own

    z_mixed, own = jax.lax.map(mix_block, jax.tree.map(cut, blocks))
    return z_mixed.reshape(-1, z_mixed.shape[-1])[:num_rows], own.reshape(-1)[:num_rows]


def _pair_statistics(weights, own, similarity, index, mask, z_mixed, anchors, labels, row_labels):
    """Statistics of dense rows: cheap ones over all rows, rank statistics over the first."""
    head = min(_STATISTICS_ROWS, weights.shape[0])
    rows, columns = jnp.broadcast_arrays(
        jnp.arange(head)[:, None], jnp.arange(weights.shape[1])[None, :]
    )
    others = (columns != index[:head, None]) & mask[:head, None]
    stats = mixing_statistics(
        weights=weights[:head].reshape(-1),
        self_weights=own[:head],
        similarity=similarity[:head].reshape(-1),
        rows=rows.reshape(-1),
        columns=columns.reshape(-1),
        mask=others.reshape(-1),
        row_mask=mask[:head],
        z_mixed=z_mixed[:head],
        anchors=anchors[:head],
        labels=labels,
        row_labels=row_labels,
    )
    if weights.shape[0] == own.shape[0]:
        partners = jnp.sum(weights > 0, axis=1)
        real = jnp.maximum(jnp.sum(mask), 1)
        stats["partners"] = jnp.sum(jnp.where(mask, partners, 0)) / real
        stats["unmixed"] = jnp.sum(mask & (partners == 0)) / real
    return stats
