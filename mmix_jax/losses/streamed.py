"""Denominators of InfoNCE over tiles of the similarity matrix: O(N·D) memory, no N×N array.

The 2N vectors w = [u; v] have a symmetric similarity matrix, so only tiles on and above its
diagonal are computed: each serves its rows and, transposed, its columns. Forward that is two
N×N×D products instead of three, backward two (the tiles anew) plus four instead of seven: eight in
all. With cross-view negatives alone it is one, one and two. Several devices share out the tiles
and add their parts.
"""

from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.losses.tiles import (
    Tiling,
    Vectors,
    own_plan,
    share_plan,
    tile_gradients,
    tile_sums,
)
from mmix_jax.ops.collectives import device_count, device_index, total, varying_as


def views_in_tiles(u, v, ids, block_size: int) -> Vectors:
    """[u; v] as 2T whole blocks of rows, zeros and id −1 the last: [N, D], [N] -> [2 T B, D]."""
    padding = -u.shape[0] % block_size
    ids = jnp.pad(ids, (0, padding), constant_values=-1)
    u, v = (jnp.pad(x, ((0, padding), (0, 0))) for x in (u, v))
    return Vectors(jnp.concatenate([u, v]), jnp.concatenate([ids, ids]))


def by_view(sums: jax.Array, num_rows: int) -> tuple[jax.Array, jax.Array]:
    """The first N of both halves."""
    half = sums.shape[0] // 2
    return sums[:num_rows], sums[half : half + num_rows]


def scale_gradient(gradient, w, scale) -> jax.Array:
    """d/dscale from the gradient by w: sums depend on products alone, each bilinear in two rows."""
    return 0.5 * jnp.sum(gradient * w.astype(gradient.dtype)) / scale


def _my_plan(side: Vectors, tiling: Tiling, axis_name):
    plan = own_plan(side.w.shape[0] // (2 * tiling.block_size), tiling.negatives)
    return jnp.asarray(share_plan(plan, device_count(axis_name)))[device_index(axis_name)]


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _row_sums(w, ids, shift, scale, tiling, axis_name):
    """Σ_j e^{w_i·w_j·scale − shift} over allowed j: [2N, D] -> [2N]; the same on every device."""
    side = Vectors(w, ids)
    plan = _my_plan(side, tiling, axis_name)
    (sums,) = tile_sums(side, None, plan, scale, shift, tiling)
    # As each device's own, so that the cotangent is one, too, in shard_map as in pmap.
    return varying_as(total(sums, axis_name), w)


def _row_sums_forward(w, ids, shift, scale, tiling, axis_name):
    return _row_sums(w, ids, shift, scale, tiling, axis_name), (w, ids, shift, scale)


def _row_sums_backward(tiling, axis_name, saved, cotangent):
    w, ids, shift, scale = saved
    cotangent = total(cotangent, axis_name)  # every device used every device's sums
    side = Vectors(w, ids)
    plan = _my_plan(side, tiling, axis_name)
    (gradient,) = tile_gradients(side, None, cotangent, None, plan, scale, shift, tiling)
    zero_ids = np.zeros(ids.shape, jax.dtypes.float0)
    of_scale = scale_gradient(gradient, w, scale)
    return gradient.astype(w.dtype), zero_ids, jnp.zeros_like(shift), of_scale


_row_sums.defvjp(_row_sums_forward, _row_sums_backward)


def streamed_sums(u, v, ids, shift, scale, tiling: Tiling, axis_name):
    """Sums of e^{s − shift} over each anchor's denominator: [N, D], [N, D] -> [N], [N].

    `ids [N]`: rows are contrasted where ids are equal and not negative. `u, v, ids` are those of
    all devices; the sums are the same on every device. `shift` is a constant: no gradient.
    """
    side = views_in_tiles(u, v, ids, tiling.block_size)
    sums = cast(
        jax.Array, _row_sums(side.w, side.ids, shift, scale, tiling, axis_name)
    )  # custom_vjp has no result type
    return by_view(sums, u.shape[0])
