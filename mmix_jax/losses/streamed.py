"""Denominators of InfoNCE over blocks of the similarity matrix: O(N·D) memory, no N×N array.

The 2N vectors w = [u; v] have a symmetric similarity matrix, so only blocks on and above its
diagonal are computed: each serves its rows and, transposed, its columns. Forward that is two
N×N×D products instead of three, backward two (the blocks anew) plus four instead of seven. The
sums need no running maximum (the shift bounds every similarity), so they add up in any order, and
devices share out the blocks like cards and add their parts.
"""

from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.ops.collectives import device_count, device_index, total


def _block_pairs(num_blocks: int, negatives: str, num_devices: int) -> np.ndarray:
    """Pairs (row block, column block, counts?) dealt to devices: int32 [devices, P, 3].

    Blocks 0 … T−1 are view a, T … 2T−1 view b. The last round is filled with pairs that count 0.
    """
    if negatives == "full":
        pairs = [(a, b, 1) for a in range(2 * num_blocks) for b in range(a, 2 * num_blocks)]
    else:
        pairs = [(a, num_blocks + b, 1) for a in range(num_blocks) for b in range(num_blocks)]
    pairs += [(0, 0, 0)] * (-len(pairs) % num_devices)
    return np.array(pairs, np.int32).reshape(-1, num_devices, 3).transpose(1, 0, 2)


def _block_powers(w, ids, pair, block_size, scale, shift):
    """e^{s − shift} of one block, 0 where forbidden; with both blocks of vectors."""
    start_row, start_column = pair[0] * block_size, pair[1] * block_size
    rows = jax.lax.dynamic_slice_in_dim(w, start_row, block_size)
    columns = jax.lax.dynamic_slice_in_dim(w, start_column, block_size)
    row_ids = jax.lax.dynamic_slice_in_dim(ids, start_row, block_size)
    column_ids = jax.lax.dynamic_slice_in_dim(ids, start_column, block_size)
    places = jnp.arange(block_size)
    own = (start_row + places)[:, None] == (start_column + places)[None, :]
    allowed = (row_ids[:, None] == column_ids[None, :]) & (row_ids[:, None] >= 0) & ~own
    products = rows @ columns.T * scale - shift
    powers = jnp.where(allowed, jnp.exp(jnp.where(allowed, products, 0.0)), 0.0)
    return powers * pair[2].astype(powers.dtype), rows, columns


def _my_pairs(w, negatives, block_size, axis_name):
    dealt = _block_pairs(w.shape[0] // (2 * block_size), negatives, device_count(axis_name))
    return jnp.asarray(dealt)[device_index(axis_name)]


def _add_block(x, block, start):
    old = jax.lax.dynamic_slice_in_dim(x, start, block.shape[0])
    return jax.lax.dynamic_update_slice_in_dim(x, old + block, start, axis=0)


@partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def _row_sums(w, ids, shift, scale, negatives, block_size, axis_name):
    """Σ_j e^{w_i·w_j·scale − shift} over allowed j: [2N, D] -> [2N]; the same on every device."""

    def add(sums, pair):
        powers, _, _ = _block_powers(w, ids, pair, block_size, scale, shift)
        above = (pair[0] != pair[1]).astype(powers.dtype)
        sums = _add_block(sums, jnp.sum(powers, axis=1), pair[0] * block_size)
        return _add_block(sums, above * jnp.sum(powers, axis=0), pair[1] * block_size), None

    sums, _ = jax.lax.scan(
        add, jnp.zeros(w.shape[:1], w.dtype), _my_pairs(w, negatives, block_size, axis_name)
    )
    return total(sums, axis_name)


def _row_sums_forward(w, ids, shift, scale, negatives, block_size, axis_name):
    sums = _row_sums(w, ids, shift, scale, negatives, block_size, axis_name)
    return sums, (w, ids, shift, scale)


def _row_sums_backward(negatives, block_size, axis_name, saved, cotangent):
    w, ids, shift, scale = saved
    cotangent = total(cotangent, axis_name)  # every device used every device's sums

    def add(gradient, pair):
        powers, rows, columns = _block_powers(w, ids, pair, block_size, scale, shift)
        row_cotangent = jax.lax.dynamic_slice_in_dim(cotangent, pair[0] * block_size, block_size)
        column_cotangent = jax.lax.dynamic_slice_in_dim(cotangent, pair[1] * block_size, block_size)
        above = (pair[0] != pair[1]).astype(powers.dtype)
        slope = powers * (row_cotangent[:, None] + column_cotangent[None, :]) * scale
        gradient = _add_block(gradient, slope @ columns, pair[0] * block_size)
        return _add_block(gradient, above * (slope.T @ rows), pair[1] * block_size), None

    gradient, _ = jax.lax.scan(
        add, jnp.zeros_like(w), _my_pairs(w, negatives, block_size, axis_name)
    )
    zero_ids = np.zeros(ids.shape, jax.dtypes.float0)
    of_scale = 0.5 * jnp.sum(gradient * w) / scale  # every product is bilinear in two vectors
    return gradient, zero_ids, jnp.zeros_like(shift), of_scale


_row_sums.defvjp(_row_sums_forward, _row_sums_backward)


def streamed_sums(u, v, ids, shift, scale, negatives, block_size, axis_name):
    """Sums of e^{s − shift} over each anchor's denominator: [N, D], [N, D] -> [N], [N].

    `ids [N]`: rows are contrasted where ids are equal and not negative. `u, v, ids` are those of
    all devices; the sums are the same on every device. `shift` is a constant: no gradient.
    """
    num_rows = u.shape[0]
    block_size = min(block_size, num_rows)
    padding = -num_rows % block_size
    u, v = (jnp.pad(x, ((0, padding), (0, 0))) for x in (u, v))
    ids = jnp.pad(ids, (0, padding), constant_values=-1)
    w = jnp.concatenate([u, v])
    shift, scale = jnp.asarray(shift, w.dtype), jnp.asarray(scale, w.dtype)
    ids = jnp.concatenate([ids, ids])
    sums = cast(
        jax.Array, _row_sums(w, ids, shift, scale, negatives, block_size, axis_name)
    )  # custom_vjp has no result type
    return sums[:num_rows], sums[u.shape[0] : u.shape[0] + num_rows]
