"""Masks of whole feature dimensions, and of edges."""

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.augment.graphs import edge_pairs, feature_mask, kept_edges


def test_masks_keep_or_drop_at_the_rate():
    mask = np.asarray(feature_mask(jax.random.key(0), 4000, 0.3))
    assert set(np.unique(mask)) == {0.0, 1.0}  # nothing is rescaled
    assert abs(mask.mean() - 0.7) < 5 * np.sqrt(0.3 * 0.7 / 4000)


def test_masks_are_a_function_of_the_key():
    first, again, other = (feature_mask(jax.random.key(seed), 64, 0.5) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rate_zero_keeps_all_in_the_dtype_asked_for():
    mask = feature_mask(jax.random.key(0), 5, 0.0, jnp.bfloat16)
    assert mask.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.asarray(mask, np.float32), np.ones(5))


def test_both_directions_of_an_edge_have_one_number():
    senders, receivers = np.array([0, 1, 2, 1, 5, 0]), np.array([1, 0, 1, 2, 0, 5])
    pairs = edge_pairs(senders, receivers)
    assert pairs[0] == pairs[1] and pairs[2] == pairs[3] and pairs[4] == pairs[5]
    assert sorted(set(pairs.tolist())) == [0, 1, 2]
    assert edge_pairs(np.zeros(0, int), np.zeros(0, int)).shape == (0,)


def test_edges_stay_or_go_in_both_directions_at_the_rate():
    draw = np.random.default_rng(0)
    ends = np.unique(np.sort(draw.integers(0, 200, size=(4000, 2)), axis=1), axis=0)
    ends = ends[ends[:, 0] != ends[:, 1]]
    senders, receivers = np.concatenate([ends, ends[:, ::-1]]).T
    kept = np.asarray(kept_edges(jax.random.key(1), edge_pairs(senders, receivers), 0.4))
    np.testing.assert_array_equal(kept[: len(ends)], kept[len(ends) :])
    assert abs(kept.mean() - 0.6) < 4 * np.sqrt(0.24 / len(ends))
    assert np.asarray(kept_edges(jax.random.key(1), edge_pairs(senders, receivers), 0.0)).all()
