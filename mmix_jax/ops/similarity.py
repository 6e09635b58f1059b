"""Safe L2 normalisation and cosines."""

import jax
import jax.numpy as jnp

from mmix_jax.ops.arrays import floats, widened

# Gradients of a shorter vector are those of one of this length: 1/‖x‖ itself leaves float32.
_LARGEST_SLOPE = 2.0**100


def normalise(x: jax.Array) -> jax.Array:
    """x / ‖x‖₂ along the last axis; a zero vector stays zero and has a zero gradient.

    Right for every finite length: vectors are brought to a length around 1 by a power of two, which
    rounds nothing, before they are squared. Half-precision input is normalised in float32 and
    returned as it came; integers and bools are float32. Entries below the smallest normal number
    of their type count as zero, as they do to most processors. Below a length of 1e-30 gradients
    are those of that length.
    """
    x = floats("vectors", x)
    return _normalised(widened(x)).astype(x.dtype)


def _normalised(x: jax.Array) -> jax.Array:
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(x)), axis=-1, keepdims=True, initial=0.0)
    nonzero = ~(largest < jnp.finfo(x.dtype).tiny)  # NaN is not zero, and spoils its row
    x = _scaled(x, 1.0 / _power_of_two(jnp.where(nonzero, largest, 1.0)))
    square = jnp.sum(x * x, axis=-1, keepdims=True)
    # Both branches of a `where` are differentiated: the inner one keeps rsqrt away from 0.
    inverse = jnp.where(nonzero, jax.lax.rsqrt(jnp.where(nonzero, square, 1.0)), 0.0)
    return x * inverse


def _power_of_two(x: jax.Array) -> jax.Array:
    """The largest power of two that is no larger than positive x and has a normal inverse."""
    info = jnp.finfo(x.dtype)
    whole = jnp.uint64 if info.bits == 64 else jnp.uint32
    exponent = jax.lax.bitcast_convert_type(x, whole) & whole(-(2**info.nmant) % 2**info.bits)
    return jnp.minimum(jax.lax.bitcast_convert_type(exponent, x.dtype), 2.0 ** (info.maxexp - 2))


@jax.custom_jvp
def _scaled(x: jax.Array, scale: jax.Array) -> jax.Array:
    """x · scale, a constant."""
    return x * scale


@_scaled.defjvp
def _scaled_jvp(primals, tangents):
    (x, scale), (dx, _) = primals, tangents
    return x * scale, dx * jnp.minimum(scale, _LARGEST_SLOPE)


def cosine(x: jax.Array, y: jax.Array) -> jax.Array:
    """H(x_i, y_i), the cosine of rows: [..., D], [..., D] -> [...]; 0 for zero rows.

    In float32 at least, whatever the vectors.
    """
    x, y = widened(floats("vectors", x)), widened(floats("vectors", y))
    return jnp.sum(normalise(x) * normalise(y), axis=-1)
