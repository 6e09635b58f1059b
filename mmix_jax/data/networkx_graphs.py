"""Graphs from networkx's objects."""

import logging
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmix_jax.data.columns import cells, encode_columns
from mmix_jax.data.libraries import array_of
from mmix_jax.data.names import LABEL, NAMES, SPLIT, by_meaning, check_rest
from mmix_jax.data.raw import (
    MAX_DEGREE,
    RawGraph,
    check_raw,
    degree_features,
    make_graph_or_empty,
    names_of_nodes,
)
from mmix_jax.data.types import GraphDataset, NodeDataset, make_graph_dataset
from mmix_jax.graphs.types import Graph

# What a node without the attribute has; of a mask, False.
_WITHOUT = {LABEL: None, SPLIT: None}

_log = logging.getLogger(__name__)


def from_networkx(
    graph: Any,
    *,
    features: str | Sequence[str] | None = "x",
    label: str | None = None,
    weight: str = "weight",
    name: str = "networkx",
    known: Sequence[str] = (),
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
    structure: str = "both",
    missing: str = "refuse",
) -> NodeDataset:
    """A data set from a networkx graph; the nodes' names become its ids.

    Args:
      graph: any networkx graph; of parallel edges the largest weight counts.
      features: node attribute with a number or a vector, on every node; or several with numbers,
        texts or truth values, which are encoded as columns are. Where no node has `x`, and with
        None, those of the structure.
      label: node attribute with a class, see `labels.encode_classes`; nodes without it are
        unlabelled. None: `y`, or another of the names of `names.NAMES`.
      weight: edge attribute; edges without it weigh 1.
      name: of the data set.
      known: names of features that an encoder knows, see `columns.encode_columns`.
      split, split_seed: see `types.make_dataset`; node attributes `train_mask`, `val_mask` and
        `test_mask` (or `split`) are the public split; nodes without one are not in it.
      undirected: store every edge in both directions, also those of a `DiGraph`.
      bag_of_words: whether features are counts of words, to be normalised by row.
      structure: what a graph without features has instead, see `graphs.structure`.
      missing: what stands for NaN among features, see `missing.filled`.

    Raises:
      ValueError: features are missing or of unequal length, or a part is not as described.

    Attributes that mean nothing are named in a warning.

    Example:
      >>> import networkx as nx
      >>> from mmix_jax.data import from_networkx
      >>> graph = nx.Graph([("ann", "bob"), ("bob", "cy")])
      >>> nx.set_node_attributes(graph, {"ann": 30, "bob": 40, "cy": 50}, "age")
      >>> dataset = from_networkx(graph, features=["age"])
      >>> dataset.ids.tolist(), dataset.graph.x.tolist()
      (['ann', 'bob', 'cy'], [[30.0], [40.0], [50.0]])
    """
    _check_networkx(graph)
    nodes = list(graph.nodes(data=True))
    senders, receivers, edge_weight = _networkx_edges(graph, weight)
    check_rest(_edge_attributes([graph], weight), NAMES, what="edge attribute")
    attributes = dict.fromkeys(key for _, data in nodes for key in data)
    several = () if features is None or isinstance(features, str) else tuple(features)
    if features == "x" and "x" not in attributes:
        features = None
    others = [key for key in attributes if key not in (features, label, *several)]
    special = by_meaning(others, tuple(m for m in NAMES if m != LABEL or label is None))
    there = {*special, LABEL} if label else special
    check_rest((key for key in others if key not in special.values()), there, what="attribute")
    special = special | ({LABEL: label} if label in attributes else {})
    values = {
        meaning: [data.get(key, _WITHOUT.get(meaning, False)) for _, data in nodes]
        for meaning, key in special.items()
    }
    titles = None
    if several:
        x, titles = _encoded(nodes, several, known, blanks=missing != "refuse")
    elif isinstance(features, str):
        x = _stack([_feature(node, data, features) for node, data in nodes], features)
    else:
        x = None
    raw = RawGraph(
        x=x,
        senders=senders,
        receivers=receivers,
        edge_weight=edge_weight,
        labels=values.pop(LABEL, None),
        masks=values,
        ids=names_of_nodes([node for node, _ in nodes]),
        num_nodes=len(nodes),
        names=titles,
    )
    return check_raw(name, raw, split, split_seed, undirected, bag_of_words, structure, missing)


def from_networkx_graphs(
    graphs: Iterable[Any],
    labels: ArrayLike | None = None,
    *,
    features: str | None = "x",
    weight: str = "weight",
    ids: ArrayLike | None = None,
    name: str = "networkx",
    max_degree: int = MAX_DEGREE,
    undirected: bool = True,
) -> GraphDataset:
    """A set of graphs from networkx graphs; one without nodes is legal beside others.

    Args:
      graphs: any networkx graphs; of parallel edges the largest weight counts.
      labels: one class per graph; None without labels.
      features: node attribute with a number or a vector, on every node, of one length in all
        graphs; None for the one-hot degree.
      weight: edge attribute; edges without it weigh 1.
      ids: names of the graphs.
      name: of the data set.
      max_degree: see `raw.degree_features`.
      undirected: store every edge in both directions, also those of a `DiGraph`.

    Raises:
      ValueError: which graph, counted from 0, and what is wrong with it; or labels or ids do not
        fit the graphs.

    Example:
      >>> import networkx as nx
      >>> from mmix_jax.data import from_networkx_graphs
      >>> graphs = [nx.path_graph(3), nx.star_graph(3)]
      >>> from_networkx_graphs(graphs, [0, 1], features=None).features
      'degree'
    """
    graphs = list(graphs) if isinstance(graphs, Iterable) else [graphs]
    for graph in graphs:
        _check_networkx(graph)
    name_unused(graphs, features, weight)
    made = []
    for i, graph in enumerate(graphs):
        try:
            made.append(networkx_graph(graph, features, weight, undirected))
        except ValueError as error:
            raise ValueError(f"graph {i}: {error}") from error
    if features is None:
        made = [g._replace(x=degree_features(g, max_degree=max_degree)) for g in made]
        kind = "degree"
    else:
        # A graph without nodes cannot say how many features they would have.
        width = next((g.x.shape[1] for g in made if g.num_nodes), 0)
        made = [g if g.num_nodes else g._replace(x=np.zeros((0, width), np.float32)) for g in made]
        kind = "given"
    return make_graph_dataset(name, made, labels, features=kind, ids=ids)


def networkx_graph(graph: Any, features: str | None, weight: str, undirected: bool) -> Graph:
    """One graph of a set; `x` has no columns without `features` or without nodes."""
    nodes = list(graph.nodes(data=True))
    x = np.zeros((len(nodes), 0))
    if features is not None and nodes:
        x = _stack([_feature(node, data, features) for node, data in nodes], features)
    return make_graph_or_empty(x, *_networkx_edges(graph, weight), undirected=undirected)


def _networkx_edges(graph: Any, weight: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Senders, receivers and weights, with nodes numbered in the graph's order."""
    number = {node: i for i, node in enumerate(graph.nodes)}
    edges = list(graph.edges(data=True))
    return (
        np.array([number[source] for source, _, _ in edges], np.int64),
        np.array([number[target] for _, target, _ in edges], np.int64),
        array_of([data.get(weight, 1.0) for _, _, data in edges], weight),
    )


def _encoded(
    nodes: list[tuple[Hashable, dict[str, Any]]],
    features: Sequence[str],
    known: Sequence[str],
    *,
    blanks: bool,
) -> tuple[np.ndarray, list[str]]:
    """Several attributes of mixed types as features, with their names."""
    columns = [cells([data.get(name) for _, data in nodes]) for name in features]
    faults: list[str] = []
    places = [f"node {node!r}" for node, _ in nodes]
    encoded = encode_columns(features, columns, places, faults, blanks=blanks, known=known)
    if faults:
        raise ValueError("; ".join(faults))
    if encoded.notes:
        _log.info("features: %s (%s)", ", ".join(encoded.names[:30]), "; ".join(encoded.notes))
    return encoded.x, encoded.names


def _check_networkx(graph: Any) -> None:
    if not (callable(getattr(graph, "nodes", None)) and callable(getattr(graph, "edges", None))):
        raise ValueError(
            f"a networkx graph is needed, found {type(graph).__name__}; convert it, or use another "
            "function of this module"
        )


def _edge_attributes(graphs: Iterable[Any], weight: str) -> list[str]:
    """Names of edge attributes other than the weight."""
    found = dict.fromkeys(key for g in graphs for _, _, data in g.edges(data=True) for key in data)
    return [key for key in found if key != weight]


def name_unused(graphs: list[Any], features: str | None, weight: str) -> None:
    """Warn of attributes of graphs, nodes and edges that a set of graphs does not read."""
    nodes = dict.fromkeys(key for g in graphs for _, data in g.nodes(data=True) for key in data)
    for what, names in (
        (
            "attribute of graphs (labels= takes their classes)",
            {k: 0 for g in graphs for k in g.graph},
        ),
        ("node attribute", {key: 0 for key in nodes if key != features}),
        ("edge attribute", _edge_attributes(graphs, weight)),
    ):
        check_rest(names, NAMES, what=what)


def _feature(node: Hashable, data: dict[str, Any], features: str) -> np.ndarray:
    if features not in data:
        raise ValueError(
            f"every node must have the attribute {features!r}, found none on {node!r}; set it, or "
            "name another by features="
        )
    return np.atleast_1d(array_of(data[features], features))


def _stack(rows: list[np.ndarray], features: str) -> np.ndarray:
    shapes = {row.shape for row in rows}
    if len(shapes) != 1 or len(rows[0].shape) != 1:
        raise ValueError(
            f"node attribute {features!r} must be a number or vector of one length, found shapes "
            f"{', '.join(map(str, sorted(shapes))) or 'of no node'}; make them equal"
        )
    return np.stack(rows)
