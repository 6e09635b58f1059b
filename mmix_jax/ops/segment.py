"""Softmax and selection over edges that share a receiver."""

import jax
import jax.numpy as jnp


def segment_softmax(
    scores: jax.Array, segments: jax.Array, num_segments: int, mask: jax.Array
) -> jax.Array:
    """Softmax of `scores [E]` within equal `segments [E]`, over the entries where `mask [E]` holds.

    Masked entries get weight 0, and so does every entry of a segment without unmasked ones;
    gradients are finite there. (A large negative constant in place of the mask would spread such
    a segment's weight evenly over forbidden entries.)
    """
    highest = jax.ops.segment_max(
        jnp.where(mask, jax.lax.stop_gradient(scores), -jnp.inf), segments, num_segments
    )
    highest = jnp.where(jnp.isfinite(highest), highest, 0.0)
    shifted = jnp.where(mask, scores - highest[segments], 0.0)
    powers = jnp.where(mask, jnp.exp(shifted), 0.0)
    total = jax.ops.segment_sum(powers, segments, num_segments)
    return powers / jnp.where(total > 0, total, 1.0)[segments]


def segment_best(
    scores: jax.Array, order: jax.Array, segments: jax.Array, num_segments: int, mask: jax.Array
) -> jax.Array:
    """True at the one entry of each segment with the highest score; ties take the lowest `order`.

    A segment without unmasked entries selects none. Shapes [E]; returns bool [E].
    """
    edges = jnp.arange(scores.shape[0])
    highest = jax.ops.segment_max(jnp.where(mask, scores, -jnp.inf), segments, num_segments)
    tied = mask & (scores == highest[segments])
    limit = jnp.iinfo(order.dtype).max
    first = jax.ops.segment_min(jnp.where(tied, order, limit), segments, num_segments)
    tied = tied & (order == first[segments])
    # An edge may be listed twice: keep the first listing.
    listing = jax.ops.segment_min(jnp.where(tied, edges, scores.shape[0]), segments, num_segments)
    return tied & (edges == listing[segments])
