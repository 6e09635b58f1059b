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


# The whole range of normal numbers, and the lengths that broke it: squares leave float32 at 1e±19.
@pytest.mark.parametrize("length", [1e-36, 1e-30, 1e-20, 1e-13, 1.0, 1e18, 1e20, 1e30, 1e38])
def test_normalise_at_every_length(length):
    z = (Z * length / np.abs(Z).max()).astype(np.float32)
    cotangent = np.random.default_rng(1).normal(size=Z.shape).astype(np.float32)

    def total(z):
        unit = normalise(z)
        return jnp.sum(unit * cotangent), unit

    gradient, unit = jax.jit(jax.grad(total, has_aux=True))(z)
    np.testing.assert_allclose(unit, naive.normalise(z), rtol=1e-6, atol=1e-7)
    assert np.isfinite(gradient).all()
    if 1e-29 < length < 1e30:  # beyond, gradients are capped, or too small for float32
        wide = z.astype(np.float64)
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        units = wide / lengths
        along = np.sum(units * cotangent, axis=1, keepdims=True)
        expected = (cotangent - along * units) / lengths
        scale = np.abs(expected).max(axis=1, keepdims=True)
        np.testing.assert_allclose(gradient / scale, expected / scale, atol=1e-5)


def test_normalise_is_bitwise_what_it_was_at_ordinary_lengths():
    draw = np.random.default_rng(2)
    z = (draw.normal(size=(500, 37)) * 10.0 ** draw.uniform(-9, 9, (500, 1))).astype(np.float32)

    @jax.jit
    def plainly(x):
        return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True))

    np.testing.assert_array_equal(jax.jit(normalise)(z), plainly(z))


@pytest.mark.parametrize("value", [0.0, 1e-40, -1e-42])
def test_what_is_below_normal_numbers_counts_as_zero(value):
    gradient, unit = jax.jacfwd(normalise)(jnp.full(3, value)), normalise(jnp.full(3, value))
    np.testing.assert_array_equal(unit, np.zeros(3))
    np.testing.assert_array_equal(gradient, np.zeros((3, 3)))


def test_what_is_not_finite_stays_so():
    assert np.isnan(normalise(jnp.array([np.inf, 1.0]))).any()
    assert np.isnan(normalise(jnp.array([np.nan, 1.0]))).all()


def test_normalise_in_float64_at_every_length(x64):
    for length in (1e-300, 1e-200, 1e200, 1e300):
        np.testing.assert_allclose(normalise(Z * length), naive.normalise(Z), atol=1e-15)


def test_gradients_of_the_shortest_vectors_are_finite():
    """1e6 · 1/‖z‖ is above what float32 holds."""
    z = jnp.array([3e-38, 4e-38])
    value, gradient = jax.value_and_grad(lambda z: 1e6 * normalise(z)[0])(z)
    np.testing.assert_allclose(value, 6e5, rtol=1e-6)
    assert np.isfinite(gradient).all() and gradient[0] > 0 > gradient[1]
