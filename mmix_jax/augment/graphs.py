"""Augmentations of graphs."""

import jax
import jax.numpy as jnp


def feature_mask(key: jax.Array, num_features: int, rate: float, dtype=jnp.float32) -> jax.Array:
    """Keep-mask [F] of whole feature dimensions, each dropped with probability `rate`.

    A masked dimension is masked in every node, so the mask commutes with propagation:
    (Â X) diag(m) = Â (X diag(m)). Nothing is rescaled.

    Example:
      >>> feature_mask(jax.random.key(0), 3, 0.0)
      Array([1., 1., 1.], dtype=float32)
    """
    if rate == 0.0:
        return jnp.ones((num_features,), dtype)
    return jax.random.bernoulli(key, 1.0 - rate, (num_features,)).astype(dtype)
