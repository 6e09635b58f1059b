"""i-mix: inputs mixed in view a, with virtual labels in the loss."""

import jax
import jax.numpy as jnp

from mmix_jax.ops.arrays import floats, indices, mask_of, widened
from mmix_jax.ops.numbers import whole_number


def mix_with(x: jax.Array, coefficients: jax.Array, partners: jax.Array) -> jax.Array:
    """x̃_i = λ_i x_i + (1 − λ_i) x_π(i): [N, ...], [N], [N] -> [N, ...].

    In the floating type of x, and integers as float32. A concrete partner that is no row is
    refused; inside jit row 0 stands in its place.
    """
    x = floats("x", x)
    wide = widened(x)
    partners, _ = indices("partners", partners, x.shape[0])
    shape = (-1,) + (1,) * (x.ndim - 1)
    coefficients = floats("coefficients", coefficients).reshape(shape).astype(wide.dtype)
    return (coefficients * wide + (1.0 - coefficients) * wide[partners]).astype(x.dtype)


def draw_partners(
    key: jax.Array, num: int, mask: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """λ_i ~ Beta(1, 1) and a permutation π that moves real rows among real rows only.

    Returns (coefficients [num] float32, partners [num] int32); padded rows get λ = 1 and π(i) = i.
    """
    num = whole_number("num", num, 0, "it is a number of rows")
    mask = None if mask is None else mask_of("mask", mask)
    coefficient_key, order_key = jax.random.split(key)
    coefficients = jax.random.uniform(coefficient_key, (num,))
    if mask is None:
        return coefficients, jax.random.permutation(order_key, num).astype(jnp.int32)
    # The real rows in their own order, and the same rows in a random order, side by side.
    own = jnp.argsort(~mask, stable=True)
    shuffled = jnp.argsort(jnp.where(mask, jax.random.uniform(order_key, (num,)), 2.0), stable=True)
    rows = jnp.arange(num)
    partners = rows.at[own].set(jnp.where(rows < jnp.sum(mask), shuffled, own))
    return jnp.where(mask, coefficients, 1.0), partners.astype(jnp.int32)


def i_mix_inputs(
    x: jax.Array, key: jax.Array, *, mask: jax.Array | None = None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Inputs mixed in pairs: x̃_i = λ_i x_i + (1 − λ_i) x_π(i), λ_i ~ Beta(1, 1) (i-mix).

    One sample alone is its own partner. Use with `losses.virtual_labels`.

    Args:
      x: [N, ...] inputs of view a.
      key: PRNG key.
      mask: [N] bool, real rows; padded ones stay as they are.

    Returns:
      (mixed inputs [N, ...], coefficients λ [N], partners π [N]).

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmix_jax.mixing import i_mix_inputs
      >>> x = jnp.eye(4)
      >>> mixed, coefficients, partners = i_mix_inputs(x, jax.random.key(0))
      >>> mixed.shape
      (4, 4)
    """
    x = floats("x", x)
    coefficients, partners = draw_partners(key, x.shape[0], mask)
    return mix_with(x, coefficients, partners), coefficients, partners
