"""i-mix: inputs mixed in pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import naive
from mmix_jax import mixing


@pytest.mark.parametrize("shape", [(9, 4), (9, 3, 3, 2)])
def test_inputs_match_the_loops(x64, shape):
    x = np.random.default_rng(0).normal(size=shape)
    mixed, coefficients, partners = mixing.i_mix_inputs(jnp.asarray(x), jax.random.key(1))
    assert sorted(np.asarray(partners)) == list(range(9))
    assert coefficients.shape == (9,) and mixed.dtype == jnp.float64
    expected = naive.i_mix_inputs(x, np.asarray(coefficients), np.asarray(partners))
    np.testing.assert_allclose(mixed, expected, atol=1e-12)


def test_gradient_passes_to_both_partners(x64):
    x, key = np.random.default_rng(0).normal(size=(5, 3)), jax.random.key(1)
    cotangent = np.random.default_rng(1).normal(size=(5, 3))
    _, coefficients, partners = map(np.asarray, mixing.i_mix_inputs(jnp.asarray(x), key))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(mixing.i_mix_inputs(x, key)[0] * cotangent)))(x)
    numerical = naive.numerical_gradient(
        lambda x: float(np.sum(naive.i_mix_inputs(x, coefficients, partners) * cotangent)), x
    )
    np.testing.assert_allclose(gradient, numerical, atol=1e-8)


@pytest.mark.parametrize("masked", [False, True])
def test_coefficients_are_uniform_and_partners_a_permutation_of_real_rows(masked):
    """Beta(1, 1) is the uniform distribution; π is drawn anew per key."""
    mask = np.arange(60) % 3 != 1 if masked else np.ones(60, bool)
    keys = jax.random.split(jax.random.key(0), 50)

    def draw(key):
        x = jnp.zeros((60, 1))
        return mixing.i_mix_inputs(x, key, mask=jnp.asarray(mask) if masked else None)[1:]

    coefficients, partners = map(np.asarray, jax.jit(jax.vmap(draw))(keys))
    real = np.flatnonzero(mask)
    for row in partners:
        np.testing.assert_array_equal(np.sort(row[mask]), real)
    assert scipy.stats.kstest(coefficients[:, mask].ravel(), "uniform").pvalue > 1e-3
    assert len({tuple(row) for row in partners}) == 50
    # every real row is about equally often partner of the first
    assert len(np.unique(partners[:, 0])) > len(real) / 3
    np.testing.assert_array_equal(coefficients[:, ~mask], 1.0)
    np.testing.assert_array_equal(partners[:, ~mask], np.tile(np.flatnonzero(~mask), (50, 1)))


def test_padded_rows_stay_as_they_are():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(6, 2)), jnp.float32)
    mask = jnp.array([True, False, True, True, False, False])
    mixed, coefficients, partners = mixing.i_mix_inputs(x, jax.random.key(3), mask=mask)
    np.testing.assert_array_equal(mixed[~mask], x[~mask])
    assert set(np.asarray(partners[mask])) == {0, 2, 3}
    expected = naive.i_mix_inputs(np.asarray(x), np.asarray(coefficients), np.asarray(partners))
    np.testing.assert_allclose(mixed, expected, atol=1e-6)


def test_one_sample_alone_is_its_own_partner():
    x = jnp.ones((1, 2))
    mixed, _, partners = mixing.i_mix_inputs(x, jax.random.key(0))
    assert partners[0] == 0
    np.testing.assert_allclose(mixed, x)
