"""Mixing along edges, beyond the contract of all rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax import mixing
from tests.mixing import cases

EDGE_RULES = [setting for setting in cases.SETTINGS if setting.candidates == "wp"]
# rules whose weights do not depend on how the candidates are stored
STORED_EITHER_WAY = [s for s in cases.SETTINGS if s.rule != "random" and s.candidates != "wp"]


@pytest.mark.parametrize("setting", EDGE_RULES, ids=str)
def test_num_rows_gives_the_first_rows(x64, setting):
    """Receivers below R only; the other rows are partners."""
    problem = cases.make_problem()
    num_rows = 3
    first = problem._replace(
        edge_mask=problem.edge_mask & (problem.receivers < num_rows),
        self_edge_weight=problem.self_edge_weight,
    )
    whole = jax.jit(lambda p: cases.mix(p, setting)[:3])(cases.as_arrays(first))
    cut = first._replace(self_edge_weight=first.self_edge_weight[:num_rows])
    rows = jax.jit(lambda p: cases.mix(p, setting, num_rows=num_rows)[:3])(cases.as_arrays(cut))
    assert rows[0].shape == (num_rows, 5) and rows[2].shape == (num_rows,)
    if setting.rule == "random":  # the draw of a row itself depends on the number of rows
        np.testing.assert_allclose(rows[2] + np.bincount(
            first.receivers, np.asarray(rows[1]), num_rows)[:num_rows], 1.0)  # fmt: skip
        return
    np.testing.assert_allclose(rows[0], whole[0][:num_rows], atol=1e-12)
    np.testing.assert_allclose(rows[1], whole[1], atol=1e-12)
    np.testing.assert_allclose(rows[2], whole[2][:num_rows], atol=1e-12)


@pytest.mark.parametrize("setting", STORED_EITHER_WAY, ids=str)
def test_edges_equal_pairs_on_the_same_candidates(x64, setting):
    """An edge for every admissible pair, in value and gradient."""
    problem = cases.make_problem()
    sets = cases.candidate_sets(problem, setting)
    edges = [(j, i) for i, candidates in enumerate(sets) for j in candidates]
    senders, receivers = np.array(edges).T
    as_edges = problem._replace(
        senders=senders, receivers=receivers, edge_mask=np.ones(len(edges), bool)
    )
    cotangent = np.random.default_rng(0).normal(size=(7, 5))

    def value_and_gradient(problem, setting):
        def loss(z):
            mixture = cases.mix(problem._replace(z=z), setting)
            return jnp.sum(mixture.z_mixed * cotangent), mixture[:3]

        arrays = cases.as_arrays(problem)
        gradient, mixture = jax.jit(jax.grad(loss, has_aux=True))(arrays.z)
        return mixture, gradient

    edge_setting = setting._replace(candidates="wp")
    by_edge, edge_gradient = value_and_gradient(as_edges, edge_setting)
    by_pair, pair_gradient = value_and_gradient(problem, setting)
    np.testing.assert_allclose(by_edge[0], by_pair[0], atol=1e-12)
    np.testing.assert_allclose(by_edge[2], by_pair[2], atol=1e-12)
    weights = np.diag(np.asarray(by_edge[2]))
    weights[receivers, senders] += by_edge[1]
    np.testing.assert_allclose(weights, by_pair[1], atol=1e-12)
    np.testing.assert_allclose(edge_gradient, pair_gradient, atol=1e-12)


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
    mixture = mixing.mix_edges(z, none, none, jnp.zeros(0, bool))
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
