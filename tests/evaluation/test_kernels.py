"""grakel's kernels of pairs against values by hand and by counting."""

import sys
from collections import Counter

import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.evaluation import kernels
from mmix_jax.evaluation.kernels import histogram_kernel_similarity, weisfeiler_lehman_similarity
from mmix_jax.graphs.edits import induced_subgraph, substitute_edges
from mmix_jax.graphs.types import Graph, make_graph

needs_grakel = pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="grakel has no release for this Python"
)
KERNELS = [histogram_kernel_similarity, weisfeiler_lehman_similarity]


def graph_of(num_nodes: int, *edges: tuple[int, int]) -> Graph:
    ends = np.array(edges, int).reshape(-1, 2)
    return make_graph(np.ones((num_nodes, 1)), *ends.T)


def random_graphs(num: int, seed: int, num_nodes: int = 12) -> list[Graph]:
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, num_nodes, (num, 2, 16))
    return [make_graph(np.ones((num_nodes, 1)), *pair) for pair in ends]


def cosine_of_counts(first: Counter, second: Counter) -> float:
    product = sum(first[key] * second[key] for key in first)
    lengths = [sum(n * n for n in counts.values()) ** 0.5 for counts in (first, second)]
    return product / (lengths[0] * lengths[1]) if all(lengths) else 0.0


def neighbours_of(graph: Graph) -> list[list[int]]:
    return [graph.senders[graph.receivers == node].tolist() for node in range(graph.num_nodes)]


def count_edges(graph: Graph) -> Counter:
    """Edges by the degrees of their ends."""
    degree = [len(around) for around in neighbours_of(graph)]
    ends = zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True)
    return Counter(tuple(sorted((degree[s], degree[r]))) for s, r in ends if s < r)


def count_trees(graph: Graph, iterations: int) -> Counter:
    """Labels of all rounds, written out as nested tuples instead of numbered."""
    neighbours = neighbours_of(graph)
    labels: list = [len(around) for around in neighbours]
    counts = Counter((0, label) for label in labels)
    for round_ in range(1, iterations + 1):
        labels = [
            (labels[node], tuple(sorted(labels[other] for other in around)))
            for node, around in enumerate(neighbours)
        ]
        counts += Counter((round_, label) for label in labels)
    return counts


PATH = graph_of(4, (0, 1), (1, 2), (2, 3))
CYCLE = graph_of(4, (0, 1), (1, 2), (2, 3), (3, 0))
STAR = graph_of(4, (0, 1), (0, 2), (0, 3))
PATH_AND_NODE = graph_of(5, (0, 1), (1, 2), (2, 3))


@needs_grakel
def test_histograms_by_hand():
    # Edges by degrees: the path has (1, 2) twice and (2, 2) once, the cycle (2, 2) four times,
    # the star (1, 3) three times.
    anchors, others = [PATH, PATH, PATH, PATH], [PATH, CYCLE, STAR, PATH_AND_NODE]
    found = histogram_kernel_similarity(anchors, others)
    np.testing.assert_allclose(found, [1, 4 / (5**0.5 * 4), 0, 1], atol=1e-12)


@needs_grakel
def test_trees_by_hand():
    # Labels of the path: degrees 1, 2, 2, 1; then (1; 2) twice and (2; 1, 2) twice. Of the cycle:
    # 2 four times; then (2; 2, 2) four times. Of the star: 3 and 1 three times; then (3; 1, 1, 1)
    # and (1; 3) three times. The node alone adds label 0, then (0;).
    anchors, others = [PATH, PATH, PATH, PATH], [PATH, CYCLE, STAR, PATH_AND_NODE]
    found = weisfeiler_lehman_similarity(anchors, others, iterations=1)
    expected = [1, 8 / (16 * 32) ** 0.5, 6 / (16 * 20) ** 0.5, 16 / (16 * 18) ** 0.5]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@needs_grakel
def test_histograms_against_counting():
    anchors, others = random_graphs(9, 0), random_graphs(9, 1)
    found = histogram_kernel_similarity(anchors, others)
    pairs = zip(anchors, others, strict=True)
    expected = [cosine_of_counts(count_edges(a), count_edges(b)) for a, b in pairs]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@needs_grakel
@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_trees_against_counting(iterations):
    anchors = random_graphs(9, 2)
    rng = np.random.default_rng(3)
    others = [graph for a in anchors if (graph := substitute_edges(a, 1, rng)) is not None]
    found = weisfeiler_lehman_similarity(anchors, others, iterations=iterations)
    expected = [
        cosine_of_counts(count_trees(a, iterations), count_trees(b, iterations))
        for a, b in zip(anchors, others, strict=True)
    ]
    assert len(set(np.round(expected, 6))) > 3
    np.testing.assert_allclose(found, expected, atol=1e-12)


@needs_grakel
@pytest.mark.parametrize("similarity", KERNELS)
def test_laws_of_a_normalised_kernel(similarity):
    anchors, others = random_graphs(8, 4), random_graphs(8, 5)
    found = similarity(anchors, others)
    assert found.shape == (8,)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    np.testing.assert_allclose(similarity(others, anchors), found, atol=1e-12)
    np.testing.assert_allclose(similarity(anchors, anchors), 1, atol=1e-12)
    order = np.random.default_rng(6).permutation(12)
    renumbered = [induced_subgraph(graph, order) for graph in others]
    np.testing.assert_allclose(similarity(anchors, renumbered), found, atol=1e-12)


@needs_grakel
@pytest.mark.parametrize("similarity", KERNELS)
def test_chunks_of_pairs_change_nothing(monkeypatch, similarity):
    anchors, others = random_graphs(7, 7), random_graphs(7, 8)
    expected = similarity(anchors, others)
    for chunk in (1, 3):
        monkeypatch.setattr(kernels, "_CHUNK", chunk)
        np.testing.assert_array_equal(similarity(anchors, others), expected)


@needs_grakel
def test_graphs_without_edges():
    empty = graph_of(4)
    anchors, others = [empty, empty], [empty, PATH]
    np.testing.assert_array_equal(histogram_kernel_similarity(anchors, others), [0, 0])
    np.testing.assert_array_equal(histogram_kernel_similarity([empty], [empty]), [0])
    np.testing.assert_array_equal(weisfeiler_lehman_similarity(anchors, others), [1, 0])


@needs_grakel
@pytest.mark.parametrize("similarity", KERNELS)
@pytest.mark.parametrize("others", [[], [PATH, PATH]])
def test_wrong_numbers_of_graphs_are_told(similarity, others):
    with pytest.raises(ValueError, match=f"found 1 and {len(others)} graphs"):
        similarity([PATH], others)
    with pytest.raises(ValueError, match="found 0 and 0 graphs"):
        similarity([], [])


def test_wrong_iterations_are_told():
    with pytest.raises(ValueError, match="iterations must be at least 1, found 0"):
        weisfeiler_lehman_similarity([PATH], [CYCLE], iterations=0)


@pytest.mark.parametrize("similarity", KERNELS)
def test_missing_grakel_is_told(monkeypatch, similarity):
    monkeypatch.setitem(sys.modules, "grakel.kernels", None)
    with pytest.raises(InputError, match="pip install grakel, on Python 3"):
        similarity([PATH], [CYCLE])
