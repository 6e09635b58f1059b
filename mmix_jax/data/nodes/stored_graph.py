"""A graph in a folder of `.npy` files that are mapped, not read: what memory need not hold.

graph.json tells what there is: x [N, F], senders and receivers [E] as `graphs.Graph` has them, and
where known edge_weight [E], labels [N], and train, valid and test. Edges come in any order and any
number: they are sorted in files, by stretches of receivers.
"""

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import ArrayLike

from mmix_jax.data.labels import encode_classes
from mmix_jax.data.splits import validate_split
from mmix_jax.data.types import NodeDataset, make_dataset
from mmix_jax.errors import InputError
from mmix_jax.fields import MOST_ROWS
from mmix_jax.graphs.types import Graph, Split
from mmix_jax.ops.npy_parts import PIECE, digest_of, write_pieces
from mmix_jax.surroundings import LOCK

RECORD = "graph.json"
_FORMAT = 1
_EDGES = "edges-"
_BUCKETS = 64  # files that edges are first dealt out to
_SPLIT = ("train", "valid", "test")
_FILES = {"x.npy", "senders.npy", "receivers.npy"}
_UNFINISHED = ".unfinished"
_MOST_UNSPLIT = 1_000_000  # of more, a random split would be too much to classify
_log = logging.getLogger(__name__)

Edges = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def store_graph(
    folder: Path,
    features: Iterable[np.ndarray],
    edges: Iterable[Edges],
    *,
    name: str = "",
    labels: ArrayLike | None = None,
    given: Split | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Write a graph as `open_graph` reads it; what `graphs.make_graph` makes of the same edges,
    both directions of each.

    Args:
      folder: made where it is not there; it must be empty.
      features: pieces [n, F] of x, one below the other; they say how many nodes there are.
      edges: pieces (senders, receivers, weights or None), ids from 0.
      name: for reports; the folder's without.
      labels: [N], see `labels.encode_classes`.
      given: the split that comes with the graph.
      check: called often; what it raises ends the work, of which nothing is left.

    Raises:
      InputError: features or edges are not as described, or the folder cannot be written.
    """
    if (folder / RECORD).exists():
        raise InputError(f"a graph is written once, found one in {folder}; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _claim(folder)
        try:
            _write(folder, features, edges, name or folder.name, labels, given, check)
        except BaseException:
            _clear(folder)
            raise
        (folder / _UNFINISHED).unlink()
    except OSError as error:
        raise InputError(
            f"a graph's files must be writable at {folder}, found {error.strerror or error}; free "
            "the disk, or name another folder"
        ) from error


def _claim(folder: Path) -> None:
    """Mark the folder as one that is being written; what a killed call has left goes.

    Raises:
      InputError: it holds something else, which would be overwritten.
    """
    if (folder / _UNFINISHED).exists():
        _clear(folder)
    if there := sorted(path.name for path in folder.iterdir() if path.name != LOCK):
        raise InputError(
            f"a graph's folder must be new or empty, found {there[0]} in {folder}; name another"
        )
    (folder / _UNFINISHED).touch()


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink(missing_ok=True)


def _write(folder: Path, features, edges, name: str, labels, given, check) -> None:
    try:
        shape = write_pieces(folder / "x.npy", map(_checked_features, features))
    except ValueError as error:
        raise InputError(f"node features: {error}") from error
    if len(shape) != 2 or 0 in shape or shape[0] > MOST_ROWS:
        raise InputError(
            f"node features must be [N, F] with N in 1 … {MOST_ROWS}, found {list(shape)}; "
            "give one row per node"
        )
    arrays = {} if labels is None else {"labels": np.asarray(labels)}
    try:  # before hours of sorting
        codes, _ = encode_classes(labels, shape[0]) or (None, None)
        if given is not None:
            validate_split(given, codes, shape[0])
            arrays |= zip(_SPLIT, given, strict=True)
    except ValueError as error:
        raise InputError(str(error)) from error
    num_edges, weighted = _sort_edges(folder, edges, shape[0], check)
    files = ["x.npy", "senders.npy", "receivers.npy"] + ["edge_weight.npy"] * weighted
    for part, values in arrays.items():
        np.save(folder / f"{part}.npy", values, allow_pickle=False)
        files.append(f"{part}.npy")
    record = {
        "format": _FORMAT,
        "name": name,
        "num_nodes": shape[0],
        "num_edges": num_edges,
        "num_features": shape[1],
        "sha256": {file: digest_of(folder / file, check) for file in files},
    }
    temporary = folder / f"{RECORD}.tmp"
    temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    os.replace(temporary, folder / RECORD)
    _log.info("stored %d nodes, %d edges (both directions) in %s", shape[0], num_edges, folder)


def open_graph(folder: Path, *, split: str = "default", split_seed: int = 0) -> NodeDataset:
    """The graph of a folder, its features, taken as they are, and edges as memory-mapped arrays.

    Raises:
      InputError: files are missing, damaged or another graph's.
    """
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        digests, num_nodes = dict(record["sha256"]), int(record["num_nodes"])
        if record["format"] != _FORMAT or not digests.keys() >= _FILES:
            raise ValueError(f"format {record['format']} of {', '.join(digests)}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder / RECORD} must tell a stored graph, found it damaged ({error}); store the "
            "graph anew"
        ) from error
    arrays = {}
    for file, digest in digests.items():
        path = folder / file
        try:
            found = digest_of(path) if path.is_file() else None
        except OSError as error:
            raise InputError(
                f"{path} must be readable, found {error.strerror}; see to its rights"
            ) from error
        if found != digest:
            raise InputError(
                f"{path} must be as it was written, found it "
                f"{'damaged or another graph’s' if path.is_file() else 'missing'}; store the graph "
                "anew"
            )
        arrays[path.stem] = np.load(path, mmap_mode="r", allow_pickle=False)
    num_edges = len(arrays["senders"])
    ones = np.broadcast_to(np.float32(1.0), (num_edges,))  # no memory
    weight = arrays.get("edge_weight", ones)
    graph = Graph(arrays["x"], arrays["senders"], arrays["receivers"], weight)
    given = None
    if "train" in arrays:
        given = Split(*(np.array(arrays[part], np.int32) for part in _SPLIT))
    labels = arrays.get("labels")
    if labels is not None and given is None and num_nodes > _MOST_UNSPLIT:
        raise InputError(
            f"a graph of more than {_MOST_UNSPLIT:,} nodes must come with its split, found "
            f"{num_nodes:,} in {folder} without one; store it with --train, --valid and --test, of "
            "some thousand nodes each, or without labels"
        )
    _log.info(
        "%s: %d nodes, %d features, %d stored edges, in files of %s",
        *(record["name"], num_nodes, arrays["x"].shape[1], num_edges, folder),
    )
    return make_dataset(
        record["name"],
        graph,
        None if labels is None else np.array(labels),
        given=given,
        split=split,
        split_seed=split_seed,
    )


def _checked_features(piece: np.ndarray) -> np.ndarray:
    values = np.asarray(piece)
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        raise InputError(
            f"node features must be numbers [n, F], found {values.dtype} {list(values.shape)}; "
            "convert them"
        )
    with np.errstate(over="ignore"):
        values = values.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise InputError(
            "node features must be finite in float32, found "
            f"{np.count_nonzero(~np.isfinite(values))} that are not; replace them"
        )
    return values


def _sort_edges(folder: Path, edges, num_nodes: int, check) -> tuple[int, bool]:
    """Write senders, receivers and weights, sorted and merged; their number, and whether there are
    weights. In memory at a time: one piece, or the edges of one stretch of receivers."""
    width = -(-num_nodes // _BUCKETS)
    with TemporaryDirectory(dir=folder, prefix=_EDGES) as name:
        buckets = [Path(name) / str(number) for number in range(-(-num_nodes // width))]
        weighted = _deal_out(buckets, edges, num_nodes, width, check)
        counts: list[int] = []

        # Three files from one pass: the later two are read back from buckets that are done.
        def senders() -> Iterator[np.ndarray]:
            for bucket in buckets:
                check()
                receiver, sender, weight = _merged(bucket, num_nodes, weighted)
                receiver.tofile(bucket)
                if weight is not None:
                    weight.tofile(bucket.with_suffix(".weight"))
                counts.append(len(receiver))
                yield sender

        write_pieces(folder / "senders.npy", senders())
        kinds: dict[str, tuple[str, type]] = {"receivers.npy": ("", np.int32)}
        if weighted:
            kinds["edge_weight.npy"] = (".weight", np.float32)
        for file, (suffix, dtype) in kinds.items():
            parts = (np.fromfile(bucket.with_suffix(suffix), dtype) for bucket in buckets)
            write_pieces(folder / file, parts)
    return sum(counts), weighted


def _deal_out(buckets, edges, num_nodes: int, width: int, check) -> bool:
    """Append each edge, as receiver · N + sender, to the file of its receiver's stretch."""
    weighted: bool | None = None
    with ExitStack() as stack:
        codes = [stack.enter_context(bucket.open("wb")) for bucket in buckets]
        weights = [
            stack.enter_context(bucket.with_suffix(".weight").open("wb")) for bucket in buckets
        ]
        for piece in edges:
            for senders, receivers, weight in _checked_edges(piece, num_nodes):
                check()
                if weighted not in (None, weight is not None):
                    raise InputError(
                        "all edges must have weights, or none, found both; give the same columns"
                    )
                weighted = weight is not None
                for sender, receiver in ((senders, receivers), (receivers, senders)):
                    bucket = receiver // width
                    order = np.argsort(bucket, kind="stable")
                    code = (receiver * np.int64(num_nodes) + sender)[order]
                    cuts = np.searchsorted(bucket[order], np.arange(len(buckets) + 1))
                    ordered = None if weight is None else weight[order]
                    for number, (low, high) in enumerate(pairwise(cuts)):
                        codes[number].write(code[low:high].data)
                        if ordered is not None:
                            weights[number].write(ordered[low:high].data)
    return bool(weighted)


def _checked_edges(piece: Edges, num_nodes: int) -> Iterator[Edges]:
    """A piece in smaller ones, without self-loops."""
    senders, receivers, weight = piece
    if len(senders) != len(receivers) or (weight is not None and len(weight) != len(senders)):
        raise InputError(
            f"both ends of every edge must be given, found {len(senders)} senders, "
            f"{len(receivers)} receivers{'' if weight is None else f', {len(weight)} weights'}; "
            "see to the files"
        )
    for low in range(0, len(senders), PIECE // 4):
        part = slice(low, low + PIECE // 4)
        s, r = (np.asarray(ends[part]) for ends in (senders, receivers))
        for ends in (s, r):
            if ends.dtype.kind not in "iu":
                raise InputError(f"edges must be whole numbers, found {ends.dtype}; convert them")
            outside = (ends < 0) | (ends >= num_nodes)
            if outside.any():
                raise InputError(
                    f"edges must lie in [0, {num_nodes}), found {ends[outside][0]}; count nodes "
                    "from zero and give every node a row of features"
                )
        w = None if weight is None else np.asarray(weight[part]).astype(np.float32)
        if w is not None and not (good := (w > 0) & np.isfinite(w)).all():
            raise InputError(
                f"edge weights must be positive and finite, found {w[~good][0]}; leave such edges "
                "out"
            )
        keep = s != r
        yield s[keep].astype(np.int64), r[keep].astype(np.int64), None if w is None else w[keep]


def _merged(bucket: Path, num_nodes: int, weighted: bool):
    """Receivers, senders and weights (or None) of a stretch, each edge once, by its largest."""
    code = np.fromfile(bucket, np.int64)
    weight = None
    if weighted:
        values = np.fromfile(bucket.with_suffix(".weight"), np.float32)
        unique, inverse = np.unique(code, return_inverse=True)
        weight = np.zeros(unique.size, np.float32)
        np.maximum.at(weight, inverse, values)
    else:
        unique = np.unique(code)
    receiver, sender = np.divmod(unique, np.int64(num_nodes))
    return receiver.astype(np.int32), sender.astype(np.int32), weight
