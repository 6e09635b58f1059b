"""Denominators beyond eq. 9: debiased, hardness-weighted, joined by synthetic negatives.

Debiased (Chuang et al. 2020) takes out of the negatives' mean what samples of the anchor's own
class put into it, were they a share τ⁺ of all; hardness (Robinson et al. 2021) lets the similar
ones count for more in that mean. Both need of the negatives their sums alone, at one scale or two,
so that dense, streamed and ring forms serve them as they are.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.fields import NOT_NEGATIVE, SHARE, Range
from mmix_jax.losses.settings import LOWEST_TEMPERATURE
from mmix_jax.ops.arrays import floats, wide
from mmix_jax.ops.numbers import real_number
from mmix_jax.ops.similarity import normalise

_SHARPEST = Range(
    LOWEST_TEMPERATURE, float("inf"), f"must be at least {LOWEST_TEMPERATURE} with hardness β"
)


class Pull(NamedTuple):
    """τ⁺ and β: floats, or traced scalars."""

    debiased: float | jax.Array
    hardness: float | jax.Array


def pull_of(debiased, hardness, temperature) -> Pull:
    """τ⁺ and β in range; traced ones are NaN where they are not.

    Raises:
      ValueError: no number or out of range; or τ/(1 + β) below what float32 holds.
    """
    debiased = real_number("debiased", debiased, SHARE, "0.0 is off, 0.1 usual")
    hardness = real_number("hardness", hardness, NOT_NEGATIVE, "0.0 is off, 1.0 usual")
    if isinstance(hardness, float) and hardness == 0.0:
        return Pull(debiased, hardness)
    sharpest = real_number(
        "temperature / (1 + hardness)",
        temperature / (1.0 + hardness),
        _SHARPEST,
        "lower hardness, or raise temperature",
    )
    if not isinstance(sharpest, float):
        hardness = jnp.where(jnp.isnan(sharpest), jnp.nan, hardness)
    return Pull(debiased, hardness)


def is_off(pull: Pull) -> bool:
    """Whether the denominator is that of eq. 9."""
    return all(isinstance(x, float) and x == 0.0 for x in pull)


def negatives_log_sum(pull: Pull, positive, scale, count, above, below=None) -> jax.Array:
    """log( e^p + n g ), g = max( (mean − τ⁺ e^p)/(1 − τ⁺), e^{−1/τ} ): [N].

    The mean of the n negatives weighs each by w_j = e^{β s_j/τ}/mean_k e^{β s_k/τ}. In logarithms,
    so that no power leaves float32.

    Args:
      positive: p = s_ii/τ [N]; gradients flow through it here, too.
      scale: 1/τ.
      count: n, [N] or scalar; 0 gives p.
      above: log Σ_j e^{(1 + β) s_j/τ} [N].
      below: log Σ_j e^{β s_j/τ} [N]; None: β is 0, so it is log n.
    """
    some = jnp.broadcast_to(count > 0, positive.shape)
    log_count = jnp.log(jnp.where(count > 0, count, 1.0))
    mean = jnp.where(some, above - (log_count if below is None else below), 0.0)
    tau_plus = pull.debiased
    # 1 − τ⁺ e^{p − mean} must stay above 0; elsewhere the least value stands.
    gap = positive - mean + jnp.log(jnp.maximum(tau_plus, jnp.finfo(positive.dtype).tiny))
    inside = gap < 0.0
    ratio = jnp.where(inside, tau_plus * jnp.exp(jnp.where(inside, positive - mean, 0.0)), 0.0)
    corrected = mean + jnp.log1p(-ratio) - jnp.log1p(-tau_plus)
    least = -scale
    g = jnp.where(inside, jnp.maximum(corrected, least), least)
    g = jnp.where(jnp.isnan(gap), jnp.nan, g)  # of a number out of range, or sums that were lost
    return jnp.where(some, jnp.logaddexp(positive, log_count + g), positive)


def with_synthetic(name: str, lse, anchors, synthetic, scale, real, unit: bool) -> jax.Array:
    """log( e^{lse} + Σ_k e^{u_i·ñ_ik/τ} ): [N].

    A row of zeros is no negative. `synthetic [N, s, D]`; normalised here where `unit`.

    Raises:
      ValueError: shapes that do not fit.
    """
    synthetic = floats(name, synthetic)
    if synthetic.ndim != 3 or synthetic.shape[::2] != anchors.shape:
        raise ValueError(
            f"{name} must be [N, s, D] with N, D = {anchors.shape}, found {np.shape(synthetic)}; "
            "give each anchor its own"
        )
    synthetic = jnp.where(real[:, None, None], synthetic, 0.0)  # whatever stands in padding
    there = jnp.any(synthetic != 0, axis=-1)
    if unit:
        synthetic = normalise(synthetic)
    dtype = wide(anchors.dtype)
    products = jnp.einsum("nd,nsd->ns", anchors.astype(dtype), synthetic.astype(dtype)) * scale
    # A column of its own for the rest: one maximum over all, and no row is empty.
    terms = jnp.concatenate([lse[:, None], jnp.where(there, products, -jnp.inf)], axis=1)
    return jax.nn.logsumexp(terms, axis=1)
