"""One graph is cut into many, and attributes are standardised, as TUDataset's sets need it."""

import numpy as np
import pytest

from mmix_jax.data.graphs.tudataset import cut_graph, standardise
from mmix_jax.data.raw import make_graph_or_empty
from mmix_jax.graphs.types import make_graph


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
        for part, wanted_part in zip(graph, wanted, strict=True):
            np.testing.assert_array_equal(part, wanted_part, strict=True)


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
