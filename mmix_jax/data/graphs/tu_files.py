"""The text files of a set of graphs in TUDataset's format, read from a zip or a folder.

`NAME_A.txt` lists the edges of all graphs, two node numbers a line; line i of
`NAME_graph_indicator.txt` is the graph of node i, line g of `NAME_graph_labels.txt` the class
of graph g; `NAME_node_labels.txt` and `NAME_node_attributes.txt`, where a set has them, hold
a line per node. Nodes and graphs count from 1. Edge labels and the rest are not read.

Archives differ: a member may be `NAME/NAME_A.txt`, `NAME//NAME_A.txt` or `NAME_A.txt`. An
edge may be listed once, in both directions, or twice. Classes may be −1 and 1, or 1 … C.

Source: Morris et al., "TUDataset: A collection of benchmark datasets for learning with graphs",
2020; https://chrsmrrs.github.io/datasets/docs/format.
"""

import io
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import numpy as np

from mmix_jax.data.store.containers import check_members
from mmix_jax.errors import InputError

REQUIRED = ("A", "graph_indicator", "graph_labels")
OPTIONAL = ("node_labels", "node_attributes")


class TextFile(NamedTuple):
    """A file's content, and what messages call it."""

    content: bytes
    where: str


class TUParts(NamedTuple):
    """What the files of a set say, checked; M graphs with N nodes in all, counted from 0.

    first_node: of every graph, and N at the end, int64 [M + 1]; see `tudataset.cut_graph`.
    senders: one end of every listed edge, int64 [E].
    receivers: the other end, in the same graph, int64 [E].
    labels: class of every graph, 0 … C − 1 in the order of the numbers in the file, int64 [M].
    node_labels: integers as in the file, int64 [N, K] (K is nearly always 1), or None.
    node_attributes: finite, float64 [N, A], or None.
    """

    first_node: np.ndarray
    senders: np.ndarray
    receivers: np.ndarray
    labels: np.ndarray
    node_labels: np.ndarray | None
    node_attributes: np.ndarray | None


def read_texts(source: Path, name: str) -> dict[str, TextFile]:
    """The files of set `name` in a zip or a folder, by part; nothing is unpacked or parsed.

    Raises:
      InputError: the source cannot be read, or lacks a required file or has it twice.
    """
    wanted = {f"{name}_{part}.txt": part for part in REQUIRED + OPTIONAL}
    contents = _read_folder(source, wanted) if source.is_dir() else _read_zip(source, wanted)
    for file, part in wanted.items():
        if part in REQUIRED and part not in contents:
            raise InputError(
                f"{source}: {file} must be in it, found none; get the set again from its source"
            )
    return {
        part: TextFile(contents[part], f"{file} in {source}")
        for file, part in wanted.items()
        if part in contents
    }


def parse_texts(texts: Mapping[str, TextFile]) -> TUParts:
    """The numbers in the files, checked against each other.

    Graphs without nodes are legal between others: their numbers are missing from the indicator.

    Raises:
      InputError: which file, which line where one is to blame, and what is wrong there.
    """
    indicator = _column(texts["graph_indicator"])
    labels = _column(texts["graph_labels"])
    _check_indicator(indicator, labels.size, texts)
    edges = _table(texts["A"], np.int64, columns=2) - 1
    _check_edges(edges, indicator, texts["A"])
    per_node = {
        part: _table(texts[part], kind)
        for part, kind in zip(OPTIONAL, (np.int64, np.float64), strict=True)
        if part in texts
    }
    for part, rows in per_node.items():
        _check_node_rows(rows, indicator.size, texts[part])
    return TUParts(
        first_node=np.searchsorted(indicator, np.arange(1, labels.size + 2)),
        senders=edges[:, 0],
        receivers=edges[:, 1],
        labels=np.unique(labels, return_inverse=True)[1],
        node_labels=per_node.get("node_labels"),
        node_attributes=per_node.get("node_attributes"),
    )


def _read_folder(source: Path, wanted: Mapping[str, str]) -> dict[str, bytes]:
    try:
        return {
            part: (source / file).read_bytes()
            for file, part in wanted.items()
            if (source / file).exists()
        }
    except OSError as error:
        raise InputError(
            f"{source}: its files must be readable, found otherwise ({error.strerror}); "
            "change their rights"
        ) from error


def _read_zip(source: Path, wanted: Mapping[str, str]) -> dict[str, bytes]:
    contents = {}
    try:
        with zipfile.ZipFile(source) as archive:
            check_members(archive)
            for member in archive.infolist():
                # Windows' rule knows both separators; some archives were packed there.
                part = wanted.get(PureWindowsPath(member.filename).name)
                if part is not None and part in contents:
                    raise InputError(
                        f"{source}: must hold a file once, found {member.filename!r} a second "
                        "time; get the set again from its source"
                    )
                if part is not None:
                    contents[part] = archive.read(member)
    except InputError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds on damaged archives
        reason = str(error).splitlines()[0] if str(error) else ""
        raise InputError(
            f"{source}: not a readable zip ({type(error).__name__}: {reason}); delete it and get "
            "it again from its source"
        ) from error
    return contents


def _column(text: TextFile) -> np.ndarray:
    """Integers [L], one per line; a file without any is refused."""
    values = _table(text, np.int64, columns=1)[:, 0]
    if values.size == 0:
        raise InputError(
            f"{text.where}: must hold a number or more, found none; get the set again from its "
            "source"
        )
    return values


def _table(text: TextFile, kind: type[np.generic], *, columns: int | None = None) -> np.ndarray:
    """Numbers separated by commas, [lines, columns]; empty lines are allowed at the end only."""
    content = text.content.rstrip()
    if not content:
        return np.zeros((0, columns or 0), kind)
    if columns is None:
        columns = content.partition(b"\n")[0].count(b",") + 1
    rows = _parse(content, kind, columns)
    if rows is None:
        lines = content.split(b"\n")
        number = _first_bad_line(lines, kind, columns)
        what = "integers" if kind is np.int64 else "finite numbers"
        raise InputError(
            f"{text.where}, line {number + 1}: must hold {columns} {what} separated by commas, "
            f"found {_shown(lines[number])}; get the set again from its source"
        )
    return rows


def _parse(content: bytes, kind: type[np.generic], columns: int) -> np.ndarray | None:
    """The numbers of all lines [lines, columns], None if any line holds anything else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy only warns of 1.5 where it wants an integer
            stream = io.StringIO(content.decode("ascii"))
            rows = np.loadtxt(stream, kind, comments=None, delimiter=",", ndmin=2)
    except (ValueError, OverflowError, Warning):
        return None
    num_lines = content.count(b"\n") + 1  # NumPy skips empty lines
    fits = rows.shape == (num_lines, columns)
    return rows if fits and np.isfinite(rows).all() else None


def _first_bad_line(lines: list[bytes], kind: type[np.generic], columns: int) -> int:
    """Index of the first line that does not parse; one of them does not."""
    low, high = 0, len(lines)  # all before low are good, and one in low … high − 1 is not
    while high - low > 1:
        middle = (low + high) // 2
        if _parse(b"\n".join(lines[low:middle]), kind, columns) is None:
            high = middle
        else:
            low = middle
    return low


def _shown(line: bytes) -> str:
    """A line as a message shows it, cut where it is long."""
    text = line.strip().decode("ascii", "backslashreplace")
    return repr(text if len(text) <= 40 else text[:40] + "…")


def _check_indicator(indicator: np.ndarray, num_labels: int, texts: Mapping[str, TextFile]) -> None:
    where = texts["graph_indicator"].where
    if indicator[0] != 1:
        raise InputError(
            f"{where}, line 1: the first node must be of graph 1, found {indicator[0]}; count "
            "graphs from 1"
        )
    falls = np.flatnonzero(np.diff(indicator) < 0)
    if falls.size:
        line = falls[0] + 1
        raise InputError(
            f"{where}, line {line + 1}: graph numbers must never fall, found {indicator[line]} "
            f"after {indicator[line - 1]}; list the nodes graph by graph"
        )
    if num_labels != indicator[-1]:
        raise InputError(
            f"{texts['graph_labels'].where}: must hold a label for each of {indicator[-1]} graphs, "
            f"found {num_labels}; get the set again from its source"
        )


def _check_edges(edges: np.ndarray, indicator: np.ndarray, text: TextFile) -> None:
    num_nodes = indicator.size
    outside = np.flatnonzero(((edges < 0) | (edges >= num_nodes)).any(axis=1))
    if outside.size:
        line = outside[0]
        raise InputError(
            f"{text.where}, line {line + 1}: nodes must lie in 1 … {num_nodes}, found "
            f"{edges[line, 0] + 1}, {edges[line, 1] + 1}; get the set again from its source"
        )
    graphs = indicator[edges]
    between = np.flatnonzero(graphs[:, 0] != graphs[:, 1])
    if between.size:
        line = between[0]
        raise InputError(
            f"{text.where}, line {line + 1}: an edge must stay in one graph, found graphs "
            f"{graphs[line, 0]} and {graphs[line, 1]}; get the set again from its source"
        )


def _check_node_rows(rows: np.ndarray, num_nodes: int, text: TextFile) -> None:
    if rows.shape[0] != num_nodes:
        raise InputError(
            f"{text.where}: must hold a line for each of {num_nodes} nodes, found "
            f"{rows.shape[0]}; get the set again from its source"
        )
