"""Exact edit distances against a search over all matchings, and the pairs they are taken of."""

import itertools

import networkx as nx
import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.evaluation.exact_ged import exact_edit_distances, make_small_pairs
from mmix_jax.graphs.edits import induced_subgraph
from mmix_jax.graphs.types import Graph, make_graph


def graph_of(num_nodes: int, *edges: tuple[int, int]) -> Graph:
    ends = np.array(edges, int).reshape(-1, 2)
    return make_graph(np.arange(num_nodes)[:, None], *ends.T)


def random_graph(num_nodes: int, num_edges: int, seed: int) -> Graph:
    ends = np.random.default_rng(seed).integers(0, num_nodes, (2, num_edges))
    return make_graph(np.arange(num_nodes)[:, None], *ends)


def edges_of(graph: Graph) -> set[tuple[int, int]]:
    return set(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))


def least_cost(first: Graph, second: Graph) -> int:
    """Over all ways to match the nodes of the smaller graph to nodes of the larger one.

    Leaving a node of the smaller graph unmatched saves nothing: its edges must go either way.
    """
    small, large = sorted((first, second), key=lambda graph: graph.num_nodes)
    costs = []
    for match in itertools.permutations(range(large.num_nodes), small.num_nodes):
        moved = {(match[s], match[r]) for s, r in edges_of(small)}
        costs.append(len(moved ^ edges_of(large)) // 2)
    return large.num_nodes - small.num_nodes + min(costs)


PATH = graph_of(4, (0, 1), (1, 2), (2, 3))
CYCLE = graph_of(4, (0, 1), (1, 2), (2, 3), (3, 0))
STAR = graph_of(4, (0, 1), (0, 2), (0, 3))
TRIANGLE = graph_of(3, (0, 1), (1, 2), (2, 0))
EMPTY = graph_of(4)
GRAPHS = [random_graph(12, 20, seed) for seed in range(5)]


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        (PATH, PATH, 0),
        (PATH, induced_subgraph(PATH, [2, 0, 3, 1]), 0),
        (PATH, CYCLE, 1),
        (PATH, STAR, 2),
        (TRIANGLE, CYCLE, 4),  # a node and its two edges in, one edge out
        (EMPTY, CYCLE, 4),
        (EMPTY, graph_of(7), 3),
    ],
    ids=["same", "renumbered", "closed", "moved", "grown", "filled", "nodes_only"],
)
def test_distances_by_hand(first, second, distance):
    assert exact_edit_distances([(first, second), (second, first)]).tolist() == [distance] * 2


def test_distances_are_the_least_over_all_matchings():
    pairs = []
    for seed in range(12):
        sizes = np.random.default_rng(seed).integers(2, 6, 2)
        pairs.append(tuple(random_graph(int(n), int(n) + 2, seed + n) for n in sizes))
    expected = [least_cost(*pair) for pair in pairs]
    assert len(set(expected)) > 3
    assert exact_edit_distances(pairs).tolist() == expected


def to_networkx(graph: Graph) -> nx.Graph:
    found = nx.Graph(sorted(edges_of(graph)))
    found.add_nodes_from(range(graph.num_nodes))
    return found


def test_distances_are_those_of_a_general_search():
    """networkx may leave any node unmatched; on these pairs that never pays."""
    pairs = make_small_pairs(GRAPHS, num=12, max_nodes=6, seed=3)
    expected = [nx.graph_edit_distance(*map(to_networkx, pair)) for pair in pairs]
    assert len(set(expected)) > 2
    assert exact_edit_distances(pairs).tolist() == expected


def test_graphs_without_nodes_have_a_distance():
    none = EMPTY._replace(x=EMPTY.x[:0])
    assert exact_edit_distances([(none, none), (none, TRIANGLE)]).tolist() == [0, 6]


def test_graphs_of_too_many_nodes_are_told():
    with pytest.raises(InputError, match="up to 8 nodes, found 9; take smaller"):
        exact_edit_distances([(PATH, CYCLE), (graph_of(9), PATH)])


# Pairs


def test_pairs_are_substituted_in_turn_or_of_two_graphs():
    pairs = make_small_pairs(GRAPHS, num=24, max_nodes=7)
    assert len(pairs) == 24
    for index, (first, second) in enumerate(pairs):
        assert 5 <= first.num_nodes <= 7
        assert 5 <= second.num_nodes <= 7
        if index % 6 < 5:
            np.testing.assert_array_equal(first.x, second.x)
            assert len(edges_of(first) - edges_of(second)) == 2 * (index % 6)
            assert len(edges_of(second) - edges_of(first)) == 2 * (index % 6)
    assert {first.num_nodes for first, _ in pairs} == {5, 6, 7}
    assert any(first.num_nodes != second.num_nodes for first, second in pairs[5::6])


def test_substituted_pairs_are_no_farther_than_their_edits():
    pairs = make_small_pairs(GRAPHS, num=12, max_nodes=6)
    distances = exact_edit_distances(pairs)
    substitutions = np.arange(12) % 6
    edited = substitutions < 5
    assert (distances[edited] <= 2 * substitutions[edited]).all()
    assert (distances[substitutions == 0] == 0).all()


def test_pairs_follow_from_the_seed():
    first, again, other = (make_small_pairs(GRAPHS, num=8, seed=seed) for seed in (0, 0, 1))

    def ends(pairs):
        return [(g.x.tolist(), sorted(edges_of(g))) for pair in pairs for g in pair]

    assert ends(first) == ends(again)
    assert ends(first) != ends(other)


@pytest.mark.parametrize(
    ("graphs", "max_nodes", "message"),
    [
        (GRAPHS, 4, "max_nodes of 5 or more .* found 4 and 5 of 5 graphs"),
        (GRAPHS, 13, "found 13 and 0 of 5 graphs"),
        (GRAPHS[:1], 8, "found 8 and 1 of 1 graphs"),
        ([graph_of(6)] * 2, 6, "1 edges to remove and to add, found none in 100 draws"),
    ],
)
def test_sets_without_pairs_are_told(graphs, max_nodes, message):
    with pytest.raises(InputError, match=message) as error:
        make_small_pairs(graphs, max_nodes=max_nodes)
    assert "\n" not in str(error.value)
