"""Sparse times dense, P x, with P's pattern known beforehand and its values not.

A segment sum over [E, D] messages is a scatter, which XLA runs entry by entry on a CPU, in both
directions. Here the pattern is laid out once, on the host: rows are cut into pieces of at most
eight entries, pieces of one length are summed together, and where a row has several pieces their
sums are summed alike. What remains are gathers and sums of few sizes, three times as fast and
quick to compile, and the backward pass is the same product with P's transpose.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.ops.arrays import floats, host_indices, widened
from mmix_jax.ops.numbers import whole_number

Array = Any  # NumPy where a pattern is built, JAX inside a step
_LENGTHS = (1, 2, 4, 8)  # of pieces, padding included


class Slots(NamedTuple):
    """Where the sums of P's rows [R] read.

    entries: for each length w of pieces, [n, w]: which of the E entries; E, one too many, is
    padding. sources: for each round of sums and each length, [n, w]: a column in the first round,
    then a piece of the round before, one too many being padding. place [R]: each row's own among
    the pieces of all rounds; rows without entries have one too many. owners: row of each piece of
    the first round, [n] for each length. entry_place [E]: of each entry among its slots, one slot
    of all pieces of a length after the other.
    """

    entries: tuple[Array, ...]
    sources: tuple[tuple[Array, ...], ...]
    place: Array
    owners: tuple[Array, ...]
    entry_place: Array


class SparsePattern(NamedTuple):
    """Where P [R, C] has its E entries, laid out by rows and by columns."""

    by_rows: Slots
    by_columns: Slots

    @property
    def num_entries(self) -> int:
        """E."""
        return self.by_rows.entry_place.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(R, C)."""
        return self.by_rows.place.shape[0], self.by_columns.place.shape[0]


def sparse_pattern(
    rows: np.ndarray, columns: np.ndarray, num_rows: int, num_columns: int
) -> SparsePattern:
    """The pattern of entries (rows [E], columns [E]) of P [R, C]; NumPy, on the host.

    A pair that is listed twice counts twice. Rows and columns without entries are fine.

    Raises:
      ValueError: a row or column is no integer in its range, or there are not as many of both.
    """
    num_rows = whole_number("num_rows", num_rows, 0, "count empty rows in")
    num_columns = whole_number("num_columns", num_columns, 0, "count empty columns in")
    rows, columns = (
        host_indices("rows", rows, num_rows),
        host_indices("columns", columns, num_columns),
    )
    if rows.ndim != 1 or rows.shape != columns.shape:
        raise ValueError(
            f"rows and columns must be vectors of one length, found shapes {rows.shape} and "
            f"{columns.shape}; give both of every entry"
        )
    return SparsePattern(_slots(rows, columns, num_rows), _slots(columns, rows, num_columns))


def sparse_multiply(pattern: SparsePattern, values: jax.Array, x: jax.Array) -> jax.Array:
    """P x for P with `values` at the pattern's entries; differentiable in values and x.

    Args:
      pattern: from `sparse_pattern`.
      values: [E], or [E, H] for H matrices of one pattern.
      x: [C, D], or [C, H, D]: matrix h is multiplied with x[:, h].

    Returns:
      [R, D], or [R, H, D], in the floating type of x, summed in float32 at least.
    """
    values, x = floats("values", values), floats("x", x)
    dtype, x = x.dtype, widened(x)
    return _product(pattern, values, x).astype(dtype)


def _product(pattern: SparsePattern, values: jax.Array, x: jax.Array) -> jax.Array:
    if values.ndim == 1:
        return _multiply(pattern, values[:, None], x[:, None, :])[:, 0, :]
    return _multiply(pattern, values, x)


def _slots(rows: np.ndarray, columns: np.ndarray, num_rows: int) -> Slots:
    order = np.argsort(rows, kind="stable")
    of_row, items = rows[order], order  # what is summed: first entries, then pieces
    entries, owners, sources = (), (), []
    place = np.full(num_rows, -1)
    before = 0  # pieces of earlier rounds
    while of_row.size:
        pieces, groups, places = _cut(of_row, num_rows)
        if not sources:
            entries = tuple(_take(items, group, fill=rows.size) for group in groups)
            owners = tuple(_take(of_row, group[:, 0], fill=0) for group in groups)
            sources.append(tuple(_take(columns[items], group, fill=0) for group in groups))
        else:
            previous = sum(group.shape[0] for group in sources[-1])
            sources.append(tuple(_take(items, group, fill=previous) for group in groups))
        alone = np.bincount(pieces, minlength=num_rows)[pieces] == 1
        place[pieces[alone]] = before + places[alone]
        before += pieces.size
        of_row, items = pieces[~alone], places[~alone]
    place[place < 0] = before
    listed = np.concatenate([np.zeros(0, np.int32), *(part.T.ravel() for part in entries)])
    entry_place = np.zeros(rows.size + 1, np.int32)
    entry_place[listed] = np.arange(listed.size)
    return Slots(entries, tuple(sources), place.astype(np.int32), owners, entry_place[:-1])


def _cut(of_row: np.ndarray, num_rows: int) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Items, sorted by row, in pieces: row of each [n], items by length [n_w, w], −1 for padding,
    and each piece's place among the groups side by side [n]."""
    longest = _LENGTHS[-1]
    lengths = np.bincount(of_row, minlength=num_rows)
    counts = -(-lengths // longest)
    rows = np.repeat(np.arange(num_rows), counts)
    within = longest * (np.arange(rows.size) - (np.cumsum(counts) - counts)[rows])
    starts = (np.cumsum(lengths) - lengths)[rows] + within
    sizes = np.minimum(longest, lengths[rows] - within)
    groups, places, done = [], np.zeros(rows.size, np.int64), 0
    for shorter, length in zip((0, *_LENGTHS), _LENGTHS, strict=False):
        members = np.flatnonzero((sizes > shorter) & (sizes <= length))
        if not members.size:
            continue
        slot = np.arange(length)[None, :]
        real = slot < sizes[members][:, None]
        groups.append(np.where(real, starts[members][:, None] + slot, -1))
        places[members] = done + np.arange(members.size)
        done += members.size
    return rows, groups, places


def _take(items: np.ndarray, group: np.ndarray, *, fill: int) -> np.ndarray:
    return np.where(group < 0, fill, items[group]).astype(np.int32)


def _rows_of(x: jax.Array, index: jax.Array) -> jax.Array:
    """x[index] for indices known to be in range: no test of each, which costs half the time."""
    return x.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _sum_rows(slots: Slots, values: jax.Array, x: jax.Array) -> jax.Array:
    """Σ over each row's entries of value · x[column]: [E, H], [C, H, D] -> [R, H, D]."""
    none = jnp.zeros((1, *x.shape[1:]), x.dtype)
    values = jnp.concatenate([values.astype(x.dtype), jnp.zeros((1, values.shape[1]), x.dtype)])
    all_pieces, source = [], x
    for number, groups in enumerate(slots.sources):
        sums = []
        for place, columns in enumerate(groups):
            total = jnp.zeros((columns.shape[0], *x.shape[1:]), x.dtype)
            for slot in range(columns.shape[1]):
                term = _rows_of(source, columns[:, slot])
                if number == 0:
                    weight = _rows_of(values, slots.entries[place][:, slot])
                    term = weight[:, :, None] * term
                total = total + term
            sums.append(total)
        all_pieces += sums
        source = jnp.concatenate([*sums, none])
    return _rows_of(jnp.concatenate([*all_pieces, none]), slots.place)


def _dot_rows(slots: Slots, left: jax.Array, right: jax.Array) -> jax.Array:
    """left[row] · right[column] at each entry: [R, H, D], [C, H, D] -> [E, H]."""
    products = []
    for owners, columns in zip(
        slots.owners, slots.sources[0] if slots.sources else (), strict=True
    ):
        own = _rows_of(left, owners)
        products += [
            jnp.sum(own * _rows_of(right, columns[:, slot]), axis=-1)
            for slot in range(columns.shape[1])
        ]
    return _rows_of(
        jnp.concatenate([*products, jnp.zeros((1, left.shape[1]), left.dtype)]), slots.entry_place
    )


@jax.custom_vjp
def _multiply(pattern: SparsePattern, values: jax.Array, x: jax.Array) -> jax.Array:
    return _sum_rows(pattern.by_rows, values, x)


def _forward(pattern, values, x):
    return _sum_rows(pattern.by_rows, values, x), (pattern, values, x)


def _backward(residuals, cotangent):
    pattern, values, x = residuals
    towards_x = _sum_rows(pattern.by_columns, values, cotangent)
    towards_values = _dot_rows(pattern.by_rows, cotangent, x)
    return None, towards_values.astype(values.dtype), towards_x


_multiply.defvjp(_forward, _backward)
