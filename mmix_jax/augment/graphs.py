"""Augmentations of graphs."""

import jax
import jax.numpy as jnp
import numpy as np


def feature_mask(key: jax.Array, num_features: int, rate: float, dtype=jnp.float32) -> jax.Array:
    """Keep-mask [F] of whole feature dimensions, each dropped with probability `rate`.

    A masked dimension is masked in every node, so the mask commutes with propagation:
    (Â X) diag(m) = Â (X diag(m)). Nothing is rescaled.

    Example:
      >>> import jax
      >>> from mmix_jax.augment.graphs import feature_mask
      >>> feature_mask(jax.random.key(0), 3, 0.0)
      Array([1., 1., 1.], dtype=float32)
    """
    if rate == 0.0:
        return jnp.ones((num_features,), dtype)
    return jax.random.bernoulli(key, 1.0 - rate, (num_features,)).astype(dtype)


def kept_edges(key: jax.Array, pairs: jax.Array, rate: float) -> jax.Array:
    """Keep-mask [E] of edges, each undirected one dropped with probability `rate`.

    `pairs [E]`, numbers below E: both directions of an edge have the same one (`edge_pairs`), so
    they stay or go together. Nothing changes its shape; mask padding yourself.
    """
    if rate == 0.0:
        return jnp.ones(pairs.shape, bool)
    return jax.random.bernoulli(key, 1.0 - rate, pairs.shape)[pairs]


def edge_pairs(senders: np.ndarray, receivers: np.ndarray) -> np.ndarray:
    """A number for each edge [E], int32 below E, the same for u → v and v → u; on the host."""
    if senders.size == 0:
        return np.zeros(0, np.int32)
    ends = np.sort(np.stack([senders, receivers], axis=1).astype(np.int64), axis=1)
    code = ends[:, 0] * (ends.max() + 1) + ends[:, 1]
    return np.unique(code, return_inverse=True)[1].reshape(-1).astype(np.int32)
