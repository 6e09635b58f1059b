"""Tiles of the similarity matrix: e^{s − shift} of B × B pairs, their sums and their gradients.

Nothing larger than a tile and the vectors themselves is held. Similarities are bounded, so the sums
need no running maximum: they add up in any order, on any device. A masked row is a zero vector with
weight 0, so a tile needs no mask per pair, but for an anchor and itself, and for segments.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.ops.arrays import wide
from mmix_jax.ops.blocks import even_blocks
from mmix_jax.ops.collectives import varying_as


class Tiling(NamedTuple):
    """What is static. block_size: rows of a tile. segmented: ids tell which pairs are contrasted;
    otherwise they only tell real rows (0) from masked ones (−1). positives: whether a pair's own
    term, u_i·v_i, is in its sums."""

    negatives: str
    block_size: int
    segmented: bool
    positives: bool = True


class Vectors(NamedTuple):
    """One side of the pairs: w [R, D] (0 on masked rows), ids [R], −1 on masked rows."""

    w: jax.Array
    ids: jax.Array


def tiling_of(
    num_rows: int, negatives: str, block_size: int, segmented: bool, positives: bool = True
) -> Tiling:
    """Blocks of at most `block_size` rows, as equal as they can be: little padding."""
    return Tiling(negatives, even_blocks(num_rows, block_size)[1], segmented, positives)


# A plan says which tiles are made: int32 [P, 4], each row block with a range of column blocks
# (first, one past the last), and whether with itself (1 or 0). Of [u; v] blocks 0 … T−1 are view
# a's, T … 2T−1 view b's. Every tile serves its rows and, transposed, its columns.


def own_plan(num_blocks: int, negatives: str) -> np.ndarray:
    """Every contrasted pair within [u; v] once."""
    if negatives == "cross":
        plan = [(a, num_blocks, 2 * num_blocks, 0) for a in range(num_blocks)]
    else:
        plan = [(a, a + 1, 2 * num_blocks, 1) for a in range(2 * num_blocks)]
    return np.array(plan, np.int32)


def share_plan(plan: np.ndarray, num_devices: int) -> np.ndarray:
    """The plan shared by devices, [devices, P, 4]: a part of each range, in turns the last ones."""
    row, first, stop, itself = plan.T[:, None, :]
    turn = (np.arange(num_devices)[:, None] + row) % num_devices
    width = stop - first
    return np.stack(
        np.broadcast_arrays(
            row,
            first + width * turn // num_devices,
            first + width * (turn + 1) // num_devices,
            itself * (turn == 0),
        ),
        axis=-1,
    ).astype(np.int32)


def _cut(x, block: jax.Array, size: int):
    """Rows of a block, of every array of a tree."""
    return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, block * size, size), x)


def _add(x: jax.Array, block: jax.Array, part: jax.Array) -> jax.Array:
    size = part.shape[0]
    return jax.lax.dynamic_update_slice_in_dim(x, _cut(x, block, size) + part, block * size, 0)


def product(x: jax.Array, y: jax.Array, contract: tuple[int, int]) -> jax.Array:
    """The matrix product over axis `contract[0]` of x and `contract[1]` of y, summed in `wide`."""
    dimensions = (((contract[0],), (contract[1],)), ((), ()))
    return jax.lax.dot_general(x, y, dimensions, preferred_element_type=wide(x.dtype))


def _powers(rows: Vectors, columns: Vectors, scale, shift, itself, segmented: bool):
    """e^{s − shift} [B, B]; 0 across segments and, where `itself`, on the diagonal: a vector with
    itself, or with its pair."""
    powers = jnp.exp(product(rows.w, columns.w, (1, 1)) * scale - shift)
    if itself is not False:
        powers = jnp.where(jnp.eye(powers.shape[0], dtype=bool) & itself, 0.0, powers)
    if segmented:
        powers = jnp.where(rows.ids[:, None] == columns.ids[None, :], powers, 0.0)
    return powers


def _no_term(row, column, rows: Vectors, columns: Vectors | None, tiling: Tiling):
    """Whether a tile's diagonal has no term: of a block with itself (`column` None), and without
    positives of a block with that of its pairs, T blocks on; another side has no pairs."""
    if column is None:
        return True
    if tiling.positives or columns is not None:
        return False
    return column == row + rows.w.shape[0] // (2 * tiling.block_size)


def _follow(plan, sums: tuple, start, tile, size: int, itself: bool) -> tuple:
    """Make the tiles of a plan; returns the sums of rows and of columns (one array if they are the
    same vectors).

    `start(row)` is what a row block brings, and zeros for its sum; `tile(mine, row, column)` the
    parts of rows and of columns, of a block with itself where they are one. A row block's sum is
    kept apart until its range is done.
    """

    def make_row(sums, entry):
        row, first, stop, with_itself = entry
        mine, none = start(row)
        none = varying_as(none, sums)

        def make_tile(column, carry):
            of_row, sums = carry
            part, of_column = tile(mine, row, column)
            return of_row + part, (*sums[:-1], _add(sums[-1], column, of_column))

        def make_own(_, carry):
            of_row, sums = carry
            return of_row + tile(mine, row, None)[0], sums

        carry = (none, sums)
        if itself:
            carry = jax.lax.fori_loop(0, with_itself, make_own, carry)
        of_row, sums = jax.lax.fori_loop(first, stop, make_tile, carry)
        return (_add(sums[0], row, of_row), *sums[1:]), None

    return jax.lax.scan(make_row, sums, plan)[0]


def tile_sums(
    rows: Vectors, columns: Vectors | None, plan, scale, shift, tiling: Tiling
) -> tuple[jax.Array, ...]:
    """Σ_j e^{s_ij − shift} over the plan's tiles, for rows [R] and for columns [C].

    Without `columns` the rows meet themselves, and there is one array of sums.
    """
    size, dtype = tiling.block_size, wide(rows.w.dtype)
    sides = (rows,) if columns is None else (rows, columns)

    def real(side):
        return (side.ids >= 0).astype(dtype)

    def start(row):
        return _cut(rows, row, size), jnp.zeros((size,), dtype)

    def tile(mine, row, column):
        theirs = _cut(sides[-1], row if column is None else column, size)
        diagonal = _no_term(row, column, rows, columns, tiling)
        powers = _powers(mine, theirs, scale, shift, diagonal, tiling.segmented)
        return powers @ real(theirs), real(mine) @ powers

    none = tuple(jnp.zeros(side.w.shape[:1], dtype) for side in sides)
    none = varying_as(none, rows, columns, plan)
    itself = columns is None and tiling.negatives == "full"
    return _follow(plan, none, start, tile, size, itself)


def tile_gradients(
    rows: Vectors,
    columns: Vectors | None,
    of_rows: jax.Array,
    of_columns: jax.Array | None,
    plan,
    scale,
    shift,
    tiling: Tiling,
) -> tuple[jax.Array, ...]:
    """Gradients by rows [R, D] and columns [C, D], given those by their sums, c [R] and [C].

    d/dw_i = scale Σ_j e^{s_ij − shift} (c_i + c_j) w_j: a pair stands in both its vectors' sums.
    """
    size, dtype = tiling.block_size, wide(rows.w.dtype)
    sides = [(rows, of_rows)]
    if columns is not None and of_columns is not None:
        sides.append((columns, of_columns))
    # A masked row's vector is 0, so it moves nobody; nobody may move it either.
    sides = [(side, jnp.where(side.ids >= 0, c * scale, 0.0)) for side, c in sides]

    def start(row):
        return _cut(sides[0], row, size), jnp.zeros((size, rows.w.shape[1]), dtype)

    def tile(mine, row, column):
        place = row if column is None else column
        (mine, of_mine), (theirs, of_theirs) = mine, _cut(sides[-1], place, size)
        diagonal = _no_term(row, column, rows, columns, tiling)
        powers = _powers(mine, theirs, scale, shift, diagonal, tiling.segmented)
        slopes = (powers * (of_mine[:, None] + of_theirs[None, :])).astype(rows.w.dtype)
        return product(slopes, theirs.w, (1, 0)), product(slopes, mine.w, (0, 0))

    none = tuple(jnp.zeros(side.w.shape, dtype) for side, _ in sides)
    none = varying_as(none, rows, columns, plan)
    itself = columns is None and tiling.negatives == "full"
    gradients = _follow(plan, none, start, tile, size, itself)
    return tuple(
        jnp.where(side.ids[:, None] >= 0, gradient, 0.0)
        for (side, _), gradient in zip(sides, gradients, strict=True)
    )
