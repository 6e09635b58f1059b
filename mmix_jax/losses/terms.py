"""The terms of eq. 9 for every anchor: both forms, on one device or several, to one result."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mmix_jax.fields import Range
from mmix_jax.losses.debiased import Pull, is_off, negatives_log_sum, pull_of, with_synthetic
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


class _Sides(NamedTuple):
    """What is contrasted, and how; of this device's rows. `segments` are those of all devices."""

    u: jax.Array
    v: jax.Array
    real: jax.Array
    segments: jax.Array | None
    negatives: str
    bound: float | jax.Array  # no product exceeds it
    block_size: int | None
    exchange: str
    axis_name: str | None


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


def _log_sums(sides: _Sides, scale, *, positives: bool = True):
    """log Σ_j e^{s_ij·scale} over each anchor's terms, [N] for u and for v; 0 on padding, and −inf
    where nothing is left without `positives`."""
    axis_name, num_rows, dtype = sides.axis_name, sides.u.shape[0], wide(sides.u.dtype)
    real, segments = sides.real, sides.segments
    ids = jnp.where(real, 0, -1)  # −1 is padding, so segment ids are counted from 0
    if segments is not None:
        ids = jnp.where(real, _own_rows(segments, num_rows, axis_name), -1)
    # No running maximum. It cancels in the loss.
    shift = jax.lax.stop_gradient(jnp.maximum(sides.bound * scale - _HIGHEST_POWER, 0.0))
    u, v = sides.u, sides.v
    scale, shift, ids = varying_as((scale, shift, ids), device_index(axis_name))
    if sides.block_size is None and device_count(axis_name) == 1:
        sums = dense_sums(u, v, ids, shift, scale, sides.negatives, positives=positives)
    else:  # several devices share out the blocks, at least one row of blocks each
        tiling = tiling_of(
            num_rows, sides.negatives, sides.block_size or num_rows, segments is not None, positives
        )
        if sides.exchange == "ring" and axis_name is not None:
            sums = ring_sums(u, v, ids, shift, scale, tiling, axis_name)
        else:
            all_u, all_v, all_ids = (gather(x, axis_name) for x in (u, v, ids))
            start = device_index(axis_name) * num_rows
            sums = tuple(
                jax.lax.dynamic_slice_in_dim(of_all, start, num_rows)
                for of_all in streamed_sums(all_u, all_v, all_ids, shift, scale, tiling, axis_name)
            )
    some = real if positives else real & (num_negatives(sides, dtype) > 0)
    logs = [_log_sum(some, of_view) + shift for of_view in sums]
    return logs if positives else [jnp.where(real & ~some, -jnp.inf, x) for x in logs]


def num_negatives(sides: _Sides, dtype) -> jax.Array:
    """How many negatives an anchor has, of both views or of the other alone: [N], or scalar."""
    real, axis_name = sides.real.astype(dtype), sides.axis_name
    if sides.segments is None:
        others = total(jnp.sum(real), axis_name) - 1.0
    else:
        of_all = gather(real, axis_name)
        count = jax.ops.segment_sum(of_all, sides.segments, of_all.shape[0])
        others = _own_rows(count[sides.segments], real.shape[0], axis_name) - 1.0
    return jnp.maximum(others, 0.0) * (2.0 if sides.negatives == "full" else 1.0)


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
    debiased: float = Contrast.debiased,
    hardness: float = Contrast.hardness,
    synthetic_u: jax.Array | None = None,
    synthetic_v: jax.Array | None = None,
) -> Terms:
    """The terms of eq. 9 for both anchors of every pair; arguments as in `info_nce`."""
    temperature = real_number(
        "temperature", temperature, _TEMPERATURES, "1.0 is the paper's on graphs"
    )
    pull = pull_of(debiased, hardness, temperature)
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
    dtype = wide(u.dtype)
    real = jnp.ones(u.shape[:1], bool) if mask is None else mask
    if segments is not None:
        segments = _numbered(segments, axis_name)
    scale = jnp.asarray(1.0 / temperature, dtype)
    # No similarity exceeds the largest squared norm, 1 for unit vectors.
    bound = 1.0
    if not normalise_inputs:
        norms = (jnp.max(jnp.sum(jnp.square(x.astype(dtype)), axis=1)) for x in (u, v))
        bound = highest(jax.lax.stop_gradient(jnp.maximum(*norms)), axis_name)
    # A temperature that all devices share gets the sum of their gradients; so do τ⁺ and β.
    place = device_index(axis_name)
    u, v, scale = varying_as((u, v, scale), place)
    pull = Pull(*(x if isinstance(x, float) else varying_as(x, place) for x in pull))
    sides = _Sides(u, v, real, segments, negatives, bound, block_size, exchange, axis_name)
    positive = products(u, v) * scale
    if is_off(pull):
        lse_u, lse_v = _log_sums(sides, scale)
    else:
        lse_u, lse_v = _debiased(sides, pull, scale, positive)
    if synthetic_u is not None:
        lse_u = with_synthetic("synthetic_u", lse_u, u, synthetic_u, scale, real, normalise_inputs)
    if synthetic_v is not None:
        lse_v = with_synthetic("synthetic_v", lse_v, v, synthetic_v, scale, real, normalise_inputs)
    weight = _anchor_weight(real, segments, axis_name, dtype)
    return Terms(u, v, lse_u, lse_v, positive, weight)


def _debiased(sides: _Sides, pull: Pull, scale, positive) -> list[jax.Array]:
    """Logarithms of the denominators whose negatives are a corrected mean, for u and for v."""
    above = _log_sums(sides, scale * (1.0 + pull.hardness), positives=False)
    count = num_negatives(sides, positive.dtype)
    below = [None, None]
    if not (isinstance(pull.hardness, float) and pull.hardness == 0.0):
        # A gradient by scale divides by it: a traced β of 0 takes that of one next to it.
        none = pull.hardness == 0.0
        next_to = pull.hardness + jnp.where(none, 1e-12, 0.0).astype(positive.dtype)
        below = _log_sums(sides, scale * next_to, positives=False)
        below = [x - jax.lax.stop_gradient(jnp.where(none, x - jnp.log(count), 0.0)) for x in below]
    return [
        jnp.where(sides.real, negatives_log_sum(pull, positive, scale, count, *sums), 0.0)
        for sums in zip(above, below, strict=True)
    ]
