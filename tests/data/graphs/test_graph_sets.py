"""Empty graphs, cutting one graph into many, and features that are made up."""

import numpy as np
import pytest

from mmix_jax.data.graphs.graph_sets import (
    cut_graph,
    degree_features,
    make_graph_or_empty,
    one_hot,
    standardise,
)
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import make_graph


def _assert_equal(graph, other):
    for part, other_part in zip(graph, other, strict=True):
        np.testing.assert_array_equal(part, other_part, strict=True)


@pytest.mark.parametrize("undirected", [True, False])
def test_graphs_with_nodes_are_make_graph_s(undirected):
    parts = (np.ones((3, 2)), [0, 1, 1], [1, 0, 2], [0.5, 2.0, 1.0])
    found = make_graph_or_empty(*parts, undirected=undirected)
    _assert_equal(found, make_graph(*parts, undirected=undirected))


@pytest.mark.parametrize("width", [0, 3])
def test_a_graph_without_nodes(width):
    graph = make_graph_or_empty(np.zeros((0, width)), [], [])
    assert (graph.num_nodes, graph.num_edges) == (0, 0)
    assert graph.x.shape == (0, width)
    assert [part.dtype for part in graph] == [np.float32, np.int32, np.int32, np.float32]


def test_bad_graphs_are_told():
    with pytest.raises(InputError, match="without nodes must have no edges, found 1"):
        make_graph_or_empty(np.zeros((0, 3)), [0], [0])
    with pytest.raises(InputError, match=r"\[N, F\] array with N > 0, found shape \(0,\)"):
        make_graph_or_empty(np.zeros(0), [], [])


def test_a_union_is_cut_into_what_it_was_made_of():
    rng = np.random.default_rng(0)
    sizes = [0, 5, 1, 0, 0, 7, 2, 0]
    graphs, senders, receivers = [], [np.zeros(0, int)], [np.zeros(0, int)]
    for first, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        ends = rng.integers(0, max(size, 1), (2, 2 * size))
        graphs.append(make_graph_or_empty(rng.random((size, 3)), *ends))
        senders.append(ends[0] + first)
        receivers.append(ends[1] + first)
    x = np.concatenate([graph.x for graph in graphs])
    union = make_graph(x, np.concatenate(senders), np.concatenate(receivers))
    found = cut_graph(union, np.cumsum([0, *sizes]))
    assert len(found) == len(sizes)
    for graph, wanted in zip(found, graphs, strict=True):
        _assert_equal(graph, wanted)


def test_degrees_are_capped():
    star = make_graph(np.zeros((6, 0)), [0, 0, 0, 0], [1, 2, 3, 4])  # node 5 is isolated
    assert degree_features(star).shape == (6, 65)
    np.testing.assert_array_equal(degree_features(star).argmax(axis=1), [4, 1, 1, 1, 1, 0])
    capped = degree_features(star, max_degree=2)
    np.testing.assert_array_equal(capped, np.eye(3)[[2, 1, 1, 1, 1, 0]])
    assert capped.dtype == np.float32
    empty = make_graph_or_empty(np.zeros((0, 0)), [], [])
    assert degree_features(empty, max_degree=2).shape == (0, 3)
    with pytest.raises(InputError, match="max_degree must be 1 or more, found 0"):
        degree_features(star, max_degree=0)


def test_one_hot():
    found = one_hot(np.array([2, 0, 2]), 4)
    np.testing.assert_array_equal(found, np.eye(4, dtype=np.float32)[[2, 0, 2]], strict=True)


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
def test_standardised_columns(scale):
    values = np.random.default_rng(0).normal(3.0, 2.0, (50, 3))
    found = standardise(values * scale)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(axis=0, dtype=np.float64), np.zeros(3), atol=1e-6)
    np.testing.assert_allclose(found.std(axis=0, dtype=np.float64), np.ones(3), rtol=1e-6)
    wanted = (values - values.mean(axis=0)[None, :]) / values.std(axis=0)[None, :]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_constant_columns_become_zero():
    # The mean of equal numbers need not be that number: 0.1 three times has another one.
    found = standardise(np.array([[0.1, 1e300, 0.0], [0.1, 1e300, 0.0], [0.1, 1e300, 0.0]]))
    np.testing.assert_array_equal(found, np.zeros((3, 3)))
    np.testing.assert_array_equal(standardise(np.array([[7.0]])), [[0.0]])
