"""The digits graph: built without files, the same everywhere."""

import numpy as np
import pytest

from mmix_jax.data import statistics
from mmix_jax.data.nodes.digits_graph import load_digits_graph, nearest_neighbours


@pytest.fixture(scope="module")
def digits():
    return load_digits_graph()


def test_statistics(digits):
    assert statistics.node_statistics(digits) == statistics.EXPECTED["digits_graph"]
    assert not digits.bag_of_words
    assert (digits.graph.x.min(), digits.graph.x.max()) == (0.0, 1.0)


def test_every_image_has_its_nearest_ten(digits):
    degrees = np.bincount(digits.graph.receivers, minlength=1797)
    assert degrees.min() >= 10
    # Symmetric: the reversed edges are the same set.
    reverse = np.lexsort((digits.graph.receivers, digits.graph.senders))
    np.testing.assert_array_equal(digits.graph.senders[reverse], digits.graph.receivers)


def test_split_is_twenty_per_class_and_follows_its_seed(digits):
    np.testing.assert_array_equal(np.bincount(digits.labels[digits.split.train]), [20] * 10)
    other = load_digits_graph(split_seed=1)
    assert not np.array_equal(digits.split.train, other.split.train)
    with pytest.raises(ValueError, match="split 'public' needs a split in the data"):
        load_digits_graph(split="public")


def test_neighbours_agree_with_a_loop_and_ties_go_to_the_lower_index():
    x = np.random.RandomState(0).randint(0, 4, (30, 3)).astype(np.float64)
    senders, receivers = nearest_neighbours(x, 4)
    for i in range(30):
        near = sorted((sum((x[i] - x[j]) ** 2), j) for j in range(30) if j != i)[:4]
        np.testing.assert_array_equal(senders[receivers == i], [j for _, j in near])
