"""The graph that the whole package hands around, on the host, and the check that builds it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmix_jax.errors import InputError
from mmix_jax.fields import MOST_ROWS


class Graph(NamedTuple):
    """One graph as NumPy arrays; receiver i collects from sender j.

    Invariant (``make_graph`` establishes it): no self-loops, no repeated (sender, receiver), edges
    sorted by (receiver, sender). An undirected graph stores both directions of every edge.

    Fields:
      x: node features, float32 [N, F].
      senders: source node of every edge, int32 [E], in [0, N).
      receivers: target node of every edge, int32 [E], in [0, N).
      edge_weight: float32 [E], positive; ones where the data has none.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.graphs import make_graph
      >>> graph = make_graph(np.eye(3), senders=[0], receivers=[1])
      >>> graph.num_nodes, graph.num_edges
      (3, 2)
    """

    x: np.ndarray
    senders: np.ndarray
    receivers: np.ndarray
    edge_weight: np.ndarray

    @property
    def num_nodes(self) -> int:
        """Number of nodes N; isolated ones count."""
        return self.x.shape[0]

    @property
    def num_edges(self) -> int:
        """Number of stored directed edges E, twice the undirected ones."""
        return self.senders.shape[0]


class Split(NamedTuple):
    """Disjoint node indices of the training, validation and test set, int32 each.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.graphs import Split
      >>> Split(train=np.array([0, 3]), valid=np.array([1]), test=np.array([2, 4])).test.tolist()
      [2, 4]
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def make_graph(
    x: ArrayLike,
    senders: ArrayLike,
    receivers: ArrayLike,
    edge_weight: ArrayLike | None = None,
    *,
    undirected: bool = True,
) -> Graph:
    """Builds a checked ``Graph``: symmetrised, without self-loops and repeats, sorted.

    Of repeated edges, and of the two directions of an undirected one, the largest weight is kept.
    A graph without edges is valid, and so are isolated nodes.

    Args:
      x: finite node features [N, F]; they alone say how many nodes there are.
      senders: integers [E] in [0, N).
      receivers: integers [E] in [0, N).
      edge_weight: finite positive weights [E]; None means ones.
      undirected: store every edge in both directions.

    Raises:
      InputError: a shape, dtype, index, feature or weight is not as described.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.graphs import make_graph
      >>> make_graph(np.eye(3), senders=[0, 1, 1], receivers=[1, 0, 1]).senders.tolist()
      [1, 0]
    """
    x = _features(x)
    num_nodes = x.shape[0]
    senders = _indices(senders, "senders", num_nodes)
    receivers = _indices(receivers, "receivers", num_nodes)
    if senders.shape != receivers.shape:
        raise InputError(
            "senders and receivers must have equal length, "
            f"found {senders.size} and {receivers.size}; give both ends of every edge"
        )
    weight = _weights(edge_weight, senders.size)
    if undirected:
        senders, receivers = (
            np.append(senders, receivers),
            np.append(receivers, senders),
        )
        weight = np.append(weight, weight)
    return Graph(x, *_canonical(senders, receivers, weight, num_nodes))


def _canonical(senders, receivers, weight, num_nodes):
    """Drops self-loops, merges repeats by their largest weight, sorts by (receiver, sender)."""
    keep = senders != receivers
    # One int64 per edge orders the pairs; numbers of nodes are far below 2**31.
    code = receivers[keep] * np.int64(num_nodes) + senders[keep]
    unique, inverse = np.unique(code, return_inverse=True)
    largest = np.zeros(unique.size, np.float32)
    np.maximum.at(largest, inverse, weight[keep])
    receivers, senders = np.divmod(unique, np.int64(num_nodes))
    return senders.astype(np.int32), receivers.astype(np.int32), largest


def _features(x: ArrayLike) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[0] == 0:
        raise InputError(
            f"node features must be an [N, F] array with N > 0, found shape {x.shape}; "
            "give one row per node"
        )
    if x.shape[0] > MOST_ROWS:
        raise InputError(
            f"a graph has at most {MOST_ROWS} nodes, found {x.shape[0]}; take subgraphs of it"
        )
    return _finite_float32(x, "node features")


def _indices(index: ArrayLike, name: str, num_nodes: int) -> np.ndarray:
    index = np.asarray(index)
    if index.size == 0:  # an empty list has NumPy's default dtype, float64
        index = index.reshape(-1).astype(np.int64)
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise InputError(
            f"{name} must be a vector of integers, found {index.dtype} of shape {index.shape}; "
            "give one node index per edge"
        )
    outside = (index < 0) | (index >= num_nodes)
    if outside.any():
        raise InputError(
            f"{name} must lie in [0, {num_nodes}), found {index[outside][0]}; "
            "count nodes from zero and give every node a row of features"
        )
    return index.astype(np.int64)


def _weights(edge_weight: ArrayLike | None, num_edges: int) -> np.ndarray:
    if edge_weight is None:
        return np.ones(num_edges, np.float32)
    weight = np.asarray(edge_weight)
    if weight.shape != (num_edges,):
        raise InputError(
            f"edge weights must have shape ({num_edges},), found {weight.shape}; "
            "give one weight per edge"
        )
    weight = _finite_float32(weight, "edge weights")
    if (weight <= 0).any():
        raise InputError(
            f"edge weights must be positive, found {weight.min()}; leave such edges out"
        )
    return weight


def _finite_float32(values: np.ndarray, name: str) -> np.ndarray:
    from mmix_jax.ops.arrays import is_number  # with jax, which answers to bad flags do without

    if not is_number(values.dtype):
        raise InputError(f"{name} must be numbers, found dtype {values.dtype}; convert them first")
    with np.errstate(over="ignore"):  # overflow becomes inf, and is told below
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        count = np.count_nonzero(~np.isfinite(values))
        raise InputError(
            f"{name} must be finite in float32, found {count} that are not; "
            "replace missing and huge values"
        )
    return values
