"""Your own graph from tables: `edges.csv` and, beside it, `nodes.csv` or `nodes.npy`."""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmix_jax.data.labels import MISSING
from mmix_jax.data.names import NAMES, plain
from mmix_jax.data.raw import RawGraph
from mmix_jax.data.tables import (
    ENDS,
    IDS,
    INDEX,
    PLAINLY,
    Reading,
    Table,
    all_of,
    edges_of,
    id_column,
    nodes_of,
)
from mmix_jax.errors import InputError

_log = logging.getLogger(__name__)


class Cells(NamedTuple):
    """The cells of a file: rows of one length, without outer blanks.

    lines: the number of every row's line.
    """

    file: str
    rows: list[list[str]]
    lines: list[int]

    def column(self, place: int) -> np.ndarray:
        return np.array([row[place] for row in self.rows], object)

    def named(self, name: str, titles: Sequence[str], places: Sequence[int]) -> Table:
        """These columns by these titles."""
        return Table(
            name,
            list(titles),
            [self.column(place) for place in places],
            [f"line {line}" for line in self.lines],
        )

    def below(self) -> "Cells":
        """Without the first row."""
        return self._replace(rows=self.rows[1:], lines=self.lines[1:])


def read_csv_graph(edges: Path, reading: Reading = PLAINLY) -> RawGraph:
    """The parts of a graph in tables; all faults of the files are told at once.

    - `nodes.csv`, in the folder of the edges: a node per line. A column `id` (or the first) names
      it; columns by the names of `names.NAMES` are label, masks or split; all others are features,
      see `columns.encode_columns`. Without a line of column names, the first column is the id and
      all others are features.
    - or `nodes.npy` there: features [N, F]; ids are then 0 … N − 1.
    - `edges.csv` (this name or yours): columns `source`, `target` and, perhaps, `weight`, or what
      others call them; without a line of names, these in this order.

    Commas separate, the text is UTF-8, empty lines count for nothing. A first line is one of names
    if it holds a known one, or anything but numbers; otherwise its first cell must be a node of
    the edges.

    Args:
      edges: the file of edges.
      reading: how columns of features are read.

    Raises:
      InputError: a file is missing, or all that is wrong in them, with line numbers.
    """
    faults: list[str] = []
    listed = _read_table(edges, faults)
    folder = edges.parent
    table, array = folder / "nodes.csv", folder / "nodes.npy"
    if table.is_file() == array.is_file():
        which = "both" if table.is_file() else "neither"
        raise InputError(f"needs one of nodes.csv and nodes.npy beside it, found {which}; add one")
    if array.is_file():
        raw = _read_array(array)
        rows = np.asarray(raw.x)
        names = [str(node) for node in range(len(rows) if rows.ndim else 0)]
        called = "rows of nodes.npy, from 0"
    else:
        named = {cell for row in listed.rows for cell in row[:2]}
        raw, names, called = _nodes(_read_table(table, faults), named, reading, faults)
    senders, receivers, weights = _edges(listed, names, called, faults)
    if faults:
        raise InputError(all_of(faults))
    return raw._replace(senders=senders, receivers=receivers, edge_weight=weights)


def _read_array(path: Path) -> RawGraph:
    try:
        return RawGraph(np.load(path, allow_pickle=False), [], [])
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            f"nodes.npy must be an array of numbers, found otherwise ({type(error).__name__}); "
            "write it again by numpy.save"
        ) from error


def _read_table(path: Path, faults: list[str]) -> Cells:
    """Non-empty lines as rows as long as the first; the standard library's reader, as pandas'
    fills up short lines and loses count of the others."""
    rows, lines = [], []
    try:
        # utf-8-sig: spreadsheets begin their files with a byte order mark.
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            for cells in reader:
                cells = [cell.strip() for cell in cells]
                if any(cells):
                    rows.append(cells)
                    lines.append(reader.line_num)
    except FileNotFoundError:
        raise InputError(f"needs {path.name}, found no such file; add it") from None
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise InputError(
            f"{path.name} must be a table in UTF-8, found otherwise ({error}); save it again"
        ) from error
    odd = [(line, row) for line, row in zip(lines, rows, strict=True) if len(row) != len(rows[0])]
    if odd:
        line, row = odd[0]
        more = f" and {len(odd) - 1} more such lines" if len(odd) > 1 else ""
        faults.append(
            f"{path.name} line {line} must have {len(rows[0])} cells, found {len(row)}{more}; "
            "separate by commas and quote text that holds them"
        )
        kept = [i for i, row in enumerate(rows) if len(row) == len(rows[0])]
        rows, lines = [rows[i] for i in kept], [lines[i] for i in kept]
    if rows and len(rows[0]) == 1 and (mark := next((m for m in ";\t|" if m in rows[0][0]), "")):
        raise InputError(
            f"{path.name} must be separated by commas, found {mark!r} on line {lines[0]}; save it "
            "again with commas"
        )
    return Cells(path.name, rows, lines)


def _nodes(
    table: Cells, named: set[str], reading: Reading, faults: list[str]
) -> tuple[RawGraph, list[str], str]:
    """Everything but the edges, the names of the nodes, among them perhaps `named`, and where these
    stand."""
    header = _header_of_nodes(table, named)
    body = table if header is None else table.below()
    if not body.rows:
        raise InputError(f"{table.file} must have one line per node, found none; add them")
    titles = header or ["id", *(f"feature {i}" for i in range(1, len(table.rows[0])))]
    own, index = id_column(titles)
    if own is None:
        own, index = (0, index[1:]) if index else (0, [])
    names = body.column(own).tolist()
    if index:
        _log.info("%s: %r left out as row numbers", table.file, titles[index[0]])
    rest = [i for i in range(len(titles)) if i not in (own, *index)]
    columns = body.named(table.file, [titles[i] for i in rest], rest)
    raw = nodes_of(columns, names, repr(titles[own]), reading, faults)
    return raw._replace(ids=np.array(names, str)), names, f"column {titles[own]!r}"


def _edges(
    table: Cells, names: Sequence[str], called: str, faults: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Senders, receivers and weights (None: the table has none)."""
    nothing = np.zeros(0, np.int64)
    if not table.rows:
        return nothing, nothing, None
    try:
        places, body = _edge_columns(table, set(names))
    except ValueError as error:
        faults.append(str(error))
        return nothing, nothing, None
    titles = list(ENDS)[: len(places)]
    return edges_of(body.named(table.file, titles, places), names, faults, called)


def _header_of_nodes(table: Cells, named: set[str]) -> list[str] | None:
    """The first row if it names columns, None if it is a node.

    Raises:
      InputError: it could be either.
    """
    if not table.rows:
        return None
    first, *others = row = table.rows[0]
    known = {name for names in NAMES.values() for name in names}
    if plain(first) in (*IDS, *INDEX) or known & {plain(cell) for cell in others}:
        return row
    if others and not any(_is_number(cell) or cell in MISSING for cell in others):
        return row
    if first in named and all(_is_number(cell) for cell in others):
        return None
    raise InputError(
        f"{table.file} must begin with the names of its columns, such as id,age,label, or with a "
        f"node of the edges and its numbers, found {','.join(row)[:60]!r}; add a line of names"
    )


def _edge_columns(table: Cells, names: set[str]) -> tuple[list[int], Cells]:
    """The places of source, target and, perhaps, weight, and the table without their names."""
    row = table.rows[0]
    by_name: dict[str, list[int]] = {
        what: [i for i, cell in enumerate(row) if plain(cell) in known]
        for what, known in ENDS.items()
    }
    named = bool(by_name["source"] and by_name["target"])
    # pandas' own names of columns, and single letters, may be nodes too.
    if {row[0], row[-1]} <= names and (named or row[:2] == ["0", "1"]):
        _log.warning(
            "warning: %s begins with %s, taken for %s; write source,target above the edges",
            table.file,
            ",".join(row),
            "the names of columns" if named else "an edge",
        )
    is_edge = len(row) in (2, 3) and all(_is_number(cell) for cell in row[2:])
    if not named and is_edge and names & set(row[:2]):
        if len(row) == 3:
            _check_unnamed_weights(table)
        return list(range(len(row))), table
    if not by_name["source"] and not by_name["target"]:
        raise ValueError(
            f"{table.file} must begin with the names source,target or source,target,weight, or "
            f"with an edge between known nodes, found {','.join(row)[:60]!r} in {len(row)} cells; "
            "add a line of names"
        )
    for what, places in by_name.items():
        if len(places) != 1 and (places or what != "weight"):
            raise ValueError(
                f"{table.file} must have one column {what}, found {len(places)} among "
                f"{','.join(row)[:60]!r}; rename them"
            )
    places = [place for found in by_name.values() for place in found]
    unused = [cell for i, cell in enumerate(row) if i not in places and plain(cell) not in INDEX]
    if unused:
        _log.warning("warning: not used: column %s of %s", ", ".join(unused), table.file)
    return places, table.below()


def _check_unnamed_weights(table: Cells) -> None:
    """Say that a third column without a name is the weight, unless the first are row numbers.

    Raises:
      ValueError: the first column counts the rows.
    """
    first = [row[0] for row in table.rows]
    if len(first) > 1 and first == [str(row) for row in range(len(first))]:
        raise ValueError(
            f"{table.file} must name its columns where the first counts the rows, found none; "
            "add a line of names such as source,target,weight"
        )
    _log.info("%s: no line of names; read as source, target, weight", table.file)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
