"""A row's candidates merged into one, streamed over tiles of rows × columns: O(N·D) memory.

Mixing is attention with a threshold. What a mixing rule needs to know of the other candidates of a
row is their score as a whole, log Σ_j e^{s_ij/τ}, and their weighted mean. Both add up over tiles
of the score matrix, and the backward pass computes each tile anew: no array is larger than a tile
or [N, D]. Counted in N×N×D products: forward two (scores, mean); backward five (scores, weights·
source, and the gradients by rows, columns and source), or two where the weights are constants.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from mmix_jax.ops.blocks import even_blocks
from mmix_jax.ops.collectives import varying_as

# Scores are cosines: e^{±1/τ} times the sum of a million such terms fits into float32 up to here.
_PLAIN_SHARPNESS = 60.0


class Merged(NamedTuple):
    """The candidates of each row, itself left out, as one; zeros where it has none.

    score: [R] log Σ_j e^{s_ij/τ}. mean: [R, D] of the source rows. count: [R] how many they are.
    """

    score: jax.Array
    mean: jax.Array
    count: jax.Array


class _Rows(NamedTuple):
    vectors: jax.Array  # [R, K]
    index: jax.Array  # [R] each row's own column


class _Columns(NamedTuple):
    vectors: jax.Array  # [N, K]
    source: jax.Array  # [N, D]
    index: jax.Array  # [N] its own number, -1 where it is nobody's candidate


class _Options(NamedTuple):
    block_size: int
    plain: bool  # the sums fit as they are, without a running maximum
    constant: bool  # no gradient through the weights


def cut(x: jax.Array, block_size: int) -> jax.Array:
    """[R, ...] -> [blocks, rows, ...]; padded with zeros, and indices with -1."""
    num_blocks, size = even_blocks(x.shape[0], block_size)
    padding = [(0, num_blocks * size - x.shape[0])] + [(0, 0)] * (x.ndim - 1)
    fill = -1 if jnp.issubdtype(x.dtype, jnp.signedinteger) else 0
    return jnp.pad(x, padding, constant_values=fill).reshape(num_blocks, size, *x.shape[1:])


def joined(x: jax.Array, num_rows: int) -> jax.Array:
    """[blocks, rows, ...] -> [R, ...], without the padding."""
    return x.reshape(-1, *x.shape[2:])[:num_rows]


def _tile(rows: _Rows, columns: _Columns, threshold) -> tuple[jax.Array, jax.Array]:
    """Scores of a tile, and which pairs may be mixed."""
    scores = rows.vectors @ columns.vectors.T
    allowed = (columns.index >= 0)[None, :] & (columns.index[None, :] != rows.index[:, None])
    return scores, allowed if threshold is None else allowed & (scores >= threshold)


def _reduce_tiles(
    add: Callable[[Any, _Rows, _Columns], Any],
    start: Any,
    rows: _Rows,
    columns: _Columns,
    block_size: int,
) -> Any:
    """For each block of rows, `add(state, rows, columns)` over all blocks of columns.

    `start` is the state of one row; states come back as [R, ...].
    """
    blocks = jax.tree.map(lambda x: cut(x, block_size), rows)
    column_blocks = jax.tree.map(lambda x: cut(x, block_size), columns)

    def reduce_row(block: _Rows):
        state = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(block.index), *x.shape)), start)
        state = varying_as(state, block, column_blocks)

        def step(state, tile_columns):
            return add(state, block, tile_columns), None

        return jax.lax.scan(step, state, column_blocks)[0]

    states = jax.lax.map(reduce_row, blocks)
    return jax.tree.map(lambda x: joined(x, rows.index.shape[0]), states)


class _Sums(NamedTuple):
    """Per row: the score that powers are taken from, and the logarithm of their sum.

    Apart, as at a sharp temperature the rounding of their total is far above 1.
    """

    shift: jax.Array
    log_total: jax.Array


def _powers(options: _Options, scores, scale, shift, log_total=None):
    """e^{(s − shift)/τ}, over their sum where it is known."""
    exponents = (scores if options.plain else scores - shift[:, None]) * scale
    return jnp.exp(exponents if log_total is None else exponents - log_total[:, None])


def _merge_tiles(
    options: _Options, rows: _Rows, columns: _Columns, scale, threshold
) -> tuple[Merged, _Sums]:
    dtype = columns.source.dtype
    # Without the running maximum the shift is 0; with it, no score lies below where it starts.
    lowest = jnp.zeros((), dtype) if options.plain else -jnp.ones((), dtype)

    def add(state, rows, columns):
        highest, total, mixed, count = state
        scores, allowed = _tile(rows, columns, threshold)
        shift = highest
        if not options.plain:
            top = jnp.max(jnp.where(allowed, scores, lowest), axis=1)
            shift = jnp.maximum(highest, top)
        powers = jnp.where(allowed, _powers(options, scores, scale, shift), 0.0)
        # A product with ones: reductions along a row are slow on CPUs.
        added = jnp.matmul(powers, jnp.ones(powers.shape[1:], dtype), precision="highest")
        decay = jnp.exp((highest - shift) * scale)
        mixed = decay[:, None] * mixed + powers @ columns.source
        count += jnp.sum(allowed, axis=1, dtype=jnp.int32)
        return shift, decay * total + added, mixed, count

    start = lowest, jnp.zeros((), dtype), jnp.zeros(columns.source.shape[1:], dtype), jnp.int32(0)
    shift, total, mixed, count = _reduce_tiles(add, start, rows, columns, options.block_size)
    some = count > 0
    total = jnp.where(some, total, 1.0)
    log_total = jnp.log(total)
    score = jnp.where(some, shift * scale + log_total, 0.0)
    return Merged(score, mixed / total[:, None], count), _Sums(shift, log_total)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _merge(options: _Options, rows: _Rows, columns: _Columns, scale, threshold) -> Merged:
    """Merged candidates with weights softmax_j(scale · s_ij)."""
    return _merge_tiles(options, rows, columns, scale, threshold)[0]


def _merge_forward(options, rows, columns, scale, threshold):
    merged, sums = _merge_tiles(options, rows, columns, scale, threshold)
    return merged, (rows, columns, scale, threshold, sums, merged.mean)


def _merge_backward(options, saved, cotangent):
    """λ_ij (g_i·x_j − g_i·mean_i + h_i) by scale·s_ij, with g_i by the mean, h_i by the score."""
    rows, columns, scale, threshold, sums, mean = saved
    offset = jnp.sum(cotangent.mean * mean, axis=1) - cotangent.score
    cut_all = partial(jax.tree.map, lambda x: cut(x, options.block_size))

    def weigh(block, tile_columns):
        tile_rows, sums, by_mean, offset = block
        scores, allowed = _tile(tile_rows, tile_columns, threshold)
        weights = jnp.where(allowed, _powers(options, scores, scale, *sums), 0.0)
        by_source = weights.T @ by_mean
        if options.constant:
            return None, None, by_source
        slopes = weights * (by_mean @ tile_columns.source.T - offset[:, None])
        by_columns = slopes.T @ tile_rows.vectors
        return slopes @ tile_columns.vectors, by_columns, by_source

    row_blocks = cut_all((rows, sums, cotangent.mean, offset))

    def add_columns(by_rows, tile_columns):
        def add_rows(sums, block):
            by_row, *added = weigh(block, tile_columns)
            return jax.tree.map(jnp.add, sums, tuple(added)), by_row

        start = tuple(jnp.zeros_like(x) for x in tile_columns[:2])
        if options.constant:
            start = None, start[1]
        start = varying_as(start, row_blocks, tile_columns)
        sums, added = jax.lax.scan(add_rows, start, row_blocks)
        return jax.tree.map(jnp.add, by_rows, added), sums

    start = None if options.constant else jnp.zeros_like(row_blocks[0].vectors)
    start = varying_as(start, row_blocks, columns)
    by_rows, (by_columns, by_source) = jax.lax.scan(add_columns, start, cut_all(columns))
    by_source = joined(by_source, columns.index.shape[0])
    # None: no gradient.
    of_columns = columns._replace(vectors=None, source=by_source, index=None)
    if options.constant:
        return None, of_columns, None, None
    by_rows = joined(by_rows, rows.index.shape[0])
    by_columns = joined(by_columns, columns.index.shape[0])
    by_scale = jnp.sum(by_rows * rows.vectors)  # of the same sum over pairs: scores are products
    of_rows = rows._replace(vectors=scale * by_rows, index=None)
    return of_rows, of_columns._replace(vectors=scale * by_columns), by_scale, None


_merge.defvjp(_merge_forward, _merge_backward)


def merge_candidates(
    rows: jax.Array,
    columns: jax.Array,
    source: jax.Array,
    *,
    row_index: jax.Array,
    column_index: jax.Array,
    temperature: float | jax.Array | None = 1.0,
    threshold: float | None = None,
    block_size: int = 1024,
    constant: bool = False,
) -> Merged:
    """Each row's candidates as one: Σ_j λ_ij x_j over j ≠ i, λ_i = softmax_j(s_ij/τ) (eq. 5, 6).

    Exact at every τ; above 1/60 the sums need no running maximum. A row without candidates has
    zeros. Differentiable by rows, columns, source and temperature; O(N·D) memory.

    Args:
      rows: [R, K] unit vectors u_i; scores are s_ij = u_i·v_j.
      columns: [N, K] unit vectors v_j.
      source: [N, D] what is mixed, x_j.
      row_index: [R] the column that is row i itself.
      column_index: [N] 0 … N−1, and -1 where a column is nobody's candidate.
      temperature: τ, None for the plain mean.
      threshold: candidates are j with s_ij ≥ θ; None for all.
      block_size: rows and columns of a tile, at most.
      constant: no gradient through the weights (their products are saved).
    """
    dtype = jnp.promote_types(source.dtype, jnp.float32)  # half precision cannot hold the sums
    known = isinstance(temperature, (int, float))
    plain = temperature is None or (known and 1.0 / temperature <= _PLAIN_SHARPNESS)
    scale = 0.0 if temperature is None else 1.0 / temperature
    merged = _merge(
        _Options(block_size, plain, constant),
        _Rows(rows.astype(dtype), row_index),
        _Columns(columns.astype(dtype), source.astype(dtype), column_index),
        varying_as(jnp.asarray(scale, dtype), rows, columns),
        None if threshold is None else jnp.asarray(threshold, dtype),
    )
    merged = cast(Merged, merged)  # custom_vjp has no result type
    return merged._replace(mean=merged.mean.astype(source.dtype))


def best_candidate(
    rows: jax.Array,
    columns: jax.Array,
    source: jax.Array,
    *,
    row_index: jax.Array,
    column_index: jax.Array,
    threshold: float | None = None,
    block_size: int = 1024,
) -> Merged:
    """Each row's candidate of the highest score (ties: the lowest index), as `merge_candidates`."""

    def add(state, rows, columns):
        highest, place = state
        scores, allowed = _tile(rows, columns, threshold)
        scores = jnp.where(allowed, scores, -jnp.inf)
        best = jnp.argmax(scores, axis=1)
        top = jnp.take_along_axis(scores, best[:, None], axis=1)[:, 0]
        # Not `>=`: of equals, the earlier column stays.
        better = top > highest
        return jnp.where(better, top, highest), jnp.where(better, columns.index[best], place)

    rows, columns = jax.lax.stop_gradient((rows, columns))
    start = jnp.array(-jnp.inf, rows.dtype), jnp.zeros((), column_index.dtype)
    # The sources are looked up by place, so no column brings its own.
    tiles = _Columns(columns, jnp.zeros((columns.shape[0], 0), source.dtype), column_index)
    highest, place = _reduce_tiles(add, start, _Rows(rows, row_index), tiles, block_size)
    some = jnp.isfinite(highest)
    mean = jnp.where(some[:, None], source[place], 0.0)
    return Merged(jnp.where(some, highest, 0.0), mean, some.astype(jnp.int32))
