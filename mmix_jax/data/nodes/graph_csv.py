"""Your own graph from tables: `edges.csv` and, beside it, `nodes.csv` or `nodes.npy`."""

import collections
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmix_jax.data.raw import RawGraph
from mmix_jax.data.splits import MASKS
from mmix_jax.errors import InputError

_EDGE_HEADERS = (["source", "target"], ["source", "target", "weight"])
_LABEL = "label"

Row = tuple[int, list[str]]  # line number and stripped cells


def read_csv_graph(edges: Path) -> RawGraph:
    """The parts of a graph in tables.

    - `edges.csv` (this name or yours): `source,target` or `source,target,weight` per line,
      with or without just that header.
    - `nodes.csv` in the same folder: a node per line, its id (any text) and its features. With a
      header, a column `label` holds classes (empty or −1: unknown) and columns `train_mask`,
      `val_mask`, `test_mask` hold 0 or 1. Without a header, all columns are features.
    - or `nodes.npy` there: features [N, F]; ids are then 0 … N − 1.

    Commas separate, the text is UTF-8, empty lines count for nothing.

    Args:
      edges: the file of edges.

    Raises:
      InputError: a file is missing, or a line is not as described; its number is told.
    """
    raw = _read_nodes(edges.parent)
    if raw.ids is None:
        names = [str(node) for node in range(np.shape(raw.x)[0])]
    else:
        names = [str(name) for name in np.asarray(raw.ids)]
    number = {name: node for node, name in enumerate(names)}
    senders, receivers, weights = [], [], []
    for line, cells in _edge_rows(edges):
        senders.append(_node(number, cells[0], line))
        receivers.append(_node(number, cells[1], line))
        weights.extend(_numbers(cells[2:], edges.name, line))
    if weights and len(weights) != len(senders):
        raise InputError(
            f"{edges.name} must have a weight on every line or on none, found {len(weights)} on "
            f"{len(senders)} lines; complete them"
        )
    return raw._replace(
        senders=np.array(senders, np.int64),
        receivers=np.array(receivers, np.int64),
        edge_weight=np.array(weights) if weights else None,
    )


def _read_nodes(folder: Path) -> RawGraph:
    """Everything but the edges."""
    table, array = folder / "nodes.csv", folder / "nodes.npy"
    if table.is_file() == array.is_file():
        which = "both" if table.is_file() else "neither"
        raise InputError(f"needs one of nodes.csv and nodes.npy beside it, found {which}; add one")
    if table.is_file():
        return _read_node_table(table)
    try:
        return RawGraph(np.load(array, allow_pickle=False), [], [])
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            f"nodes.npy must be an array of numbers, found otherwise ({type(error).__name__}); "
            "write it again by numpy.save"
        ) from error


def _read_node_table(path: Path) -> RawGraph:
    rows = list(_rows(path))
    header = rows[0][1] if rows and _is_header(rows[0][1]) else None
    body = rows[1:] if header else rows
    if not body:
        raise InputError(f"{path.name} must have one line per node, found none; add them")
    columns = header or ["id", *(f"feature {i}" for i in range(1, len(body[0][1])))]
    for line, cells in body:
        if len(cells) != len(columns):
            raise InputError(
                f"{path.name} line {line} must have {len(columns)} cells, found {len(cells)}; "
                "separate by commas and quote text that holds them"
            )
    names = [cells[0] for _, cells in body]
    if len(set(names)) != len(names):
        repeated = collections.Counter(names).most_common(1)[0][0]
        raise InputError(f"{path.name} must name every node once, found {repeated!r} twice")
    lower = [name.lower() for name in columns]
    special = {name: lower.index(name, 1) for name in (_LABEL, *MASKS) if name in lower[1:]}
    features = [i for i in range(1, len(columns)) if i not in special.values()]
    if not features:
        raise InputError(f"{path.name} must have feature columns, found {', '.join(columns)}")
    return RawGraph(
        x=np.array([_numbers([c[i] for i in features], path.name, n) for n, c in body]),
        senders=[],
        receivers=[],
        labels=_labels(body, special[_LABEL], path.name) if _LABEL in special else None,
        masks={
            mask: np.array([_numbers([c[special[mask]]], path.name, n)[0] for n, c in body])
            for mask in MASKS
            if mask in special
        },
        ids=np.array(names),
    )


def _labels(body: list[Row], column: int, name: str) -> np.ndarray:
    labels = np.full(len(body), -1, np.int64)
    for node, (line, cells) in enumerate(body):
        try:
            labels[node] = int(cells[column] or -1)
        except (ValueError, OverflowError):
            raise InputError(
                f"{name} line {line}: a label must be an integer 0, 1, 2, …, or empty for unknown, "
                f"found {cells[column]!r}; number the classes"
            ) from None
    return labels


def _edge_rows(path: Path) -> Iterator[Row]:
    """Lines of edges, without the header."""
    for i, (line, cells) in enumerate(_rows(path)):
        if i == 0 and [cell.lower() for cell in cells] in _EDGE_HEADERS:
            continue
        if len(cells) not in (2, 3):
            raise InputError(
                f"{path.name} line {line} must be source,target or source,target,weight, found "
                f"{len(cells)} cells; separate by commas"
            )
        yield line, cells


def _rows(path: Path) -> Iterator[Row]:
    """Non-empty lines of a table."""
    try:
        # utf-8-sig: spreadsheets begin their files with a byte order mark.
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            for cells in reader:
                cells = [cell.strip() for cell in cells]
                if any(cells):
                    yield reader.line_num, cells
    except FileNotFoundError:
        raise InputError(f"needs {path.name}, found no such file; add it") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(
            f"{path.name} must be a table in UTF-8, found otherwise ({error}); save it again"
        ) from error


def _is_header(cells: list[str]) -> bool:
    """Whether a first line names columns: no cell beyond the id is a number."""
    return len(cells) > 1 and not any(_is_number(cell) for cell in cells[1:])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(cells: list[str], name: str, line: int) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        wrong = next(cell for cell in cells if not _is_number(cell))
        raise InputError(
            f"{name} line {line} must hold numbers, found {wrong!r}; replace it"
        ) from None


def _node(number: dict[str, int], name: str, line: int) -> int:
    try:
        return number[name]
    except KeyError:
        raise InputError(
            f"edges must join known nodes, found {name!r} on line {line}; add it to the nodes"
        ) from None
