"""Masks of whole feature dimensions."""

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.augment.graphs import feature_mask


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
