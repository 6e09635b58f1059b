"""Cora, Citeseer and Pubmed from the original Planetoid files, with their public split.

A set is eight files `ind.<name>.<part>`. The nodes of `allx`/`ally` come first, in order;
`x`/`y` are the first of them, those with public training labels. Row r of `tx`/`ty` is the test
node whose index is line r of `test.index`. `graph` lists every node's neighbours and has one entry
per node: this, and no largest index, is the number of nodes. In Citeseer, 15 nodes of the test
range stand in `graph` only: they have neither features nor a label.

Source: Yang, Cohen and Salakhutdinov, "Revisiting Semi-Supervised Learning with Graph
Embeddings", ICML 2016; https://github.com/kimiyoung/planetoid.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmix_jax.data.splits import choose_split
from mmix_jax.data.statistics import PUBLISHED, check_statistics, node_statistics
from mmix_jax.data.store.checksums import RemoteFile
from mmix_jax.data.store.files import require_files
from mmix_jax.data.store.unpickle import load_pickle
from mmix_jax.data.types import NodeDataset, make_dataset
from mmix_jax.graphs.types import Split, make_graph

BASE_URL = "https://github.com/kimiyoung/planetoid/raw/master/data/"
PARTS = ("x", "y", "tx", "ty", "allx", "ally", "graph", "test.index")
NUM_VALID = 500


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
      InputError: a file is missing, damaged or another set's.
    """
    paths = require_files(remote_files(name, base_url=base_url), data_dir=data_dir)
    parts = read_parts(dict(zip(PARTS, paths, strict=True)))
    public = to_dataset(name, parts)
    check_planetoid(public, parts["graph"])
    chosen = choose_split(split, public.split, public.labels, seed=split_seed)
    return public._replace(split=chosen)


def remote_files(name: str, *, base_url: str = BASE_URL) -> list[RemoteFile]:
    """A set's eight files in the order of `PARTS`, with pinned sums."""
    pinned = PUBLISHED[name]["files"]
    files = (f"ind.{name}.{part}" for part in PARTS)
    return [RemoteFile(f"planetoid/{f}", base_url + f, **pinned[f]) for f in files]


def read_parts(paths: Mapping[str, Path]) -> dict[str, Any]:
    """What the eight files hold, by part; their sums say that it is what it should be.

    Features and one-hot classes are matrices [rows, F] and [rows, C], float32. `graph` is the list
    of neighbours of every node, by node; `test.index` the node of each row of `tx`, int64 [T].
    """
    parts = {part: _matrix(load_pickle(paths[part])) for part in PARTS[:6]}
    index = paths["test.index"].read_text(encoding="ascii").split()
    graph = load_pickle(paths["graph"])
    return parts | {"graph": graph, "test.index": np.array(list(map(int, index)), np.int64)}


def _matrix(matrix: Any) -> np.ndarray:
    dense = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    return dense.astype(np.float32)


def to_dataset(name: str, parts: Mapping[str, Any]) -> NodeDataset:
    """Put the parts' rows in their places; the public split."""
    graph, test = parts["graph"], parts["test.index"]
    known = np.arange(len(parts["allx"]))
    x = np.zeros((len(graph), parts["allx"].shape[1]), np.float32)
    x[known], x[test] = parts["allx"], parts["tx"]
    labels = np.full(len(graph), -1, np.int32)
    labels[known], labels[test] = _classes(parts["ally"]), _classes(parts["ty"])

    receivers = np.repeat(list(graph), [len(near) for near in graph.values()])
    senders = np.array([j for near in graph.values() for j in near], np.int64)
    end = len(parts["y"])
    nodes = (np.arange(end), np.arange(end, end + NUM_VALID), np.sort(test))
    public = Split(*(part.astype(np.int32) for part in nodes))
    return make_dataset(
        name, make_graph(x, senders, receivers), labels, given=public, bag_of_words=True
    )


def _classes(one_hot: np.ndarray) -> np.ndarray:
    """Class of each row; −1 for rows of zeros."""
    return np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), -1)


def check_planetoid(dataset: NodeDataset, graph: Mapping[int, list[int]]) -> None:
    """Compare a set with its published statistics, those of the raw lists included."""
    statistics = node_statistics(
        dataset,
        list_entries=sum(len(near) for near in graph.values()),
        self_loops=sum(node in near for node, near in graph.items()),
    )
    check_statistics(dataset.name, statistics)
