"""The diversity loss, equation 8."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import losses

MASK = np.array([True, False, True, True, True, False])


def projections():
    """Unit rows: q · k of the pairs lie on both sides of the margins."""
    draws = np.random.default_rng(5)
    return naive.normalise(draws.normal(size=(6, 3))), naive.normalise(draws.normal(size=(6, 3)))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("margin", [-1.0, -0.5, 0.0])
def test_value_and_gradient_match_the_loops(x64, margin, masked):
    q, k = projections()
    products = np.sum(q * k, axis=1)
    assert products.min() < margin < products.max() or margin == -1.0
    mask = MASK if masked else None

    def naive_loss(q, k):
        return naive.diversity(naive.normalise(q), naive.normalise(k), mask=mask, margin=margin)

    def loss(q, k):
        return losses.diversity(
            q, k, mask=None if mask is None else jnp.asarray(mask), margin=margin
        )

    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(q, k)
    np.testing.assert_allclose(value, naive_loss(q, k), rtol=1e-12)
    numerical = naive.numerical_gradient(lambda q: naive_loss(q, k), q)
    np.testing.assert_allclose(tangent(gradients[0], q), tangent(numerical, q), atol=1e-9)
    numerical = naive.numerical_gradient(lambda k: naive_loss(q, k), k)
    np.testing.assert_allclose(tangent(gradients[1], k), tangent(numerical, k), atol=1e-9)
    if masked:
        np.testing.assert_array_equal(gradients[0][~MASK], 0.0)


def tangent(gradient, rows):
    """The part along the sphere: rows are unit vectors by definition."""
    gradient = np.asarray(gradient)
    return gradient - np.sum(gradient * rows, axis=1, keepdims=True) * rows


def test_runs_from_equal_at_0_to_opposed_at_minus_4(x64):
    q, _ = map(jnp.asarray, projections())
    np.testing.assert_allclose(losses.diversity(q, q), 0.0, atol=1e-12)
    np.testing.assert_allclose(losses.diversity(q, -q), -4.0)
    # a margin at orthogonality asks for no more than orthogonal spaces
    np.testing.assert_allclose(losses.diversity(q, -q, margin=0.0), -2.0)


def test_the_margin_stops_the_push(x64):
    q, k = map(jnp.asarray, projections())
    beyond = np.sum(np.asarray(q) * np.asarray(k), axis=1) < 0
    gradient = np.asarray(jax.grad(losses.diversity)(q, k, margin=0.0))
    assert beyond.any() and not beyond.all()
    np.testing.assert_array_equal(gradient[beyond], 0.0)
    assert np.all(np.abs(gradient[~beyond]).max(axis=1) > 0)


def test_no_real_row_gives_zero_and_zero_rows_a_finite_gradient():
    q, k = (jnp.asarray(rows, jnp.float32) for rows in projections())
    assert losses.diversity(q, k, mask=jnp.zeros(6, bool)) == 0
    gradient = jax.grad(losses.diversity)(q.at[0].set(0.0), k)
    assert gradient.dtype == jnp.float32 and np.isfinite(gradient).all()


def test_unequal_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(4, 2\)") as caught:
        losses.diversity(jnp.ones((3, 2)), jnp.ones((4, 2)))
    assert "\n" not in str(caught.value)
