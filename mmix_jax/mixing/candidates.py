"""Candidates of pairs mixing in three forms: dense, by blocks of rows, streamed by tiles."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mmix_jax.mixing.rules import RULES, Weights
from mmix_jax.mixing.streamed import Merged, best_candidate, cut, joined, merge_candidates


@dataclass(frozen=True)
class PairRows:
    """A block of rows [R] against all columns [N]; `index [R]` is each row's own column.

    `own` and `mask [R, N]`: where that column is, and the other candidates; `scores` are `mp`'s.
    """

    index: jax.Array
    mask: jax.Array
    similarity: jax.Array
    scores: jax.Array
    key: jax.Array | None
    own: jax.Array

    def _split(self, scores: jax.Array) -> Weights:
        return scores, jnp.take_along_axis(scores, self.index[:, None], axis=1)[:, 0]

    def cosine(self) -> Weights:
        return self._split(self.similarity)

    def projected(self) -> Weights:
        return self._split(self.scores)

    def noise(self) -> Weights:
        assert self.key is not None  # check_rule has seen to it
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


class Block(NamedTuple):
    """Rows of this device; `mp` alone reads `queries` and `keys`."""

    z: jax.Array  # [R, D]
    unit: jax.Array  # [R, D]
    queries: jax.Array | None  # [R, D']
    keys: jax.Array | None  # [R, D']
    index: jax.Array  # [R] own column
    mask: jax.Array  # [R]

    def source(self, mix_normalised: bool) -> jax.Array:
        return self.unit if mix_normalised else self.z


class Mixed(NamedTuple):
    """z_mixed [R, D], λ_ii [R] and the number of partners [R]."""

    z_mixed: jax.Array
    own: jax.Array
    partners: jax.Array


@dataclass(frozen=True)
class Candidates:
    """The columns of all devices, and how rows are mixed with them."""

    unit: jax.Array  # [N, D]
    keys: jax.Array | None  # [N, D']
    source: jax.Array  # [N, D]
    mask: jax.Array  # [N]
    rule: str
    self_weight: float | None
    temperature: float
    threshold: float | None  # None: every other row
    key: jax.Array | None
    mix_normalised: bool
    stop_gradient: bool

    def _weights(self, rows: PairRows) -> Weights:
        weights, own = RULES[self.rule].weights(rows, self.self_weight, self.temperature)
        own = jnp.where(jnp.any(rows.mask, axis=1), own, 1.0)
        return jax.lax.stop_gradient((weights, own)) if self.stop_gradient else (weights, own)

    def dense(self, block: Block) -> tuple[Mixed, jax.Array, jax.Array]:
        """Mixed rows with their weights and similarities [R, N]."""
        similarity = block.unit @ self.unit.T
        scores = similarity
        if block.queries is not None and self.keys is not None:
            scores = block.queries @ self.keys.T
        own_column = jnp.arange(similarity.shape[1])[None, :] == block.index[:, None]
        allowed = block.mask[:, None] & self.mask[None, :] & ~own_column
        if self.threshold is not None:
            allowed &= (scores if RULES[self.rule].projects else similarity) >= self.threshold
        rows = PairRows(block.index, allowed, similarity, scores, self.key, own_column)
        weights, own = self._weights(rows)
        z_mixed = own[:, None] * block.source(self.mix_normalised) + weights @ self.source
        return Mixed(z_mixed, own, jnp.sum(weights > 0, axis=1)), weights, similarity

    def in_blocks(self, block: Block, block_size: int) -> Mixed:
        """Mixed rows without their weights, which are computed anew in the backward pass."""
        if RULES[self.rule].mergeable:
            return self.by_tiles(block, block_size)
        return self.by_rows(block, block_size)

    def by_rows(self, block: Block, block_size: int) -> Mixed:
        """B rows at a time, each with its [B, N] weights."""
        mix_block = jax.checkpoint(lambda rows: self.dense(rows)[0])
        mixed = jax.lax.map(mix_block, jax.tree.map(lambda x: cut(x, block_size), block))
        return jax.tree.map(lambda x: joined(x, block.index.shape[0]), mixed)

    def by_tiles(self, block: Block, block_size: int) -> Mixed:
        """The rule sees two candidates a row: the row itself, and all others merged into one."""
        rows, own_columns, columns = block.unit, block.unit, self.unit
        if RULES[self.rule].projects:
            assert block.queries is not None and block.keys is not None and self.keys is not None
            rows, own_columns, columns = block.queries, block.keys, self.keys
        merged = self._merge(block, rows, columns, block_size)
        scores = jnp.stack([jnp.sum(rows * own_columns, axis=1), merged.score], axis=1)
        allowed = block.mask & (merged.count > 0)
        is_own = jnp.array([[True, False]])
        pair = PairRows(
            jnp.zeros_like(block.index), allowed[:, None] & ~is_own, scores, scores, None,
            jnp.broadcast_to(is_own, scores.shape),
        )  # fmt: skip
        weights, own = self._weights(pair)
        z_mixed = own[:, None] * block.source(self.mix_normalised) + weights[:, 1:] * merged.mean
        return Mixed(z_mixed, own, jnp.where(weights[:, 1] > 0, merged.count, 0))

    def _merge(self, block: Block, rows, columns, block_size: int) -> Merged:
        options = {
            "row_index": block.index,
            "column_index": jnp.where(self.mask, jnp.arange(columns.shape[0]), -1),
            "threshold": self.threshold,
            "block_size": block_size,
        }
        if self.rule == "none":
            none = jnp.zeros_like(block.index)
            return Merged(none.astype(rows.dtype), jnp.zeros_like(block.z), none)
        if self.rule == "binary":
            return best_candidate(rows, columns, self.source, **options)
        temperature = None if self.rule == "neighbour_mean" else self.temperature
        merged = merge_candidates(
            rows, columns, self.source, temperature=temperature,
            constant=self.stop_gradient or temperature is None, **options,
        )  # fmt: skip
        # The soft maximum τ·log Σ_j e^{s_ij/τ} is what a rule divides by τ again.
        return merged._replace(score=merged.score * (1.0 if temperature is None else temperature))
