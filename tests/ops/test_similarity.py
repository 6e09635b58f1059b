"""Normalisation, cosines and the Gram matrix; zero rows and half precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax.ops.similarity import cosine, normalise

Z = np.random.default_rng(0).normal(size=(5, 3))


def test_normalise_against_loops(x64):
    unit = normalise(jnp.asarray(Z))
    assert unit.dtype == jnp.float64
    np.testing.assert_allclose(unit, naive.normalise(Z), atol=1e-15)


def test_normalise_gradient(x64):
    cotangent = np.random.default_rng(1).normal(size=Z.shape)
    gradient = jax.grad(lambda z: jnp.sum(normalise(z) * cotangent))(jnp.asarray(Z))
    expected = naive.numerical_gradient(lambda z: float(np.sum(naive.normalise(z) * cotangent)), Z)
    np.testing.assert_allclose(gradient, expected, atol=1e-8)


def test_a_zero_row_stays_zero_and_has_a_zero_gradient():
    value, gradient = jax.value_and_grad(lambda z: jnp.sum(normalise(z)))(jnp.zeros((2, 3)))
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((2, 3)))


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_small_vectors_in_half_precision(dtype):
    small = jnp.asarray([[3e-4, 4e-4, 0.0]], dtype)  # squares underflow in float16
    unit = normalise(small)
    assert unit.dtype == dtype
    np.testing.assert_allclose(np.asarray(unit, np.float32), [[0.6, 0.8, 0.0]], atol=4e-3)


def test_cosine_against_loops():
    z = np.concatenate([Z[:-1], np.zeros((1, 3))])
    found = np.asarray(cosine(jnp.asarray(z), jnp.asarray(z[::-1])))
    expected = [naive.cosine(u, v) for u, v in zip(z, z[::-1], strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[-1] == 0
