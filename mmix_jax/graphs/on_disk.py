"""ÂX and SX of a graph whose tables do not fit into memory: by blocks of columns, into files.

Nothing here holds an array of all edges, or one of all nodes and features. The graph's own arrays
may be memory-mapped files; the results are, [N, F] by rows, as batches read them. Numbers are those
of `normalize.propagate` and `diffusion.diffuse` bit for bit: sums have the same terms in the same
order.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.graphs.chebyshev import chebyshev_coefficients
from mmix_jax.graphs.types import Graph
from mmix_jax.ops.arrays import release
from mmix_jax.ops.npy_parts import digest_of, pieces_of, write_pieces

MOST_BYTES = 2 * 2**30  # of the arrays [N, columns] that the recurrence holds
_BLOCK_EDGES = 2**22  # that are read at a time
_BLOCK_VALUES = 2**24
_BLOCK_ROWS = 2**18
_RECORD = "tables.json"
_COLUMNS, _ENTRIES = "operator.columns", "operator.entries"
_log = logging.getLogger(__name__)


class StoredTables(NamedTuple):
    """ÂX and SX, float32 [N, F], memory-mapped."""

    x_a: np.ndarray
    x_b: np.ndarray

    def take(self, rows: np.ndarray, anchors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ÂX of `rows` and SX of `anchors`, of any shapes."""
        return self.x_a[rows], self.x_b[anchors]


class Block(NamedTuple):
    """Rows begin … end of a graph, and their edges low … high."""

    begin: int
    end: int
    low: int
    high: int


def blocks_of(starts: np.ndarray, most: int = _BLOCK_EDGES) -> Iterator[Block]:
    """Stretches of nodes with about so many edges and nodes at most, one node at least.

    starts: [N + 1], where the edges of each receiver begin.
    """
    begin, num_nodes = 0, len(starts) - 1
    while begin < num_nodes:
        fitting = int(np.searchsorted(starts, starts[begin] + most, side="right")) - 1
        end = min(max(fitting, begin + 1), begin + most, num_nodes)
        yield Block(begin, end, int(starts[begin]), int(starts[end]))
        begin = end


def starts_of(receivers: np.ndarray, num_nodes: int) -> np.ndarray:
    """Where the edges of each receiver begin, int64 [N + 1]; receivers ascend."""
    starts = np.zeros(num_nodes + 1, np.int64)
    for low in range(0, len(receivers), _BLOCK_VALUES):
        part = np.asarray(receivers[low : low + _BLOCK_VALUES])
        first = int(part[0])
        counts = np.bincount(part - first)
        starts[first + 1 : first + 1 + len(counts)] += counts
    return np.cumsum(starts, out=starts)


def gcn_scale(starts: np.ndarray, edge_weight: np.ndarray) -> np.ndarray:
    """d̃^{-1/2} of every node, float64 [N]: Â_ij is w_ij times those of i and j, Â_ii its square."""
    degree = np.empty(len(starts) - 1)
    for block in blocks_of(starts):
        local = _receivers(starts, block)
        weight = edge_weight[block.low : block.high]
        degree[block.begin : block.end] = np.bincount(local, weight, block.end - block.begin)
    return (degree + 1.0) ** -0.5


def _receivers(starts: np.ndarray, block: Block) -> np.ndarray:
    """Receivers of a block's edges, counted from its first node."""
    counts = np.diff(starts[block.begin : block.end + 1])
    return np.repeat(np.arange(len(counts)), counts)


def check_reverses(graph: Graph, starts: np.ndarray) -> None:
    """Raise InputError unless every edge has a reverse of its weight.

    Sums over edges of random numbers of their ends, modulo 2^64, are the same in both directions
    then, and practically never otherwise; no edge is looked for.
    """
    draw = np.random.default_rng(0)
    there, back = draw.integers(0, 2**64, (2, graph.num_nodes), np.uint64)
    sums = np.zeros(2, np.uint64)
    for block in blocks_of(starts):
        edges = slice(block.low, block.high)
        senders, receivers = np.asarray(graph.senders[edges]), _receivers(starts, block)
        receivers += block.begin
        bits = np.ascontiguousarray(graph.edge_weight[edges]).view(np.uint32).astype(np.uint64)
        for place, ends in enumerate(((senders, receivers), (receivers, senders))):
            sums[place : place + 1] += (there[ends[0]] * back[ends[1]] * bits).sum()
    if sums[0] != sums[1]:
        raise InputError(
            "diffusion needs symmetric edges, found some without an equal reverse; build the graph "
            "by make_graph with undirected=True"
        )


class Operator:
    """Â of a graph, loops of 1 included, as sparse rows in two files."""

    def __init__(self, graph: Graph, folder: Path):
        self.num_nodes = graph.num_nodes
        starts = starts_of(graph.receivers, graph.num_nodes)
        self.starts = starts + np.arange(len(starts))  # a loop stands in every row
        self._columns, self._entries = folder / _COLUMNS, folder / _ENTRIES
        size = 4 * int(self.starts[-1])
        files = (self._columns, self._entries)
        if any(not file.is_file() or file.stat().st_size != size for file in files):
            check_reverses(graph, starts)
            self._write(graph, starts)

    def _write(self, graph: Graph, starts: np.ndarray) -> None:
        scale = gcn_scale(starts, graph.edge_weight)
        files = (self._columns, self._entries)
        paths = [path.with_name(f"{path.name}.tmp") for path in files]
        with paths[0].open("wb") as columns, paths[1].open("wb") as entries:
            for block in blocks_of(starts):
                edges, nodes = slice(block.low, block.high), np.arange(block.begin, block.end)
                senders = np.asarray(graph.senders[edges])
                local = _receivers(starts, block)
                own = scale[nodes]
                weight = graph.edge_weight[edges] * scale[senders] * own[local]
                row = np.concatenate([local, nodes - block.begin])
                column = np.concatenate([senders, nodes.astype(np.int32)])
                value = np.concatenate([weight, own**2]).astype(np.float32)
                order = np.argsort(row * np.int64(self.num_nodes) + column)
                columns.write(column[order].astype(np.int32).data)
                entries.write(value[order].data)
        release(graph.senders)
        for path, final in zip(paths, files, strict=True):
            os.replace(path, final)

    def apply(self, v: np.ndarray, out: np.ndarray, check: Callable[[], None]) -> np.ndarray:
        """Â v [N, f] into `out`; `check` is called between blocks of rows."""
        from scipy import sparse

        for block in blocks_of(self.starts):
            check()
            count, offset = block.high - block.low, 4 * block.low
            parts = (
                np.fromfile(self._entries, np.float32, count, offset=offset),
                np.fromfile(self._columns, np.int32, count, offset=offset),
                (self.starts[block.begin : block.end + 1] - block.low).astype(np.int32),
            )
            rows = sparse.csr_array(parts, shape=(block.end - block.begin, self.num_nodes))
            out[block.begin : block.end] = rows @ v
        return out

    def remove(self) -> None:
        """Both files; tables need them no more."""
        for path in (self._columns, self._entries):
            path.unlink(missing_ok=True)


def stored_tables(
    graph: Graph,
    folder: Path,
    *,
    diffusion: Mapping[str, Any],
    check: Callable[[], None] = lambda: None,
    most_bytes: int = MOST_BYTES,
) -> StoredTables:
    """ÂX and SX in a folder: what is there is mapped, what is missing computed.

    Args:
      folder: of this graph and these settings alone; made where it is not there. An interrupted
        call leaves its finished columns, and the next goes on behind them.
      diffusion: keywords of `diffusion.diffuse`.
      check: called often; what it raises ends the work.
      most_bytes: bound of the arrays that the recurrence holds.

    Raises:
      InputError: files are another graph's or damaged, or cannot be written.
    """
    settings = _settings(graph, diffusion)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / _RECORD).is_file():
            return opened_tables(folder, settings, check)
        return _computed(graph, folder, settings, dict(diffusion), check, most_bytes)
    except OSError as error:
        raise InputError(
            f"tables must be readable and writable at {folder}, found "
            f"{error.strerror or error}; free the disk, or name another cache by XDG_CACHE_HOME"
        ) from error


def _settings(graph: Graph, diffusion: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "num_nodes": graph.num_nodes,
        "num_edges": graph.num_edges,
        "num_features": graph.x.shape[1],
        "diffusion": dict(diffusion),
    }


def _computed(graph, folder, settings, options, check, most_bytes) -> StoredTables:
    num_nodes, num_features = graph.x.shape
    coefficients = chebyshev_coefficients(
        options["kind"], options["alpha"], options["t"], options.get("tol", 1e-5)
    ).astype(np.float32)
    operator = Operator(graph, folder)
    width = min(max(most_bytes // (20 * num_nodes), 1), num_features)
    parts = [slice(low, min(low + width, num_features)) for low in range(0, num_features, width)]
    files = []
    for columns in parts:
        names = [f"{table}-{columns.start}-{columns.stop}.npy" for table in ("x_a", "x_b")]
        paths = [folder / name for name in names]
        files.append(paths)
        if all(path.is_file() for path in paths):
            continue
        _log.info("tables: columns %d to %d of %d", columns.start, columns.stop, num_features)
        x = _columns_of(graph.x, columns)
        first, total = _chebyshev(operator, x, coefficients, check)
        for path, values in zip(paths, (first, total), strict=True):
            write_pieces(path, pieces_of(values))
        del x, first, total, values  # before the next ones are made
    check()
    for table, paths in zip(("x_a", "x_b"), zip(*files, strict=True), strict=True):
        write_pieces(folder / f"{table}.npy", _side_by_side(paths, check))
    record_tables(folder, settings, check)
    operator.remove()
    for paths in files:
        for path in paths:
            path.unlink()
    return _mapped(folder)


def _chebyshev(operator: Operator, x: np.ndarray, coefficients, check):
    """(Â x, Σ_k c_k T_k(Â) x) by T_{k+1} = 2 Â T_k − T_{k−1}; x is overwritten. Five arrays
    [N, f], x among them."""
    first = operator.apply(x, np.empty_like(x), check)
    total, spare = coefficients[0] * x, coefficients[1] * first
    total += spare
    previous, current = x, first.copy()
    for coefficient in coefficients[2:]:
        operator.apply(current, spare, check)
        spare *= np.float32(2)
        spare -= previous
        np.multiply(coefficient, spare, out=previous)  # which is read no more
        total += previous
        previous, current, spare = current, spare, previous
    return first, total


def _columns_of(x: np.ndarray, columns: slice) -> np.ndarray:
    """Some columns, contiguous; a memory-mapped file is let go again while it is read."""
    out = np.empty((len(x), columns.stop - columns.start), np.float32)
    step = max(_BLOCK_VALUES // x.shape[1], 1)
    for low in range(0, len(x), step):
        out[low : low + step] = x[low : low + step, columns]
        release(x)
    return out


def _side_by_side(parts: Sequence[Path], check: Callable[[], None]) -> Iterator[np.ndarray]:
    """Rows of blocks of columns, in pieces."""
    pieces = [pieces_of(np.load(part, mmap_mode="r"), rows=_BLOCK_ROWS) for part in parts]
    for rows in zip(*pieces, strict=True):
        check()
        yield np.concatenate(rows, axis=1)


def record_tables(folder: Path, settings: dict[str, Any], check: Callable[[], None]) -> None:
    """Tell of a folder's tables that they are whole, and what of."""
    digests = {name: digest_of(folder / name, check) for name in ("x_a.npy", "x_b.npy")}
    temporary = folder / f"{_RECORD}.tmp"
    temporary.write_text(json.dumps(settings | {"sha256": digests}, indent=1), encoding="utf-8")
    os.replace(temporary, folder / _RECORD)


def opened_tables(
    folder: Path, settings: dict[str, Any], check: Callable[[], None] = lambda: None
) -> StoredTables:
    """Tables that `record_tables` has told of, if they are these and whole.

    Raises:
      InputError: they are others, or damaged.
    """
    way_out = f"remove {folder}: they are computed anew"
    try:
        record = json.loads((folder / _RECORD).read_text("utf-8"))
        digests = record.pop("sha256")
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"tables must tell what they are of, found {folder / _RECORD} damaged; {way_out}"
        ) from error
    if record != json.loads(json.dumps(settings)):
        raise InputError(f"tables must be of this graph, found another's in {folder}; {way_out}")
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file() or digest_of(path, check) != digest:
            raise InputError(f"tables must be whole, found {path} damaged; {way_out}")
    return _mapped(folder)


def _mapped(folder: Path) -> StoredTables:
    x_a, x_b = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("x_a", "x_b"))
    return StoredTables(x_a, x_b)
