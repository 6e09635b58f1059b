"""The two forms in which PPI is published, brought to one.

Per split, as DGL publishes it, for each of `train`, `valid` and `test`: `<part>_graph.json`
(node-link JSON as NetworkX writes it), `<part>_feats.npy` [n, F], `<part>_labels.npy` [n, L]
of 0 and 1, and `<part>_graph_id.npy` [n], the graph of each node, never falling.

GraphSAGE's: `ppi-G.json` (node-link JSON of all graphs; every node has `val` and `test`, true
or false), `ppi-feats.npy` [N, F], `ppi-id_map.json` (node to row of features) and
`ppi-class_map.json` (node to its list of 0 and 1). It does not say which graph a node is of. As
GAT's authors did to make the other form from it: a connected component of three nodes or more is a
graph, in the order of first nodes; smaller ones go to the first graph of their part. PPI's
24 graphs come out the same in both forms, node by node; its features do not: GraphSAGE's are 0 and
1, DGL's are standardised over the training nodes.

Sources: Zitnik and Leskovec, "Predicting multicellular function through multi-layer tissue
networks", 2017; Hamilton, Ying and Leskovec, "Inductive representation learning on large graphs",
NeurIPS 2017, http://snap.stanford.edu/graphsage; Veličković et al., "Graph attention networks",
ICLR 2018; https://www.dgl.ai.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from mmix_jax.data.nodes.ppi_files import GRAPHSAGE, KINDS, PER_SPLIT, Files, read_files
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Split

_MIN_NODES = 3  # of a connected component that is a graph of its own


class PPIParts(NamedTuple):
    """What the files of either form hold, checked against each other.

    x: node features, numbers [N, F].
    labels: 0 or 1, uint8 [N, L].
    senders: one end of every listed link, int64 [E]; self-loops included.
    receivers: the other end, in the same graph, int64 [E].
    part: 0, 1, 2 for training, validation and test, int64 [N].
    graph: the node's graph, numbered in order in each part, with gaps, int64 [N].
    """

    x: np.ndarray
    labels: np.ndarray
    senders: np.ndarray
    receivers: np.ndarray
    part: np.ndarray
    graph: np.ndarray


def read_parts(source: Path) -> PPIParts:
    """Read a folder or archive of either form, see `ppi_files.read_files`.

    Raises:
      InputError: in one line, which file is missing, damaged or badly formed.
    """
    files = read_files(source)
    return _read_per_split(files) if files.form is PER_SPLIT else _read_graphsage(files)


def _read_per_split(files: Files) -> PPIParts:
    blocks, start = [], 0
    for number, part in enumerate(Split._fields):
        graph, feats, labels, graph_id = (f"{part}_{kind}" for kind in KINDS)
        nodes, ends = files.load_graph(graph)
        x = _read_features(files, feats, len(nodes))
        if blocks and x.shape[1] != blocks[0].x.shape[1]:
            rule = f"{blocks[0].x.shape[1]} features, as {Split._fields[0]}_{KINDS[1]}"
            raise files.fault(feats, rule, x.shape[1])
        classes = _check_labels(files, labels, files.load_array(labels), len(nodes))
        if blocks and classes.shape[1] != blocks[0].labels.shape[1]:
            rule = f"{blocks[0].labels.shape[1]} labels, as {Split._fields[0]}_{KINDS[2]}"
            raise files.fault(labels, rule, classes.shape[1])
        index = _read_graph_id(files, graph_id, len(nodes))
        _check_within(files, graph, ends, index, "graph")
        senders, receivers = ends + start
        parts = np.full(len(nodes), number)
        blocks.append(PPIParts(x, classes, senders, receivers, parts, index))
        start += len(nodes)
    return PPIParts._make(np.concatenate(arrays) for arrays in zip(*blocks, strict=True))


def _read_graph_id(files: Files, file: str, num_nodes: int) -> np.ndarray:
    index = files.load_array(file)
    if index.shape != (num_nodes,):
        raise files.fault(file, f"the graph of each of {num_nodes} nodes", f"shape {index.shape}")
    if index.dtype.kind not in "iu":
        raise files.fault(file, "whole numbers of graphs", f"dtype {index.dtype}")
    falls = np.flatnonzero(index[1:] < index[:-1])
    if falls.size:
        fall = f"{index[falls[0] + 1]} after {index[falls[0]]}"
        raise files.fault(file, "numbers of graphs that never fall", fall)
    return index.astype(np.int64)


def _read_graphsage(files: Files) -> PPIParts:
    graph, feats, id_map, class_map = GRAPHSAGE
    nodes, ends = files.load_graph(graph)
    part = _read_marks(files, graph, nodes)
    _check_within(files, graph, ends, part, "part")
    x = _read_features(files, feats, len(nodes))
    rows = _to_array(_by_node(files, id_map, nodes))
    if (
        rows is None
        or rows.shape != (len(nodes),)
        or rows.dtype.kind not in "iu"
        or not np.array_equal(np.sort(rows), np.arange(len(nodes)))
    ):
        rule = f"rows of features 0 … {len(nodes) - 1}, each once"
        raise files.fault(id_map, rule, "otherwise")
    labels = _to_array(_by_node(files, class_map, nodes))
    if labels is None:
        raise files.fault(class_map, "equally many numbers 0 or 1 for every node", "otherwise")
    return PPIParts(
        x=x[rows],
        labels=_check_labels(files, class_map, labels, len(nodes)),
        senders=ends[0],
        receivers=ends[1],
        part=part,
        graph=_components(ends, part),
    )


def _read_features(files: Files, file: str, num_nodes: int) -> np.ndarray:
    """Finite features with a row for every node."""
    x = files.load_array(file)
    if x.ndim != 2 or x.shape[0] != num_nodes:
        rule = f"a matrix with a row for each of {num_nodes} nodes"
        raise files.fault(file, rule, f"shape {x.shape}")
    if not np.isfinite(x).all():
        count = np.count_nonzero(~np.isfinite(x))
        raise files.fault(file, "finite features", f"{count} that are not")
    return x


def _check_labels(files: Files, file: str, labels: np.ndarray, num_nodes: int) -> np.ndarray:
    """Labels 0 or 1 of every node as uint8 [N, L]; L is 1 or more."""
    if labels.ndim != 2 or labels.shape[0] != num_nodes or labels.shape[1] == 0:
        raise InputError(
            f"{file} in {files.source}: labels must be a matrix with a row for each of "
            f"{num_nodes} nodes and a column or more, found shape {labels.shape}; give 0 or 1 for "
            "every node and label"
        )
    wrong = (labels != 0) & (labels != 1)
    if wrong.any():
        raise InputError(
            f"{file} in {files.source}: labels of a matrix must be 0 or 1, found "
            f"{labels[wrong][0]}; mark the labels that a node has by 1"
        )
    return labels.astype(np.uint8)


def _read_marks(files: Files, file: str, nodes: list[dict[str, Any]]) -> np.ndarray:
    """Part of every node."""
    marks = [(node.get("val"), node.get("test")) for node in nodes]
    wrong = [row for row in marks if any(type(mark) is not bool for mark in row) or all(row)]
    if wrong:
        first = "val {} and test {}".format(*(json.dumps(mark) for mark in wrong[0]))
        raise files.fault(file, "nodes whose val and test are false, or one of them true", first)
    valid, test = np.array(marks, np.int64).reshape(-1, 2).T
    return valid + 2 * test


def _by_node(files: Files, file: str, nodes: list[dict[str, Any]]) -> list[Any]:
    """Values of a mapping whose keys are the nodes' ids, in the nodes' order."""
    content = files.load_json(file)
    ids = [str(node["id"]) for node in nodes]
    unknown = next((node for node in ids if node not in content), None)
    if unknown is not None:
        raise files.fault(file, f"an entry for each of {len(ids)} nodes", f"none for {unknown!r}")
    if len(content) != len(ids):
        raise files.fault(file, f"entries for {len(ids)} nodes", len(content))
    return [content[node] for node in ids]


def _to_array(values: list[Any]) -> np.ndarray | None:
    """Numbers as an array; None if they form none."""
    try:
        array = np.array(values)
    except ValueError:  # lists of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None


def _check_within(files: Files, file: str, ends: np.ndarray, groups: np.ndarray, what: str) -> None:
    between = np.flatnonzero(groups[ends[0]] != groups[ends[1]])
    if between.size:
        source, target = ends[:, between[0]]
        link = f"one between node {source} and node {target}, which are in two"
        raise files.fault(file, f"links within one {what} each", link)


def _components(ends: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Graph of every node, known by its first node; see the module's docstring."""
    num_nodes = part.size
    adjacency = sparse.coo_matrix((np.ones(ends.shape[1]), ends), (num_nodes, num_nodes))
    _, component = csgraph.connected_components(adjacency, directed=False)
    _, first, sizes = np.unique(component, return_index=True, return_counts=True)
    graph = np.where(sizes >= _MIN_NODES, first, num_nodes)
    for number in np.unique(part):
        here = part[first] == number
        # A part of small components only is one graph.
        graph[here & (sizes < _MIN_NODES)] = graph[here].min()
    return graph[component]
