"""Denominators of InfoNCE over devices in a ring: no device ever holds the gathered vectors.

Each of k devices keeps its N/k pairs, and a copy of its block of 2N/k vectors travels half way
round (`ppermute`), with the sums (backward: the gradients) that its hosts have found for it, which
are sent home at the end. A pair of devices meets once, so that the symmetry of the similarity
matrix is used as on one device; with an even k the devices half way round meet twice and share
their tiles. A device sends k/2 blocks forward, and as many blocks and gradients backward.
"""

from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.losses.streamed import by_view, scale_gradient, views_in_tiles
from mmix_jax.losses.tiles import Tiling, Vectors, own_plan, tile_gradients, tile_sums
from mmix_jax.ops.collectives import device_count, device_index, shift_devices, varying_as


def guest_plan(num_blocks: int, negatives: str) -> np.ndarray:
    """Every block of mine with every block of a guest; of the other view, for `cross`."""
    double = 2 * num_blocks
    if negatives == "full":
        return np.array([(a, 0, double, 0) for a in range(double)], np.int32)
    halves = ((num_blocks, double), (0, num_blocks))
    return np.array([(a, *halves[a // num_blocks], 0) for a in range(double)], np.int32)


def half_plans(num_blocks: int, negatives: str) -> tuple[np.ndarray, np.ndarray]:
    """Shares of two devices that visit each other: the lower one's, the upper one's, in as many
    entries.

    The lower takes its blocks with the other's view a, the upper its view b with all of the
    other's. For `cross` both take their view a with the other's view b.
    """
    double = 2 * num_blocks
    if negatives == "cross":
        share = np.array([(a, num_blocks, double, 0) for a in range(num_blocks)], np.int32)
        return share, share
    lower = [(a, 0, num_blocks, 0) for a in range(double)]
    upper = [
        (a, *part, 0)
        for a in range(num_blocks, double)
        for part in ((0, num_blocks), (num_blocks, double))
    ]
    return np.array(lower, np.int32), np.array(upper, np.int32)


def _round(guest, meet, mine, num_blocks: int, tiling: Tiling, axis_name):
    """Take a guest round: `meet(guest, plan) -> (mine, for the guest)`; returns my own sums.

    `guest` travels forward a device at a time, and with it what hosts find for it, which comes home
    at the end. `mine` is what I found among my own vectors.
    """
    size = device_count(axis_name)
    steps = (size - 1) // 2
    everything = jnp.asarray(guest_plan(num_blocks, tiling.negatives))

    def onward(x):
        return jax.tree.map(lambda part: shift_devices(part, 1, axis_name), x)

    def step(carried, _):
        guest, mine, theirs = carried
        guest, theirs = onward(guest), onward(theirs)
        of_mine, of_guest = meet(guest, everything)
        return (guest, mine + of_mine, theirs + of_guest), None

    theirs = varying_as(jnp.zeros_like(mine), mine)
    (guest, mine, theirs), _ = jax.lax.scan(step, (guest, mine, theirs), length=steps)
    if size % 2 == 0:
        guest, theirs = onward(guest), onward(theirs)
        lower, upper = map(jnp.asarray, half_plans(num_blocks, tiling.negatives))
        of_mine, of_guest = meet(
            guest, jnp.where(device_index(axis_name) < size // 2, lower, upper)
        )
        mine, theirs = mine + of_mine, theirs + of_guest
    return mine + shift_devices(theirs, -(size // 2), axis_name)


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _row_sums(w, ids, shift, scale, tiling, axis_name):
    """Σ_j e^{w_i·w_j·scale − shift} over allowed j of all devices: [2 N/k, D] -> [2 N/k]."""
    own, num_blocks = Vectors(w, ids), w.shape[0] // (2 * tiling.block_size)
    plan = jnp.asarray(own_plan(num_blocks, tiling.negatives))
    (mine,) = tile_sums(own, None, plan, scale, shift, tiling)

    def meet(guest, plan):
        return tile_sums(own, guest, plan, scale, shift, tiling)

    return _round(own, meet, mine, num_blocks, tiling, axis_name)


def _row_sums_forward(w, ids, shift, scale, tiling, axis_name):
    return _row_sums(w, ids, shift, scale, tiling, axis_name), (w, ids, shift, scale)


def _row_sums_backward(tiling, axis_name, saved, cotangent):
    w, ids, shift, scale = saved
    own, num_blocks = Vectors(w, ids), w.shape[0] // (2 * tiling.block_size)
    plan = jnp.asarray(own_plan(num_blocks, tiling.negatives))
    (mine,) = tile_gradients(own, None, cotangent, None, plan, scale, shift, tiling)

    def meet(guest, plan):
        vectors, of_guest = guest
        return tile_gradients(own, vectors, cotangent, of_guest, plan, scale, shift, tiling)

    gradient = _round((own, cotangent), meet, mine, num_blocks, tiling, axis_name)
    zero_ids = np.zeros(ids.shape, jax.dtypes.float0)
    of_scale = scale_gradient(gradient, w, scale)
    return gradient.astype(w.dtype), zero_ids, jnp.zeros_like(shift), of_scale


_row_sums.defvjp(_row_sums_forward, _row_sums_backward)


def ring_sums(u, v, ids, shift, scale, tiling: Tiling, axis_name):
    """Sums of e^{s − shift} over each anchor's denominator: this device's [N/k, D] -> [N/k], twice.

    Arguments as of `streamed_sums`, but of this device's rows; so are the sums.
    """
    side = views_in_tiles(u, v, ids, tiling.block_size)
    sums = cast(
        jax.Array, _row_sums(side.w, side.ids, shift, scale, tiling, axis_name)
    )  # custom_vjp has no result type
    return by_view(sums, u.shape[0])
