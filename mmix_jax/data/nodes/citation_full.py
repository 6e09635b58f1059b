"""DBLP and the other CitationFull sets, from the `.npz` files of graph2gauss.

A file holds a sparse adjacency and sparse features as CSR parts, the classes, and dictionaries of
names as pickled objects. Two spellings of the CSR parts are in use: `adj_data` and
`adj_matrix.data`. The files come without a split.

Source: Bojchevski and Günnemann, "Deep Gaussian Embedding of Graphs: Unsupervised Inductive
Learning via Ranking", ICLR 2018; https://github.com/abojchevski/graph2gauss.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from mmix_jax.data.raw import RawGraph, check_raw
from mmix_jax.data.statistics import EXPECTED, PUBLISHED, check_statistics, node_statistics
from mmix_jax.data.store.checksums import RemoteFile, check_recorded, record_sha256
from mmix_jax.data.store.files import cache_folder, reading, require_files
from mmix_jax.data.store.npz_files import (
    SPARSE_FEATURE_KEYS,
    load_arrays,
    load_objects,
    read_edges,
    read_features,
)
from mmix_jax.data.types import NodeDataset
from mmix_jax.errors import InputError

BASE_URL = "https://github.com/abojchevski/graph2gauss/raw/master/data/"

_ADJACENCY_KEYS = tuple(key.replace("attr_", "adj_") for key in SPARSE_FEATURE_KEYS)
_KEYS = (*_ADJACENCY_KEYS, *SPARSE_FEATURE_KEYS, "labels")


def load_citation_full(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    split: str = "default",
    split_seed: int = 0,
    base_url: str = BASE_URL,
) -> NodeDataset:
    """A CitationFull set with its published statistics, from disk or downloaded.

    Edges are undirected and without weights. Features are as stored (DBLP's are weights of words,
    and not to be normalised again). The files have no pinned sums; that of a download is recorded
    beside it and must stay the same.

    Args:
      name: of the set.
      data_dir: holds the file in `citation_full/` or directly; see `files.search_folders`.
      split: `"default"` and `"random"` are 10/10/80; there is no `"public"` one.
      split_seed: seed of the split.
      base_url: where the file is downloaded from if missing.

    Raises:
      InputError: no such split, or the file is missing, damaged or another set's.
    """
    file = remote_file(name, base_url=base_url)
    if split == "public":
        raise InputError(
            f"{name} comes without a split, found split 'public'; use 'random', which is 10/10/80"
        )
    (path,) = require_files([file], data_dir=data_dir)
    downloaded = path.is_relative_to(cache_folder())
    if downloaded:
        check_recorded(path)
    with reading(path):
        dataset = _read(path, name, split=split, split_seed=split_seed)
    if downloaded:
        record_sha256(path)
    return dataset


def remote_file(name: str, *, base_url: str = BASE_URL) -> RemoteFile:
    """A set's only file; it has no pinned sum."""
    (file,) = PUBLISHED[name]["files"]
    return RemoteFile(f"citation_full/{file}", base_url + file)


def _read(path: Path, name: str, *, split: str, split_seed: int) -> NodeDataset:
    arrays = _load_parts(path)
    _check_shapes(arrays, name)
    edges = read_edges({key: arrays[key] for key in _ADJACENCY_KEYS})
    x = read_features({key: _single(arrays[key]) for key in SPARSE_FEATURE_KEYS})
    assert x is not None  # all its keys are there
    raw = RawGraph(
        x=x,
        senders=edges.senders,
        receivers=edges.receivers,
        labels=arrays["labels"],
        ids=_names(load_objects(path, "idx_to_node"), x.shape[0]),
    )
    dataset = check_raw(name, raw, split=split, split_seed=split_seed)
    statistics = node_statistics(
        dataset,
        list_entries=edges.senders.size,
        self_loops=int(np.sum(edges.senders == edges.receivers)),
        zero_rows=int(np.sum(~x.any(axis=1))),
    )
    check_statistics(name, statistics)
    return dataset


def _load_parts(path: Path) -> dict[str, np.ndarray]:
    """The arrays of the file under their short keys."""
    spellings = {
        spelling: key
        for key in _KEYS
        for spelling in (key, key.replace("_", "_matrix."))  # "adj_matrix.data"
    }
    arrays: dict[str, np.ndarray] = {}
    for spelling, array in load_arrays(path, spellings).items():
        if spellings[spelling] in arrays:
            raise InputError(
                f"CSR parts must be given once, found {spellings[spelling]!r} in both spellings; "
                "get the original file again"
            )
        arrays[spellings[spelling]] = array
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        raise InputError(
            f"key {missing[0]!r} is missing, found {', '.join(arrays) or 'no known key'}: another "
            "kind of file; get the original file again"
        )
    return arrays


def _check_shapes(arrays: dict[str, np.ndarray], name: str) -> None:
    """Before anything dense is made of the parts: other shapes may be far too large."""
    wanted = EXPECTED[name]
    shapes = {
        "adj_shape": [wanted.num_nodes, wanted.num_nodes],
        "attr_shape": [wanted.num_nodes, wanted.num_features],
    }
    for key, shape in shapes.items():
        given = arrays[key].tolist()
        if given != shape:
            raise InputError(
                f"{name} must have {key} {shape}, found {given!s:.60}: swapped or damaged file; "
                "get the original file again"
            )


def _single(array: np.ndarray) -> np.ndarray:
    """Float64 as float32, so that a dense matrix takes half the room; the others as they are."""
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _names(names: Any, num_nodes: int) -> np.ndarray | None:
    """Names of the nodes 0 … N − 1 as strings [N]; None where these are not their keys."""
    if not isinstance(names, dict) or names.keys() != set(range(num_nodes)):
        return None
    values = [names[node] for node in range(num_nodes)]
    if not all(isinstance(value, str | int) for value in values):
        return None
    return np.array([str(value) for value in values])
