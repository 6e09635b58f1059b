"""Statistics of a data set, its counts, and the check of them against what is published.

`published.json` holds, by the name of a data set, its published `statistics` (fields of the types
here) and its original `files`, with SHA-256 sums and sizes where the source keeps them.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmix_jax.data.types import ImageDataset, NodeDataset
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Graph, Split


class NodeStatistics(NamedTuple):
    """Counts of one graph, or several as one, with labelled nodes; None where not known.

    num_nodes: isolated ones included.
    num_edges: undirected, without self-loops and repeats.
    num_features: columns of `x`.
    num_unlabelled: nodes whose label is unknown.
    class_sizes: nodes per class; where nodes may have several labels, nodes per label.
    split_sizes: of the default split's train, valid and test part.
    list_entries: neighbours that the original files list, repeats and self-loops included.
    self_loops: nodes that the original files list among their own neighbours.
    zero_rows: nodes whose features are all zero.
    graph_sizes: graphs in the split's train, valid and test part; None too for one graph.
    """

    num_nodes: int
    num_edges: int
    num_features: int
    num_classes: int
    num_unlabelled: int | None = None
    class_sizes: tuple[int, ...] | None = None
    split_sizes: tuple[int, int, int] | None = None
    list_entries: int | None = None
    self_loops: int | None = None
    zero_rows: int | None = None
    graph_sizes: tuple[int, int, int] | None = None


class GraphStatistics(NamedTuple):
    """Counts of a set of labelled graphs, over all of them; None where not known.

    num_edges: undirected, without self-loops and repeats.
    class_sizes: graphs per class.
    num_node_labels: different labels of nodes; 0 without.
    num_attributes: numbers given per node; 0 without.
    num_isolated: nodes without an edge.
    """

    num_graphs: int
    num_nodes: int
    num_edges: int
    class_sizes: tuple[int, ...]
    num_node_labels: int = 0
    num_attributes: int = 0
    num_isolated: int | None = None


class ImageStatistics(NamedTuple):
    """Counts of a set of labelled images.

    shape: of every image, [H, W, C].
    train_sizes, test_sizes: images per class.
    """

    num_train: int
    num_test: int
    shape: tuple[int, ...]
    train_sizes: tuple[int, ...]
    test_sizes: tuple[int, ...]


Statistics = NodeStatistics | GraphStatistics | ImageStatistics


def _as_statistics(counts: dict[str, Any]) -> Any:
    """The statistics that have these fields."""
    kinds = (NodeStatistics, GraphStatistics, ImageStatistics)
    kind = next(kind for kind in kinds if counts.keys() <= set(kind._fields))
    values: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in counts.items()}
    return kind(**values)


_TEXT = Path(__file__).with_name("published.json").read_text("utf-8")
PUBLISHED: dict[str, dict[str, Any]] = json.loads(_TEXT)
EXPECTED = {name: _as_statistics(entry["statistics"]) for name, entry in PUBLISHED.items()}


def node_statistics(
    dataset: NodeDataset,
    *,
    list_entries: int | None = None,
    self_loops: int | None = None,
    zero_rows: int | None = None,
) -> NodeStatistics:
    """The statistics of a labelled data set with its default split; see `NodeStatistics`."""
    if dataset.labels is None or dataset.split is None:
        raise ValueError(f"statistics need labels and a split; {dataset.name} has none")
    train, valid, test = (part.size for part in dataset.split)
    num_unlabelled, class_sizes = _count_labels(dataset.labels, dataset.num_classes)
    return NodeStatistics(
        num_nodes=dataset.graph.num_nodes,
        num_edges=dataset.graph.num_edges // 2,
        num_features=dataset.graph.x.shape[1],
        num_classes=dataset.num_classes,
        num_unlabelled=num_unlabelled,
        class_sizes=class_sizes,
        split_sizes=(train, valid, test),
        list_entries=list_entries,
        self_loops=self_loops,
        zero_rows=zero_rows,
        graph_sizes=_count_graphs(dataset.node_graph, dataset.split),
    )


def _count_labels(labels: np.ndarray, num_classes: int) -> tuple[int, tuple[int, ...]]:
    """Nodes without a known label, and nodes per class."""
    if labels.ndim == 2:
        return 0, tuple(labels.sum(axis=0, dtype=np.int64).tolist())
    known = labels[labels >= 0]
    return labels.size - known.size, tuple(np.bincount(known, minlength=num_classes).tolist())


def _count_graphs(node_graph: np.ndarray | None, split: Split) -> tuple[int, int, int] | None:
    if node_graph is None:
        return None
    train, valid, test = (np.unique(node_graph[part]).size for part in split)
    return train, valid, test


def graph_statistics(
    union: Graph,
    labels: np.ndarray,
    *,
    num_node_labels: int = 0,
    num_attributes: int = 0,
) -> GraphStatistics:
    """The statistics of a set of labelled graphs.

    Args:
      union: all graphs as one, without edges between them.
      labels: class of every graph, 0 … C − 1.
      num_node_labels: different labels of nodes.
      num_attributes: numbers given per node.
    """
    return GraphStatistics(
        num_graphs=labels.size,
        num_nodes=union.num_nodes,
        num_edges=union.num_edges // 2,
        class_sizes=tuple(np.bincount(labels).tolist()),
        num_node_labels=num_node_labels,
        num_attributes=num_attributes,
        num_isolated=union.num_nodes - np.unique(union.receivers).size,
    )


def image_statistics(dataset: ImageDataset) -> ImageStatistics:
    """The statistics of a labelled set of images with a test part."""
    if dataset.train_labels is None or dataset.test is None or dataset.test_labels is None:
        raise ValueError(f"statistics need labels and test images; {dataset.name} lacks them")
    num_classes = len(dataset.classes)
    return ImageStatistics(
        num_train=dataset.train.shape[0],
        num_test=dataset.test.shape[0],
        shape=dataset.train.shape[1:],
        train_sizes=tuple(np.bincount(dataset.train_labels, minlength=num_classes).tolist()),
        test_sizes=tuple(np.bincount(dataset.test_labels, minlength=num_classes).tolist()),
    )


def check_statistics(name: str, statistics: Statistics) -> None:
    """Compare a data set's statistics with those that `EXPECTED` knows.

    Raises:
      InputError: a count differs: the files are damaged or another set's.
    """
    for field, expected in EXPECTED[name]._asdict().items():
        count = getattr(statistics, field)
        if expected is not None and count != expected:
            raise InputError(
                f"{name} must have {field} {_short(expected)}, found {_short(count)}: swapped or "
                "damaged file; get the original files again"
            )


def _short(count: int | tuple[int, ...]) -> str:
    """A count as a message shows it; the sizes of a hundred classes are cut."""
    if isinstance(count, int) or len(count) <= 12:
        return str(count)
    return f"{count[:12]} and {len(count) - 12} more"
