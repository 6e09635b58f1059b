"""Safe L2 normalisation and cosines."""

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
