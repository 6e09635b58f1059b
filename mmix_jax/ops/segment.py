"""Softmax and selection over edges that share a receiver."""

import jax
import jax.numpy as jnp

from mmix_jax.ops.arrays import floats, ids_of, indices, mask_of, widened
from mmix_jax.ops.numbers import whole_number


def segment_softmax(
    scores: jax.Array, segments: jax.Array, num_segments: int, mask: jax.Array
) -> jax.Array:
    """Softmax of `scores [E]` within equal `segments [E]`, over the entries where `mask [E]` holds.

    Masked entries get weight 0, and so does every entry of a segment without unmasked ones;
    gradients are finite there. (A large negative constant in place of the mask would spread such
    a segment's weight evenly over forbidden entries.) Weights are float32 at least: sums in half
    precision stop growing. A concrete segment out of [0, num_segments) is refused, a traced one
    masked.
    """
    scores = widened(floats("scores", scores))
    num_segments, segments, mask = _checked(segments, num_segments, mask)
    highest = jax.ops.segment_max(
        jnp.where(mask, jax.lax.stop_gradient(scores), -jnp.inf), segments, num_segments
    )
    highest = jnp.where(jnp.isfinite(highest), highest, 0.0)
    shifted = jnp.where(mask, scores - highest[segments], 0.0)
    powers = jnp.where(mask, jnp.exp(shifted), 0.0)
    total = jax.ops.segment_sum(powers, segments, num_segments)
    # Not `> 0`: a sum that is NaN stays NaN.
    return powers / jnp.where(total == 0, 1.0, total)[segments]


def segment_best(
    scores: jax.Array, order: jax.Array, segments: jax.Array, num_segments: int, mask: jax.Array
) -> jax.Array:
    """True at the one entry of each segment with the highest score; ties take the lowest `order`.

    A segment without unmasked entries selects none. Shapes [E]; returns bool [E]. Segments out of
    range as in `segment_softmax`.
    """
    scores, order = floats("scores", scores), ids_of("order", order)
    num_segments, segments, mask = _checked(segments, num_segments, mask)
    edges = jnp.arange(scores.shape[0])
    highest = jax.ops.segment_max(jnp.where(mask, scores, -jnp.inf), segments, num_segments)
    tied = mask & (scores == highest[segments])
    limit = jnp.iinfo(order.dtype).max
    first = jax.ops.segment_min(jnp.where(tied, order, limit), segments, num_segments)
    tied = tied & (order == first[segments])
    # An edge may be listed twice: keep the first listing.
    listing = jax.ops.segment_min(jnp.where(tied, edges, scores.shape[0]), segments, num_segments)
    return tied & (edges == listing[segments])


def _checked(segments, num_segments: int, mask) -> tuple[int, jax.Array, jax.Array]:
    num_segments = whole_number("num_segments", num_segments, 1, "count all segments")
    mask = mask_of("mask", mask)
    segments, inside = indices("segments", segments, num_segments, mask)
    return num_segments, segments, mask & inside
