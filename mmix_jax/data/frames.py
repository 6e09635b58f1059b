"""Graphs from pandas frames, and from lists of edges."""

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mmix_jax.data.columns import cells
from mmix_jax.data.labels import is_missing
from mmix_jax.data.libraries import array_of
from mmix_jax.data.names import by_meaning, plain
from mmix_jax.data.raw import RawGraph, check_raw, names_of_nodes
from mmix_jax.data.tables import ENDS, Table, all_of, edges_of, id_column, nodes_of, reading_of
from mmix_jax.data.types import NodeDataset

_log = logging.getLogger(__name__)


def from_tables(
    nodes: pd.DataFrame | None,
    edges: pd.DataFrame,
    *,
    name: str = "tables",
    skip_columns: str | Sequence[str] = (),
    known: Sequence[str] = (),
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
    structure: str = "both",
    missing: str = "refuse",
) -> NodeDataset:
    """A data set from a frame of nodes and one of edges; all faults are told at once.

    Args:
      nodes: a node a row. A column `id` names it, or else the index, or the column that knows the
        ends of all edges. Columns by the names of `names.NAMES` are label, masks or split; all
        others are features: numbers as they are, truth values 0 and 1, texts and categories that
        repeat one column each. None: the nodes are those of the edges, without features.
      edges: columns `source` and `target`, or what others call them, or else the first two; a
        column `weight` where edges have one.
      name: of the data set.
      skip_columns: columns of `nodes` that are left out, a list or with commas between.
      known: names of features that an encoder knows, see `columns.encode_columns`.
      split, split_seed: see `types.make_dataset`; masks are the public split.
      undirected: store every edge in both directions.
      bag_of_words: whether features are counts of words, to be normalised by row.
      structure: what a graph without features has instead, see `graphs.structure`.
      missing: what stands for blank features, see `missing.filled`.

    Raises:
      ValueError: all that is wrong in the frames.

    Example:
      >>> import pandas as pd
      >>> from mmix_jax.data import from_tables
      >>> nodes = pd.DataFrame({"id": ["a", "b", "c"], "age": [30, 40, 50], "member": [1, 0, 1]})
      >>> edges = pd.DataFrame({"source": ["a", "b"], "target": ["b", "c"]})
      >>> dataset = from_tables(nodes, edges)
      >>> dataset.feature_names, dataset.ids.tolist()
      (('age', 'member'), ['a', 'b', 'c'])
    """
    for what, frame in (("nodes", nodes), ("edges", edges)):
        if not isinstance(frame, pd.DataFrame) and not (frame is None and what == "nodes"):
            raise ValueError(
                f"{what} must be a pandas frame, found {type(frame).__name__}; make one, or use "
                "from_edges"
            )
    faults: list[str] = []
    listed = _edges_of(edges, faults)
    called = "the edges"
    if nodes is None:
        _check_ends(listed, faults)
        ids = list(dict.fromkeys(end for column in listed.columns[:2] for end in column.tolist()))
        names, raw = ids, RawGraph(None, [], [], num_nodes=len(ids))
        _log.info("%s: %d nodes, those that have an edge", listed.name, len(ids))
    else:
        ids, called, rest = _ids_of(nodes, {end for ends in listed.columns[:2] for end in ends})
        names = [_name(value) for value in ids]
        columns = [_column(nodes.iloc[:, i]) for i in rest]
        places = [f"row {row!r}" for row in nodes.index.tolist()]
        table = Table("nodes", [str(nodes.columns[i]) for i in rest], columns, places)
        reading = reading_of(missing, skip_columns, known)
        raw = nodes_of(table, names, called, reading, faults)
    senders, receivers, weights = edges_of(listed, names, faults, called)
    if faults:
        raise ValueError(all_of(faults))
    raw = raw._replace(
        senders=senders, receivers=receivers, edge_weight=weights, ids=names_of_nodes(ids)
    )
    return check_raw(name, raw, split, split_seed, undirected, bag_of_words, structure, missing)


def from_edges(
    edges: Any,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    nodes: Sequence[Hashable] | None = None,
    num_nodes: int | None = None,
    masks: Mapping[str, ArrayLike] | None = None,
    name: str = "edges",
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
    structure: str = "both",
    missing: str = "refuse",
) -> NodeDataset:
    """A data set from a list of edges.

    Args:
      edges: pairs `(source, target)` or triples with a weight, as a list or an array [E, 2 or 3],
        of whatever names nodes.
      x: features [N, F]; None: those of the structure.
      y: classes [N], see `labels.encode_classes`.
      nodes: the names [N], in the order of x. None: 0 … N − 1 where x or `num_nodes` tells N, else
        those that occur among the edges, in the order of their first.
      num_nodes: N, where neither x nor `nodes` tells it.
      masks: as in `libraries.from_scipy`.
      name: of the data set.
      split, split_seed: see `types.make_dataset`; masks are the public split.
      undirected: store every edge in both directions.
      bag_of_words: whether features are counts of words, to be normalised by row.
      structure: what a graph without features has instead, see `graphs.structure`.
      missing: what stands for NaN among features, see `missing.filled`.

    Raises:
      ValueError: edges are no pairs or join unknown nodes, or a part is not as described.

    Example:
      >>> from mmix_jax.data import from_edges
      >>> from_edges([("ann", "bob"), ("bob", "cy")], structure="roles").ids.tolist()
      ['ann', 'bob', 'cy']
    """
    ends, weights = _pairs(edges)
    if nodes is None and (x is not None or num_nodes is not None):
        nodes = range(np.shape(x)[0] if x is not None else int(num_nodes or 0))
    elif nodes is None:
        if blank := [row for row, pair in enumerate(ends) if not all(map(_name, pair))]:
            raise ValueError(
                f"edges must name both ends, found {ends[blank[0]]} in edge {blank[0]}; name them"
            )
        nodes = list(dict.fromkeys(end for pair in ends for end in pair))
        _log.info("%s: %d nodes, those that have an edge", name, len(nodes))
    number = {_name(node): i for i, node in enumerate(nodes)}
    if len(number) != len(nodes):
        raise ValueError(
            f"nodes must have names of their own, found {len(nodes)} nodes with "
            f"{len(number)} names; name each differently"
        )
    found = np.array([[number.get(_name(end), -1) for end in pair] for pair in ends], np.int64)
    found = found.reshape(-1, 2)
    if (found < 0).any():
        row, place = np.argwhere(found < 0)[0]
        raise ValueError(
            f"edges must join known nodes, found {ends[row][place]!r} in edge {row}; add it to the "
            f"nodes (there are {len(nodes)})"
        )
    special = by_meaning(masks or {})
    raw = RawGraph(
        None if x is None else array_of(x, "x"),
        found[:, 0],
        found[:, 1],
        weights,
        y,
        {meaning: (masks or {})[title] for meaning, title in special.items()},
        None if isinstance(nodes, range) else names_of_nodes(list(nodes)),
        num_nodes=len(nodes),
    )
    return check_raw(name, raw, split, split_seed, undirected, bag_of_words, structure, missing)


def _pairs(edges: Any) -> tuple[list[list[Hashable]], np.ndarray | None]:
    """Both ends of every edge, and the weights where there are some."""
    if hasattr(edges, "shape") or hasattr(edges, "detach"):
        array = array_of(edges, "edges")
        if array.ndim == 2 and array.shape[0] == 2 and array.shape[1] not in (2, 3):
            raise ValueError(
                f"edges must be pairs, [E, 2], found shape {array.shape}; transpose them"
            )
        edges = array.tolist()
    rows = [list(row) if isinstance(row, (list, tuple, np.ndarray)) else [row] for row in edges]
    lengths = {len(row) for row in rows}
    if not lengths <= {2} and not lengths <= {3}:
        raise ValueError(
            "edges must be pairs (source, target), or triples with a weight, found "
            f"{' and '.join(map(str, sorted(lengths)))} entries; write each alike"
        )
    if lengths == {3}:
        return [row[:2] for row in rows], array_of([row[2] for row in rows], "weights")
    return rows, None


def _edges_of(edges: pd.DataFrame, faults: list[str]) -> Table:
    """Columns source, target and, perhaps, weight; names of nodes are texts."""
    titles = [str(column) for column in edges.columns]
    by_name = {
        what: [i for i, title in enumerate(titles) if plain(title) in known]
        for what, known in ENDS.items()
    }
    for what, found in by_name.items():
        if len(found) > 1:
            raise ValueError(
                f"edges must have one column {what}, found {titles[found[0]]!r} and "
                f"{titles[found[1]]!r}; rename one"
            )
    ends = by_name["source"] + by_name["target"]
    if len(ends) == 1 or len(titles) < 2:
        raise ValueError(
            f"edges must have columns source and target, found {', '.join(titles) or 'none'}; "
            "rename them"
        )
    if not ends:
        ends = [i for i in range(len(titles)) if i not in by_name["weight"]][:2]
        _log.info("edges: from %r to %r, their first columns", *(titles[i] for i in ends))
    places = [*ends, *by_name["weight"]]
    unused = [title for i, title in enumerate(titles) if i not in places]
    if unused:
        _log.warning("warning: not used: column %s of edges", ", ".join(unused[:20]))
    columns = [
        np.array([_name(value) for value in edges.iloc[:, i].tolist()], object) for i in ends
    ]
    columns += [np.array(edges.iloc[:, i].tolist(), object) for i in by_name["weight"]]
    rows = [f"row {row!r}" for row in edges.index.tolist()]
    return Table("edges", list(ENDS)[: len(places)], columns, rows)


def _check_ends(edges: Table, faults: list[str]) -> None:
    """A blank names no node, where the edges tell which there are."""
    blank = [
        place for column in edges.columns[:2]
        for place, name in zip(edges.places, column.tolist(), strict=True) if not name
    ]  # fmt: skip
    if blank:
        more = f" and {len(blank) - 1} more" if len(blank) > 1 else ""
        faults.append(f"edges must name both ends, found a blank on {blank[0]}{more}; fill it in")


def _ids_of(nodes: pd.DataFrame, ends: set[str]) -> tuple[list[Hashable], str, list[int]]:
    """Names of the nodes, where they stand, and the places of all other columns.

    A column called as ids are, else the index or else the first column that knows all ends of the
    edges, else the index.
    """
    titles = [str(column) for column in nodes.columns]
    own, index = id_column(titles)
    rest = [i for i in range(len(titles)) if i not in (own, *index)]
    if index:
        _log.info("nodes: %r left out as row numbers", titles[index[0]])
    if own is None and not ends <= set(map(_name, nodes.index.tolist())):
        knows = (i for i in rest if ends <= set(map(_name, nodes.iloc[:, i].tolist())))
        own = next(knows, None)
    if own is None:
        return nodes.index.tolist(), "the index", rest
    rest = [i for i in rest if i != own]
    return nodes.iloc[:, own].tolist(), repr(titles[own]), rest


def _name(value: Hashable) -> str:
    """What names a node, as text: 3 and 3.0 are one, and what is missing is empty."""
    if is_missing(value):
        return ""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _column(series: pd.Series) -> np.ndarray:
    """A column as `encode_columns` takes it."""
    if pd.api.types.is_complex_dtype(series.dtype):
        return cells(series.tolist())
    if pd.api.types.is_numeric_dtype(series.dtype):  # truth values too
        return series.to_numpy(np.float64, na_value=np.nan)
    return cells(series.tolist())
