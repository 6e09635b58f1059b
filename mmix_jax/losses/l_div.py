"""The diversity loss, which keeps the two projections of mp-mix apart."""

import jax
import jax.numpy as jnp

from mmix_jax.fields import between
from mmix_jax.losses.settings import Contrast
from mmix_jax.ops.arrays import floats, mask_of
from mmix_jax.ops.collectives import total
from mmix_jax.ops.numbers import real_number
from mmix_jax.ops.similarity import cosine


def diversity(
    q: jax.Array,
    k: jax.Array,
    *,
    mask: jax.Array | None = None,
    margin: float = Contrast.diversity_margin,
    axis_name: str | None = None,
) -> jax.Array:
    """L_div = −(1/N) Σ_i ‖q_i − k_i‖² = (2/N) Σ_i q_i·k_i − 2 (eq. 8), in [−4, 0].

    At its minimum k_i = −q_i, where mixing weights fall with similarity. A `margin` above −1 stops
    the push once q_i·k_i has fallen to it (0: orthogonal): (2/N) Σ_i max(q_i·k_i, margin) − 2.
    A zero row counts as orthogonal.

    Args:
      q, k: [N, D] projections, normalised here.
      mask: [N] bool, real rows.
      margin: −1 is the paper's.
      axis_name: device axis; each device returns its share, to be summed over devices.

    Returns:
      Scalar, float32 at least.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmix_jax.losses import diversity
      >>> float(diversity(jnp.eye(3), jnp.eye(3)))
      0.0
    """
    margin = real_number("margin", margin, between(-1, 1), "-1 is the paper's")
    q, k = floats("q", q), floats("k", k)
    if q.shape != k.shape:
        raise ValueError(
            f"q and k must have one shape [N, D], found {q.shape} and {k.shape}; "
            "project the same rows"
        )
    agreement = jnp.maximum(cosine(q, k), margin)
    real = jnp.ones(agreement.shape, bool) if mask is None else mask_of("mask", mask)
    count = jnp.maximum(total(jnp.sum(real), axis_name), 1).astype(agreement.dtype)
    return jnp.sum(jnp.where(real, 2.0 * agreement - 2.0, 0.0)) / count
