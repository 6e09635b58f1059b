"""The contract of every mixing rule over every candidate set.

The library always sees the problem padded, the loops see it bare: agreement with them is at the
same time the law that padding changes neither value nor gradient (and all runs have one shape).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import mixing
from tests.mixing import cases

pytestmark = pytest.mark.slow

every_setting = pytest.mark.parametrize("setting", cases.SETTINGS, ids=str)
determined = pytest.mark.parametrize(
    "setting", [setting for setting in cases.SETTINGS if setting.rule != "random"], ids=str
)
COTANGENT = np.random.default_rng(7).normal(size=(7, 5))
ORDER = np.array([4, 6, 0, 3, 5, 1, 2])
PROBLEMS = {
    "none": cases.make_problem,
    "permuted": lambda: cases.permute(cases.make_problem(), ORDER),
    "one real row": lambda: cases.make_problem()._replace(mask=np.arange(7) == cases.ISOLATED),
    "zero rows": lambda: cases.make_problem()._replace(
        z=np.where(np.arange(7)[:, None] < 3, 0.0, cases.make_problem().z)
    ),
}


@functools.cache
def compiled(settings, dtype, **options):
    """All the settings' mixtures and gradients of Σ ẑ · COTANGENT, in one compilation."""
    cotangent = np.pad(COTANGENT, [(0, 3), (0, 0)]).astype(dtype)

    def run(padded, setting):
        def loss(inputs):
            mixture = cases.mix(padded._replace(**inputs), setting, **options)
            return jnp.sum(mixture.z_mixed * cotangent), mixture[:3]

        inputs = {name: getattr(padded, name) for name in ("z", "p_m", "p_n")}
        return jax.grad(loss, has_aux=True)(inputs)

    return jax.jit(lambda padded: [run(padded, setting) for setting in settings])


@functools.cache
def outcomes(change, settings=tuple(cases.SETTINGS), **options):
    """By setting: the library's mixture of the padded problem, its gradient, and its dense Λ."""
    padded = cases.pad(PROBLEMS[change]())
    arrays = cases.as_arrays(padded)
    results = compiled(settings, arrays.z.dtype, **options)(arrays)
    by_setting = {}
    for setting, (gradient, values) in zip(settings, results, strict=True):
        mixture = mixing.Mixture(*values, stats={})
        by_setting[setting] = mixture, gradient, cases.dense_weights(mixture, padded, setting)
    return by_setting


def outcome(setting):
    return outcomes("none")[setting]


def naive_gradient(problem, setting, name, fixed_weights=None, mix_normalised=False):
    def loss(value):
        moved = problem._replace(**{name: value})
        weights = cases.naive_weights(moved, setting) if fixed_weights is None else fixed_weights
        source = naive.normalise(moved.z) if mix_normalised else moved.z
        return float(np.sum(naive.mix(weights, source) * COTANGENT))

    return naive.numerical_gradient(loss, getattr(problem, name))


@every_setting
def test_value_and_gradient_match_the_loops(x64, setting):
    problem = cases.make_problem()
    mixture, gradient, weights = outcome(setting)
    if setting.rule == "random":  # the draws are the library's own: their law has its own test
        expected = fixed = weights[:7, :7]
    else:
        expected, fixed = cases.naive_weights(problem, setting), None
    np.testing.assert_allclose(weights[:7, :7], expected, atol=1e-12)
    np.testing.assert_allclose(mixture.self_weights[:7], np.diag(expected), atol=1e-12)
    np.testing.assert_allclose(mixture.z_mixed[:7], naive.mix(expected, problem.z), atol=1e-12)
    for name in ("z", "p_m", "p_n") if setting.rule == "mp" else ("z",):
        numerical = naive_gradient(problem, setting, name, fixed)
        np.testing.assert_allclose(gradient[name][:7], numerical, atol=2e-8, err_msg=name)


@every_setting
def test_padded_rows_stay_as_they_are_and_belong_to_nobody(x64, setting):
    mixture, gradient, weights = outcome(setting)
    np.testing.assert_array_equal(weights[:7, 7:], 0.0)
    np.testing.assert_array_equal(weights[7:], np.eye(10)[7:])
    np.testing.assert_array_equal(mixture.self_weights[7:], 1.0)
    np.testing.assert_array_equal(mixture.z_mixed[7:], cases.pad(cases.make_problem()).z[7:])
    np.testing.assert_array_equal(gradient["z"][7:], 0.0)


@every_setting
def test_rows_are_weights_over_the_candidates(x64, setting):
    weights = outcome(setting)[2]
    for i, candidates in enumerate(cases.candidate_sets(cases.make_problem(), setting)):
        assert {j for j in range(10) if weights[i, j] != 0} <= candidates
    assert weights.min() >= 0
    if setting.rule != "propagate":  # the entries of Â do not sum to one
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)


@determined
def test_permuting_the_nodes_permutes_the_mixture(x64, setting):
    mixture, _, weights = outcome(setting)
    permuted, _, permuted_weights = outcomes("permuted")[setting]
    np.testing.assert_allclose(permuted.z_mixed[:7], mixture.z_mixed[ORDER], atol=1e-12)
    np.testing.assert_allclose(permuted.self_weights[:7], mixture.self_weights[ORDER], atol=1e-12)
    np.testing.assert_allclose(permuted_weights[:7, :7], weights[ORDER][:, ORDER], atol=1e-12)


@every_setting
def test_a_row_without_candidates_keeps_weight_one(x64, setting):
    # among all of a batch, only a batch of one leaves a row alone
    change = "one real row" if setting.candidates == "all" else "none"
    mixture, gradient, _ = outcomes(change)[setting]
    z = cases.make_problem().z
    assert mixture.self_weights[cases.ISOLATED] == 1
    np.testing.assert_array_equal(mixture.z_mixed[cases.ISOLATED], z[cases.ISOLATED])
    np.testing.assert_allclose(gradient["z"][cases.ISOLATED], COTANGENT[cases.ISOLATED])


@every_setting
def test_zero_vectors_give_finite_gradients(x64, setting):
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(outcomes("zero rows")[setting]))


@pytest.mark.parametrize("setting", [cases.Setting("mo", "wp"), cases.Setting("mp", "op")], ids=str)
def test_jit_equals_no_jit(x64, setting):
    mixture = cases.mix(cases.as_arrays(cases.pad(cases.make_problem())), setting)
    jitted = outcome(setting)[0]
    for value, expected in zip(
        jax.tree.leaves(mixture[:3]), jax.tree.leaves(jitted[:3]), strict=True
    ):
        np.testing.assert_allclose(value, expected, atol=1e-12)


IN_FLOAT32 = tuple(
    cases.Setting(*names)
    for names in (("mo", "wp"), ("mp", "op"), ("random", "all"), ("propagate", "wp"))
)


@pytest.mark.parametrize("setting", IN_FLOAT32, ids=str)
def test_float32_stays_float32(setting):
    mixture, gradient, weights = outcomes("none", IN_FLOAT32)[setting]
    assert {array.dtype for array in (*mixture[:3], gradient["z"])} == {jnp.dtype(jnp.float32)}
    problem = cases.make_problem()
    expected = weights[:7, :7]
    if setting.rule != "random":
        expected = cases.naive_weights(problem, setting)
    np.testing.assert_allclose(weights[:7, :7], expected, atol=1e-6)
    np.testing.assert_allclose(mixture.z_mixed[:7], naive.mix(expected, problem.z), atol=1e-5)


STOPPED = tuple(cases.Setting(rule, c) for rule in ("mo", "mp") for c in ("wp", "op"))


@pytest.mark.parametrize("setting", STOPPED, ids=str)
def test_stop_gradient_holds_the_weights_fixed(x64, setting):
    problem = cases.make_problem()
    mixture, gradient, _ = outcomes("none", STOPPED, stop_gradient=True)[setting]
    weights = cases.naive_weights(problem, setting)
    np.testing.assert_allclose(mixture.z_mixed[:7], naive.mix(weights, problem.z), atol=1e-12)
    numerical = naive_gradient(problem, setting, "z", weights)
    np.testing.assert_allclose(gradient["z"][:7], numerical, atol=2e-8)
    np.testing.assert_array_equal(gradient["p_m"], 0.0)
    np.testing.assert_array_equal(gradient["p_n"], 0.0)


OF_UNIT_VECTORS = cases.Setting("mo", "wp"), cases.Setting("none", "op"), cases.Setting("mo", "op")


@pytest.mark.parametrize("setting", OF_UNIT_VECTORS, ids=str)
def test_mix_normalised_mixes_unit_vectors(x64, setting):
    problem = cases.make_problem()
    mixture, gradient, _ = outcomes("none", OF_UNIT_VECTORS, mix_normalised=True)[setting]
    expected = naive.mix(cases.naive_weights(problem, setting), naive.normalise(problem.z))
    np.testing.assert_allclose(mixture.z_mixed[:7], expected, atol=1e-12)
    numerical = naive_gradient(problem, setting, "z", mix_normalised=True)
    np.testing.assert_allclose(gradient["z"][:7], numerical, atol=2e-8)


def test_ties_of_binary_take_the_lowest_index(x64):
    z = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    senders, receivers = jnp.array([3, 2, 1, 3, 1]), jnp.array([0, 0, 0, 2, 2])

    @jax.jit
    def weights(z):
        pairs = mixing.mix_pairs(z, rule="binary", candidates="all")
        edges = mixing.mix_edges(z, senders, receivers, jnp.ones(5, bool), rule="binary")
        return pairs.weights, edges.weights

    pair_weights, edge_weights = weights(jnp.asarray(z))
    expected = naive.binary_weights(z, naive.candidates_all(4))
    np.testing.assert_array_equal(pair_weights, expected)
    np.testing.assert_array_equal(edge_weights, [0, 0, 0.5, 0, 0.5])


@pytest.mark.parametrize("candidates", ["wp", "all"])
def test_random_weights_are_a_softmax_of_standard_normal_draws(candidates):
    """Log weights of a row, less their mean, are normal with variance one."""
    num = 40
    z = jnp.ones((num, 2))
    receivers, senders = np.nonzero(~np.eye(num, dtype=bool))

    @jax.jit
    def rows(key):
        if candidates == "all":
            return mixing.mix_pairs(z, rule="random", candidates="all", key=key).weights
        edges = jnp.asarray(senders), jnp.asarray(receivers), jnp.ones(len(senders), bool)
        mixture = mixing.mix_edges(z, *edges, rule="random", key=key)
        return jnp.diag(mixture.self_weights).at[receivers, senders].set(mixture.weights)

    first, again, other = (np.log(rows(jax.random.key(seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.5
    draws = (first - first.mean(axis=1, keepdims=True)) * np.sqrt(num / (num - 1))
    assert abs(draws.std() - 1) < 0.05  # 1600 draws: the standard error is 0.018
    assert abs((draws**4).mean() - 3) < 0.5
    assert abs(np.diag(draws).mean()) < 0.5  # a row itself has no standing of its own
    assert abs(np.corrcoef(draws[0], draws[1])[0, 1]) < 0.5


@pytest.mark.parametrize(
    ("rule", "options", "found", "way_out"),
    [
        ("mo_mix", {}, "mo_mix", "binary, mo, mp"),
        ("i_mix", {}, "i_mix", "i_mix_inputs"),
        ("mp", {}, "mp", "k="),
        ("mp", {"q": jnp.ones((3, 2))}, "mp", "k="),
        ("random", {}, "random", "key="),
        ("mo", {"temperature": 0.0}, "0.0", "positive"),
        ("mp", {"q": jnp.ones((3, 2)), "k": jnp.ones((4, 2))}, "k must", "(4, 2)"),
        ("mo", {"z": jnp.ones(3)}, "(3,)", "[N, D]"),
    ],
)
def test_errors_name_what_was_found_in_one_line(rule, options, found, way_out):
    z = options.get("z", jnp.ones((3, 2)))
    keywords = {name: value for name, value in options.items() if name != "z"}
    edges = jnp.array([0, 1]), jnp.array([1, 0]), jnp.ones(2, bool)
    for call in (lambda: mixing.mix_pairs(z, rule=rule, candidates="all", **keywords),
                 lambda: mixing.mix_edges(z, *edges, rule=rule, **keywords)):  # fmt: skip
        with pytest.raises(ValueError) as caught:
            call()
        message = str(caught.value)
        assert found in message and way_out in message and "\n" not in message
