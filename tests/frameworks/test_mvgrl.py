"""Representations against float64 loops over a graph of ten nodes, and their laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.frameworks.mvgrl_nodes import embed
from mmix_jax.graphs.samplers import NodeSampler
from mmix_jax.graphs.types import make_graph
from tests.frameworks import problem
from tests.frameworks.changes import changed


def represent(settings, params, graph=problem.GRAPH):
    """Of all nodes, with features propagated beforehand."""
    inputs = problem.propagated(graph), problem.everything(graph)
    return embed(settings, params, *inputs, problem.KEY)


@pytest.mark.parametrize("case", ["none", "mo", "mp", "mo_op", "mp_op", "neighbour_mean"])
def test_permuting_nodes_permutes_representations(x64, case):
    settings = changed(problem.BASE, **problem.CASES[case])
    params = problem.parameters(settings)
    order = np.random.default_rng(6).permutation(problem.N)
    place = np.argsort(order)
    graph = problem.GRAPH
    permuted = make_graph(
        graph.x[order], place[graph.senders], place[graph.receivers], graph.edge_weight
    )
    before, mixture = represent(settings, params)
    after, mixed = represent(settings, params, permuted)
    for name in ("a", "b", "mean"):
        np.testing.assert_allclose(after[name], np.asarray(before[name])[order], atol=1e-10)
    np.testing.assert_allclose(mixed.self_weights, np.asarray(mixture.self_weights)[order])


@pytest.mark.parametrize("embed_from", ["g", "mixed", "z"])
def test_representations_against_loops(x64, embed_from):
    settings = changed(problem.BASE, mixing="mo", embed_from=embed_from, feature_mask=0.9)
    params = problem.parameters(settings)
    found, mixture = represent(settings, params)
    z_a, z_b = problem.views(params)
    mixed = problem.mixture(settings, params, z_a)
    a = {"g": problem.predict(params["predictor"], mixed), "mixed": mixed, "z": z_a}[embed_from]
    for name, expected in {"a": a, "b": z_b, "mean": (a + z_b) / 2}.items():
        np.testing.assert_allclose(found[name], expected, atol=1e-9)
    np.testing.assert_allclose(mixture.z_mixed, mixed, atol=1e-9)


@pytest.mark.parametrize("way", ["beforehand", "inside"])
@pytest.mark.parametrize("case", ["none", "mo", "mp", "neighbour_mean", "propagate"])
def test_a_batch_of_nodes_is_encoded_and_mixed_exactly(x64, case, way):
    settings = changed(problem.BASE, **problem.CASES[case])
    params = problem.parameters(settings)
    tables = problem.propagated() if way == "beforehand" else problem.padded()
    whole, mixture = represent(settings, params)
    sampler = NodeSampler(problem.GRAPH, sampler="nodes", batch_size=5, num_devices=2)
    for step in range(2):
        stacked = problem.to_device(sampler.batch(step))
        for device in range(2):
            batch = jax.tree.map(lambda leaf, d=device: leaf[d], stacked)
            found, mixed = embed(settings, params, tables, batch, problem.KEY)
            real = np.asarray(batch.anchor_mask)
            nodes = np.asarray(batch.rows)[: len(real)][real]
            for name in ("a", "b", "mean"):
                np.testing.assert_allclose(
                    np.asarray(found[name])[real], np.asarray(whole[name])[nodes], atol=1e-9
                )
            np.testing.assert_allclose(
                np.asarray(mixed.z_mixed)[real], np.asarray(mixture.z_mixed)[nodes], atol=1e-9
            )


def test_labels_add_the_agreement_of_partners(x64):
    settings = changed(problem.BASE, mixing="mo")
    params = problem.parameters(settings)
    inputs = problem.propagated(), problem.everything()
    alike = jnp.zeros(problem.N, jnp.int32)
    assert "agreement" not in embed(settings, params, *inputs, problem.KEY)[1].stats
    for labels, agreement in ((alike, 1.0), (jnp.arange(problem.N), 0.0)):
        _, mixture = embed(settings, params, *inputs, problem.KEY, labels)
        np.testing.assert_allclose(mixture.stats["agreement"], agreement)
