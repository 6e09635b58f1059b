"""What each known data set must look like; loaders check it, tests read it."""

from typing import NamedTuple

import numpy as np

from mmix_jax.data.types import ImageDataset, NodeDataset
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Graph, Split


class Statistics(NamedTuple):
    """Counts of one graph, or several as one, with labelled nodes; None where not known.

    Fields:
      num_nodes: isolated ones included.
      num_edges: undirected, without self-loops and repeats.
      num_features: columns of ``x``.
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


EXPECTED = {
    "cora": Statistics(
        num_nodes=2708,
        num_edges=5278,
        num_features=1433,
        num_classes=7,
        num_unlabelled=0,
        class_sizes=(351, 217, 418, 818, 426, 298, 180),
        split_sizes=(140, 500, 1000),
        list_entries=10_858,
        self_loops=0,
    ),
    "citeseer": Statistics(
        num_nodes=3327,
        num_edges=4552,
        num_features=3703,
        num_classes=6,
        num_unlabelled=15,
        class_sizes=None,
        split_sizes=(120, 500, 1000),
        list_entries=9464,
        self_loops=124,
    ),
    "pubmed": Statistics(
        num_nodes=19_717,
        num_edges=44_324,
        num_features=500,
        num_classes=3,
        num_unlabelled=0,
        class_sizes=(4103, 7739, 7875),
        split_sizes=(60, 500, 1000),
        list_entries=88_676,
        self_loops=3,
    ),
    "digits_graph": Statistics(
        num_nodes=1797,
        num_edges=12_339,
        num_features=64,
        num_classes=10,
        num_unlabelled=0,
        class_sizes=(178, 182, 177, 183, 181, 182, 181, 179, 174, 180),
        split_sizes=(200, 500, 1097),
    ),
    "dblp": Statistics(
        num_nodes=17_716,
        num_edges=52_867,
        num_features=1639,
        num_classes=4,
        num_unlabelled=0,
        class_sizes=(7920, 5645, 1982, 2169),
        split_sizes=(1771, 1771, 14_174),
        list_entries=105_734,
        self_loops=0,
        zero_rows=64,
    ),
    # Counts of these four are those in the documentation of PyTorch Geometric.
    "cora_full": Statistics(num_nodes=19_793, num_edges=63_421, num_features=8710, num_classes=70),
    "cora_ml": Statistics(num_nodes=2995, num_edges=8158, num_features=2879, num_classes=7),
    "citeseer_full": Statistics(num_nodes=4230, num_edges=5337, num_features=602, num_classes=6),
    "pubmed_full": Statistics(num_nodes=19_717, num_edges=44_324, num_features=500, num_classes=3),
    # GraphSAGE's file lists 818,716 links, 25,084 of them self-loops; DGL's list both directions
    # of the others, and a self-loop at every node: 1,644,208.
    "ppi": Statistics(
        num_nodes=56_944,
        num_edges=793_632,
        num_features=50,
        num_classes=121,
        num_unlabelled=0,
        class_sizes=None,
        split_sizes=(44_906, 6514, 5524),
        graph_sizes=(20, 2, 2),
    ),
}


class GraphSetStatistics(NamedTuple):
    """Counts of a set of labelled graphs, over all of them; None where not known.

    Fields:
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


EXPECTED_GRAPHS = {
    "mutag": GraphSetStatistics(
        num_graphs=188,
        num_nodes=3371,
        num_edges=3721,
        class_sizes=(63, 125),
        num_node_labels=7,
    ),
    "ptc_mr": GraphSetStatistics(
        num_graphs=344,
        num_nodes=4915,
        num_edges=5054,
        class_sizes=(192, 152),
        num_node_labels=18,
    ),
    "imdb_binary": GraphSetStatistics(
        num_graphs=1000,
        num_nodes=19_773,
        num_edges=96_531,
        class_sizes=(500, 500),
    ),
    "imdb_multi": GraphSetStatistics(
        num_graphs=1500,
        num_nodes=19_502,
        num_edges=98_903,
        class_sizes=(500, 500, 500),
    ),
    "reddit_binary": GraphSetStatistics(
        num_graphs=2000,
        num_nodes=859_254,
        num_edges=995_508,
        class_sizes=(1000, 1000),
        num_isolated=21,
    ),
    "coil_del": GraphSetStatistics(
        num_graphs=3900,
        num_nodes=83_995,
        num_edges=211_524,
        class_sizes=(39,) * 100,
        num_attributes=2,
    ),
}


class ImageSetStatistics(NamedTuple):
    """Counts of a set of labelled images.

    Fields:
      shape: of every image, [H, W, C].
      train_sizes: training images per class.
      test_sizes: test images per class.
    """

    num_train: int
    num_test: int
    shape: tuple[int, ...]
    train_sizes: tuple[int, ...]
    test_sizes: tuple[int, ...]


def _cifar(num_classes: int) -> ImageSetStatistics:
    return ImageSetStatistics(
        num_train=50_000,
        num_test=10_000,
        shape=(32, 32, 3),
        train_sizes=(50_000 // num_classes,) * num_classes,
        test_sizes=(10_000 // num_classes,) * num_classes,
    )


EXPECTED_IMAGES = {
    "cifar10": _cifar(10),
    "cifar100": _cifar(100),
    "cifar100_coarse": _cifar(20),
    "digits": ImageSetStatistics(
        num_train=1297,
        num_test=500,
        shape=(8, 8, 1),
        train_sizes=(128, 131, 128, 132, 131, 131, 131, 129, 126, 130),
        test_sizes=(50, 51, 49, 51, 50, 51, 50, 50, 48, 50),
    ),
}


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
