"""Graphs from anywhere before they are checked, and what they may lack: nodes, or features."""

import logging
from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmix_jax.data.missing import filled
from mmix_jax.data.splits import split_from_masks
from mmix_jax.data.types import NodeDataset, make_dataset
from mmix_jax.fields import unknown
from mmix_jax.graphs.settings import STRUCTURES
from mmix_jax.graphs.types import Graph, make_graph

MAX_DEGREE = 64
_MOST_DEGREES = 2**20

_log = logging.getLogger(__name__)


class RawGraph(NamedTuple):
    """The parts of a graph as a file or another library gives them; nothing is checked yet.

    x: node features [N, F], NaN where unknown; None where there are none.
    senders, receivers: source and target of every edge [E].
    edge_weight: [E] or None.
    labels: [N], see `labels.encode_classes`, or None.
    masks: see `splits.split_from_masks`.
    ids: the nodes' names [N] or None.
    num_nodes: N, wanted without features.
    names: of the features [F], or None.
    """

    x: ArrayLike | None
    senders: ArrayLike
    receivers: ArrayLike
    edge_weight: ArrayLike | None = None
    labels: ArrayLike | None = None
    masks: Mapping[str, ArrayLike] = MappingProxyType({})
    ids: ArrayLike | None = None
    num_nodes: int | None = None
    names: Sequence[str] | None = None


def check_raw(
    name: str,
    raw: RawGraph,
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
    structure: str = "both",
    missing: str = "refuse",
) -> NodeDataset:
    """Check all parts, join them, and log in one line what they are; masks are the public split.

    Args:
      name: of the data set.
      raw: the parts.
      split, split_seed: see `types.make_dataset`.
      undirected: store every edge in both directions.
      bag_of_words: whether features are counts of words, to be normalised by row.
      structure: what a graph without features has in their place, see `graphs.structure`.
      missing: what stands for unknown features, see `missing.filled`.

    Raises:
      ValueError: a part is not as described, or does not fit the others.
    """
    if structure not in STRUCTURES:
        raise ValueError(unknown("structure", structure, STRUCTURES))
    x, gaps = (None, None) if raw.x is None else filled(raw.x, missing, raw.names)
    if x is None or x.shape[1:] == (0,):
        x, names = np.zeros((_num_nodes(raw), 0), np.float32), None
    else:
        names, structure = raw.names, ""
    graph = make_graph(x, raw.senders, raw.receivers, raw.edge_weight, undirected=undirected)
    if structure:
        from mmix_jax.graphs.structure import structural  # with SciPy, which names do without

        graph = graph._replace(x=structural(graph, structure))
    dataset = make_dataset(
        name,
        graph,
        raw.labels,
        given=split_from_masks(raw.masks, graph.num_nodes),
        split=split,
        split_seed=split_seed,
        ids=raw.ids,
        bag_of_words=bag_of_words,
        own=True,
    )
    dataset = dataset._replace(
        gaps=gaps,
        feature_names=None if names is None else tuple(names),
        structure=structure,
    )
    _log.info("%s", _described(dataset, raw, split, undirected=undirected))
    return dataset


def _described(dataset: NodeDataset, raw: RawGraph, split: str, *, undirected: bool) -> str:
    """What a graph holds, and what of its edges was left out or merged."""
    graph = dataset.graph
    senders, receivers = np.asarray(raw.senders), np.asarray(raw.receivers)
    loops = int(np.count_nonzero(senders == receivers))
    directions = "undirected" if undirected else "directed"
    kept = graph.num_edges // 2 if undirected else graph.num_edges
    isolated = graph.num_nodes - np.union1d(graph.senders, graph.receivers).size
    words = [
        f"{dataset.name}: {graph.num_nodes} nodes ({isolated} without an edge)",
        f"{graph.x.shape[1]} features"
        + (
            f" of structure ({dataset.structure}), as it has none of its own"
            * bool(dataset.structure)
        ),
        f"{kept} {directions} edges of {senders.size} listed ({loops} self-loops left out, "
        f"{senders.size - loops - kept} repeats merged)",
    ]
    if dataset.labels is None or dataset.classes is None:
        words.append("no labels")
    else:
        names = [str(name) for name in dataset.classes[:6].tolist()]
        more = ", …" if dataset.num_classes > len(names) else ""
        unknown = int(np.count_nonzero(dataset.labels < 0))
        words.append(
            f"{dataset.num_classes} classes ({', '.join(names)}{more}; {unknown} nodes without)"
        )
    if dataset.split is not None:
        sizes = " / ".join(str(part.size) for part in dataset.split)
        given = raw.masks and split != "random"
        words.append(f"{'given' if given else 'random'} split {sizes}")
    return ", ".join(words)


def _num_nodes(raw: RawGraph) -> int:
    """N of a graph without features."""
    number = np.shape(raw.x)[0] if raw.x is not None and np.ndim(raw.x) else raw.num_nodes
    if number is None or number < 1:
        raise ValueError(
            "a graph must have one node or more, found none; give their features, or their number"
        )
    return int(number)


def names_of_nodes(nodes: Sequence[Hashable]) -> np.ndarray:
    """Names of nodes as integers where all are and fit into 64 bits, or else their texts."""
    if all(isinstance(node, (int, np.integer)) and -(2**63) <= node < 2**63 for node in nodes):
        return np.array(nodes, np.int64)
    texts = [str(node) for node in nodes]
    if len(set(texts)) < len(texts):  # 1 and "1" are two nodes
        texts = [repr(node) for node in nodes]
    return np.array(texts, str)


def make_graph_or_empty(
    x: ArrayLike,
    senders: ArrayLike,
    receivers: ArrayLike,
    edge_weight: ArrayLike | None = None,
    *,
    undirected: bool = True,
) -> Graph:
    """`make_graph`, but a graph without nodes, x [0, F], is legal too: in a set it has its place.

    Raises:
      ValueError: as `make_graph`; or a graph without nodes has edges.
    """
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[0] > 0:
        return make_graph(x, senders, receivers, edge_weight, undirected=undirected)
    num_edges = max(np.size(senders), np.size(receivers))
    if num_edges:
        raise ValueError(
            f"a graph without nodes must have no edges, found {num_edges}; "
            "give every node a row of features"
        )
    none = np.zeros(0, np.int32)
    return Graph(np.zeros(x.shape, np.float32), none, none, np.zeros(0, np.float32))


def degree_features(graph: Graph, *, max_degree: int = MAX_DEGREE) -> np.ndarray:
    """Number of neighbours of every node, one-hot: float32 [N, max_degree + 1].

    Column d stands for degree d, the last for `max_degree` and all above. The width does not
    depend on the graph, so that an encoder takes graphs that it was not trained on.

    Raises:
      ValueError: `max_degree` is below 1.
    """
    whole = isinstance(max_degree, int | np.integer) and not isinstance(max_degree, bool)
    if not whole or not 1 <= max_degree < _MOST_DEGREES:
        raise ValueError(
            f"max_degree must be a whole number from 1 to {_MOST_DEGREES - 1}, found "
            f"{str(max_degree)[:40]}; 64 is usual"
        )
    degrees = np.bincount(graph.receivers, minlength=graph.num_nodes)
    return one_hot(np.minimum(degrees, max_degree), max_degree + 1)


def one_hot(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Integers [N] in [0, num_classes) as float32 [N, num_classes]."""
    rows = np.zeros((classes.size, num_classes), np.float32)
    rows[np.arange(classes.size), classes] = 1
    return rows
