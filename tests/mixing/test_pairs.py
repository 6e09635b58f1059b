"""Mixing among the samples of a batch, beyond the contract of all rules."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import mixing
from tests.mixing import cases

PAIR_RULES = [cases.Setting("mo", "op"), cases.Setting("mp", "op"), cases.Setting("random", "all")]


@functools.cache
def dense_and_streamed():
    """Ten rows, three of them padding: mixture and gradient in one piece, and in blocks of four."""
    problem = cases.as_arrays(cases.pad(cases.make_problem()))
    cotangent = np.random.default_rng(0).normal(size=problem.z.shape)
    inputs = {name: getattr(problem, name) for name in ("z", "p_m", "p_n")}

    def run(inputs, setting, block_size):
        def loss(inputs):
            mixture = cases.mix(problem._replace(**inputs), setting, block_size=block_size)
            return jnp.sum(mixture.z_mixed * cotangent), mixture[:3]

        return jax.grad(loss, has_aux=True)(inputs)

    results = jax.jit(lambda i: [[run(i, s, block) for block in (None, 4)] for s in PAIR_RULES])
    return dict(zip(PAIR_RULES, results(inputs), strict=True))


@pytest.mark.parametrize("setting", PAIR_RULES, ids=str)
def test_streamed_equals_dense(x64, setting):
    (dense_gradient, dense), (gradient, streamed) = dense_and_streamed()[setting]
    assert streamed[1] is None
    np.testing.assert_allclose(streamed[0], dense[0], atol=1e-12)
    np.testing.assert_allclose(streamed[2], dense[2], atol=1e-12)
    for name, value in dense_gradient.items():
        np.testing.assert_allclose(gradient[name], value, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("block_size", [1, 10, 64])
def test_any_block_size_gives_the_same_mixture(x64, block_size):
    problem, setting = cases.pad(cases.make_problem()), cases.Setting("mp", "op")
    arrays = cases.as_arrays(problem)
    mixture = jax.jit(lambda p: cases.mix(p, setting, block_size=block_size).z_mixed)(arrays)
    bare = cases.make_problem()
    expected = naive.mix(cases.naive_weights(bare, setting), bare.z)
    np.testing.assert_allclose(mixture[:7], expected, atol=1e-12)


def jitted_weights(z, **options):
    return jax.jit(lambda z: mixing.mix_pairs(z, **options).weights)(jnp.asarray(z))


def test_without_a_mask_every_row_is_real(x64):
    problem = cases.make_problem()
    weights = jitted_weights(problem.z, candidates="all")
    expected = naive.mo_weights(problem.z, naive.candidates_all(7))
    np.testing.assert_allclose(weights, expected, atol=1e-12)


def test_defaults_are_the_papers(x64):
    """mo-mix-op with θ = 0.9, C = 0.2, τ = 1."""
    z = np.random.default_rng(0).normal(size=(12, 3))
    sets = naive.candidates_op(naive.similarities(z, z), 0.9)
    assert 2 < sum(len(candidates) > 1 for candidates in sets) < 12
    expected = naive.mo_weights(z, sets, self_weight=0.2, temperature=1.0)
    np.testing.assert_allclose(jitted_weights(z), expected, atol=1e-12)


def test_a_similarity_at_the_threshold_is_enough(x64):
    z = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    weights = jitted_weights(z, threshold=0.0, self_weight=0.5)
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
