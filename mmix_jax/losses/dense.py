"""Denominators of InfoNCE with the similarity matrices in memory: fastest where they fit.

The gradient is written by hand for what automatic differentiation does not see: the intra-view
matrices are symmetric, so their two gradients are one product, seven products in all instead of
nine, and each matrix of slopes is made in one pass from the powers that the sums left behind.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.losses.tiles import product


def _powers(x, y, keep, scale, shift):
    """e^{x·y·scale − shift} where `keep`, else 0."""
    products = product(x, y, (1, 1)) * scale - shift
    return jnp.where(keep, jnp.exp(jnp.where(keep, products, 0.0)), 0.0)


def _forward(u, v, ids, shift, scale, negatives, positives):
    own = jnp.arange(ids.shape[0])[:, None] == jnp.arange(ids.shape[0])[None, :]
    allowed = (ids[:, None] == ids[None, :]) & (ids[:, None] >= 0)
    pairs = allowed | own if positives else allowed & ~own
    cross = _powers(u, v, pairs, scale, shift)
    sum_u, sum_v = jnp.sum(cross, axis=1), jnp.sum(cross, axis=0)
    if negatives == "cross":
        return (sum_u, sum_v), (u, v, shift, scale, cross, None)
    intra = tuple(_powers(x, x, allowed & ~own, scale, shift) for x in (u, v))
    sums = sum_u + jnp.sum(intra[0], axis=1), sum_v + jnp.sum(intra[1], axis=1)
    return sums, (u, v, shift, scale, cross, intra)


def _backward(negatives, positives, saved, cotangents):
    u, v, shift, scale, cross, intra = saved
    of_u, of_v = cotangents

    def slopes(powers, of_rows, of_columns):
        return (powers * (of_rows[:, None] + of_columns[None, :]) * scale).astype(u.dtype)

    slope = slopes(cross, of_u, of_v)
    gradient_u, gradient_v = product(slope, v, (1, 0)), product(slope, u, (0, 0))
    if intra is not None:
        gradient_u += product(slopes(intra[0], of_u, of_u), u, (1, 0))
        gradient_v += product(slopes(intra[1], of_v, of_v), v, (1, 0))
    # Sums depend on scale through products s alone, and every s is bilinear in two vectors.
    of_scale = 0.5 * (jnp.sum(gradient_u * u) + jnp.sum(gradient_v * v)) / scale
    zero_ids = np.zeros(of_u.shape, jax.dtypes.float0)
    gradient_u, gradient_v = gradient_u.astype(u.dtype), gradient_v.astype(v.dtype)
    return gradient_u, gradient_v, zero_ids, jnp.zeros_like(shift), of_scale


@partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def _sums(u, v, ids, shift, scale, negatives, positives):
    return _forward(u, v, ids, shift, scale, negatives, positives)[0]


_sums.defvjp(_forward, _backward)


def dense_sums(
    u, v, ids, shift, scale, negatives, *, positives: bool = True
) -> tuple[jax.Array, jax.Array]:
    """Sums of e^{s − shift} over each anchor's denominator: [N, D], [N, D] -> [N], [N].

    Arguments as of `streamed_sums`, on one device; without `positives` a pair's own term is left
    out.
    """
    return _sums(u, v, ids, shift, scale, negatives, positives)
