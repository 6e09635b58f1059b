"""The drawn graph: the same from the same seed, of the sizes asked for, with something to learn."""

import numpy as np
import pytest

from mmix_jax.data.nodes.synthetic_graph import OWN_CLASS, SyntheticGraph, load_synthetic_graph
from mmix_jax.errors import InputError
from mmix_jax.graphs import gcn_weights, make_graph, propagate

SHAPE = SyntheticGraph(num_nodes=3000, mean_degree=12.0, num_features=32, num_classes=5)


@pytest.fixture(scope="module")
def drawn():
    return load_synthetic_graph(SHAPE)


def same(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_sizes_are_those_asked_for(drawn):
    graph = drawn.graph
    assert graph.x.shape == (3000, 32) and graph.x.dtype == np.float32
    assert graph.num_edges / graph.num_nodes == pytest.approx(12.0, rel=0.02)
    np.testing.assert_array_equal(np.bincount(drawn.labels), [600] * 5)
    assert (drawn.num_classes, drawn.bag_of_words, drawn.ids) == (5, False, None)


def test_edges_keep_the_contract_of_a_graph(drawn):
    graph = drawn.graph
    again = make_graph(graph.x, graph.senders, graph.receivers, graph.edge_weight)
    assert same(graph, again)  # symmetric, sorted, without loops and repeats
    assert not (graph.senders == graph.receivers).any()
    assert (graph.edge_weight == 1).all()


def test_degrees_are_even_and_edges_prefer_their_class(drawn):
    degrees = np.bincount(drawn.graph.receivers, minlength=3000)
    assert degrees.var() == pytest.approx(12.0, rel=0.1)  # Poisson
    inside = drawn.labels[drawn.graph.senders] == drawn.labels[drawn.graph.receivers]
    expected = OWN_CLASS + (1 - OWN_CLASS) / 5
    assert inside.mean() == pytest.approx(expected, abs=0.01)


def test_the_same_seed_draws_the_same_and_another_another(drawn):
    again = load_synthetic_graph(SHAPE)
    assert same(drawn.graph, again.graph) and same(drawn.split, again.split)
    np.testing.assert_array_equal(drawn.labels, again.labels)
    other = load_synthetic_graph(SHAPE._replace(seed=1))
    for name in ("x", "senders"):
        assert not np.array_equal(getattr(drawn.graph, name), getattr(other.graph, name))
    assert not np.array_equal(drawn.labels, other.labels)


def test_the_split_has_few_labels_and_a_seed_of_its_own(drawn):
    np.testing.assert_array_equal(np.bincount(drawn.labels[drawn.split.train]), [20] * 5)
    assert [part.size for part in drawn.split] == [100, 500, 2400]
    other = load_synthetic_graph(SHAPE, split_seed=1)
    assert same(drawn.graph, other.graph) and not same(drawn.split, other.split)
    tenths = load_synthetic_graph(SHAPE, split="random").split
    assert [part.size for part in tenths] == [300, 300, 2400]
    with pytest.raises(ValueError, match="split 'public' needs a split in the data"):
        load_synthetic_graph(SHAPE, split="public")


def test_a_large_graph_is_tested_on_ten_thousand_nodes():
    shape = SyntheticGraph(num_nodes=20_000, mean_degree=2.0, num_features=1)
    train, valid, test = load_synthetic_graph(shape).split
    assert (train.size, valid.size, test.size) == (200, 500, 10_000)
    assert test.max() > 19_000  # of all nodes, not the first
    assert not np.isin(test, np.concatenate([train, valid])).any()


def nearest_mean(x, dataset) -> float:
    """Accuracy of the nearest class mean, of the first half of the nodes, on the second."""
    half, labels = len(x) // 2, dataset.labels
    means = [x[:half][labels[:half] == c].mean(axis=0) for c in range(dataset.num_classes)]
    distances = [np.square(x[half:] - mean).sum(axis=1) for mean in means]
    return (np.argmin(distances, axis=0) == labels[half:]).mean()


def test_neighbours_tell_a_class_better_than_features_alone(drawn):
    graph = drawn.graph
    weights = gcn_weights(graph.senders, graph.receivers, graph.num_nodes, graph.edge_weight)
    smooth = propagate(graph.x, graph.senders, graph.receivers, *weights)
    alone, together = nearest_mean(graph.x, drawn), nearest_mean(smooth, drawn)
    assert 0.25 < alone < 0.6 < together < 1.0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_nodes": 200}, "50 nodes for each, found num_nodes 200 and num_classes 5"),
        ({"num_classes": 1}, "needs two classes or more"),
        ({"num_features": 0}, "num_features must be positive"),
        ({"seed": -1}, "seed not negative"),
        ({"mean_degree": 0.0}, "mean_degree must be positive .* found 0.0"),
        ({"mean_degree": 700.0}, "below the size of a class, 600, found 700"),
    ],
)
def test_sizes_that_cannot_be_drawn_are_told(changes, told):
    with pytest.raises(InputError, match=told):
        load_synthetic_graph(SHAPE._replace(**changes))
