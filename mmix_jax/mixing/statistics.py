"""What is logged of a mixture, on the list form: one entry per (row, candidate)."""

import jax
import jax.numpy as jnp

from mmix_jax.ops.arrays import floats, ids_of, indices, mask_of, widened
from mmix_jax.ops.numbers import whole_number
from mmix_jax.ops.similarity import cosine


def _mean_ranks(values: jax.Array, rows: jax.Array, mask: jax.Array, num_rows: int) -> jax.Array:
    """Rank of each entry within its row, ties sharing their mean rank; [E] -> [E]."""
    rows = jnp.where(mask, rows, num_rows)
    order = jnp.lexsort((values, rows))
    sorted_rows, sorted_values = rows[order], values[order]
    changed = (sorted_rows[1:] != sorted_rows[:-1]) | (sorted_values[1:] != sorted_values[:-1])
    run = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(changed.astype(jnp.int32))])
    places = jnp.arange(values.shape[0], dtype=values.dtype)
    size = values.shape[0]
    mean = jax.ops.segment_sum(places, run, size) / jnp.maximum(
        jax.ops.segment_sum(jnp.ones_like(places), run, size), 1.0
    )
    return jnp.zeros_like(values).at[order].set(mean[run])


def rank_correlation(
    weights: jax.Array, similarity: jax.Array, rows: jax.Array, mask: jax.Array, num_rows: int
) -> jax.Array:
    """Spearman correlation of weight and similarity within each row, averaged over rows.

    Only rows with two or more partners count; a row whose weights (or similarities) are all equal
    counts as 0. Entries are [E]; returns a scalar in [−1, 1], 0 where no row counts.
    """
    weights, similarity = (
        widened(floats(name, x)) for name, x in (("weights", weights), ("similarity", similarity))
    )
    num_rows = whole_number("num_rows", num_rows, 1, "count all rows")
    mask = mask_of("mask", mask)
    rows, inside = indices("rows", rows, num_rows, mask)
    mask &= inside
    if weights.shape[0] == 0:
        return jnp.zeros((), weights.dtype)

    def row_sum(x):
        return jax.ops.segment_sum(jnp.where(mask, x, 0.0), rows, num_rows)

    count = row_sum(jnp.ones_like(weights))
    centred = []
    for values in (weights, similarity):
        ranks = _mean_ranks(values, rows, mask, num_rows)
        centred.append(ranks - (row_sum(ranks) / jnp.maximum(count, 1.0))[rows])
    variance = row_sum(centred[0] ** 2) * row_sum(centred[1] ** 2)
    defined = variance > 0
    correlation = jnp.where(
        defined, row_sum(centred[0] * centred[1]) / jnp.sqrt(jnp.where(defined, variance, 1.0)), 0.0
    )
    counts = count >= 2
    return jnp.sum(jnp.where(counts, correlation, 0.0)) / jnp.maximum(jnp.sum(counts), 1)


def mixing_statistics(
    *,
    weights: jax.Array,
    self_weights: jax.Array,
    similarity: jax.Array,
    rows: jax.Array,
    columns: jax.Array,
    mask: jax.Array,
    row_mask: jax.Array,
    z_mixed: jax.Array,
    anchors: jax.Array,
    labels: jax.Array | None = None,
    row_labels: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """The scalars of `Mixture.stats` from entries (row, column, λ, H) [E] and rows [R].

    `labels [N]` are of the columns; those of the rows are `row_labels [R]`, or the first R of
    `labels`. −1 is unknown.
    """
    weights, self_weights, similarity, z_mixed, anchors = (
        jax.lax.stop_gradient(widened(floats(name, x)))
        for name, x in (
            ("weights", weights), ("self_weights", self_weights), ("similarity", similarity),
            ("z_mixed", z_mixed), ("anchors", anchors),
        )
    )  # fmt: skip
    num_rows = self_weights.shape[0]
    mask, row_mask = mask_of("mask", mask), mask_of("row_mask", row_mask)
    rows, inside = indices("rows", rows, num_rows, mask)
    mask &= inside
    num_real = jnp.maximum(jnp.sum(row_mask), 1)
    used = mask & (weights > 0)

    def row_mean(x):
        return jnp.sum(jnp.where(row_mask, x, 0.0)) / num_real

    def plogp(p):
        return jnp.where(p > 0, -p * jnp.log(jnp.where(p > 0, p, 1.0)), 0.0)

    partners = jax.ops.segment_sum(used.astype(weights.dtype), rows, num_rows)
    entropy = plogp(self_weights) + jax.ops.segment_sum(
        jnp.where(used, plogp(weights), 0.0), rows, num_rows
    )
    stats = {
        "partners": row_mean(partners),
        "unmixed": row_mean(partners == 0),
        "entropy": row_mean(entropy),
        "cosine": row_mean(cosine(z_mixed, anchors)),
        "rank_correlation": rank_correlation(weights, similarity, rows, used, num_rows),
    }
    if labels is not None:
        labels = ids_of("labels", labels)
        columns, _ = indices("columns", columns, labels.shape[0], mask)
        own_class = (labels if row_labels is None else ids_of("row_labels", row_labels))[rows]
        known = used & (own_class >= 0) & (labels[columns] >= 0)
        agreeing = known & (own_class == labels[columns])
        mass = jnp.sum(jnp.where(known, weights, 0.0))
        stats["agreement"] = jnp.sum(jnp.where(agreeing, weights, 0.0)) / jnp.where(
            mass > 0, mass, 1.0
        )
    return stats
