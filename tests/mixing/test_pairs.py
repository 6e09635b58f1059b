"""Mixing among the samples of a batch, beyond the contract of all rules."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import mixing
from tests.mixing import cases

pytestmark = pytest.mark.slow

PAIR_SETTINGS = [
    (cases.Setting("mo", "op"), {}),
    (cases.Setting("mo", "op"), {"stop_gradient": True}),
    (cases.Setting("mo", "all"), {"mix_normalised": True}),
    (cases.Setting("mo", "op", None), {}),
    (cases.Setting("mp", "op"), {}),
    (cases.Setting("mp", "all"), {"mix_normalised": True, "stop_gradient": True}),
    (cases.Setting("random", "all"), {}),
    (cases.Setting("binary", "op"), {}),
    (cases.Setting("none", "all"), {}),
    (cases.Setting("neighbour_mean", "op"), {}),
]
PLACES = {
    " ".join([str(setting), *options]): place
    for place, (setting, options) in enumerate(PAIR_SETTINGS)
}


def padded_inputs():
    """Ten rows, three of them padding: everything that has a gradient."""
    problem = cases.pad(cases.make_problem())
    return problem, {
        "z": problem.z,
        "q": problem.z @ problem.p_m,
        "k": problem.z @ problem.p_n,
        "temperature": np.array(cases.TEMPERATURE),
    }


def options_of(setting, inputs):
    """The keywords that this rule reads."""
    names = ("temperature", "q", "k") if setting.rule == "mp" else ("temperature",)
    return {name: inputs[name] for name in names}


@functools.cache
def dense_and_streamed():
    """Mixture and gradient in one piece, and in tiles of four by four."""
    problem, inputs = padded_inputs()
    draws = np.random.default_rng(0)
    cotangent, own_cotangent = draws.normal(size=problem.z.shape), draws.normal(size=10)

    def run(inputs, setting, options, block_size):
        def loss(inputs):
            given = options | options_of(setting, inputs) | {"block_size": block_size}
            mixture = cases.mix(problem._replace(z=inputs["z"]), setting, **given)
            value = jnp.sum(mixture.z_mixed * cotangent)
            # Statistics that are of all rows: the others come of dense rows in either form.
            stats = {name: mixture.stats[name] for name in ("partners", "unmixed")}
            value += jnp.sum(mixture.self_weights * own_cotangent)
            return value, mixture._replace(stats=stats)

        return jax.grad(loss, has_aux=True)(inputs)

    def run_all(inputs):
        return [[run(inputs, *case, block) for block in (None, 4)] for case in PAIR_SETTINGS]

    return jax.jit(run_all)(jax.tree.map(jnp.asarray, inputs))


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_streamed_equals_dense(x64, place):
    (dense_gradient, dense), (gradient, streamed) = dense_and_streamed()[place]
    assert streamed.weights is None
    np.testing.assert_allclose(streamed.z_mixed, dense.z_mixed, atol=1e-12)
    np.testing.assert_allclose(streamed.self_weights, dense.self_weights, atol=1e-12)
    for name, value in dense_gradient.items():
        np.testing.assert_allclose(gradient[name], value, atol=1e-12, err_msg=name)
    for name, value in dense.stats.items():
        np.testing.assert_allclose(streamed.stats[name], value, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", [name for name in PLACES if "random" not in name])
def test_streamed_equals_loops(x64, name):
    place = PLACES[name]
    setting, options = PAIR_SETTINGS[place]
    bare = cases.make_problem()
    _, streamed = dense_and_streamed()[place][1]
    source = naive.normalise(bare.z) if options.get("mix_normalised") else bare.z
    expected = naive.mix(cases.naive_weights(bare, setting), source)
    np.testing.assert_allclose(streamed.z_mixed[:7], expected, atol=1e-12)
    padding = padded_inputs()[1]["z"][7:]
    padding = naive.normalise(padding) if options.get("mix_normalised") else padding
    np.testing.assert_allclose(streamed.z_mixed[7:], padding, atol=1e-12)


def test_partners_of_streamed_rows_are_counted_beyond_the_first_rows(x64):
    """The last of 150 rows lie alone, past the rows that the other statistics are of."""
    z = np.ones((150, 2))
    z[140:] = np.random.default_rng(0).normal(size=(10, 2))
    sets = naive.candidates_op(naive.similarities(z, z), 0.999)
    alone = [len(candidates) == 1 for candidates in sets]
    assert 0 < np.sum(alone) < 10

    @jax.jit
    def statistics(z):
        stats = mixing.mix_pairs(z, threshold=0.999, block_size=64).stats
        return {name: stats[name] for name in ("partners", "unmixed")}

    stats = statistics(z)
    np.testing.assert_allclose(stats["unmixed"], np.mean(alone), atol=1e-12)
    np.testing.assert_allclose(stats["partners"], np.mean([len(c) - 1 for c in sets]), atol=1e-9)


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
