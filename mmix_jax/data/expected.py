"""What each known data set must look like: its published counts."""

from typing import NamedTuple


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
