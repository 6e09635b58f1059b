"""Softmax and selection over edges against loops; empty and masked segments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax.ops.segment import segment_best, segment_softmax

NUM_SEGMENTS = 5
# Segment 3 has masked entries only, segment 4 none at all.
SEGMENTS = np.array([0, 2, 0, 1, 2, 3, 0, 3])
MASK = np.array([1, 1, 1, 1, 1, 0, 0, 0], bool)
SCORES = np.random.default_rng(0).normal(size=8)


def softmax(scores, segments=SEGMENTS, mask=MASK):
    return segment_softmax(jnp.asarray(scores), segments, NUM_SEGMENTS, jnp.asarray(mask))


def naive_softmax(scores) -> np.ndarray:
    weights = np.zeros(len(scores))
    for segment in range(NUM_SEGMENTS):
        mine = {e: scores[e] for e in range(len(scores)) if SEGMENTS[e] == segment and MASK[e]}
        for e, weight in (naive.softmax_over(mine) if mine else {}).items():
            weights[e] = weight
    return weights


def test_softmax_against_loops(x64):
    weights = softmax(SCORES)
    assert weights.dtype == jnp.float64
    np.testing.assert_allclose(weights, naive_softmax(SCORES), atol=1e-15)


def test_softmax_gradient(x64):
    cotangent = np.random.default_rng(1).normal(size=8)
    gradient = jax.grad(lambda s: jnp.sum(softmax(s) * cotangent))(jnp.asarray(SCORES))
    expected = naive.numerical_gradient(lambda s: float(naive_softmax(s) @ cotangent), SCORES)
    np.testing.assert_allclose(gradient, expected, atol=1e-9)


def test_softmax_of_a_segment_without_entries_is_zero_and_differentiable():
    nobody = np.zeros(8, bool)
    value, gradient = jax.value_and_grad(lambda s: jnp.sum(softmax(s, mask=nobody)))(
        jnp.asarray(SCORES)
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros(8))


@pytest.mark.parametrize("offset", [1e4, -1e4])
def test_softmax_of_large_scores(offset):
    np.testing.assert_allclose(softmax(SCORES + offset), naive_softmax(SCORES), atol=1e-3)


def test_masked_scores_do_not_matter_even_where_infinite():
    poisoned = np.where(MASK, SCORES, [np.nan, np.inf, -np.inf, 1e30] * 2)

    def total(scores):
        weights = softmax(scores)
        return jnp.sum(weights * jnp.arange(8.0)), weights

    gradient, weights = jax.grad(total, has_aux=True)(jnp.asarray(poisoned))
    np.testing.assert_allclose(weights, naive_softmax(SCORES), atol=1e-6)
    assert np.isfinite(gradient).all()


def best(scores, order, segments, mask=None):
    mask = np.ones(len(scores), bool) if mask is None else mask
    chosen = segment_best(
        jnp.asarray(scores), jnp.asarray(order), jnp.asarray(segments), NUM_SEGMENTS, mask
    )
    return np.flatnonzero(chosen).tolist()


def test_best_takes_the_highest_of_each_segment():
    assert best(SCORES, np.arange(8), SEGMENTS, MASK) == sorted(
        max((e for e in range(8) if SEGMENTS[e] == s and MASK[e]), key=lambda e: SCORES[e])
        for s in (0, 1, 2)
    )


def test_ties_take_the_lowest_order_then_the_first_listing():
    # entries 1, 2 and 4 tie at 3.0; of them 2 and 4 list the same sender, 5
    assert best([1.0, 3.0, 3.0, 2.0, 3.0], [9, 7, 5, 1, 5], [0] * 5) == [2]


def test_segments_without_unmasked_entries_select_none():
    assert best(SCORES, np.arange(8), SEGMENTS, np.zeros(8, bool)) == []
