"""Graphs from other libraries' objects: networkx, SciPy and PyTorch Geometric."""

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from mmix_jax.data.names import LABEL, NAMES, SPLIT, by_meaning, check_rest
from mmix_jax.data.raw import (
    MAX_DEGREE,
    RawGraph,
    check_raw,
    degree_features,
    make_graph_or_empty,
)
from mmix_jax.data.splits import MASKS
from mmix_jax.data.store.matrices import adjacency_entries, dense
from mmix_jax.data.store.npz_files import edge_ends
from mmix_jax.data.types import GraphDataset, NodeDataset, make_graph_dataset
from mmix_jax.graphs.types import Graph

# What a node without the attribute has; of a mask, False.
_WITHOUT = {LABEL: None, SPLIT: None}
# What PyTorch Geometric keeps beside the parts.
_PYG_COUNTS = ("num_nodes", "batch", "ptr")


def from_scipy(
    adjacency: Any,
    x: Any,
    y: ArrayLike | None = None,
    *,
    masks: dict[str, ArrayLike] | None = None,
    ids: ArrayLike | None = None,
    name: str = "scipy",
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
) -> NodeDataset:
    """A data set from a sparse adjacency matrix.

    Args:
      adjacency: SciPy sparse matrix or array [N, N]; a non-zero entry (i, j) is the weight of the
        edge from i to j.
      x: node features [N, F], dense or sparse.
      y: classes [N], see `labels.encode_classes`; None without labels.
      masks: `train_mask`, `val_mask` and `test_mask` [N], or `split`, see
        `splits.split_from_masks`; None for a random split.
      ids: names of the nodes [N].
      name: of the data set.
      split, split_seed: see `types.make_dataset`; masks are the public split.
      undirected: store every edge in both directions.
      bag_of_words: whether features are counts of words, to be normalised by row.

    Raises:
      ValueError: a part is not as described, or does not fit the others.
    """
    if not sparse.issparse(adjacency) or len(adjacency.shape) != 2:
        raise ValueError(
            f"adjacency must be a SciPy sparse matrix, found {type(adjacency).__name__}; "
            "use scipy.sparse.csr_array"
        )
    x = dense(x) if sparse.issparse(x) else _array(x, "x")
    if x.ndim != 2:
        raise ValueError(f"x must be [N, F], found shape {x.shape}; give one row per node")
    if adjacency.shape != (len(x), len(x)):
        raise ValueError(
            f"adjacency must have shape ({len(x)}, {len(x)}), as x has {len(x)} rows, found "
            f"{adjacency.shape}; give both the same nodes"
        )
    special = by_meaning(masks or {})
    if unknown := [name for name in masks or {} if name not in special.values()]:
        raise ValueError(
            f"masks must be named {', '.join(MASKS)} (or split), found {unknown[0]!r}; rename it"
        )
    values = {meaning: (masks or {})[name] for meaning, name in special.items()}
    raw = RawGraph(x, *adjacency_entries(adjacency), y, values, ids)
    return check_raw(name, raw, split, split_seed, undirected, bag_of_words)


def from_networkx(
    graph: Any,
    *,
    features: str = "x",
    label: str | None = None,
    weight: str = "weight",
    name: str = "networkx",
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
) -> NodeDataset:
    """A data set from a networkx graph; the nodes' names become its ids.

    Args:
      graph: any networkx graph; of parallel edges the largest weight counts.
      features: node attribute with a number or a vector, on every node.
      label: node attribute with a class, see `labels.encode_classes`; nodes without it are
        unlabelled. None: `y`, or another of the names of `names.NAMES`.
      weight: edge attribute; edges without it weigh 1.
      name: of the data set.
      split, split_seed: see `types.make_dataset`; node attributes `train_mask`, `val_mask` and
        `test_mask` (or `split`) are the public split; nodes without one are not in it.
      undirected: store every edge in both directions, also those of a `DiGraph`.
      bag_of_words: whether features are counts of words, to be normalised by row.

    Raises:
      ValueError: features are missing or of unequal length, or a part is not as described.

    Attributes that mean nothing are named in a warning.
    """
    _check_networkx(graph)
    nodes = list(graph.nodes(data=True))
    senders, receivers, edge_weight = _networkx_edges(graph, weight)
    check_rest(_edge_attributes([graph], weight), NAMES, what="edge attribute")
    attributes = dict.fromkeys(key for _, data in nodes for key in data)
    others = [key for key in attributes if key not in (features, label)]
    special = by_meaning(others, tuple(m for m in NAMES if m != LABEL or label is None))
    known = {*special, LABEL} if label else special
    check_rest((key for key in others if key not in special.values()), known, what="attribute")
    special = special | ({LABEL: label} if label in attributes else {})
    values = {
        meaning: [data.get(key, _WITHOUT.get(meaning, False)) for _, data in nodes]
        for meaning, key in special.items()
    }
    raw = RawGraph(
        x=_stack([_feature(node, data, features) for node, data in nodes], features),
        senders=senders,
        receivers=receivers,
        edge_weight=edge_weight,
        labels=values.pop(LABEL, None),
        masks=values,
        ids=_names([node for node, _ in nodes]),
    )
    return check_raw(name, raw, split, split_seed, undirected, bag_of_words)


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
      labels: one class per graph, 0 … C − 1; None without labels.
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
    """
    graphs = list(graphs) if isinstance(graphs, Iterable) else [graphs]
    for graph in graphs:
        _check_networkx(graph)
    _name_unused(graphs, features, weight)
    made = []
    for i, graph in enumerate(graphs):
        try:
            made.append(_networkx_graph(graph, features, weight, undirected))
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


def from_pyg(
    data: Any,
    *,
    name: str = "pyg",
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
) -> NodeDataset:
    """A data set from a PyTorch Geometric `Data` object, or anything with its attributes.

    Args:
      data: has `edge_index` [2, E] and `x` [N, F]; may have `edge_weight` [E], `y` [N]
        (−1 where unknown) and `train_mask`, `val_mask`, `test_mask` [N], or what
        `names.NAMES` calls them. Torch tensors, on any device, or arrays.
      name: of the data set.
      split, split_seed: see `types.make_dataset`; the masks are the public split.
      undirected: store every edge in both directions.
      bag_of_words: whether features are counts of words, to be normalised by row.

    Raises:
      ValueError: an attribute is missing or not as described.

    Attributes that mean nothing are named in a warning.
    """
    own = ("x", "edge_index", "edge_weight")
    attributes = [key for key in _attributes(data) if key not in own]
    special = by_meaning(attributes)
    rest = (key for key in attributes if key not in (*special.values(), *_PYG_COUNTS))
    check_rest(rest, special, what="attribute")
    parts = _arrays(data, (*own, *special.values()))
    for key in ("x", "edge_index"):
        if key not in parts:
            raise ValueError(
                f"a PyTorch Geometric graph must have {key!r}, found none in "
                f"{type(data).__name__}; set it"
            )
    senders, receivers = edge_ends(parts["edge_index"])
    values = {meaning: parts[key] for meaning, key in special.items()}
    raw = RawGraph(
        x=parts["x"],
        senders=senders,
        receivers=receivers,
        edge_weight=parts.get("edge_weight"),
        labels=values.pop(LABEL, None),
        masks=values,
    )
    return check_raw(name, raw, split, split_seed, undirected, bag_of_words)


def _networkx_graph(graph: Any, features: str | None, weight: str, undirected: bool) -> Graph:
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
        _array([data.get(weight, 1.0) for _, _, data in edges], weight),
    )


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


def _name_unused(graphs: list[Any], features: str | None, weight: str) -> None:
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


def _attributes(data: Any) -> list[str]:
    """Names of what is set: those that a PyTorch Geometric object tells, or a plain object has."""
    if not hasattr(data, "keys") and not hasattr(data, "__dict__"):
        raise ValueError(
            f"a PyTorch Geometric graph must have attributes such as x and edge_index, found "
            f"{type(data).__name__}; give a Data object"
        )
    keys: Any = getattr(data, "keys", None)
    named: Any = keys() if callable(keys) else vars(data) if keys is None else keys
    return [key for key in named if getattr(data, key, None) is not None]


def _arrays(data: Any, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Those attributes that are set."""
    values = {key: getattr(data, key, None) for key in keys}
    return {key: _array(value, key) for key, value in values.items() if value is not None}


def _array(value: Any, key: str) -> np.ndarray:
    """A value as a NumPy array; torch's tensors are known by their methods."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{key!r} must have all its values, found masked ones; fill them")
    tensor: Any = value
    try:
        return np.asarray(tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else tensor)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{key!r} must be a dense array of a type NumPy knows, found otherwise "
            f"({str(error).splitlines()[0]}); convert it"
        ) from error


def _feature(node: Hashable, data: dict[str, Any], features: str) -> np.ndarray:
    if features not in data:
        raise ValueError(
            f"every node must have the attribute {features!r}, found none on {node!r}; set it, or "
            "name another by features="
        )
    return np.atleast_1d(_array(data[features], features))


def _stack(rows: list[np.ndarray], features: str) -> np.ndarray:
    shapes = {row.shape for row in rows}
    if len(shapes) != 1 or len(rows[0].shape) != 1:
        raise ValueError(
            f"node attribute {features!r} must be a number or vector of one length, found shapes "
            f"{', '.join(map(str, sorted(shapes))) or 'of no node'}; make them equal"
        )
    return np.stack(rows)


def _names(nodes: list[Hashable]) -> np.ndarray:
    """Names of nodes as integers where all are and fit into 64 bits, or else their texts."""
    if all(isinstance(node, (int, np.integer)) and -(2**63) <= node < 2**63 for node in nodes):
        return np.array(nodes, np.int64)
    texts = [str(node) for node in nodes]
    if len(set(texts)) < len(texts):  # 1 and "1" are two nodes
        texts = [repr(node) for node in nodes]
    return np.array(texts, str)
