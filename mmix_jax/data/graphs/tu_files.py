"""The text files of a set of graphs in TUDataset's format, read from a zip or a folder.

`NAME_A.txt` lists the edges of all graphs, two node numbers a line; line i of
`NAME_graph_indicator.txt` is the graph of node i, line g of `NAME_graph_labels.txt` the class
of graph g; `NAME_node_labels.txt` and `NAME_node_attributes.txt`, where a set has them, hold
a line per node. Nodes and graphs count from 1. Parts that nobody asks for, like edge labels, are
not read.

Archives differ: a member may be `NAME/NAME_A.txt`, `NAME//NAME_A.txt`, `NAME_A.txt` or
`NAME/raw/NAME_A.txt`, and so may a file in a folder. An edge may be listed once, in both
directions, or twice. Classes may be −1 and 1, or 1 … C, or 1.0. Lines may end in any way, and
empty ones are skipped.

Source: Morris et al., "TUDataset: A collection of benchmark datasets for learning with graphs",
2020; https://chrsmrrs.github.io/datasets/docs/format.
"""

import contextlib
import logging
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import numpy as np

from mmix_jax.data.graphs.tu_tables import TextFile, column, line_of, num_empty, table
from mmix_jax.data.store.containers import check_members
from mmix_jax.errors import InputError

REQUIRED = ("A", "graph_indicator")
LABELS = "graph_labels"
PER_NODE = ("node_labels", "node_attributes")

_log = logging.getLogger(__name__)


class TUParts(NamedTuple):
    """What the files of a set say, checked; M graphs with N nodes in all, counted from 0.

    first_node: of every graph, and N at the end, int64 [M + 1]; see `tudataset.cut_graph`.
    senders: one end of every listed edge, int64 [E].
    receivers: the other end, in the same graph, int64 [E].
    labels: class of every graph, 0 … C − 1 in the order of the numbers in the file, int64 [M];
      None where the set has none.
    classes: these numbers, [C], or None.
    node_labels: integers as in the file, int64 [N, K] (K is nearly always 1), or None.
    node_attributes: finite, float64 [N, A], or None.
    """

    first_node: np.ndarray
    senders: np.ndarray
    receivers: np.ndarray
    labels: np.ndarray | None
    classes: np.ndarray | None
    node_labels: np.ndarray | None
    node_attributes: np.ndarray | None


def folder_of(source: Path, name: str) -> Path | None:
    """The folder with the files of set `name`: `source`, or one below it as libraries make them."""
    for folder in (source, source / "raw", source / name, source / name / "raw"):
        if any(folder.glob(f"{name}_*.txt")):
            return folder
    return None


def parts_in(source: Path, name: str) -> set[str]:
    """The parts of set `name` that a zip or a folder has, those that are never read included.

    Raises:
      InputError: the source cannot be read.
    """
    with _opened(source, name) as found:
        return set(found)


def read_texts(
    source: Path, name: str, per_node: Collection[str] = PER_NODE
) -> dict[str, TextFile]:
    """The files of set `name` in a zip or a folder, by part; nothing is unpacked or parsed.

    Args:
      source: the zip or the folder.
      name: as in the names of the files.
      per_node: of `PER_NODE`, the parts to read where they are there.

    Raises:
      InputError: the source cannot be read, lacks a required file, or has one that is read twice.
    """
    texts = {}
    with _opened(source, name) as found:
        for part in (*REQUIRED, LABELS, *per_node):
            file, loads = f"{name}_{part}.txt", found.get(part, [])
            if part in REQUIRED and not loads:
                raise InputError(
                    f"{source}: {file} must be in it, found none; get the set again from its source"
                )
            if len(loads) > 1:
                raise InputError(
                    f"{source}: must hold a file once, found {loads[1].name!r} a second time; get "
                    "the set again from its source"
                )
            if loads:
                texts[part] = TextFile(loads[0].load(), f"{file} in {source}")
    if LABELS not in texts:
        _log.warning(
            "warning: %s: %s_graph_labels.txt is not in it%s; the graphs have no labels",
            source,
            name,
            ", only numbers of graphs in graph_attributes" if "graph_attributes" in found else "",
        )
    return texts


class _Member(NamedTuple):
    name: str
    load: Callable[[], bytes]


@contextlib.contextmanager
def _opened(source: Path, name: str) -> Iterator[dict[str, list[_Member]]]:
    """The files of a set by part; what goes wrong with the source is one InputError."""
    try:
        with contextlib.ExitStack() as stack:
            if source.is_dir():
                paths = (folder_of(source, name) or source).glob(f"{name}_*.txt")
                members = [_Member(path.name, path.read_bytes) for path in paths]
            else:
                archive = stack.enter_context(zipfile.ZipFile(source))
                check_members(archive)
                members = [
                    _Member(entry.filename, partial(archive.read, entry))
                    for entry in archive.infolist()
                ]
            yield _by_part(members, name)
    except InputError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds on damaged archives
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        if source.is_dir():
            raise InputError(
                f"{source}: its files must be readable, found otherwise ({reason}); change their "
                "rights"
            ) from error
        raise InputError(
            f"{source}: not a readable zip ({reason}); delete it and get it again from its source"
        ) from error


def _by_part(members: Iterable[_Member], name: str) -> dict[str, list[_Member]]:
    found: dict[str, list[_Member]] = {}
    for member in members:
        # Windows' rule knows both separators; some archives were packed there.
        file = PureWindowsPath(member.name).name
        if file.startswith(f"{name}_") and file.endswith(".txt"):
            part = file.removeprefix(f"{name}_").removesuffix(".txt")
            found.setdefault(part, []).append(member)
    return found


def parse_texts(texts: Mapping[str, TextFile]) -> TUParts:
    """The numbers in the files, checked against each other.

    Graphs without nodes are legal: their numbers are missing from the indicator, and of the last
    ones there are labels alone.

    Raises:
      InputError: which file, which line where one is to blame, and what is wrong there.
    """
    indicator = column(texts["graph_indicator"])
    labels = column(texts[LABELS]) if LABELS in texts else None
    num_graphs = _check_indicator(indicator, labels, texts)
    edges = table(texts["A"], np.int64, columns=2) - 1
    _check_edges(edges, indicator, texts["A"])
    per_node = {
        part: table(texts[part], kind)
        for part, kind in zip(PER_NODE, (np.int64, np.float64), strict=True)
        if part in texts
    }
    for part, rows in per_node.items():
        _check_node_rows(rows, indicator.size, texts[part])
    classes, codes = (None, None) if labels is None else np.unique(labels, return_inverse=True)
    return TUParts(
        first_node=np.searchsorted(indicator, np.arange(1, num_graphs + 2)),
        senders=edges[:, 0],
        receivers=edges[:, 1],
        labels=codes,
        classes=classes,
        node_labels=per_node.get("node_labels"),
        node_attributes=per_node.get("node_attributes"),
    )


def _check_indicator(
    indicator: np.ndarray, labels: np.ndarray | None, texts: Mapping[str, TextFile]
) -> int:
    """The number of graphs; those without nodes are told."""
    text = texts["graph_indicator"]
    where = text.where
    if indicator[0] < 1:
        raise InputError(
            f"{where}, line {line_of(text, 0)}: graphs must count from 1, found {indicator[0]}; "
            "count graphs from 1"
        )
    falls = np.flatnonzero(np.diff(indicator) < 0)
    if falls.size:
        line = falls[0] + 1
        raise InputError(
            f"{where}, line {line_of(text, line)}: graph numbers must never fall, found "
            f"{indicator[line]} after {indicator[line - 1]}; list the nodes graph by graph"
        )
    num_graphs = int(indicator[-1]) if labels is None else labels.size
    if num_graphs < indicator[-1]:
        raise InputError(
            f"{texts[LABELS].where}: must hold a label for each of {indicator[-1]} graphs, found "
            f"{num_graphs}{_with_empty(texts[LABELS])}; get the set again from its source"
        )
    present = np.unique(indicator)
    if present.size < num_graphs:
        at_ends = present[0] > 1 or present[-1] < num_graphs
        empty = np.setdiff1d(np.arange(1, num_graphs + 1), present)
        shown = ", ".join(map(str, empty[:6])) + (", …" if empty.size > 6 else "")
        level, warning = (logging.WARNING, "warning: ") if at_ends else (logging.INFO, "")
        _log.log(level, "%s%s: graphs without nodes: %d of %d (%s)", warning, where, empty.size,
                 num_graphs, shown)  # fmt: skip
    return num_graphs


def _with_empty(text: TextFile) -> str:
    """What to say beside a wrong number of lines where some are empty."""
    count = num_empty(text)
    return f" (beside {count} empty {'line' if count == 1 else 'lines'})" if count else ""


def _check_edges(edges: np.ndarray, indicator: np.ndarray, text: TextFile) -> None:
    num_nodes = indicator.size
    outside = np.flatnonzero(((edges < 0) | (edges >= num_nodes)).any(axis=1))
    if outside.size:
        line = outside[0]
        raise InputError(
            f"{text.where}, line {line_of(text, line)}: nodes must lie in 1 … {num_nodes}, found "
            f"{edges[line, 0] + 1}, {edges[line, 1] + 1}; get the set again from its source"
        )
    graphs = indicator[edges]
    between = np.flatnonzero(graphs[:, 0] != graphs[:, 1])
    if between.size:
        line = between[0]
        raise InputError(
            f"{text.where}, line {line_of(text, line)}: an edge must stay in one graph, found "
            f"graphs {graphs[line, 0]} and {graphs[line, 1]}; get the set again from its source"
        )


def _check_node_rows(rows: np.ndarray, num_nodes: int, text: TextFile) -> None:
    if rows.shape[0] != num_nodes:
        raise InputError(
            f"{text.where}: must hold a line for each of {num_nodes} nodes, found "
            f"{rows.shape[0]}{_with_empty(text)}; get the set again from its source"
        )
