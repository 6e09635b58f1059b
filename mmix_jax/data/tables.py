"""Nodes and edges from named columns, whether a file or a frame holds them."""

import collections
import itertools
import logging
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmix_jax.data.columns import encode_columns
from mmix_jax.data.labels import encode_classes, is_missing
from mmix_jax.data.names import LABEL, NAMES, by_meaning, check_rest, plain
from mmix_jax.data.raw import RawGraph
from mmix_jax.data.splits import split_from_masks

IDS = ("id", "ids", "node_id", "node_ids", "nodeid", "node")
# How programs call the column of row numbers that they add in front.
INDEX = ("", "index", "unnamed:_0")
ENDS: Mapping[str, tuple[str, ...]] = {
    "source": ("source", "src", "from", "sender", "source_id", "from_id", "node1", "node_1", "u"),
    "target": ("target", "dst", "to", "receiver", "target_id", "to_id", "node2", "node_2", "v"),
    "weight": ("weight", "weights", "edge_weight", "edge_weights", "w"),
}
_SHOWN = 3

_log = logging.getLogger(__name__)


class Table(NamedTuple):
    """Columns of one length.

    name: of the file or frame, for messages. titles: of the columns. columns: numbers, or texts
    without outer blanks as objects. places: what messages call the rows.
    """

    name: str
    titles: list[str]
    columns: list[np.ndarray]
    places: Sequence[str]

    def without(self, places: Sequence[int]) -> "Table":
        """Without these columns."""
        kept = [i for i in range(len(self.titles)) if i not in places]
        return self._replace(
            titles=[self.titles[i] for i in kept], columns=[self.columns[i] for i in kept]
        )


class Reading(NamedTuple):
    """How columns are read.

    blanks: whether blank features are NaN. skip: columns that are left out. known: names of
    features that an encoder knows, see `columns.encode_columns`.
    """

    blanks: bool = False
    skip: Sequence[str] = ()
    known: Sequence[str] = ()


PLAINLY = Reading()


def reading_of(missing: str, skip_columns: str | Sequence[str], known: Sequence[str]) -> Reading:
    """How columns are read; names of those left out come as a list, or with commas between."""
    if isinstance(skip_columns, str):
        skip_columns = [name.strip() for name in skip_columns.split(",") if name.strip()]
    return Reading(missing != "refuse", tuple(skip_columns), known)


def all_of(faults: Sequence[str]) -> str:
    """All faults in one line."""
    if len(faults) == 1:
        return faults[0]
    numbered = " ".join(f"({number}) {fault}" for number, fault in enumerate(faults, 1))
    return f"{len(faults)} faults: {numbered}"


def id_column(titles: Sequence[str]) -> tuple[int | None, list[int]]:
    """The place of the nodes' names, None where no title says so, and those of row numbers."""
    index = list(itertools.takewhile(lambda place: is_index(titles[place]), range(len(titles))))
    for name in IDS:
        for place, title in enumerate(titles):
            if plain(title) == name:
                return place, index
    return None, index


def is_index(title: str) -> bool:
    """Whether a column is called as programs call the numbers of rows."""
    return plain(title) in INDEX or bool(re.fullmatch(r"unnamed:_\d+(_\d+)*|level_0", plain(title)))


def nodes_of(
    table: Table, names: Sequence[str], called: str, reading: Reading, faults: list[str]
) -> RawGraph:
    """Everything but the edges; what is wrong is appended to `faults`.

    Columns by the names of `names.NAMES` are label, masks or split, all others features.

    Args:
      table: without the column of the nodes' names.
      names: of the nodes, as texts.
      called: where these come from, for messages.
      reading: how columns are read.
    """
    titles = table.titles
    if repeated := [title for title, n in collections.Counter(titles).items() if n > 1]:
        faults.append(
            f"{table.name} must name every column once, found {repeated[0]!r} twice; rename one"
        )
        return RawGraph(None, [], [], num_nodes=len(names))
    faults += _name_faults(names, table, called)
    if strange := [name for name in reading.skip if name not in titles]:
        faults.append(
            f"skip_columns must name columns of {table.name}, found {strange[0]!r}; it has "
            f"{', '.join(titles[:20])}"
        )
    rest = [i for i, title in enumerate(titles) if title not in reading.skip]
    try:
        found = by_meaning((titles[i] for i in rest), tuple(NAMES))
        special = {meaning: titles.index(title) for meaning, title in found.items()}
        features = [i for i in rest if i not in special.values()]
        check_rest((titles[i] for i in features), found, what="column", used=True)
    except ValueError as error:
        faults.append(f"{table.name}: {error}")
        return RawGraph(None, [], [], num_nodes=len(names))
    own: list[str] = []
    encoded = encode_columns(
        [titles[i] for i in features],
        [table.columns[i] for i in features],
        table.places,
        own,
        blanks=reading.blanks,
        known=reading.known,
    )
    values = {meaning: table.columns[place] for meaning, place in special.items()}
    labels = values.pop(LABEL, None)
    for check in (
        lambda: encode_classes(labels, len(names)),
        lambda: split_from_masks(values, len(names)),
    ):
        try:
            check()
        except ValueError as error:
            own.append(str(error))
    faults += [f"{table.name}: {fault}" for fault in own]
    told = [f"nodes named by {called}"]
    told += [f"{meaning} {titles[place]!r}" for meaning, place in special.items()]
    told += [f"left out: {', '.join(reading.skip)}"] * bool(reading.skip)
    listed = ", ".join(titles[i] for i in features[:30]) + ", …" * (len(features) > 30)
    told.append(f"features: {listed or 'none'}")
    notes = f" ({'; '.join(encoded.notes)})" if encoded.notes else ""
    _log.info("%s: %s%s", table.name, "; ".join(told), notes)
    return RawGraph(
        encoded.x if features else None,
        [],
        [],
        labels=labels,
        masks=values,
        num_nodes=len(names),
        names=encoded.names if features else None,
    )


def _name_faults(names: Sequence[str], table: Table, called: str) -> list[str]:
    faults = []
    if blank := [place for name, place in zip(names, table.places, strict=True) if not name]:
        faults.append(f"{table.name} {blank[0]} must name its node, found an empty {called}")
    repeated = [(name, n) for name, n in collections.Counter(names).items() if n > 1 and name]
    if repeated:
        more = f" and {len(repeated) - 1} other names" if len(repeated) > 1 else ""
        faults.append(
            f"{table.name} must name every node once in column {called}, found {repeated[0][0]!r} "
            f"{'twice' if repeated[0][1] == 2 else f'{repeated[0][1]} times'}{more}"
        )
    return faults


def edges_of(
    table: Table, names: Sequence[str], faults: list[str], called: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Senders, receivers and weights (None: there are none) of columns source, target, weight."""
    number = {name: node for node, name in enumerate(names)}
    ends = []
    unknown: list[tuple[int, str]] = []
    for column in table.columns[:2]:
        ends.append(np.array([number.get(cell, -1) for cell in column.tolist()], np.int64))
        unknown += [(row, column[row]) for row in np.flatnonzero(ends[-1] < 0).tolist()]
    if unknown:
        unknown.sort(key=lambda found: found[0])
        few = ", ".join(f"{cell!r} on {table.places[row]}" for row, cell in unknown[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        faults.append(
            f"edges must join known nodes, found {few}{more}; add them to the nodes (named by "
            f"{called})"
        )
    weights = None
    if len(table.columns) == 3:
        weights = _weights(table, faults)
    return ends[0], ends[1], weights


def _weights(table: Table, faults: list[str]) -> np.ndarray | None:
    column = table.columns[2]
    read = np.full(len(column), np.nan)
    for row, cell in enumerate(column.tolist()):
        try:
            read[row] = np.nan if is_missing(cell) or "_" in str(cell) else float(cell)
        except ValueError:
            continue
    wrong = np.flatnonzero(~np.isfinite(read))
    if wrong.size:
        first = column[wrong[0]]
        more = f" and {wrong.size - 1} more" if wrong.size > 1 else ""
        where = f"{table.places[wrong[0]]}{more}"
        faults.append(
            f"{table.name}: column 'weight' is blank on {where}; fill it in, or leave it out"
            if is_missing(first)
            else f"{table.name}: weights must be numbers, found {first!r} on {where}; replace it"
        )
        return None
    return read
