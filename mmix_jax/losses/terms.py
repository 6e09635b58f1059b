"""The terms of eq. 9 for every anchor: both forms, on one device or several, to one result."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mmix_jax.fields import Range
from mmix_jax.losses.dense import dense_sums
from mmix_jax.losses.ring import ring_sums
from mmix_jax.losses.settings import EXCHANGES, LOWEST_TEMPERATURE, NEGATIVES, Contrast
from mmix_jax.losses.streamed import streamed_sums
from mmix_jax.losses.tiles import tiling_of
from mmix_jax.ops.arrays import floats, ids_of, mask_of, wide
from mmix_jax.ops.collectives import (
    device_count,
    device_index,
    gather,
    highest,
    total,
    varying_as,
)
from mmix_jax.ops.numbers import real_number, whole_number
from mmix_jax.ops.similarity import normalise

# Powers lie between e^{−1/τ} and e^{1/τ}: up to here a float32 holds the smallest of them, and the
# sum of 10^8 of the largest.
_HIGHEST_POWER = 67.0
# A sum of powers below this has lost terms to underflow that count. Unit vectors stay above it.
_LOWEST_SUM = 2e-31
_TEMPERATURES = Range(
    LOWEST_TEMPERATURE,
    float("inf"),
    f"must be at least {LOWEST_TEMPERATURE} (powers leave float32 below)",
)


class Terms(NamedTuple):
    """Per-anchor terms of eq. 9, on this device's rows.

    u, v: normalised vectors [N, D]. lse_u, lse_v: logarithm of the denominator for anchors u_i and
    v_i [N]. positive: u_i·v_i/τ [N]. weight: share of each anchor in the mean, summing to one over
    all devices, 0 on padding [N].
    """

    u: jax.Array
    v: jax.Array
    lse_u: jax.Array
    lse_v: jax.Array
    positive: jax.Array
    weight: jax.Array


def _check(u, v, negatives, mask, segments, exchange) -> None:
    if u.ndim != 2 or u.shape != v.shape:
        raise ValueError(
            f"u and v must have one shape [N, D], found {u.shape} and {v.shape}; "
            "row i of both is a pair"
        )
    if negatives not in NEGATIVES:
        raise ValueError(
            f"unknown negatives {negatives!r}; expected one of: {', '.join(NEGATIVES)}"
        )
    if exchange not in EXCHANGES:
        raise ValueError(f"unknown exchange {exchange!r}; expected one of: {', '.join(EXCHANGES)}")
    for name, array in (("mask", mask), ("segments", segments)):
        if array is not None and array.shape != u.shape[:1]:
            raise ValueError(
                f"{name} must have an entry for each of {u.shape[0]} rows, found {array.shape}"
            )


def _numbered(segments: jax.Array, axis_name: str | None) -> jax.Array:
    """The ids of all devices' rows as 0, 1, …: whatever they were, no sum of them overflows."""
    ids = gather(segments, axis_name)
    # Sorting finds each id's run without knowing how many ids there are.
    order = jnp.argsort(ids)
    new = jnp.concatenate([jnp.zeros(1, bool), ids[order][1:] != ids[order][:-1]])
    run = jnp.cumsum(new.astype(jnp.int32))
    return jnp.zeros_like(run).at[order].set(run)


def _own_rows(x: jax.Array, num_rows: int, axis_name: str | None) -> jax.Array:
    """This device's part of the rows of all."""
    return jax.lax.dynamic_slice_in_dim(x, device_index(axis_name) * num_rows, num_rows)


def _anchor_weight(mask, segments, axis_name, dtype) -> jax.Array:
    """1/N on real anchors; with segments 1/(number of segments × real anchors in the segment).

    `segments` are those of all devices, from `_numbered`.
    """
    real = mask.astype(dtype)
    if segments is None:
        return real / jnp.maximum(total(jnp.sum(real), axis_name), 1.0)
    all_real = gather(real, axis_name)
    count = jax.ops.segment_sum(all_real, segments, all_real.shape[0])
    shares = all_real / jnp.maximum(count[segments], 1.0) / jnp.maximum(jnp.sum(count > 0), 1)
    return _own_rows(shares, mask.shape[0], axis_name)


def _log_sum(real: jax.Array, sums: jax.Array) -> jax.Array:
    """log of the sums; NaN where they have lost what counts, 0 on padding."""
    sums = jnp.where(real, sums, 1.0)
    return jnp.log(jnp.where(sums >= _LOWEST_SUM, sums, jnp.nan))


def products(u: jax.Array, v: jax.Array) -> jax.Array:
    """u_i·v_i, summed in at least float32: [N, D], [N, D] -> [N]."""
    dtype = wide(u.dtype)
    return jnp.sum(u.astype(dtype) * v.astype(dtype), axis=-1)


def terms_of(
    u: jax.Array,
    v: jax.Array,
    *,
    temperature: float = Contrast.temperature,
    negatives: str = Contrast.negatives,
    mask: jax.Array | None = None,
    segments: jax.Array | None = None,
    axis_name: str | None = None,
    block_size: int | None = None,
    exchange: str = Contrast.exchange,
    normalise_inputs: bool = True,
) -> Terms:
    """The terms of eq. 9 for both anchors of every pair; arguments as in `info_nce`."""
    temperature = real_number(
        "temperature", temperature, _TEMPERATURES, "1.0 is the paper's on graphs"
    )
    if block_size is not None:
        block_size = whole_number("block_size", block_size, 1, "None is dense")
    u, v = floats("u", u), floats("v", v)
    dtype = jnp.promote_types(u.dtype, v.dtype)
    u, v = u.astype(dtype), v.astype(dtype)
    mask = None if mask is None else mask_of("mask", mask)
    segments = None if segments is None else ids_of("segments", segments)
    _check(u, v, negatives, mask, segments, exchange)
    if mask is not None:  # whatever stands in padding, tiles see zeros
        u, v = (jnp.where(mask[:, None], x, 0.0).astype(x.dtype) for x in (u, v))
    if normalise_inputs:
        u, v = normalise(u), normalise(v)
    num_rows, dtype = u.shape[0], wide(u.dtype)
    real = jnp.ones((num_rows,), bool) if mask is None else mask
    ids = jnp.where(real, 0, -1)  # −1 is padding, so segment ids are counted from 0
    if segments is not None:
        segments = _numbered(segments, axis_name)
        ids = jnp.where(real, _own_rows(segments, num_rows, axis_name), -1)
    scale = jnp.asarray(1.0 / temperature, dtype)
    # No similarity exceeds the largest squared norm, 1 for unit vectors: no running maximum.
    bound = 1.0
    if not normalise_inputs:
        norms = (jnp.max(jnp.sum(jnp.square(x.astype(dtype)), axis=1)) for x in (u, v))
        bound = highest(jax.lax.stop_gradient(jnp.maximum(*norms)), axis_name)
    # It cancels in the loss.
    shift = jax.lax.stop_gradient(jnp.maximum(bound * scale - _HIGHEST_POWER, 0.0))
    # A temperature that all devices share gets the sum of their gradients.
    place = device_index(axis_name)
    u, v, scale, shift, ids = varying_as((u, v, scale, shift, ids), place)
    if block_size is None and device_count(axis_name) == 1:
        sum_u, sum_v = dense_sums(u, v, ids, shift, scale, negatives)
    else:  # several devices share out the blocks, at least one row of blocks each
        tiling = tiling_of(num_rows, negatives, block_size or num_rows, segments is not None)
        if exchange == "ring" and axis_name is not None:
            sum_u, sum_v = ring_sums(u, v, ids, shift, scale, tiling, axis_name)
        else:
            all_u, all_v, all_ids = (gather(x, axis_name) for x in (u, v, ids))
            start = device_index(axis_name) * num_rows
            sum_u, sum_v = (
                jax.lax.dynamic_slice_in_dim(sums, start, num_rows)
                for sums in streamed_sums(all_u, all_v, all_ids, shift, scale, tiling, axis_name)
            )
    lse_u, lse_v = _log_sum(real, sum_u) + shift, _log_sum(real, sum_v) + shift
    positive = products(u, v) * scale
    weight = _anchor_weight(real, segments, axis_name, dtype)
    return Terms(u, v, lse_u, lse_v, positive, weight)
