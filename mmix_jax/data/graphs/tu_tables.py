"""Tables of numbers in TUDataset's text files: a row a line, columns between commas."""

import codecs
import io
import re
import warnings
from typing import NamedTuple

import numpy as np

from mmix_jax.errors import InputError

_EMPTY = re.compile(rb"(?m)^[ \t\f\v]*$")
_EXACT = 2**53  # floating-point numbers count so far


class TextFile(NamedTuple):
    """A file's content, and what messages call it."""

    content: bytes
    where: str


def column(text: TextFile) -> np.ndarray:
    """Integers [L], one per line; a file without any is refused."""
    values = table(text, np.int64, columns=1)[:, 0]
    if values.size == 0:
        raise InputError(
            f"{text.where}: must hold a number or more, found none; get the set again from its "
            "source"
        )
    return values


def table(text: TextFile, kind: type[np.generic], *, columns: int | None = None) -> np.ndarray:
    """Numbers separated by commas, [lines, columns]; empty lines are skipped."""
    content = _plain(text.content)
    if _EMPTY.search(content):
        content = b"\n".join(line for line in content.split(b"\n") if line.strip())
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
            f"{text.where}, line {line_of(text, number)}: must hold {columns} {what} separated by "
            f"commas, found {_shown(lines[number])}; get the set again from its source"
        )
    return rows


def line_of(text: TextFile, row: int) -> int:
    """The line, from 1, that row `row` of a table stands in."""
    lines = _plain(text.content).split(b"\n")
    filled = (number for number, line in enumerate(lines, 1) if line.strip())
    return next(number for index, number in enumerate(filled) if index == row)


def num_empty(text: TextFile) -> int:
    """Empty lines, those at the end aside."""
    return sum(not line.strip() for line in _plain(text.content).split(b"\n"))


def _plain(content: bytes) -> bytes:
    """The text without what editors put before it, with lines that end in one way, none empty at
    the end."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", "replace").encode()
    content = content.removeprefix(codecs.BOM_UTF8)
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip()


def _parse(content: bytes, kind: type[np.generic], columns: int) -> np.ndarray | None:
    """The numbers of all lines [lines, columns], None if any line holds anything else."""
    rows = _load(content, kind)
    if rows is None and kind is np.int64:  # perhaps 1.0 for 1
        rows = _load(content, np.float64)
        if rows is not None and ((rows != np.round(rows)) | (np.abs(rows) > _EXACT)).any():
            return None
    num_lines = content.count(b"\n") + 1  # NumPy skips empty lines
    fits = rows is not None and rows.shape == (num_lines, columns)
    return rows.astype(kind) if rows is not None and fits and np.isfinite(rows).all() else None


def _load(content: bytes, kind: type[np.generic]) -> np.ndarray | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy only warns of 1.5 where it wants an integer
            stream = io.StringIO(content.decode("ascii"))
            return np.loadtxt(stream, kind, comments=None, delimiter=",", ndmin=2)
    except (ValueError, OverflowError, Warning):
        return None


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
