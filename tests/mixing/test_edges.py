"""Mixing along edges, beyond the contract of all rules."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import mixing
from tests.mixing import cases

EDGE_RULES = [setting for setting in cases.SETTINGS if setting.candidates == "wp"]
NUM_ROWS = 3
# rules whose weights do not depend on how the candidates are stored
STORED_EITHER_WAY = [cases.Setting(r, "op") for r in ("mo", "mp", "binary", "neighbour_mean")]


@functools.cache
def first_rows():
    """Edges into the first rows only, mixed for these rows alone; the others are partners."""
    problem = first_rows_problem()
    cut = cases.as_arrays(problem._replace(self_edge_weight=problem.self_edge_weight[:NUM_ROWS]))
    run = jax.jit(lambda p: [cases.mix(p, s, num_rows=NUM_ROWS)[:3] for s in EDGE_RULES])
    return dict(zip(EDGE_RULES, run(cut), strict=True))


def first_rows_problem():
    problem = cases.make_problem()
    return problem._replace(edge_mask=problem.edge_mask & (problem.receivers < NUM_ROWS))


@pytest.mark.parametrize("setting", EDGE_RULES, ids=str)
def test_num_rows_gives_the_first_rows_of_the_whole(x64, setting):
    problem, mixture = first_rows_problem(), mixing.Mixture(*first_rows()[setting], stats={})
    weights = cases.dense_weights(mixture, problem, setting)
    expected = weights if setting.rule == "random" else cases.naive_weights(problem, setting)
    np.testing.assert_allclose(weights, expected[:NUM_ROWS], atol=1e-12)
    np.testing.assert_allclose(mixture.self_weights, np.diag(expected)[:NUM_ROWS], atol=1e-12)
    expected_mixture = naive.mix(expected[:NUM_ROWS], problem.z)
    np.testing.assert_allclose(mixture.z_mixed, expected_mixture, atol=1e-12)
    if setting.rule != "propagate":
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)


def as_edges(problem, setting):
    """The same problem with an edge for every pair that the setting admits."""
    sets = cases.candidate_sets(problem, setting)
    senders, receivers = np.array([(j, i) for i, row in enumerate(sets) for j in row]).T
    edges = {"senders": senders, "receivers": receivers, "edge_mask": np.ones(len(senders), bool)}
    return problem._replace(**edges), setting._replace(candidates="wp")


@functools.cache
def by_edge_and_by_pair():
    problem = cases.make_problem()
    cotangent = np.random.default_rng(0).normal(size=(7, 5))

    def run(z, problem, setting):
        def loss(z):
            mixture = cases.mix(cases.as_arrays(problem)._replace(z=z), setting)
            return jnp.sum(mixture.z_mixed * cotangent), mixture[:3]

        return jax.grad(loss, has_aux=True)(z)

    def run_all(z):
        return [(run(z, *as_edges(problem, s)), run(z, problem, s)) for s in STORED_EITHER_WAY]

    results = jax.jit(run_all)(jnp.asarray(problem.z))
    return dict(zip(STORED_EITHER_WAY, results, strict=True))


@pytest.mark.parametrize("setting", STORED_EITHER_WAY, ids=str)
def test_edges_equal_pairs_on_the_same_candidates(x64, setting):
    (edge_gradient, by_edge), (pair_gradient, by_pair) = by_edge_and_by_pair()[setting]
    np.testing.assert_allclose(by_edge[0], by_pair[0], atol=1e-12)
    np.testing.assert_allclose(by_edge[2], by_pair[2], atol=1e-12)
    np.testing.assert_allclose(edge_gradient, pair_gradient, atol=1e-12)
    problem, _ = as_edges(cases.make_problem(), setting)
    weights = np.diag(np.asarray(by_edge[2]))
    weights[problem.receivers, problem.senders] += by_edge[1]
    np.testing.assert_allclose(weights, by_pair[1], atol=1e-12)


def test_propagate_computes_the_entries_of_the_normalised_adjacency(x64):
    """Â = D̃^{-1/2} (A + I) D̃^{-1/2} from the edges alone, padding left out."""
    adjacency = np.zeros((5, 5))
    for i, j in [(0, 1), (0, 2), (1, 2), (2, 3)]:
        adjacency[i, j] = adjacency[j, i] = 1
    receivers, senders = np.nonzero(adjacency)
    with_loops = adjacency + np.eye(5)
    root = 1 / np.sqrt(with_loops.sum(axis=1))
    expected = root[:, None] * with_loops * root[None, :]
    z = np.random.default_rng(0).normal(size=(5, 3))
    mixture = jax.jit(lambda *edges: mixing.mix_edges(*edges, rule="propagate"))(
        jnp.asarray(z),
        jnp.append(senders, jnp.array([0, 4])),
        jnp.append(receivers, jnp.array([4, 1])),
        jnp.arange(10) < 8,
    )
    np.testing.assert_allclose(mixture.z_mixed, expected @ z, atol=1e-12)
    np.testing.assert_allclose(mixture.weights[:8], expected[receivers, senders], atol=1e-12)
    np.testing.assert_array_equal(mixture.weights[8:], 0.0)
    np.testing.assert_allclose(mixture.self_weights, np.diag(expected), atol=1e-12)


def test_a_graph_without_edges_stays_as_it_is():
    z, none = jnp.ones((3, 2)), jnp.zeros(0, jnp.int32)
    mixture = jax.jit(mixing.mix_edges)(z, none, none, jnp.zeros(0, bool))
    np.testing.assert_array_equal(mixture.z_mixed, z)
    assert mixture.stats["unmixed"] == 1


@pytest.mark.parametrize(
    ("receivers", "edge_mask"),
    [(jnp.zeros(3, int), jnp.ones(2, bool)), (jnp.zeros(2, int), jnp.ones(3, bool))],
)
def test_edge_arrays_of_unequal_length_are_named(receivers, edge_mask):
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)") as caught:
        mixing.mix_edges(jnp.ones((4, 2)), jnp.zeros(2, int), receivers, edge_mask)
    assert "\n" not in str(caught.value)


def test_without_a_mask_every_edge_counts():
    z = jax.random.normal(jax.random.key(0), (4, 3))
    senders, receivers = jnp.array([1, 2, 0]), jnp.array([0, 0, 3])
    found = mixing.mix_edges(z, senders, receivers)
    expected = mixing.mix_edges(z, senders, receivers, jnp.ones(3, bool))
    np.testing.assert_array_equal(found.z_mixed, expected.z_mixed)
    np.testing.assert_allclose(found.weights, [0.8 * x for x in naive_softmax(z)] + [0.8], 1e-5)


def naive_softmax(z):
    """Two neighbours of node 0, weighted by cosine."""
    unit = np.asarray(z) / np.linalg.norm(z, axis=1, keepdims=True)
    powers = np.exp([unit[0] @ unit[1], unit[0] @ unit[2]])
    return powers / powers.sum()
