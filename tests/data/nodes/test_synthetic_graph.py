"""The drawn graph: the same from the same seed, of the sizes asked for, with something to learn."""

import hashlib

import numpy as np
import pytest

from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph, load_synthetic_graph
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
    assert share_inside(drawn) == pytest.approx(0.7 + 0.3 / 5, abs=0.01)


def share_inside(dataset) -> float:
    """Of edges, those within a class."""
    graph, labels = dataset.graph, dataset.labels
    return (labels[graph.senders] == labels[graph.receivers]).mean()


@pytest.mark.parametrize(
    ("shape", "digest"),
    [
        (SHAPE, "4d3faf2cf5b899082044d3f1dff4bf63a97b5f16c8bbbf9922e3e7ca3855e5a9"),
        (
            SyntheticGraph(num_nodes=1001, num_classes=7, seed=3),
            "8d518f937c75a61628a8db7192cc28a64fe9b1d7b97466b4f250c0723415566c",
        ),
    ],
)
def test_defaults_draw_what_they_drew_before_there_were_others(shape, digest):
    dataset = load_synthetic_graph(shape)
    found = hashlib.sha256()
    for array in (*dataset.graph, dataset.labels, *dataset.split):
        found.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    assert found.hexdigest() == digest


@pytest.mark.parametrize(
    ("homophily", "expected"),
    [(1.0, 1.0), (0.3, 0.3 + 0.7 / 5), (0.0, 1 / 5), (-0.6, 0.4 / 5), (-1.0, 0.0)],
)
def test_edges_are_within_a_class_as_often_as_homophily_says(homophily, expected):
    dataset = load_synthetic_graph(SHAPE._replace(homophily=homophily))
    assert share_inside(dataset) == pytest.approx(expected, abs=0.01)
    assert homophily not in (1.0, -1.0) or share_inside(dataset) == expected


def test_edges_between_classes_prefer_none_of_them():
    shape = SyntheticGraph(1003, 100.0, 1, 4, homophily=-1.0)  # sizes 251, 251, 251, 250
    graph, labels, *_ = load_synthetic_graph(shape)[1:]
    counts = np.zeros((4, 4))
    np.add.at(counts, (labels[graph.senders], labels[graph.receivers]), 1)
    apart = counts[~np.eye(4, dtype=bool)]
    np.testing.assert_allclose(apart, apart.mean(), rtol=0.04)
    degrees = np.bincount(graph.receivers)
    sizes = np.array([251, 251, 251, 250])
    by_class = [degrees[labels == c].mean() for c in range(4)]
    assert np.bincount(labels).tolist() == sizes.tolist()
    np.testing.assert_allclose(by_class, np.mean(by_class), rtol=0.03)
    expected = np.mean(by_class) * (1 - np.mean(by_class) / 1003)  # about Poisson, repeats dropped
    assert degrees.var() == pytest.approx(expected, rel=0.25)


def test_labels_and_noise_are_the_same_at_any_homophily_and_signal(drawn):
    for homophily in (-0.5, 0.0):
        other = load_synthetic_graph(SHAPE._replace(homophily=homophily))
        np.testing.assert_array_equal(other.labels, drawn.labels)
        np.testing.assert_array_equal(other.graph.x, drawn.graph.x)
    strong = load_synthetic_graph(SHAPE._replace(signal=2.1))
    added = (strong.graph.x - drawn.graph.x) / 2.0
    means = np.stack([added[drawn.labels == c].mean(axis=0) for c in range(5)])
    np.testing.assert_allclose(added, means[drawn.labels], atol=1e-4)
    assert means.std() == pytest.approx(1.0, rel=0.2)
    assert same(strong.graph[1:], drawn.graph[1:])


def test_training_nodes_of_a_class_are_as_many_as_asked_for(drawn):
    few = load_synthetic_graph(SHAPE._replace(labels_per_class=3))
    np.testing.assert_array_equal(np.bincount(few.labels[few.split.train]), [3] * 5)
    assert [part.size for part in few.split] == [15, 500, 2485]
    assert same(few.graph, drawn.graph)


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
        ({"homophily": 1.1}, r"homophily must lie in \[-1, 1\] .* found 1.1"),
        ({"homophily": float("nan")}, "found nan"),
        ({"signal": -0.1}, "signal must be finite and not negative, found 0.7 and -0.1"),
        ({"signal": float("inf")}, "found 0.7 and inf"),
        ({"labels_per_class": 0}, "at most half of a class, 300, found 0"),
        ({"labels_per_class": 301}, "labels_per_class must be positive .* found 301"),
    ],
)
def test_sizes_that_cannot_be_drawn_are_told(changes, told):
    with pytest.raises(InputError, match=told):
        load_synthetic_graph(SHAPE._replace(**changes))
