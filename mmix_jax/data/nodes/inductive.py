"""Several graphs as one, with a matrix of labels: train on some graphs, test on others."""

import numpy as np
from numpy.typing import ArrayLike

from mmix_jax.data import splits
from mmix_jax.data.types import NodeDataset
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Graph, Split


def make_inductive_dataset(
    name: str,
    graph: Graph,
    labels: ArrayLike,
    *,
    graph_index: ArrayLike,
    split: Split,
) -> NodeDataset:
    """Puts a checked ``NodeDataset`` of several graphs with multi-label nodes together.

    Args:
      name: for reports.
      graph: all graphs as one, from ``make_graph``, without an edge between two of them.
      labels: 0 or 1 [N, L]; a node may have any number of labels, none too.
      graph_index: graph of each node [N]: 0 … G − 1, never falling.
      split: training, validation and test nodes; all nodes of a graph are in the same part.

    Raises:
      InputError: labels, graphs or split are not as described.
    """
    num_nodes = graph.num_nodes
    matrix = check_label_matrix(labels, num_nodes)
    index = _check_index(graph_index, num_nodes)
    splits.validate_split(split, matrix, num_nodes)
    between = np.flatnonzero(index[graph.senders] != index[graph.receivers])
    if between.size:
        ends = graph.senders[between[0]], graph.receivers[between[0]]
        raise InputError(
            f"an edge must stay in one graph, found one between node {ends[0]} of graph "
            f"{index[ends[0]]} and node {ends[1]} of graph {index[ends[1]]}; leave it out"
        )
    _check_whole(split, index)
    return NodeDataset(name, graph, matrix, matrix.shape[1], split, None, False, index)


def check_label_matrix(labels: ArrayLike, num_nodes: int) -> np.ndarray:
    """Labels 0 or 1 of every node as uint8 [N, L]; L is 1 or more.

    Raises:
      InputError: another shape, or other values.
    """
    values = np.asarray(labels)
    if values.ndim != 2 or values.shape[0] != num_nodes or values.shape[1] == 0:
        raise InputError(
            f"labels must be a matrix with a row for each of {num_nodes} nodes and a column or "
            f"more, found shape {values.shape}; give 0 or 1 for every node and label"
        )
    rule = "labels of a matrix must be 0 or 1"
    if values.dtype.kind not in "biuf":
        raise InputError(f"{rule}, found dtype {values.dtype}; convert them")
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        raise InputError(f"{rule}, found {values[wrong][0]}; mark the labels that a node has by 1")
    return values.astype(np.uint8)


def _check_index(graph_index: ArrayLike, num_nodes: int) -> np.ndarray:
    index = np.asarray(graph_index)
    rule = f"graph_index must be {num_nodes} integers that count graphs from 0 and never fall"
    if index.shape != (num_nodes,) or index.dtype.kind not in "iu":
        raise InputError(f"{rule}, found {index.dtype} of shape {index.shape}; give one per node")
    steps = np.diff(index.astype(np.int64), prepend=0)
    wrong = np.flatnonzero((steps < 0) | (steps > 1))
    if index[0] != 0 or wrong.size:
        node = 0 if index[0] != 0 else wrong[0]
        raise InputError(f"{rule}, found {index[node]} at node {node}; sort and number the graphs")
    return index.astype(np.int32)


def _check_whole(split: Split, index: np.ndarray) -> None:
    part = np.full(index.size, -1)
    for number, nodes in enumerate(split):
        part[nodes] = number
    first = np.searchsorted(index, np.arange(index[-1] + 1))
    torn = np.flatnonzero(part != part[first][index])
    if torn.size:
        raise InputError(
            "all nodes of a graph must be in the same part of the split, found otherwise for "
            f"node {torn[0]} of graph {index[torn[0]]}; split by graphs"
        )
