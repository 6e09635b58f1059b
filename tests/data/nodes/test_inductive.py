"""Several graphs with a matrix of labels are put together checked."""

import numpy as np
import pytest

from mmix_jax.data import statistics
from mmix_jax.data.nodes.inductive import make_inductive_dataset
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Split, make_graph

INDEX = [0, 0, 1, 1, 2, 3]
LABELS = np.array([[0, 1], [1, 1], [0, 0], [1, 0], [0, 1], [0, 0]])


def _split(*parts):
    return Split(*(np.array(part, np.int32) for part in parts))


SPLIT = _split([0, 1, 2, 3], [4], [5])


def _make(labels=LABELS, index=INDEX, split=SPLIT, edges=((0, 2), (1, 3))):
    graph = make_graph(np.ones((6, 1)), *edges)
    return make_inductive_dataset("mine", graph, labels, graph_index=index, split=split)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_parts_are_kept(dtype):
    found = _make(LABELS.astype(dtype))
    np.testing.assert_array_equal(found.labels, LABELS.astype(np.uint8), strict=True)
    np.testing.assert_array_equal(found.graph_index, np.array(INDEX, np.int32), strict=True)
    assert (found.name, found.num_classes, found.ids) == ("mine", 2, None)
    assert found.split is SPLIT


def test_labels_and_graphs_are_counted():
    assert statistics.measure(_make()) == statistics.Statistics(
        num_nodes=6,
        num_edges=2,
        num_features=1,
        num_classes=2,
        num_unlabelled=0,
        class_sizes=(2, 3),
        split_sizes=(4, 1, 1),
        graph_sizes=(2, 1, 1),
    )


def test_a_graph_may_be_in_no_part():
    split = _split([0, 1], [4], [5])
    assert _make(split=split).split is split


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"labels": LABELS[:-1]}, r"a row for each of 6 nodes .* found shape \(5, 2\)"),
        ({"labels": LABELS[:, 0]}, r"found shape \(6,\)"),
        ({"labels": LABELS[:, :0]}, r"found shape \(6, 0\)"),
        ({"labels": LABELS * 2}, "must be 0 or 1, found 2"),
        ({"labels": LABELS - 1}, "must be 0 or 1, found -1"),
        ({"labels": LABELS / 0.3}, "must be 0 or 1, found 3.3"),
        ({"labels": np.where(LABELS, np.nan, 0)}, "must be 0 or 1, found nan"),
        ({"labels": LABELS.astype(str)}, "must be 0 or 1, found dtype <U21"),
        ({"labels": LABELS * 0}, "of training nodes must hold 0 and 1, found 0 only"),
        ({"index": INDEX[:-1]}, r"6 integers .* found int64 of shape \(5,\)"),
        ({"index": np.array(INDEX, float)}, "found float64 of shape"),
        ({"index": [1, 1, 2, 2, 3, 4]}, "found 1 at node 0; sort"),
        ({"index": [0, 0, 1, 0, 1, 2]}, "found 0 at node 3; sort"),
        ({"index": [0, 0, 2, 2, 3, 4]}, "found 2 at node 2; sort"),
        ({"edges": ((0, 1), (1, 2))}, "between node 2 of graph 1 and node 1 of graph 0; leave"),
        ({"split": _split([0, 1, 2], [3, 4], [5])}, "same part .* node 3 of graph 1; split by"),
        ({"split": _split([0, 1, 2], [4], [5])}, "same part .* node 3 of graph 1"),
        ({"split": _split([0, 1], [], [5])}, "'valid' must hold one node"),
        ({"split": _split([0, 1], [4], [6])}, r"'test' must lie in \[0, 6\)"),
    ],
)
def test_what_does_not_fit_is_told(changed, told):
    with pytest.raises(InputError, match=told) as caught:
        _make(**changed)
    assert "\n" not in str(caught.value)
