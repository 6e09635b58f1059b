"""The predictor g and the projections of mp-mix, against loops."""

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.encoders.heads import Predictor, Projections
from tests.frameworks import problem

Z = np.random.default_rng(0).normal(size=(5, 4))


def test_predictor_is_linear_prelu_linear_without_biases(x64):
    params = Predictor(4).init(jax.random.key(0), jnp.zeros((1, 4)))["params"]
    shapes = {tuple(np.shape(leaf)) for leaf in jax.tree.leaves(params)}
    assert (len(jax.tree.leaves(params)), shapes) == (3, {(4, 4), ()})  # two matrices, one slope
    params = jax.tree.map(lambda p: jnp.asarray(p + 0.1, jnp.float64), params)
    found = Predictor(4).apply({"params": params}, jnp.asarray(Z))
    np.testing.assert_allclose(found, problem.predict(params, Z), atol=1e-12)


def test_projections_are_two_matrices_of_their_own(x64):
    params = Projections(4).init(jax.random.key(0), jnp.zeros((1, 4)))["params"]
    p_m, p_n = (np.asarray(params[name]["kernel"]) for name in ("p_m", "p_n"))
    assert len(jax.tree.leaves(params)) == 2
    assert not np.allclose(p_m, p_n)
    bound = np.sqrt(6 / 8)  # Xavier-uniform
    assert max(np.abs(p_m).max(), np.abs(p_n).max()) <= bound
    q, k = Projections(4).apply({"params": params}, jnp.asarray(Z))
    np.testing.assert_allclose(q, Z @ p_m, atol=1e-6)
    np.testing.assert_allclose(k, Z @ p_n, atol=1e-6)
