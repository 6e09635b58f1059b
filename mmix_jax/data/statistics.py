"""Counts of a data set, and the check of them against what is published."""

import numpy as np

from mmix_jax.data.expected import (
    EXPECTED,
    EXPECTED_GRAPHS,
    EXPECTED_IMAGES,
    GraphSetStatistics,
    ImageSetStatistics,
    Statistics,
)
from mmix_jax.data.types import ImageDataset, NodeDataset
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Graph, Split


def measure(
    dataset: NodeDataset,
    *,
    list_entries: int | None = None,
    self_loops: int | None = None,
    zero_rows: int | None = None,
) -> Statistics:
    """The statistics of a labelled data set with its default split; see ``Statistics``."""
    if dataset.labels is None or dataset.split is None:
        raise ValueError(f"statistics need labels and a split; {dataset.name} has none")
    train, valid, test = (part.size for part in dataset.split)
    num_unlabelled, class_sizes = _count_labels(dataset.labels, dataset.num_classes)
    return Statistics(
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
        graph_sizes=_count_graphs(dataset.graph_index, dataset.split),
    )


def _count_labels(labels: np.ndarray, num_classes: int) -> tuple[int, tuple[int, ...]]:
    """Nodes without a known label, and nodes per class."""
    if labels.ndim == 2:
        return 0, tuple(labels.sum(axis=0, dtype=np.int64).tolist())
    known = labels[labels >= 0]
    return labels.size - known.size, tuple(np.bincount(known, minlength=num_classes).tolist())


def _count_graphs(graph_index: np.ndarray | None, split: Split) -> tuple[int, int, int] | None:
    if graph_index is None:
        return None
    train, valid, test = (np.unique(graph_index[part]).size for part in split)
    return train, valid, test


def measure_graphs(
    union: Graph,
    labels: np.ndarray,
    *,
    num_node_labels: int = 0,
    num_attributes: int = 0,
) -> GraphSetStatistics:
    """The statistics of a set of labelled graphs.

    Args:
      union: all graphs as one, without edges between them.
      labels: class of every graph, 0 … C − 1.
      num_node_labels: different labels of nodes.
      num_attributes: numbers given per node.
    """
    return GraphSetStatistics(
        num_graphs=labels.size,
        num_nodes=union.num_nodes,
        num_edges=union.num_edges // 2,
        class_sizes=tuple(np.bincount(labels).tolist()),
        num_node_labels=num_node_labels,
        num_attributes=num_attributes,
        num_isolated=union.num_nodes - np.unique(union.receivers).size,
    )


def measure_images(dataset: ImageDataset) -> ImageSetStatistics:
    """The statistics of a labelled set of images with a test part."""
    if dataset.train_labels is None or dataset.test is None or dataset.test_labels is None:
        raise ValueError(f"statistics need labels and test images; {dataset.name} lacks them")
    num_classes = len(dataset.classes)
    return ImageSetStatistics(
        num_train=dataset.train.shape[0],
        num_test=dataset.test.shape[0],
        shape=dataset.train.shape[1:],
        train_sizes=tuple(np.bincount(dataset.train_labels, minlength=num_classes).tolist()),
        test_sizes=tuple(np.bincount(dataset.test_labels, minlength=num_classes).tolist()),
    )


def check_statistics(
    name: str, found: Statistics | GraphSetStatistics | ImageSetStatistics
) -> None:
    """Compares with what ``EXPECTED`` and its like know of this set.

    Raises:
      InputError: a count differs: the files are damaged or another set's.
    """
    if isinstance(found, Statistics):
        expected = EXPECTED[name]
    else:
        graphs = isinstance(found, GraphSetStatistics)
        expected = EXPECTED_GRAPHS[name] if graphs else EXPECTED_IMAGES[name]
    for field, wanted in expected._asdict().items():
        value = getattr(found, field)
        if wanted is not None and value != wanted:
            raise InputError(
                f"{name} must have {field} {_short(wanted)}, found {_short(value)}: swapped or "
                "damaged file; get the original files again"
            )


def _short(value: int | tuple[int, ...]) -> str:
    """A count as a message shows it; the sizes of a hundred classes are cut."""
    if isinstance(value, int) or len(value) <= 12:
        return str(value)
    return f"{value[:12]} and {len(value) - 12} more"
