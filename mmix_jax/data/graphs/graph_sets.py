"""What sets of graphs are put together from: graphs that may be empty, and made-up features."""

import itertools

import numpy as np
from numpy.typing import ArrayLike

from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Graph, make_graph

MAX_DEGREE = 64


def make_graph_or_empty(
    x: ArrayLike,
    senders: ArrayLike,
    receivers: ArrayLike,
    edge_weight: ArrayLike | None = None,
    *,
    undirected: bool = True,
) -> Graph:
    """``make_graph``, but a graph without nodes, x [0, F], is legal too: in a set it has its place.

    Args:
      x: node features [N, F]; N and F may be zero.
      senders: integers [E] in [0, N).
      receivers: integers [E] in [0, N).
      edge_weight: positive weights [E]; None means ones.
      undirected: store every edge in both directions.

    Raises:
      InputError: see ``make_graph``; a graph without nodes has edges.
    """
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[0] > 0:
        return make_graph(x, senders, receivers, edge_weight, undirected=undirected)
    num_edges = max(np.size(senders), np.size(receivers))
    if num_edges:
        raise InputError(
            f"a graph without nodes must have no edges, found {num_edges}; "
            "give every node a row of features"
        )
    none = np.zeros(0, np.int32)
    return Graph(np.zeros(x.shape, np.float32), none, none, np.zeros(0, np.float32))


def cut_graph(union: Graph, first_node: np.ndarray) -> tuple[Graph, ...]:
    """The graphs that lie one behind the other in ``union``, as views of its arrays.

    ``union`` has no edge between two of them. Its edges are sorted by receiver: those of a graph
    lie together, and stay in order.

    Args:
      union: M graphs, the nodes of each in one run.
      first_node: integers [M + 1] that never fall, from 0 to N: graph i holds the nodes
        ``first_node[i]`` … ``first_node[i + 1]`` − 1, none if the two are equal.
    """
    first_edge = np.searchsorted(union.receivers, first_node)
    shift = np.repeat(first_node[:-1], np.diff(first_edge)).astype(np.int32)
    senders, receivers = union.senders - shift, union.receivers - shift
    nodes = itertools.pairwise(first_node.tolist())
    edges = itertools.pairwise(first_edge.tolist())
    return tuple(
        Graph(union.x[n:m], senders[e:f], receivers[e:f], union.edge_weight[e:f])
        for (n, m), (e, f) in zip(nodes, edges, strict=True)
    )


def degree_features(graph: Graph, *, max_degree: int = MAX_DEGREE) -> np.ndarray:
    """Number of neighbours of every node, one-hot: float32 [N, max_degree + 1].

    Column d stands for degree d, the last for ``max_degree`` and all above. The width does not
    depend on the graph, so that an encoder takes graphs that it was not trained on.

    Raises:
      InputError: ``max_degree`` is below 1.
    """
    if max_degree < 1:
        raise InputError(f"max_degree must be 1 or more, found {max_degree}; raise it")
    degrees = np.bincount(graph.receivers, minlength=graph.num_nodes)
    return one_hot(np.minimum(degrees, max_degree), max_degree + 1)


def one_hot(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Integers [N] in [0, num_classes) as float32 [N, num_classes]."""
    rows = np.zeros((classes.size, num_classes), np.float32)
    rows[np.arange(classes.size), classes] = 1
    return rows


def standardise(values: np.ndarray) -> np.ndarray:
    """Columns of finite numbers [N, A] with mean 0 and standard deviation 1, float32.

    A constant column becomes 0.
    """
    values = values.astype(np.float64)
    constant = values.min(axis=0) == values.max(axis=0)
    # By its largest magnitude first: squares of huge numbers would overflow.
    largest = np.where(constant, 1.0, np.abs(values).max(axis=0))
    values /= largest[None, :]
    values -= values.mean(axis=0)[None, :]
    values /= np.where(constant, 1.0, values.std(axis=0))[None, :]
    return np.where(constant[None, :], 0.0, values).astype(np.float32)
