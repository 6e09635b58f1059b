import jax
import jraph
import numpy as np
import pytest

from mmix_jax.graphs import diffuse, gcn_weights, make_graph, propagate
from mmix_jax.graphs.padding import (
    edge_mask,
    graph_mask,
    node_graph,
    node_mask,
    pad_graph,
    padded_size,
    to_jraph,
)


def example(num_nodes=9, num_edges=12, seed=0):
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, num_nodes - 1, (2, num_edges))  # the last node has no edge
    x = rng.normal(size=(num_nodes, 3))
    return make_graph(x, *ends, rng.uniform(0.5, 2, num_edges))


def test_padded_sizes_rise_in_four_steps_to_a_doubling():
    sizes = sorted({padded_size(n) for n in range(1, 129)})
    assert sizes == [16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128]


@pytest.mark.parametrize("n", [0, 1, 16, 17, 100, 2709, 19718, 10**6, 2**20, 2**20 + 1])
def test_a_padded_size_holds_n_and_wastes_at_most_a_quarter(n):
    size = padded_size(n)
    assert n <= size <= max(16, 1.25 * n)
    assert padded_size(size) == size


def test_the_unpadded_graph_carries_its_arrays_and_the_entries_of_the_operator():
    graph = example()
    out = to_jraph(graph)
    weights, _ = gcn_weights(graph.senders, graph.receivers, 9, graph.edge_weight)
    np.testing.assert_array_equal(out.nodes, graph.x)
    np.testing.assert_array_equal(out.senders, graph.senders)
    np.testing.assert_array_equal(out.receivers, graph.receivers)
    np.testing.assert_array_equal(out.edges["weight"], weights)
    np.testing.assert_array_equal(out.edges["edge_weight"], graph.edge_weight)


@pytest.mark.parametrize("sizes", [{}, {"num_nodes": 10}, {"num_nodes": 64, "num_edges": 128}])
def test_padding_has_the_sizes_and_masks_that_it_should(sizes):
    graph = example()
    out = pad_graph(graph, **sizes)
    assert out.nodes.shape[0] == sizes.get("num_nodes", 16)
    assert out.senders.shape[0] == sizes.get("num_edges", padded_size(graph.num_edges))
    np.testing.assert_array_equal(node_mask(out), np.arange(len(out.nodes)) < 9)
    np.testing.assert_array_equal(edge_mask(out), np.arange(len(out.senders)) < graph.num_edges)
    np.testing.assert_array_equal(graph_mask(out), [True, False])
    np.testing.assert_array_equal(node_graph(out), np.arange(len(out.nodes)) >= 9)
    padding = ~np.asarray(edge_mask(out))
    assert (out.senders[padding] >= 9).all()
    assert (out.receivers[padding] >= 9).all()
    assert (out.edges["weight"][padding] == 0).all()


@jax.jit
def encode(padded):
    """What a model does: propagate and diffuse within the masks."""
    mask = edge_mask(padded)
    edges = padded.senders, padded.receivers
    num_nodes = padded.nodes.shape[0]
    weights, self_weights = gcn_weights(*edges, num_nodes, padded.edges["edge_weight"])
    once = propagate(padded.nodes, *edges, padded.edges["weight"], self_weights, edge_mask=mask)
    far = diffuse(padded.nodes, *edges, edge_weight=padded.edges["edge_weight"], edge_mask=mask)
    return weights, once, far


def test_padding_changes_nothing():
    graph = example()
    weights, once, far = encode(pad_graph(graph))
    edges = graph.senders, graph.receivers
    plain = gcn_weights(*edges, 9, graph.edge_weight)
    np.testing.assert_allclose(weights[: graph.num_edges], plain[0], atol=1e-6)
    np.testing.assert_allclose(once[:9], propagate(graph.x, *edges, *plain), atol=1e-6)
    expected = diffuse(graph.x, *edges, edge_weight=graph.edge_weight)
    np.testing.assert_allclose(far[:9], expected, atol=2e-6)
    np.testing.assert_array_equal(once[9:], 0)


def test_graphs_of_one_bucket_compile_once():
    traces = []

    @jax.jit
    def count(padded):
        traces.append(None)
        return node_mask(padded), edge_mask(padded), node_graph(padded)

    shared = {"num_edges": 32}
    for num_nodes in (9, 12, 15):
        mask, _, _ = count(pad_graph(example(num_nodes), **shared))
        assert mask.sum() == num_nodes
    assert len(traces) == 1


def test_batches_are_padded_like_single_graphs():
    graphs = [example(5, 6, seed=1), example(8, 9, seed=2), make_graph(np.ones((1, 3)), [], [])]
    batch = jraph.batch_np([to_jraph(graph) for graph in graphs])
    num_edges = sum(graph.num_edges for graph in graphs)
    padded = jraph.pad_with_graphs(batch, n_node=20, n_edge=40, n_graph=6)
    np.testing.assert_array_equal(node_graph(padded), [0] * 5 + [1] * 8 + [2] + [3] * 6)
    np.testing.assert_array_equal(node_mask(padded), np.arange(20) < 14)
    np.testing.assert_array_equal(edge_mask(padded), np.arange(40) < num_edges)
    np.testing.assert_array_equal(graph_mask(padded), [True] * 3 + [False] * 3)


def test_a_graph_without_edges_can_be_padded():
    out = pad_graph(make_graph(np.ones((2, 3)), [], []))
    assert not edge_mask(out).any()
    np.testing.assert_array_equal(node_mask(out), np.arange(16) < 2)


@pytest.mark.parametrize("sizes", [{"num_nodes": 9}, {"num_nodes": 16, "num_edges": 4}])
def test_a_graph_that_does_not_fit_is_told_in_one_line(sizes):
    with pytest.raises(ValueError, match="a graph must fit its padding, found 9 nodes") as caught:
        pad_graph(example(), **sizes)
    assert "\n" not in str(caught.value)
