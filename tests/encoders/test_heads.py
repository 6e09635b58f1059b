"""The predictor g, the projections of mp-mix and SimCLR's head, against loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.encoders.heads import Predictor, ProjectionHead, Projections
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


@pytest.mark.parametrize("width", [0, 7])
def test_projection_head_is_linear_norm_relu_linear(x64, width):
    head = ProjectionHead(3, hidden=width)
    variables = head.init(jax.random.key(0), jnp.zeros((1, 4)))
    variables = jax.tree.map(lambda leaf: jnp.asarray(leaf + 0.1, jnp.float64), variables)
    params = jax.tree.map(np.asarray, variables["params"])
    assert {name: set(part) for name, part in params.items()} == {
        "hidden": {"kernel"},
        "norm": {"scale", "bias"},
        "output": {"kernel", "bias"},
    }
    hidden = Z @ params["hidden"]["kernel"]
    assert hidden.shape[1] == (width or 4)
    for train in (True, False):
        mean, variance = (hidden.mean(0), hidden.var(0)) if train else (0.1, 1.1)
        normed = (hidden - mean) / np.sqrt(variance + 1e-5)
        inner = np.maximum(normed * params["norm"]["scale"] + params["norm"]["bias"], 0)
        expected = inner @ params["output"]["kernel"] + params["output"]["bias"]
        found, _ = head.apply(variables, jnp.asarray(Z), train=train, mutable=["batch_stats"])
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_projection_head_starts_as_torch_starts_linear_layers():
    params = ProjectionHead().init(jax.random.key(0), jnp.zeros((1, 64)))["params"]
    for leaf in (params["hidden"]["kernel"], params["output"]["kernel"], params["output"]["bias"]):
        assert 0.95 / 8 < np.abs(leaf).max() <= 1 / 8  # 1/√64
        np.testing.assert_allclose(np.std(leaf), 1 / 8 / np.sqrt(3), rtol=0.15)
