"""A graph drawn by formula, of any size: a stochastic block model with noisy class features."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmix_jax.data.nodes.stored_graph import open_graph, store_graph
from mmix_jax.data.splits import stratified_split
from mmix_jax.data.types import NodeDataset, make_dataset
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Split, make_graph

_NUM_VALID, _NUM_TEST = 500, 10_000
_LEAST_PER_CLASS = 50
_BLOCK = 65_536  # rows of features that have a copy at a time


class SyntheticGraph(NamedTuple):
    """What is drawn.

    num_nodes: N. mean_degree: neighbours of a node on average; loops and repeats among the drawn
    edges are dropped, so the graph has a few less. num_features: F. num_classes: C, of equal size.
    seed: of labels, edges and features. homophily h: a share h of the edges is drawn within a
    class and the others anywhere; below 0 a share −h between two classes and the others anywhere.
    With equal classes h ≥ 0 is the homophily adjusted for chance, (s − 1/C)/(1 − 1/C) of the share
    s of edges within a class; below 0 that is h/(C − 1). signal: standard deviation of a class
    mean's entries; that of the noise is 1. labels_per_class: training nodes of the default split.
    Labels, and noise of features, are the same at any homophily and signal.
    """

    num_nodes: int = 100_000
    mean_degree: float = 20.0
    num_features: int = 128
    num_classes: int = 10
    seed: int = 0
    homophily: float = 0.7
    signal: float = 0.1
    labels_per_class: int = 20


def load_synthetic_graph(
    synthetic: SyntheticGraph | None = None, *, split: str = "default", split_seed: int = 0
) -> NodeDataset:
    """N nodes of C classes; by default seven edges in ten are drawn within a class, the others
    anywhere.

    Features are the mean of the node's class, with entries from N(0, signal²), plus N(0, 1) noise:
    by default a node's own say little about its class, those of its neighbours together much.
    Memory beyond the graph itself is that of sorting its edges, about 80 bytes for each stored one.

    Args:
      synthetic: sizes and seed; None means the defaults.
      split: `"default"`: 20 training nodes per class (or `labels_per_class`), 500 (or N / 4) for
        validation, 10,000 of the rest (or all) for tests; `"random"`: 10/10/80.
      split_seed: of either split.

    Raises:
      InputError: a size, or a share, is out of range.
      ValueError: the split is unknown or `"public"`.
    """
    shape = SyntheticGraph() if synthetic is None else synthetic
    _check(shape)
    draw = np.random.default_rng(shape.seed)
    labels = draw.permutation(np.arange(shape.num_nodes, dtype=np.int32) % shape.num_classes)
    senders, receivers = _draw_edges(draw, labels, shape)
    graph = make_graph(_draw_features(draw, labels, shape), senders, receivers)
    per_class = shape.labels_per_class
    given = _labelled_few(labels, per_class, split_seed) if split == "default" else None
    return make_dataset(
        "synthetic_graph", graph, labels, given=given, split=split, split_seed=split_seed
    )


def store_synthetic_graph(
    synthetic: SyntheticGraph, folder: Path, check: Callable[[], None] = lambda: None
) -> None:
    """The same graph with its default split, drawn into files: see `stored_graph.open_graph`.

    Memory is that of drawing its edges, about 13 bytes for each stored one.

    Raises:
      InputError: as `load_synthetic_graph`, or the files cannot be written.
    """
    _check(synthetic)
    draw = np.random.default_rng(synthetic.seed)
    num_nodes, num_classes = synthetic.num_nodes, synthetic.num_classes
    labels = draw.permutation(np.arange(num_nodes, dtype=np.int32) % num_classes)
    edges = [_draw_edges(draw, labels, synthetic)]

    def pieces() -> Iterator[tuple[np.ndarray, np.ndarray, None]]:
        yield *edges.pop(), None

    store_graph(
        folder,
        _feature_pieces(draw, labels, synthetic),
        pieces(),
        name="synthetic_graph",
        labels=labels,
        given=_labelled_few(labels, synthetic.labels_per_class, 0),
        check=check,
    )


def open_synthetic_graph(
    synthetic: SyntheticGraph, folder: Path, *, split: str = "default", split_seed: int = 0
) -> NodeDataset:
    """As `load_synthetic_graph`, in the files that `store_synthetic_graph` has left there."""
    dataset = open_graph(folder, split=split, split_seed=split_seed)
    if split != "default" or not split_seed or dataset.labels is None:
        return dataset
    return dataset._replace(
        split=_labelled_few(dataset.labels, synthetic.labels_per_class, split_seed)
    )


def _draw_edges(draw, labels: np.ndarray, shape: SyntheticGraph) -> tuple[np.ndarray, np.ndarray]:
    """One end anywhere, the other in its class, in another or anywhere: [N · mean_degree / 2]."""
    num_edges = round(shape.num_nodes * shape.mean_degree / 2)
    senders = draw.integers(0, shape.num_nodes, num_edges, np.int32)
    receivers = draw.integers(0, shape.num_nodes, num_edges, np.int32)
    by_class = np.argsort(labels, kind="stable").astype(np.int32)
    sizes = np.bincount(labels, minlength=shape.num_classes)
    starts = np.cumsum(sizes) - sizes
    bound = np.flatnonzero(draw.random(num_edges, np.float32) < abs(float(shape.homophily)))
    classes = labels[senders[bound]]
    if shape.homophily < 0:
        # By class and from the class's end on, in a circle, the nodes of all others come first.
        # Drawn from a stream of its own: what is drawn after the edges does not hang on them.
        step = draw.spawn(1)[0].integers(0, shape.num_nodes - sizes[classes], dtype=np.int32)
        place = starts[classes] + sizes[classes] + step
        receivers[bound] = by_class[place % shape.num_nodes]
        return senders, receivers
    # `receivers` is uniform on the nodes: modulo a class's size it picks one of the class, with a
    # bias below size / N that a class of equal sizes does not have but for a rest.
    receivers[bound] = by_class[starts[classes] + receivers[bound] % sizes[classes]]
    return senders, receivers


def _draw_features(draw, labels: np.ndarray, shape: SyntheticGraph) -> np.ndarray:
    x = np.empty((shape.num_nodes, shape.num_features), np.float32)
    place = 0
    for piece in _feature_pieces(draw, labels, shape):
        x[place : place + len(piece)] = piece
        place += len(piece)
    return x


def _feature_pieces(draw, labels: np.ndarray, shape: SyntheticGraph) -> Iterator[np.ndarray]:
    means = draw.standard_normal((shape.num_classes, shape.num_features), np.float32)
    means *= np.float32(shape.signal)
    for start in range(0, len(labels), _BLOCK):
        rows = labels[start : start + _BLOCK]
        yield draw.standard_normal((len(rows), shape.num_features), np.float32) + means[rows]


def _labelled_few(labels: np.ndarray, per_class: int, seed: int) -> Split:
    """Few labels, as citation graphs have them: scores of a million nodes need no more."""
    num_valid = min(_NUM_VALID, labels.size // 4)
    whole = stratified_split(labels, per_class=per_class, num_valid=num_valid, seed=seed)
    # A generator of its own, from the same seed; splits are drawn by RandomState (data.splits).
    test = np.random.RandomState(seed).permutation(whole.test)[:_NUM_TEST]
    return whole._replace(test=np.sort(test))


def _check(shape: SyntheticGraph) -> None:
    least = _LEAST_PER_CLASS * shape.num_classes
    if shape.num_classes < 2 or not least <= shape.num_nodes < 2**31:
        raise InputError(
            f"a synthetic graph needs two classes or more and {_LEAST_PER_CLASS} nodes for each, "
            f"found num_nodes {shape.num_nodes} and num_classes {shape.num_classes}; change one"
        )
    if shape.num_features < 1 or shape.seed < 0:
        raise InputError(
            f"num_features must be positive and the graph's seed not negative, found "
            f"{shape.num_features} and {shape.seed}; change them"
        )
    if not 0 < shape.mean_degree < shape.num_nodes / shape.num_classes:
        raise InputError(
            f"mean_degree must be positive and below the size of a class, "
            f"{shape.num_nodes // shape.num_classes}, found {shape.mean_degree}; lower it"
        )
    if not -1 <= shape.homophily <= 1 or not 0 <= shape.signal < float("inf"):
        raise InputError(
            f"homophily must lie in [-1, 1] and signal must be finite and not negative, found "
            f"{shape.homophily} and {shape.signal}; change them"
        )
    most = shape.num_nodes // shape.num_classes // 2
    if type(shape.labels_per_class) is not int or not 0 < shape.labels_per_class <= most:
        raise InputError(
            f"labels_per_class must be positive and at most half of a class, {most}, found "
            f"{shape.labels_per_class}; change it, or num_nodes"
        )
