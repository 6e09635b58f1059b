"""What every loader returns, and the one way to put it together."""

import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmix_jax.data import splits
from mmix_jax.data.labels import decode_classes, encode_classes
from mmix_jax.data.missing import Gaps
from mmix_jax.graphs.types import Graph, Split

_log = logging.getLogger(__name__)


class NodeDataset(NamedTuple):
    """One graph, or several as one, with what is known of the nodes.

    name: the data set's name, for reports.
    graph: nodes, features and edges.
    labels: classes 0 … C − 1, int32 [N]; −1 where unknown; None where no node has one. Or,
      where a node may have several, a matrix of 0 and 1, uint8 [N, C].
    num_classes: C; 0 without labels.
    split: training, validation and test nodes, all with labels; None without labels.
    ids: the nodes' own names [N], None where they are just 0 … N − 1.
    bag_of_words: whether features are counts of words, which encoders normalise by row.
    node_graph: graph of each node where there are several, 0 … G − 1, never falling, int32 [N];
      no edge leads from one to another. None: one graph.
    classes: the names that the data give the classes, whole numbers or texts, [C]; None without
      labels, and where a node may have several.
    own: whether nobody has seen to the features' scale, as of data that users bring.
    gaps: which features were unknown and are filled, and by what other graphs' would be; None
      where none may be unknown.
    feature_names: "age", "city=Paris", [F]; None where they have none.
    split_given: whether the split came with the data, and was not drawn.
    structure: what stands in the place of features that the data have not, see
      `graphs.structure`; empty where they have some.
    """

    name: str
    graph: Graph
    labels: np.ndarray | None
    num_classes: int
    split: Split | None
    ids: np.ndarray | None
    bag_of_words: bool
    node_graph: np.ndarray | None = None
    classes: np.ndarray | None = None
    own: bool = False
    split_given: bool = False
    gaps: Gaps | None = None
    feature_names: tuple[str, ...] | None = None
    structure: str = ""


class GraphDataset(NamedTuple):
    """A set of graphs with what is known of each.

    name: the data set's name, for reports.
    graphs: M graphs with the same number of features F.
    labels: classes 0 … C − 1, int32 [M]; None where there are none.
    num_classes: C; 0 without labels.
    features: what x holds: `"labels"`, `"attributes"`, `"degree"`, two of them with a plus
      between, or `"given"`.
    ids: the graphs' own names [M], None where they are just 0 … M − 1.
    classes: the names that the data give the classes, whole numbers or texts, [C], or None.
    """

    name: str
    graphs: tuple[Graph, ...]
    labels: np.ndarray | None
    num_classes: int
    features: str
    ids: np.ndarray | None
    classes: np.ndarray | None = None


class ImageDataset(NamedTuple):
    """Images of one size, those to train on and those to test on.

    name: the data set's name, for reports.
    train: uint8 [N, H, W, C], C is 1 or 3.
    train_labels: classes 0 … K − 1, int32 [N]; None where there are none.
    test: uint8 [M, H, W, C]; None where there is none.
    test_labels: int32 [M]; None without `test` or labels.
    classes: their K names; () without labels.
    mean: of every channel of `train`, in [0, 1].
    std: its standard deviation; 1 where the channel never changes.
    train_ids: names of the images, [N], as of files; None where they have none.
    test_ids: those of the test images, [M].
    """

    name: str
    train: np.ndarray
    train_labels: np.ndarray | None
    test: np.ndarray | None
    test_labels: np.ndarray | None
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train_ids: np.ndarray | None = None
    test_ids: np.ndarray | None = None


def names_of_labels(dataset: NodeDataset | GraphDataset) -> np.ndarray | None:
    """Labels as the data give them: classes by their names, −1 or empty where unknown."""
    if dataset.labels is None or dataset.classes is None:
        return dataset.labels
    return decode_classes(dataset.labels, dataset.classes)


def make_graph_dataset(
    name: str,
    graphs: Sequence[Graph],
    labels: ArrayLike | None = None,
    *,
    features: str = "given",
    ids: ArrayLike | None = None,
) -> GraphDataset:
    """Put a checked `GraphDataset` together.

    Args:
      name: for reports.
      graphs: from `make_graph`; one or more.
      labels: one class per graph [M], see `labels.encode_classes`; None means no labels.
      features: see `GraphDataset`.
      ids: names of the graphs [M].

    Raises:
      ValueError: no graph, no node, differing numbers of features, labels or ids that do not fit.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.data import make_graph_dataset
      >>> from mmix_jax.graphs import make_graph
      >>> graphs = [make_graph(np.eye(2), [0], [1]), make_graph(np.ones((3, 2)), [], [])]
      >>> make_graph_dataset("two", graphs, ["edge", "none"]).labels.tolist()
      [0, 1]
    """
    graphs = tuple(graphs)
    if not graphs:
        raise ValueError("a set of graphs must have one or more, found none; name another source")
    if not any(graph.num_nodes for graph in graphs):
        raise ValueError(
            f"a set of graphs must have a node, found none in all {len(graphs)}; leave it out"
        )
    widths = sorted({graph.x.shape[1] for graph in graphs})
    if len(widths) > 1:
        raise ValueError(
            f"all graphs must have the same number of features, found {widths[0]} and "
            f"{widths[-1]}; give every node the same features"
        )
    if widths == [0]:
        raise ValueError("node features must have a column or more, found none; add some")
    encoded = encode_classes(labels, len(graphs), of="graph")
    codes, classes = encoded or (None, None)
    if codes is not None and (codes < 0).any():
        raise ValueError(
            f"graph labels must be known for all or for none, found {np.sum(codes < 0)} unknown "
            f"of {len(graphs)}; leave those graphs out, or all labels"
        )
    if ids is not None:
        ids = np.asarray(ids)
        if ids.shape != (len(graphs),):
            raise ValueError(
                f"ids must have shape ({len(graphs)},), found {ids.shape}; give one per graph"
            )
    num_classes = 0 if classes is None else classes.size
    _log.info(
        "%s: %d graphs (%d without nodes), %d nodes, %d edges, %d features, %s",
        *(name, len(graphs), sum(graph.num_nodes == 0 for graph in graphs)),
        *(sum(graph.num_nodes for graph in graphs), sum(graph.num_edges for graph in graphs)),
        *(widths[0], "no labels" if classes is None else f"{num_classes} classes"),
    )
    return GraphDataset(name, graphs, codes, num_classes, features, ids, classes)


def make_image_dataset(
    name: str,
    train: np.ndarray,
    train_labels: ArrayLike | None = None,
    test: np.ndarray | None = None,
    test_labels: ArrayLike | None = None,
    *,
    classes: Sequence[str] = (),
    train_ids: np.ndarray | None = None,
    test_ids: np.ndarray | None = None,
) -> ImageDataset:
    """Put a checked `ImageDataset` together.

    Args:
      name: for reports.
      train: uint8 [N, H, W, C].
      train_labels: integers [N], 0 … K − 1; None means no labels, in `test` neither.
      test: uint8 [M, H, W, C], or None.
      test_labels: integers [M]; wanted with both `train_labels` and `test`.
      classes: names of the K classes; wanted with labels.
      train_ids, test_ids: names of the images, in their order.

    Raises:
      ValueError: images of another kind or of two sizes, labels that do not fit.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.data import make_image_dataset
      >>> make_image_dataset("black", np.zeros((4, 8, 8, 1), np.uint8)).mean
      (0.0,)
    """
    _check_images(train, "training")
    if test is not None:
        _check_images(test, "test")
        if test.shape[1:] != train.shape[1:]:
            raise ValueError(
                f"training and test images must have the same shape, found {train.shape[1:]} and "
                f"{test.shape[1:]}; resize them"
            )
    labelled = train_labels is not None
    tested = test_labels is not None
    if labelled != (len(classes) > 0) or tested != (labelled and test is not None):
        raise ValueError(
            "labels of all images must be given with names of classes, or neither, found labels "
            f"for {'' if labelled else 'no '}training and {'' if tested else 'no '}test "
            f"images and {len(classes)} names; add what is missing"
        )
    if len(classes) == 1:
        raise ValueError(
            f"images must be of two classes or more, found class {classes[0]!r} only; leave the "
            "labels out to train without them"
        )
    mean, std = _channel_moments(train)
    return ImageDataset(
        name,
        train,
        _check_classes(train_labels, train.shape[0], len(classes)),
        test,
        _check_classes(test_labels, 0 if test is None else test.shape[0], len(classes)),
        tuple(classes),
        mean,
        std,
        train_ids,
        test_ids,
    )


def make_dataset(
    name: str,
    graph: Graph,
    labels: ArrayLike | None,
    *,
    given: Split | None = None,
    split: str = "default",
    split_seed: int = 0,
    ids: ArrayLike | None = None,
    bag_of_words: bool = False,
    own: bool = False,
) -> NodeDataset:
    """Put a checked `NodeDataset` together; without labels there is no split.

    Args:
      name: for reports.
      graph: from `make_graph`.
      labels: [N], see `labels.encode_classes`; None, or all unknown, means no labels.
      given: the split that came with the data, if any.
      split: `"default"` (the given one, else a random one), `"public"` (the given one) or
        `"random"` (10/10/80 by `split_seed`).
      split_seed: seed of a random split.
      ids: names of the nodes [N].
      bag_of_words, own: see `NodeDataset`.

    Raises:
      ValueError: labels, split or ids do not fit the graph, or the split asked for does not exist.
    """
    if graph.x.shape[1] == 0:
        raise ValueError("node features must have a column or more, found none; add some")
    encoded = encode_classes(labels, graph.num_nodes)
    codes, classes = encoded or (None, None)
    if given is not None:
        splits.validate_split(given, codes, graph.num_nodes)
    if ids is not None:
        ids = np.asarray(ids)
        if ids.shape != (graph.num_nodes,):
            raise ValueError(
                f"ids must have shape ({graph.num_nodes},), found {ids.shape}; give one per node"
            )
    chosen = splits.choose_split(split, given, codes, seed=split_seed)
    num_classes = 0 if classes is None else classes.size
    return NodeDataset(
        name,
        graph,
        codes,
        num_classes,
        chosen,
        ids,
        bag_of_words,
        classes=classes,
        own=own,
        split_given=chosen is not None and given is not None and split != "random",
    )


def _check_images(images: np.ndarray, part: str) -> None:
    shape, kind = np.shape(images), getattr(images, "dtype", type(images).__name__)
    if kind != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape:
        raise ValueError(
            f"{part} images must be an array uint8 [N, H, W, C] with C 1 or 3, found {kind} "
            f"{list(shape)}; convert them"
        )


def _check_classes(labels: ArrayLike | None, num_items: int, num_classes: int) -> np.ndarray | None:
    """Classes of all images as int32 [N]."""
    if labels is None:
        return None
    values = np.asarray(labels)
    if values.shape != (num_items,) or values.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be integers of shape ({num_items},), found {values.dtype} of shape "
            f"{values.shape}; give one class per image"
        )
    wrong = (values < 0) | (values >= num_classes)
    if wrong.any():
        raise ValueError(
            f"labels must be in 0 … {num_classes - 1}, one per name, found {values[wrong][0]}; "
            "number the classes from zero"
        )
    return values.astype(np.int32)


def _channel_moments(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel in [0, 1], from exact sums of integers."""
    num_channels = images.shape[3]
    counts = np.zeros((num_channels, 256), np.int64)
    for start in range(0, images.shape[0], 1024):  # counting converts to int64: by blocks
        for channel in range(num_channels):
            values = images[start : start + 1024, :, :, channel].ravel()
            counts[channel] += np.bincount(values, minlength=256)
    number = images[..., 0].size
    mean, std = [], []
    for channel in counts.tolist():
        total = sum(value * count for value, count in enumerate(channel))
        squares = sum(value * value * count for value, count in enumerate(channel))
        spread = number * squares - total * total
        mean.append(total / (255 * number))
        std.append(math.sqrt(spread) / (255 * number) if spread else 1.0)
    return tuple(mean), tuple(std)
