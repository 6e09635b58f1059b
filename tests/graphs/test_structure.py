"""Features of a graph's structure, against loops over its nodes."""

import networkx as nx
import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.graphs import make_graph
from mmix_jax.graphs.structure import positions, roles, structural

GRAPHS = {
    "karate": nx.karate_club_graph(),
    "two rings": nx.disjoint_union(nx.cycle_graph(5), nx.cycle_graph(7)),
    "isolated": nx.disjoint_union(nx.star_graph(4), nx.empty_graph(3)),
    "one node": nx.empty_graph(1),
    "one edge": nx.path_graph(2),
}
every_graph = pytest.mark.parametrize("name", list(GRAPHS))


def graph_of(graph: nx.Graph, order=None):
    """The graph with its nodes in this order, the new place of the old ones."""
    order = np.arange(len(graph)) if order is None else order
    edges = np.array([(order[a], order[b]) for a, b in graph.edges], np.int64).reshape(-1, 2)
    return make_graph(np.zeros((len(graph), 0)), edges[:, 0], edges[:, 1])


@every_graph
def test_roles_are_those_of_a_loop(name):
    graph = GRAPHS[name]
    degree = dict(graph.degree)
    walk = np.zeros((len(graph),) * 2)
    wanted = []
    for node in graph:
        for other in graph[node]:
            walk[node, other] = 1 / degree[node]
        logs = [np.log(1 + degree[other]) for other in graph[node]] or [0.0]
        wanted.append([np.log(1 + degree[node]), np.mean(logs), np.std(logs), max(logs)])
    clustering = [nx.clustering(graph)[node] for node in graph]
    back = [np.diag(np.linalg.matrix_power(walk, steps)) for steps in (2, 3, 4)]
    wanted = np.column_stack([wanted, clustering, *back])
    np.testing.assert_allclose(roles(graph_of(graph)), wanted, atol=1e-6)


def test_roles_in_blocks_are_those_at_once(monkeypatch):
    graph = graph_of(GRAPHS["karate"])
    whole = roles(graph)
    monkeypatch.setattr("mmix_jax.graphs.structure._ENTRIES", 20)
    np.testing.assert_allclose(roles(graph), whole, atol=1e-7)


def test_roles_move_with_the_nodes():
    graph = GRAPHS["karate"]
    order = np.random.default_rng(0).permutation(len(graph))
    moved = roles(graph_of(graph, order))
    np.testing.assert_allclose(moved[order], roles(graph_of(graph)), atol=1e-6)


@every_graph
@pytest.mark.parametrize("sparse", [False, True])
def test_positions_are_eigenvectors(name, sparse, monkeypatch):
    graph = GRAPHS[name]
    number = len(graph)
    adjacency = nx.to_numpy_array(graph, weight=None) + np.eye(number)
    scale = 1 / np.sqrt(adjacency.sum(axis=1))
    normalised = adjacency * scale[:, None] * scale[None]
    dimensions = 3 if sparse else 64  # a large matrix goes to the sparse solver
    found = positions(graph_of(graph), dimensions).astype(np.float64)
    assert found.shape == (number, max(1, min(dimensions, number - 1)))
    np.testing.assert_allclose((found**2).sum(axis=0), number, rtol=1e-5)
    images = normalised @ found
    values = (images * found).sum(axis=0) / number
    np.testing.assert_allclose(images, found * values, atol=1e-5)
    every = np.sort(np.linalg.eigvalsh(normalised))[::-1]
    leading = every[1 : 1 + found.shape[1]] if number > 1 else every
    np.testing.assert_allclose(values, leading, atol=1e-5)


def test_positions_are_the_same_every_time():
    graph = graph_of(nx.gnp_random_graph(400, 0.02, seed=0))
    np.testing.assert_array_equal(positions(graph), positions(graph))


def test_another_word_is_refused():
    with pytest.raises(
        InputError, match="unknown structure 'place'; expected one of: both, positions"
    ):
        structural(graph_of(GRAPHS["karate"]), "place")
