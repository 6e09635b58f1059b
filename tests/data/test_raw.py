"""Graphs that may be empty, and features that are made up."""

import numpy as np
import pytest

from mmix_jax.data.raw import degree_features, make_graph_or_empty, one_hot
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
    with pytest.raises(ValueError, match="without nodes must have no edges, found 1"):
        make_graph_or_empty(np.zeros((0, 3)), [0], [0])
    with pytest.raises(ValueError, match=r"\[N, F\] array with N > 0, found shape \(0,\)"):
        make_graph_or_empty(np.zeros(0), [], [])


def test_degrees_are_capped():
    star = make_graph(np.zeros((6, 0)), [0, 0, 0, 0], [1, 2, 3, 4])  # node 5 is isolated
    assert degree_features(star).shape == (6, 65)
    np.testing.assert_array_equal(degree_features(star).argmax(axis=1), [4, 1, 1, 1, 1, 0])
    capped = degree_features(star, max_degree=2)
    np.testing.assert_array_equal(capped, np.eye(3)[[2, 1, 1, 1, 1, 0]])
    assert capped.dtype == np.float32
    empty = make_graph_or_empty(np.zeros((0, 0)), [], [])
    assert degree_features(empty, max_degree=2).shape == (0, 3)
    with pytest.raises(ValueError, match=r"max_degree must be a whole number .*, found 0"):
        degree_features(star, max_degree=0)


def test_one_hot():
    found = one_hot(np.array([2, 0, 2]), 4)
    np.testing.assert_array_equal(found, np.eye(4, dtype=np.float32)[[2, 0, 2]], strict=True)
