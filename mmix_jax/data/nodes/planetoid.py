"""Cora, Citeseer and Pubmed from the original Planetoid files, with their public split.

A set is eight files `ind.<name>.<part>`. The nodes of `allx`/`ally` come first, in order;
`x`/`y` are the first of them, those with public training labels. Row r of `tx`/`ty` is
the test node whose index is line r of `test.index`. `graph` lists every node's neighbours and
has one entry per node: this, and no largest index, is the number of nodes. In Citeseer, 15 nodes
of the test range stand in `graph` only: they have neither features nor a label.

Source: Yang, Cohen and Salakhutdinov, "Revisiting Semi-Supervised Learning with Graph
Embeddings", ICML 2016; https://github.com/kimiyoung/planetoid.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmix_jax.data.statistics import PUBLISHED, check_statistics, node_statistics
from mmix_jax.data.store.checksums import RemoteFile
from mmix_jax.data.store.files import require_files
from mmix_jax.data.store.unpickle import load_pickle
from mmix_jax.data.types import NodeDataset, make_dataset
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Split, make_graph

BASE_URL = "https://github.com/kimiyoung/planetoid/raw/master/data/"
PARTS = ("x", "y", "tx", "ty", "allx", "ally", "graph", "test.index")
NUM_VALID = 500


class PlanetoidParts(NamedTuple):
    """The content of a set's files, checked for shape only.

    num_train: rows of `x`, the public training nodes.
    allx: features of the first nodes, dense float32 [M, F].
    ally: their classes, one-hot [M, C].
    tx: features of the test nodes, dense float32 [T, F].
    ty: their classes, one-hot [T, C].
    test_index: node of each row of `tx`, int64 [T].
    graph: neighbours of every node, by node.
    """

    num_train: int
    allx: np.ndarray
    ally: np.ndarray
    tx: np.ndarray
    ty: np.ndarray
    test_index: np.ndarray
    graph: Mapping[int, list[int]]


def load_planetoid(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    split: str = "default",
    split_seed: int = 0,
    base_url: str = BASE_URL,
) -> NodeDataset:
    """A Planetoid set with its public split, from disk or downloaded.

    Public split: the nodes of `y` (20 per class) train, the next 500 are for validation, those
    of `test.index` test. Citeseer's 15 nodes without label are in the graph but in no part.

    Args:
      name: `"cora"`, `"citeseer"` or `"pubmed"`.
      data_dir: holds the files in `planetoid/` or directly; see `files.search_folders`.
      split: `"default"` and `"public"` are the public split, `"random"` is 10/10/80.
      split_seed: seed of the random split.
      base_url: where the files are downloaded from if missing.

    Raises:
      InputError: unknown name, or a file is missing, damaged or another set's.
    """
    paths = require_files(remote_files(name, base_url=base_url), data_dir=data_dir)
    parts = read_parts(dict(zip(PARTS, paths, strict=True)))
    public = to_dataset(name, parts)
    check_planetoid(public, parts)
    if split in ("default", "public"):
        return public
    return make_dataset(
        name, public.graph, public.labels, split=split, split_seed=split_seed, bag_of_words=True
    )


def remote_files(name: str, *, base_url: str = BASE_URL) -> list[RemoteFile]:
    """A set's eight files in the order of `PARTS`, with pinned sums."""
    pinned = PUBLISHED[name]["files"]
    files = (f"ind.{name}.{part}" for part in PARTS)
    return [RemoteFile(f"planetoid/{f}", base_url + f, **pinned[f]) for f in files]


def read_parts(paths: Mapping[str, Path]) -> PlanetoidParts:
    """Read the eight files given by part.

    Raises:
      InputError: a file cannot be read, or the parts do not fit each other.
    """
    arrays = {part: _read_matrix(paths[part]) for part in PARTS[:6]}
    graph = load_pickle(paths["graph"])
    _check_graph(graph, paths["graph"])
    test_index = _read_index(paths["test.index"])
    for inputs, classes in (("x", "y"), ("tx", "ty"), ("allx", "ally")):
        _check_rows(arrays[inputs], arrays[classes], inputs, classes)
    parts = PlanetoidParts(
        num_train=arrays["y"].shape[0],
        allx=arrays["allx"],
        ally=arrays["ally"],
        tx=arrays["tx"],
        ty=arrays["ty"],
        test_index=test_index,
        graph=graph,
    )
    _check_ranges(parts, paths["test.index"])
    return parts


def to_dataset(name: str, parts: PlanetoidParts) -> NodeDataset:
    """Put the parts' rows in their places; the public split."""
    num_nodes = len(parts.graph)
    known = np.arange(parts.allx.shape[0])
    x = np.zeros((num_nodes, parts.allx.shape[1]), np.float32)
    x[known], x[parts.test_index] = parts.allx, parts.tx
    labels = np.full(num_nodes, -1, np.int32)
    labels[known], labels[parts.test_index] = _classes(parts.ally), _classes(parts.ty)

    receivers = np.repeat(list(parts.graph), [len(near) for near in parts.graph.values()])
    senders = np.array([j for near in parts.graph.values() for j in near], np.int64)
    end = parts.num_train
    nodes = (np.arange(end), np.arange(end, end + NUM_VALID), np.sort(parts.test_index))
    public = Split(*(part.astype(np.int32) for part in nodes))
    graph = make_graph(x, senders, receivers)
    return make_dataset(name, graph, labels, given=public, bag_of_words=True)


def check_planetoid(dataset: NodeDataset, parts: PlanetoidParts) -> None:
    """Compare a set with its published statistics, those of the raw lists included."""
    statistics = node_statistics(
        dataset,
        list_entries=sum(len(near) for near in parts.graph.values()),
        self_loops=sum(node in near for node, near in parts.graph.items()),
    )
    check_statistics(dataset.name, statistics)


def _read_matrix(path: Path) -> np.ndarray:
    matrix: Any = load_pickle(path)
    if hasattr(matrix, "toarray"):
        matrix = matrix.toarray()
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: must hold a matrix of numbers, found {type(matrix).__name__}; "
            "another kind of file, get it again from its source"
        )
    return matrix.astype(np.float32)


def _read_index(path: Path) -> np.ndarray:
    try:
        lines = path.read_text(encoding="ascii").split()
        return np.array([int(line) for line in lines], np.int64)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: must hold one node index per line, found otherwise ({error}); "
            "get it again from its source"
        ) from error


def _classes(one_hot: np.ndarray) -> np.ndarray:
    """Class of each row; −1 for rows of zeros."""
    return np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), -1)


def _check_graph(graph: Any, path: Path) -> None:
    ok = isinstance(graph, Mapping) and all(
        isinstance(near, list) and all(type(j) is int for j in near) for near in graph.values()
    )
    if not ok or any(type(i) is not int for i in graph) or sorted(graph) != list(range(len(graph))):
        raise InputError(
            f"{path}: must hold the list of neighbours of every node 0 … N − 1, found otherwise; "
            "get it again from its source"
        )


def _check_rows(inputs: np.ndarray, classes: np.ndarray, name: str, classes_name: str) -> None:
    if inputs.shape[0] != classes.shape[0]:
        raise InputError(
            f"Planetoid parts {name} and {classes_name} must have equally many rows, found "
            f"{inputs.shape[0]} and {classes.shape[0]}: swapped or damaged file"
        )
    if not np.isin(classes, (0, 1)).all() or (classes.sum(axis=1) > 1).any():
        raise InputError(
            f"Planetoid part {classes_name} must mark one class per row by 1, found otherwise: "
            "swapped or damaged file"
        )


def _check_ranges(parts: PlanetoidParts, path: Path) -> None:
    if parts.allx.shape[1] != parts.tx.shape[1] or parts.ally.shape[1] != parts.ty.shape[1]:
        raise InputError(
            "Planetoid parts allx and tx, and ally and ty, must have equally many columns, found "
            f"{parts.allx.shape[1]} and {parts.tx.shape[1]}, {parts.ally.shape[1]} and "
            f"{parts.ty.shape[1]}: swapped or damaged file"
        )
    first, last = parts.allx.shape[0], len(parts.graph)
    index = parts.test_index
    inside = (index >= first) & (index < last)
    if index.size != parts.tx.shape[0] or np.unique(index).size != index.size or not inside.all():
        raise InputError(
            f"{path}: must hold {parts.tx.shape[0]} different indices in [{first}, {last}), found "
            f"{index.size}, {np.unique(index).size} of them different and {inside.sum()} inside: "
            "swapped or damaged file"
        )
    if parts.num_train + NUM_VALID > first:
        raise InputError(
            f"Planetoid part allx must hold {parts.num_train + NUM_VALID} training and validation "
            f"nodes, found {first}: swapped or damaged file"
        )
