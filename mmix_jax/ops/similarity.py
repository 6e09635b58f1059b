"""Safe L2 normalisation, cosines and the Gram matrix."""

import jax
import jax.numpy as jnp


def normalise(x: jax.Array) -> jax.Array:
    """x / ‖x‖₂ along the last axis; a zero vector stays zero and has a zero gradient.

    Half-precision input is normalised in float32 (its squares underflow) and returned as it came.
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    square = jnp.sum(wide * wide, axis=-1, keepdims=True)
    nonzero = square > 0
    # Both branches of a `where` are differentiated: the inner one keeps rsqrt away from 0.
    inverse = jnp.where(nonzero, jax.lax.rsqrt(jnp.where(nonzero, square, 1.0)), 0.0)
    return (wide * inverse).astype(x.dtype)


def cosine(x: jax.Array, y: jax.Array) -> jax.Array:
    """H(x_i, y_i), the cosine of rows: [..., D], [..., D] -> [...]; 0 for zero rows."""
    return jnp.sum(normalise(x) * normalise(y), axis=-1)


@jax.custom_vjp
def gram(w: jax.Array) -> jax.Array:
    """w wᵀ: [N, D] -> [N, N], whose gradient (G + Gᵀ) w costs one product instead of two."""
    return w @ w.T


def _gram_forward(w):
    return w @ w.T, w


def _gram_backward(w, cotangent):
    return ((cotangent + cotangent.T) @ w,)


gram.defvjp(_gram_forward, _gram_backward)
