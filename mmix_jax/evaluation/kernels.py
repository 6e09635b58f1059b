"""Graph kernels of pairs of graphs, by grakel: what edit distances were predicted with before.

Both look at the structure alone: a node's label is its degree; edges have no labels, and features
are not used. Values are k(G, G') / √(k(G, G) k(G', G')), in [0, 1]; 1 for isomorphic graphs, and 0
where a graph has nothing to count.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Graph
from mmix_jax.ops.numbers import whole_number

# Pairs in one kernel matrix: grakel computes all entries, of which only one per pair is wanted.
_CHUNK = 64


def histogram_kernel_similarity(anchors: Sequence[Graph], others: Sequence[Graph]) -> np.ndarray:
    """The vertex-edge histogram kernel of every pair: [T] graphs, [T] graphs -> [T].

    A graph's vector counts its edges by the labels of their two ends, here the degrees (Sugiyama &
    Borgwardt, "Halting in Random Walk Kernels", NeurIPS 2015); isolated nodes do not count. With
    these pairs as labels of the edges it is grakel's edge histogram.

    Raises:
      ValueError: not as many anchors as others, or none.
      InputError: grakel is not installed.
    """
    kernels = _grakel_kernels()

    def kernel():
        return kernels.EdgeHistogram(sparse=False)  # "auto" fails where no graph has an edge

    return _pairwise(kernel, _with_edge_labels, anchors, others)


def weisfeiler_lehman_similarity(
    anchors: Sequence[Graph], others: Sequence[Graph], *, iterations: int = 5
) -> np.ndarray:
    """The Weisfeiler–Lehman subtree kernel of every pair: [T] graphs, [T] graphs -> [T].

    A graph's vector counts its node labels before and after each of ``iterations`` refinements, in
    which a node's label becomes its own and its neighbours' (Shervashidze et al., JMLR 2011).

    Args:
      anchors: T undirected graphs.
      others: T undirected graphs.
      iterations: refinements, 1 or more.

    Raises:
      ValueError: not as many anchors as others, or none; ``iterations`` is below 1.
      InputError: grakel is not installed.
    """
    iterations = whole_number("iterations", iterations, 1, "5 is the default")
    kernels = _grakel_kernels()

    def kernel():
        return kernels.WeisfeilerLehman(
            n_iter=iterations, base_graph_kernel=kernels.VertexHistogram
        )

    return _pairwise(kernel, _with_node_labels, anchors, others)


def _grakel_kernels() -> Any:
    try:
        import grakel.kernels
    except ImportError as error:
        raise InputError(
            "graph kernels need grakel, which is not installed; pip install grakel, on Python 3.11 "
            "or 3.12 (it has no release for 3.13)"
        ) from error
    return grakel.kernels


def _pairwise(
    kernel: Callable[[], Any],
    convert: Callable[[Graph], Any],
    anchors: Sequence[Graph],
    others: Sequence[Graph],
) -> np.ndarray:
    """Normalised values of (anchor t, other t), a chunk of pairs at a time."""
    if len(anchors) != len(others) or not anchors:
        raise ValueError(
            "kernels are of pairs of graphs, one or more, "
            f"found {len(anchors)} and {len(others)} graphs; give an other to each anchor"
        )
    values = []
    for start in range(0, len(anchors), _CHUNK):
        chunk = [*anchors[start : start + _CHUNK], *others[start : start + _CHUNK]]
        matrix = np.asarray(kernel().fit_transform([convert(graph) for graph in chunk]))
        pairs = len(chunk) // 2
        # Normalised here: grakel divides by zero where a graph has no edges.
        own = matrix.diagonal()
        scale = np.sqrt(own[:pairs] * own[pairs:])
        values.append(matrix[:pairs, pairs:].diagonal() / np.where(scale > 0, scale, 1.0))
    return np.concatenate(values)


def _with_node_labels(graph: Graph) -> list[Any]:
    """Neighbours of every node, and degrees as labels of the nodes, in grakel's form."""
    neighbours: dict[int, dict[int, float]] = {node: {} for node in range(graph.num_nodes)}
    for sender, receiver in zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True):
        neighbours[receiver][sender] = 1.0
    return [neighbours, {node: len(senders) for node, senders in neighbours.items()}]


def _with_edge_labels(graph: Graph) -> list[Any]:
    """The same, and the degrees of both ends, the smaller first, as label of every edge."""
    neighbours, degrees = _with_node_labels(graph)
    labels = {
        (receiver, sender): tuple(sorted((degrees[receiver], degrees[sender])))
        for receiver, senders in neighbours.items()
        for sender in senders
    }
    return [neighbours, degrees, labels]
