import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.graphs.types import make_graph

X = np.arange(8.0).reshape(4, 2)


def test_an_undirected_graph_holds_both_directions_once_sorted_with_the_largest_weight():
    graph = make_graph(X, [2, 0, 1, 1, 3], [0, 1, 0, 0, 3], [5.0, 1.0, 2.0, 4.0, 9.0])
    np.testing.assert_array_equal(graph.senders, [1, 2, 0, 0])
    np.testing.assert_array_equal(graph.receivers, [0, 0, 1, 2])
    np.testing.assert_array_equal(graph.edge_weight, [4, 5, 4, 5])
    assert (graph.num_nodes, graph.num_edges) == (4, 4)


def test_a_directed_graph_keeps_its_directions():
    graph = make_graph(X, [2, 2, 0, 1], [1, 1, 0, 0], [1.0, 3.0, 1.0, 2.0], undirected=False)
    np.testing.assert_array_equal(graph.senders, [1, 2])
    np.testing.assert_array_equal(graph.receivers, [0, 1])
    np.testing.assert_array_equal(graph.edge_weight, [2, 3])


def test_dtypes_and_default_weights():
    graph = make_graph(np.ones((3, 2), int), [0], [2])
    assert graph.x.dtype == graph.edge_weight.dtype == np.float32
    assert graph.senders.dtype == graph.receivers.dtype == np.int32
    np.testing.assert_array_equal(graph.edge_weight, [1, 1])


def test_edges_come_out_as_a_dense_union_says():
    rng = np.random.default_rng(0)
    senders, receivers = rng.integers(0, 30, (2, 200))
    weight = rng.uniform(0.1, 2, 200).astype(np.float32)
    dense = np.zeros((30, 30), np.float32)
    for s, r, w in zip(senders, receivers, weight, strict=True):
        if s != r:
            dense[r, s] = dense[s, r] = max(w, dense[r, s])
    graph = make_graph(np.ones((30, 1)), senders, receivers, weight)
    np.testing.assert_array_equal(dense.nonzero(), (graph.receivers, graph.senders))
    np.testing.assert_array_equal(dense[dense.nonzero()], graph.edge_weight)


@pytest.mark.parametrize("ends", [([], []), ([1, 3], [1, 3])], ids=["none", "self_loops_only"])
def test_a_graph_may_have_no_edges(ends):
    graph = make_graph(X, *ends)
    assert graph.num_nodes == 4
    assert graph.senders.shape == graph.receivers.shape == graph.edge_weight.shape == (0,)
    assert graph.senders.dtype == np.int32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[:, 0], [0], [1]), r"\[N, F\] array with N > 0, found shape \(4,\)"),
        ((X[:0], [], []), r"N > 0, found shape \(0, 2\)"),
        ((X * [1, np.nan], [0], [1]), "node features must be finite in float32, found 4"),
        ((X + 1e300, [0], [1]), "node features must be finite in float32, found 8"),
        ((X.astype(str), [0], [1]), "node features must be numbers"),
        ((X, [0], [4]), r"receivers must lie in \[0, 4\), found 4"),
        ((X, [-1], [0]), r"senders must lie in \[0, 4\), found -1"),
        ((X, [0.5], [1]), "senders must be a vector of integers, found float64"),
        ((X, [[0]], [[1]]), r"senders must be a vector of integers, found int64 of shape \(1, 1\)"),
        ((X, [0, 1], [1]), "equal length, found 2 and 1"),
        ((X, [0], [1], [1.0, 2.0]), r"must have shape \(1,\), found \(2,\)"),
        ((X, [0], [1], [0.0]), "edge weights must be positive, found 0.0"),
        ((X, [0], [1], [-2.0]), "edge weights must be positive, found -2.0"),
        ((X, [0], [1], [np.inf]), "edge weights must be finite"),
    ],
)
def test_bad_input_is_told_in_one_line(arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        make_graph(*arguments)
    assert "\n" not in str(caught.value)
