"""Laws of subgraphs, substitutions and triplets, and the authors' substitution put together."""

import itertools
import pathlib

import numpy as np
import pytest

from mmix_jax.data.catalog import load_graphs
from mmix_jax.errors import InputError
from mmix_jax.graphs import diffusion_matrix
from mmix_jax.graphs.edits import (
    draw_subgraph,
    induced_subgraph,
    make_triplets,
    replace_edges,
    substitute_edges,
)
from mmix_jax.graphs.types import Graph, make_graph


def connected_graph(num_nodes=30, num_edges=60, seed=0) -> Graph:
    """A path through all nodes and random weighted edges; features name the nodes."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(num_nodes)
    senders = np.append(order[:-1], rng.integers(0, num_nodes, num_edges))
    receivers = np.append(order[1:], rng.integers(0, num_nodes, num_edges))
    x = np.stack([np.arange(num_nodes), np.full(num_nodes, seed)], axis=1)
    return make_graph(x, senders, receivers, rng.uniform(0.5, 2, len(senders)))


def complete_graph(num_nodes: int) -> Graph:
    ends = np.array(list(itertools.combinations(range(num_nodes), 2)))
    return make_graph(np.ones((num_nodes, 2)), *ends.T)


def edges_of(graph: Graph) -> set[tuple[int, int]]:
    """Undirected edges, after a check that a graph holds both directions in canonical order."""
    ends = list(zip(graph.receivers.tolist(), graph.senders.tolist(), strict=True))
    assert ends == sorted(set(ends))
    assert {(b, a) for a, b in ends} == set(ends)
    assert all(a != b for a, b in ends)
    return {(a, b) for a, b in ends if a < b}


def component(graph: Graph, start: int) -> set[int]:
    """The nodes that can be reached from one."""
    found, frontier = {start}, [start]
    while frontier:
        node = frontier.pop()
        fresh = set(graph.senders[graph.receivers == node].tolist()) - found
        found |= fresh
        frontier += fresh
    return found


def same(one: Graph, other: Graph) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# Subgraphs


def test_an_induced_subgraph_has_the_edges_among_its_nodes_and_their_features():
    graph = connected_graph()
    weight = {
        (s, r): w for s, r, w in zip(graph.senders, graph.receivers, graph.edge_weight, strict=True)
    }
    nodes = np.random.default_rng(1).permutation(30)[:12]
    found = induced_subgraph(graph, nodes)
    np.testing.assert_array_equal(found.x, graph.x[nodes])
    expected = {
        (i, j): weight[nodes[i], nodes[j]]
        for i, j in itertools.product(range(12), repeat=2)
        if (nodes[i], nodes[j]) in weight
    }
    pairs = zip(found.senders.tolist(), found.receivers.tolist(), strict=True)
    assert dict(zip(pairs, found.edge_weight, strict=True)) == expected
    assert len(edges_of(found)) == len(expected) // 2 > 0
    assert found.senders.dtype == np.int32


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "found float64 of shape"),
        ([1, 1], "with 1 distinct ones"),
        ([[0, 1]], r"shape \(1, 2\)"),
        ([0.5], "found float64"),
        ([3, 30], r"\[0, 30\), found 30"),
        ([-1, 3], r"\[0, 30\), found -1"),
    ],
)
def test_wrong_nodes_are_told_in_one_line(nodes, message):
    with pytest.raises(ValueError, match=message) as error:
        induced_subgraph(connected_graph(), nodes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [1, 2, 7, 29, 30])
def test_a_drawn_subgraph_is_induced_and_connected(size):
    graph = connected_graph()
    for seed in range(5):
        found = draw_subgraph(graph, size, np.random.default_rng(seed))
        assert found.num_nodes == size
        nodes = found.x[:, 0].astype(int)
        assert (np.diff(nodes) > 0).all()  # in the order of the whole graph
        assert same(found, induced_subgraph(graph, nodes))
        assert component(found, 0) == set(range(size))


def test_growth_goes_on_in_another_component_only_where_one_is_used_up():
    # Components of 3 and 5 nodes, and one node alone.
    graph = make_graph(np.arange(9)[:, None], [0, 1, 3, 4, 5, 6], [1, 2, 4, 5, 6, 7])
    whole = [{0, 1, 2}, {3, 4, 5, 6, 7}, {8}]
    for size in range(1, 10):
        for seed in range(20):
            found = draw_subgraph(graph, size, np.random.default_rng(seed))
            nodes = set(found.x[:, 0].astype(int).tolist())
            assert len(nodes) == size
            begun = [part for part in whole if 0 < len(part & nodes) < len(part)]
            assert len(begun) <= 1


def test_every_node_and_every_start_can_be_drawn():
    graph = connected_graph(8, 4)
    draws = [draw_subgraph(graph, 2, np.random.default_rng(seed)) for seed in range(200)]
    pairs = {tuple(draw.x[:, 0].astype(int).tolist()) for draw in draws}
    assert pairs == edges_of(graph)


@pytest.mark.parametrize("size", [0, 31])
def test_a_size_that_the_graph_has_not_is_told(size):
    with pytest.raises(ValueError, match=f"30 nodes has 1 to 30 nodes, found size {size}"):
        draw_subgraph(connected_graph(), size, np.random.default_rng(0))


# Substitutions


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_exactly_as_many_edges_are_removed_and_added(count):
    graph = connected_graph()
    before = edges_of(graph)
    for seed in range(10):
        found = substitute_edges(graph, count, np.random.default_rng(seed))
        assert found is not None
        after = edges_of(found)
        assert len(before - after) == len(after - before) == count
        np.testing.assert_array_equal(found.edge_weight, 1)
        np.testing.assert_array_equal(found.x, graph.x)
        assert [a.dtype for a in found] == [a.dtype for a in graph]


def test_substitutions_follow_from_the_generator():
    graph = connected_graph()
    first, again, other = (
        substitute_edges(graph, 2, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert first is not None and again is not None and other is not None
    assert same(first, again)
    assert not same(first, other)


def test_all_edges_and_all_other_pairs_are_equally_likely():
    graph = make_graph(np.ones((4, 1)), [0, 1], [1, 2])
    removed = dict.fromkeys(edges_of(graph), 0)
    added = dict.fromkeys([(0, 2), (0, 3), (1, 3), (2, 3)], 0)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        found = substitute_edges(graph, 1, rng)
        assert found is not None
        (gone,), (new,) = edges_of(graph) - edges_of(found), edges_of(found) - edges_of(graph)
        removed[gone] += 1
        added[new] += 1
    for counts in (removed, added):
        expected = 2000 / len(counts)
        assert all(abs(n - expected) < 5 * expected**0.5 for n in counts.values())


@pytest.mark.parametrize(
    ("graph", "most"),
    [
        (complete_graph(5), 0),
        (make_graph(np.ones((5, 1)), [], []), 0),
        (make_graph(np.ones((5, 1)), [0, 1, 2], [1, 2, 3]), 3),  # three edges to remove
        (replace_edges(complete_graph(5), [[0, 1], [0, 2]], []), 2),  # two pairs to join
    ],
    ids=["complete", "no_edges", "three_edges", "two_gaps"],
)
def test_more_substitutions_than_there_can_be_give_none(graph, most):
    rng = np.random.default_rng(0)
    assert substitute_edges(graph, most, rng) is not None
    assert substitute_edges(graph, most + 1, rng) is None


@pytest.mark.parametrize(
    ("removed", "added", "message"),
    [
        ([[0, 3]], [], "removed must hold distinct pairs of nodes with an edge"),
        ([[0, 1], [1, 0]], [], "removed must hold distinct"),
        ([], [[0, 1]], "added must hold distinct pairs of nodes without an edge"),
        ([], [[0, 2], [2, 0]], "added must hold distinct"),
        ([], [[2, 2]], "added must hold distinct"),
    ],
)
def test_edges_that_cannot_be_replaced_are_told(removed, added, message):
    graph = make_graph(np.ones((4, 1)), [0, 1], [1, 2])
    with pytest.raises(ValueError, match=message):
        replace_edges(graph, removed, added)


def test_directed_graphs_are_told():
    graph = make_graph(np.ones((4, 1)), [0, 1, 1], [1, 0, 2], undirected=False)
    with pytest.raises(InputError, match="found 1 -> 2 without its reverse"):
        substitute_edges(graph, 1, np.random.default_rng(0))


# Triplets

GRAPHS = [connected_graph(size, size, seed=size) for size in (9, 12, 20, 25, 30)]


def test_triplets_are_one_and_two_substitutions_of_a_connected_subgraph():
    found = make_triplets(GRAPHS, 12, num=14)
    assert len(found.triplets) == len(found.sources) == 14
    for (anchor, near, far), source in zip(found.triplets, found.sources, strict=True):
        whole, nodes = GRAPHS[source], anchor.x[:, 0].astype(int)
        expected = induced_subgraph(whole, nodes)
        np.testing.assert_array_equal(anchor.x, expected.x)
        assert edges_of(anchor) == edges_of(expected)
        assert component(anchor, 0) == set(range(12))
        for graph, count in ((anchor, 0), (near, 1), (far, 2)):
            assert len(edges_of(anchor) - edges_of(graph)) == count
            assert len(edges_of(graph) - edges_of(anchor)) == count
            np.testing.assert_array_equal(graph.edge_weight, 1)
            np.testing.assert_array_equal(graph.x, anchor.x)


def test_graphs_large_enough_are_taken_in_rounds():
    found = make_triplets(GRAPHS, 12, num=10)
    rounds = found.sources[:4], found.sources[4:8], found.sources[8:]
    assert set(rounds[0]) == set(rounds[1]) == {1, 2, 3, 4}
    assert len(set(rounds[2])) == 2
    assert found.num_graphs == 4
    assert found.sources.dtype == np.int32


def test_a_graph_taken_again_is_edited_otherwise():
    found = make_triplets([connected_graph(15, 20)], 15, num=3)
    assert found.num_graphs == 1
    anchors, nears, _ = zip(*found.triplets, strict=True)
    assert same(anchors[0], anchors[1])
    assert not same(nears[0], nears[1])


def test_triplets_follow_from_seed_and_size_and_more_of_them_begin_the_same():
    first, more = make_triplets(GRAPHS, 10, num=6), make_triplets(GRAPHS, 10, num=9)
    for one, other in zip(first.triplets, more.triplets, strict=False):
        assert all(same(a, b) for a, b in zip(one, other, strict=True))
    reseeded, resized = make_triplets(GRAPHS, 10, num=6, seed=1), make_triplets(GRAPHS, 11, num=6)
    for other in (reseeded, resized):
        assert not all(
            same(one.near, another.near)
            for one, another in zip(first.triplets, other.triplets, strict=True)
        )


def test_complete_graphs_are_passed_over():
    found = make_triplets([complete_graph(12), GRAPHS[1], complete_graph(13)], 12, num=5)
    assert set(found.sources) == {1}


@pytest.mark.parametrize(
    ("graphs", "size", "message"),
    [
        (GRAPHS, 31, "at least 31 nodes, found 30 in the largest of 5"),
        ([], 3, "found 0 in the largest of 0"),
        ([complete_graph(6)] * 2, 5, "found none of 5 nodes in 2 graphs"),
    ],
)
def test_sets_without_triplets_are_told(graphs, size, message):
    with pytest.raises(InputError, match=message) as error:
        make_triplets(graphs, size)
    assert "\n" not in str(error.value)


def test_only_169_graphs_of_coil_del_have_fifty_nodes(data_dir):
    graphs = load_graphs("coil_del", data_dir=data_dir).graphs
    found = make_triplets(graphs, 50, num=200)
    assert found.num_graphs == len(set(found.sources[:169])) == 169
    assert min(graphs[source].num_nodes for source in found.sources) == 50
    # Delaunay triangulations are connected, so what grows in them is too.
    assert all(len(component(anchor, 0)) == 50 for anchor, _, _ in found.triplets)


# The authors' substitution, put together from the library's functions. Their edges are all entries
# that are not zero, self-loops included, and their draws come from NumPy's legacy generator.


def authors_draws(adjacency, count, seed):
    """Pairs removed and added, drawn in the authors' order."""
    draw = np.random.RandomState(seed)
    edges = np.argwhere(np.triu(adjacency != 0))
    removed = edges[draw.choice(np.arange(len(edges)), count, replace=False)]
    taken, added = {tuple(edge) for edge in edges.tolist()}, []
    while len(added) < count:
        pair = tuple(sorted(draw.choice(len(adjacency), 2, replace=False).tolist()))
        if pair not in taken:
            taken.add(pair)
            added.append(pair)
    return edges, removed, np.array(added)


@pytest.mark.parametrize("case", [0, 1, 2])
def test_the_authors_substitution(case):
    path = pathlib.Path(__file__).parents[1] / "golden" / "match_eval.npz"
    with np.load(path) as archive:
        golden = {
            name.removeprefix(f"sub{case}_"): archive[name]
            for name in archive
            if name.startswith(f"sub{case}_")
        }
    adjacency = golden["adj"]
    edges, removed, added = authors_draws(adjacency, int(golden["n"]), int(golden["seed"]))
    np.testing.assert_array_equal(edges, golden["edge_list_in"])
    for drawn, name in ((removed, "removed"), (added, "added")):
        assert sorted(drawn.tolist()) == sorted(np.sort(golden[name], axis=1).tolist())

    # The library's graphs hold no loops; those of the golden graph are kept beside it.
    loops = {a for a, b in edges.tolist() if a == b} - {a for a, b in removed.tolist() if a == b}
    graph = make_graph(np.ones((len(adjacency), 1)), *edges.T)
    graph = replace_edges(graph, [pair for pair in removed if pair[0] != pair[1]], added)
    pattern = np.zeros(adjacency.shape, bool)
    pattern[graph.receivers, graph.senders] = True
    pattern[list(loops), list(loops)] = True
    np.testing.assert_array_equal(pattern, golden["adj_out"] != 0)
    kept = pattern & (adjacency != 0)  # with their old weights; the others have weight 1
    np.testing.assert_array_equal(np.where(kept, adjacency, pattern), golden["adj_out"])

    receivers, senders = pattern.nonzero()
    ppr = diffusion_matrix(senders, receivers, len(pattern), kind="ppr", alpha=0.2)
    np.testing.assert_allclose(ppr, golden["compute_pp_out"], atol=1e-10)
