"""Mixing among the samples of a batch, beyond the contract of all rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import mixing
from tests.mixing import cases

PAIR_RULES = [setting for setting in cases.SETTINGS if setting.candidates != "wp"]


def value_and_gradient(problem, setting, **options):
    cotangent = np.random.default_rng(0).normal(size=problem.z.shape)

    def loss(inputs):
        mixture = cases.mix(problem._replace(**inputs), setting, **options)
        return jnp.sum(mixture.z_mixed * cotangent), mixture

    inputs = {name: getattr(problem, name) for name in ("z", "p_m", "p_n")}
    return jax.jit(jax.grad(loss, has_aux=True))(inputs)


@pytest.mark.parametrize("setting", PAIR_RULES, ids=str)
def test_streamed_equals_dense(x64, setting):
    """Ten rows, three of them padding, in blocks of four (the last one part filled)."""
    problem = cases.as_arrays(cases.pad(cases.make_problem()))
    dense_gradient, dense = value_and_gradient(problem, setting)
    gradient, streamed = value_and_gradient(problem, setting, block_size=4)
    assert streamed.weights is None
    np.testing.assert_allclose(streamed.z_mixed, dense.z_mixed, atol=1e-12)
    np.testing.assert_allclose(streamed.self_weights, dense.self_weights, atol=1e-12)
    for name, value in dense.stats.items():
        np.testing.assert_allclose(streamed.stats[name], value, atol=1e-12, err_msg=name)
    for name, value in dense_gradient.items():
        np.testing.assert_allclose(gradient[name], value, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("block_size", [1, 5, 10, 64])
def test_any_block_size_gives_the_same_mixture(x64, block_size):
    problem, setting = cases.pad(cases.make_problem()), cases.Setting("mp", "op")
    arrays = cases.as_arrays(problem)
    mixture = jax.jit(lambda p: cases.mix(p, setting, block_size=block_size).z_mixed)(arrays)
    bare = cases.make_problem()
    expected = naive.mix(cases.naive_weights(bare, setting), bare.z)
    np.testing.assert_allclose(mixture[:7], expected, atol=1e-12)


def test_without_a_mask_every_row_is_real(x64):
    problem = cases.make_problem()
    weights = mixing.mix_pairs(jnp.asarray(problem.z), candidates="all").weights
    expected = naive.mo_weights(problem.z, naive.candidates_all(7))
    np.testing.assert_allclose(weights, expected, atol=1e-12)


def test_defaults_are_the_papers(x64):
    """mo-mix-op with θ = 0.9, C = 0.2, τ = 1."""
    z = np.random.default_rng(0).normal(size=(12, 3))
    sets = naive.candidates_op(naive.similarities(z, z), 0.9)
    assert 2 < sum(len(candidates) > 1 for candidates in sets) < 12
    expected = naive.mo_weights(z, sets, self_weight=0.2, temperature=1.0)
    np.testing.assert_allclose(mixing.mix_pairs(jnp.asarray(z)).weights, expected, atol=1e-12)


def test_a_similarity_at_the_threshold_is_enough(x64):
    z = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    weights = mixing.mix_pairs(z, threshold=0.0, self_weight=0.5).weights
    np.testing.assert_allclose(
        weights, [[0.5, 0.25, 0.25], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5]], atol=1e-15
    )


@pytest.mark.parametrize(
    ("options", "found", "way_out"),
    [
        ({"candidates": "wp"}, "wp", "op"),
        ({"candidates": "everyone"}, "everyone", "all"),
        ({"rule": "propagate"}, "propagate", "wp"),
        ({"rule": "propagate", "candidates": "all"}, "propagate", "wp"),
        ({"mask": jnp.ones(4, bool)}, "mask", "(4,)"),
        ({"labels": jnp.ones(4, int)}, "labels", "(4,)"),
        ({"block_size": 0}, "block_size", "0"),
    ],
)
def test_errors_name_what_was_found_in_one_line(options, found, way_out):
    with pytest.raises(ValueError) as caught:
        mixing.mix_pairs(jnp.ones((3, 2)), **options)
    message = str(caught.value)
    assert found in message and way_out in message and "\n" not in message
