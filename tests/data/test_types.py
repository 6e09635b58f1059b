"""Sets of graphs are put together checked. (Data sets of nodes: see the tests of their readers.)"""

import numpy as np
import pytest

from mmix_jax.data import make_graph_dataset
from mmix_jax.data.graph_sets import make_graph_or_empty
from mmix_jax.errors import InputError


def _graphs(*widths):
    return [make_graph_or_empty(np.ones((n, width)), [], []) for n, width in enumerate(widths)]


def test_parts_are_kept():
    graphs = _graphs(2, 2, 2)
    found = make_graph_dataset("mine", graphs, [2, 0, 2], features="degree", ids=["a", "b", "c"])
    assert (found.name, found.num_classes, found.features) == ("mine", 3, "degree")
    assert isinstance(found.graphs, tuple)
    assert all(graph is other for graph, other in zip(found.graphs, graphs, strict=True))
    np.testing.assert_array_equal(found.labels, np.array([2, 0, 2], np.int32), strict=True)
    assert found.ids.tolist() == ["a", "b", "c"]


def test_labels_and_ids_are_optional():
    found = make_graph_dataset("mine", iter(_graphs(1)))
    assert (found.labels, found.num_classes, found.features, found.ids) == (None, 0, "given", None)


def test_labels_may_be_a_column_of_whole_floats():
    found = make_graph_dataset("mine", _graphs(1, 1), np.array([[1.0], [0.0]]))
    np.testing.assert_array_equal(found.labels, np.array([1, 0], np.int32), strict=True)


def test_all_unknown_labels_are_none():
    found = make_graph_dataset("mine", _graphs(1, 1), [-1, -1])
    assert (found.labels, found.num_classes) == (None, 0)


@pytest.mark.parametrize(
    ("widths", "options", "told"),
    [
        ((), {}, "must have one or more, found none"),
        ((2, 3, 2), {}, "same number of features, found 2 and 3"),
        ((1, 1), {"labels": [0]}, r"labels must have shape \(2,\), found \(1,\).* per graph"),
        ((1, 1), {"labels": ["a", "b"]}, "labels must be integers 0, 1, 2, …, .*found dtype <U1"),
        ((1, 1), {"labels": [0.5, 1]}, "labels must be integers 0, 1, 2, …, .*found 0.5"),
        ((1, 1), {"labels": [0, 2]}, "found 2; number the classes from zero"),
        ((1, 1), {"labels": [1, 1]}, "two classes or more, found class 1 only"),
        ((1, 1, 1), {"labels": [0, 1, -1]}, "known for all or for none, found 1 unknown of 3"),
        ((1, 1), {"ids": ["a"]}, r"ids must have shape \(2,\), found \(1,\); give one per graph"),
    ],
)
def test_parts_that_do_not_fit_are_told(widths, options, told):
    with pytest.raises(InputError, match=told) as caught:
        make_graph_dataset("mine", _graphs(*widths), **options)
    assert "\n" not in str(caught.value)
