"""Sets of labelled graphs in TUDataset's format, by name: found, checked, given features.

Any set of the collection loads by its official name. Those of the paper have names as configs
write them, `mutag` for `MUTAG`, and are compared with pinned sums and published statistics.

Source: Morris et al., "TUDataset: A collection of benchmark datasets for learning with graphs",
2020; https://chrsmrrs.github.io/datasets.
"""

import hashlib
import itertools
import logging
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from mmix_jax.data.graphs import FEATURES, OFFICIAL
from mmix_jax.data.graphs.tu_files import (
    LABELS,
    TUParts,
    folder_of,
    parse_texts,
    parts_in,
    read_texts,
)
from mmix_jax.data.graphs.tu_tables import TextFile
from mmix_jax.data.raw import MAX_DEGREE, degree_features, one_hot
from mmix_jax.data.statistics import EXPECTED, PUBLISHED, check_statistics, graph_statistics
from mmix_jax.data.store.checksums import RemoteFile
from mmix_jax.data.store.download import DownloadFailed, download
from mmix_jax.data.store.files import cache_folder, reading, search_folders
from mmix_jax.data.store.wanted import wanted_files
from mmix_jax.data.types import GraphDataset, make_graph_dataset
from mmix_jax.errors import InputError, MissingData
from mmix_jax.graphs.types import Graph, make_graph

BASE_URL = "https://www.chrsmrrs.com/graphkerneldatasets/"

# What features of a kind are made of.
_PART_OF = {"labels": "node_labels", "attributes": "node_attributes"}

_log = logging.getLogger(__name__)


def load_tudataset(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    features: str = "auto",
    max_degree: int = MAX_DEGREE,
    base_url: str = BASE_URL,
) -> GraphDataset:
    """A set of the collection, from disk or downloaded.

    A set of `OFFICIAL` must have its published statistics. Its files are packed anew now and then:
    where only their sums differ, a warning is logged.

    Args:
      name: one of `OFFICIAL`, or the official name of any set, `"PROTEINS"`.
      data_dir: holds `<official name>.zip`, or a folder of that name with the text files (in it, or
        in its `raw/`), in `tu/` or directly, or is that folder; see `files.search_folders`.
      features: see `read_tudataset`.
      max_degree: see `raw.degree_features`.
      base_url: where the zip is downloaded from if missing.

    Raises:
      InputError: unknown features, or the set is missing, damaged or another one.
    """
    _check_name(name)
    _check_features(features)
    official = OFFICIAL.get(name, name)
    known = {of: name for name, of in OFFICIAL.items()}.get(official)
    source = find_source(official, data_dir=data_dir, base_url=base_url)
    present = parts_in(source, official)
    features = _choose(features, official, present)
    texts = read_texts(source, official, _needed(features))
    if known is not None and LABELS not in texts:
        raise InputError(
            f"{source}: {official}_{LABELS}.txt must be in it, found none; get the set again from "
            "its source"
        )
    parts = parse_texts(texts)
    union = _structure(parts)
    if known is not None:
        _check_known(known, parts, union, present - texts.keys())
        _compare_sums(texts, known, official, source)
    return _dataset(known or official, parts, union, features, max_degree)


def read_tudataset(
    source: str | os.PathLike,
    name: str,
    *,
    features: str = "auto",
    max_degree: int = MAX_DEGREE,
) -> GraphDataset:
    """Read set `name` in a zip or a folder, whatever set it is: no sums, no statistics.

    Node features x:

    - `"labels"`: the node's label, one-hot in the order of the numbers in the file;
    - `"attributes"`: its attributes, each standardised over all nodes of the set;
    - `"degree"`: its number of neighbours, one-hot; see `raw.degree_features`;
    - two of them with a plus, in this order: `"labels+attributes"`, `"labels+degree"`,
      `"attributes+degree"`;
    - `"auto"`: the first of labels, attributes and degree that the set has.

    Files that the features are not made of are not read.

    Args:
      source: holds `<name>_A.txt` and the others; see `tu_files`.
      name: as in the names of the files.
      features: see above.
      max_degree: all degrees from here on share a column.

    Raises:
      InputError: unknown features, a file is missing, damaged or badly formed, or lacks what the
        features are made of.
    """
    _check_features(features)
    source = Path(source)
    features = _choose(features, name, parts_in(source, name))
    parts = parse_texts(read_texts(source, name, _needed(features)))
    return _dataset(name, parts, _structure(parts), features, max_degree)


def find_source(
    official: str, *, data_dir: str | os.PathLike | None = None, base_url: str = BASE_URL
) -> Path:
    """The set's zip or folder, in the first data folder that has either; else downloaded.

    Raises:
      InputError: it is nowhere, and cannot be downloaded.
    """
    # No sum: the archives are packed anew now and then.
    file = RemoteFile(f"tu/{official}.zip", f"{base_url}{official}.zip")
    forms = f", or unpacked as {official}/{official}_A.txt and the others"
    wanted = wanted_files([file], forms=forms)
    folders = search_folders(data_dir, wanted=wanted)
    for folder in folders:
        for place in (folder / "tu", folder):
            if (place / f"{official}.zip").is_file():
                return place / f"{official}.zip"
            if folder_of(place / official, official):
                return place / official
            if folder_of(place, official):
                return place
    try:
        return download([file], cache_folder())[file.path]
    except DownloadFailed as error:
        line = wanted.nowhere(folders, error)
        if official not in OFFICIAL.values():
            line += (
                f"; or, if no set of TUDataset was meant by {official!r}, name one of: "
                f"{', '.join(OFFICIAL)}"
            )
        raise MissingData(line) from error


def _check_name(name: str) -> None:
    # The name becomes part of paths and of an address.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(
            f"unknown set of graphs {name!r}; expected one of: {', '.join(OFFICIAL)}, or the "
            "official name of a TUDataset"
        )


def _check_features(features: str) -> None:
    if features not in FEATURES:
        raise InputError(
            f"unknown node features {features!r}; expected one of: {', '.join(FEATURES)}"
        )


def _structure(parts: TUParts) -> Graph:
    """All graphs as one, still without features: sorted and freed of repeats in one go."""
    bare = np.zeros((parts.first_node[-1], 0), np.float32)
    return make_graph(bare, parts.senders, parts.receivers)


def _check_known(name: str, parts: TUParts, union: Graph, unread: Collection[str]) -> None:
    """Compare a set with its published statistics; of `unread` parts nothing is known."""
    labels, attributes, expected = parts.node_labels, parts.node_attributes, EXPECTED[name]
    assert parts.labels is not None
    statistics = graph_statistics(
        union,
        parts.labels,
        num_node_labels=0 if labels is None else sum(np.unique(c).size for c in labels.T),
        num_attributes=0 if attributes is None else attributes.shape[1],
    )
    if _PART_OF["labels"] in unread:
        statistics = statistics._replace(num_node_labels=expected.num_node_labels)
    if _PART_OF["attributes"] in unread:
        statistics = statistics._replace(num_attributes=expected.num_attributes)
    check_statistics(name, statistics)


def _compare_sums(texts: Mapping[str, TextFile], name: str, official: str, source: Path) -> None:
    """Log which files are not byte for byte as published; where all are, nothing."""
    pinned = PUBLISHED[name]["files"]
    contents = {f"{official}_{part}.txt": text.content for part, text in texts.items()}
    differing = [
        file
        for file, content in contents.items()
        if file in pinned and hashlib.sha256(content).hexdigest() != pinned[file]["sha256"]
    ]
    if differing:
        _log.warning(
            "%s: SHA-256 of %s differs from the pinned one; used all the same, as the set has its "
            "published statistics",
            source,
            ", ".join(differing),
        )


def _dataset(
    name: str, parts: TUParts, union: Graph, features: str, max_degree: int
) -> GraphDataset:
    """The graphs one by one, with the features asked for."""
    blocks = []
    with reading():
        for kind in features.split("+"):
            if kind == "labels" and parts.node_labels is not None:
                blocks += [_one_hot_labels(column) for column in parts.node_labels.T]
            elif kind == "attributes" and parts.node_attributes is not None:
                blocks.append(standardise(parts.node_attributes))
            else:
                blocks.append(degree_features(union, max_degree=max_degree))
        graphs = cut_graph(union._replace(x=np.concatenate(blocks, axis=1)), parts.first_node)
        dataset = make_graph_dataset(name, graphs, parts.labels, features=features)
        return dataset._replace(classes=parts.classes)


def _choose(features: str, name: str, parts: Collection[str]) -> str:
    """The features that `features` means for a set of these parts; it has what they are made of."""
    kinds = [kind for kind, part in _PART_OF.items() if part in parts] + ["degree"]
    if features == "auto":
        return kinds[0]
    if not set(kinds).issuperset(features.split("+")):
        possible = [f for f in FEATURES if f == "auto" or set(kinds).issuperset(f.split("+"))]
        raise InputError(
            f"node features {features!r} must be in the set's files, found otherwise in {name}; "
            f"expected one of: {', '.join(possible)}"
        )
    return features


def _needed(features: str) -> list[str]:
    """The parts that these features are made of."""
    return [_PART_OF[kind] for kind in features.split("+") if kind in _PART_OF]


def _one_hot_labels(labels: np.ndarray) -> np.ndarray:
    values, codes = np.unique(labels, return_inverse=True)
    return one_hot(codes, values.size)


def cut_graph(union: Graph, first_node: np.ndarray) -> tuple[Graph, ...]:
    """The graphs that lie one behind the other in `union`, as views of its arrays.

    `union` has no edge between two of them. Its edges are sorted by receiver: those of a graph
    lie together, and stay in order.

    Args:
      union: M graphs, the nodes of each in one run.
      first_node: integers [M + 1] that never fall, from 0 to N: graph i holds the nodes
        `first_node[i]` … `first_node[i + 1]` − 1, none if the two are equal.
    """
    first_edge = np.searchsorted(union.receivers, first_node)
    shift = np.repeat(first_node[:-1], np.diff(first_edge)).astype(np.int32)
    senders, receivers = union.senders - shift, union.receivers - shift
    nodes = itertools.pairwise(first_node.tolist())
    edges = itertools.pairwise(first_edge.tolist())
    return tuple(
        Graph(union.x[n:m], senders[e:f], receivers[e:f], union.edge_weight[e:f])
        for (n, m), (e, f) in zip(nodes, edges, strict=True)
    )


def standardise(values: np.ndarray) -> np.ndarray:
    """Columns of finite numbers [N, A] with mean 0 and standard deviation 1, float32.

    A constant column becomes 0.
    """
    values = values.astype(np.float64)
    constant = values.min(axis=0) == values.max(axis=0)
    # By its largest magnitude first: squares of huge numbers would overflow.
    largest = np.where(constant, 1.0, np.abs(values).max(axis=0))
    values /= largest[None, :]
    values -= values.mean(axis=0)[None, :]
    values /= np.where(constant, 1.0, values.std(axis=0))[None, :]
    return np.where(constant[None, :], 0.0, values).astype(np.float32)
