"""Columns of a table as features: numbers as they are, categories one-hot, all else refused."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from mmix_jax.data.labels import MISSING, is_missing, shown

# A column of texts is one of categories with at most so many, each twice or more on average.
MAX_CATEGORIES = 256
_TRUTH = ({"true", "false"}, {"yes", "no"})
# The ways out of blanks, and of a column that is no feature.
_FILL = "fill it in, or set missing to mean, median or zero"
_LEAVE_OUT = "leave it out (skip_columns does)"


class Features(NamedTuple):
    """x: float64 [N, F], NaN where blank. names: of the columns of x. notes: what was encoded, in
    words."""

    x: np.ndarray
    names: list[str]
    notes: list[str]


def encode_columns(
    names: Sequence[str],
    columns: Sequence[np.ndarray],
    places: Sequence[object],
    faults: list[str],
    *,
    blanks: bool = False,
    known: Sequence[str] = (),
) -> Features:
    """Features of columns of numbers or texts; what is wrong with one is appended to `faults`.

    Numbers stay. True and false, yes and no become 1 and 0. Few texts that repeat are categories
    and become a column of 0 and 1 each, in sorted order. Dates, numbers among texts and texts that
    hardly repeat are faults, and so are blanks, unless they are to be NaN (of a category in all its
    columns).

    Args:
      names: of the columns.
      columns: numbers, or texts without outer blanks as objects, [N] each.
      places: what messages call the rows, such as `"line 2"`.
      faults: receives one message a faulty column.
      blanks: whether blanks are NaN.
      known: names of features that an encoder knows: `"kind=a"` among them says that texts of
        `kind` are categories, however rarely they repeat.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.data.columns import encode_columns
      >>> columns = [np.array([3, 4, 5, 6]), np.array(["a", "b", "b", "a"], object)]
      >>> x, names, notes = encode_columns(["age", "kind"], columns, range(4), faults := [])
      >>> x[:2].tolist(), names, notes, faults
      ([[3.0, 1.0, 0.0], [4.0, 0.0, 1.0]], ['age', 'kind=a', 'kind=b'], ['kind one-hot (2)'], [])
    """
    kinds = {name.partition("=")[0]: "=" in name for name in known}
    parts, titles, notes = [], [], []
    for name, column in zip(names, columns, strict=True):
        if column.dtype.kind in "biuf":
            encoded = _numeric(name, column.astype(np.float64), places, blanks)
        else:
            encoded = _texts(name, column, places, blanks, kinds.get(name))
        if isinstance(encoded, str):
            faults.append(encoded)
            continue
        parts.append(encoded.x)
        titles += encoded.names
        notes += encoded.notes
    x = np.concatenate(parts, axis=1) if parts else np.zeros((len(places), 0))
    return Features(x, titles, notes)


def cells(values: Sequence[object]) -> np.ndarray:
    """A column of Python values as `encode_columns` takes it: numbers where all are, blanks NaN;
    texts otherwise, as a table would hold them.

    Example:
      >>> from mmix_jax.data.columns import cells
      >>> cells([1, None, 2.5]).tolist(), cells(["a", True, None]).tolist()
      ([1.0, nan, 2.5], ['a', 'true', ''])
    """
    gone = [is_missing(value) for value in values]
    there = [value for value, missing in zip(values, gone, strict=True) if not missing]
    if there and all(isinstance(v, (int, float, np.number, np.bool_)) for v in there):
        return np.array(
            [np.nan if missing else float(v) for v, missing in zip(values, gone, strict=True)]  # type: ignore[arg-type]
        )
    texts = ["" if missing else _text(v) for v, missing in zip(values, gone, strict=True)]
    return np.array(texts, object)


def _text(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(value).strip()


def _numeric(
    name: str, numbers: np.ndarray, places: Sequence[object], blanks: bool
) -> Features | str:
    """A column of numbers, or what is wrong with it."""
    blank = np.isnan(numbers)
    if fault := _blank_fault(name, blank, places, blanks):
        return fault
    if np.isinf(numbers).any():
        return f"column {name!r} is not finite on {_where(np.isinf(numbers), places)}; replace it"
    return Features(numbers[:, None], [name], [])


def _texts(
    name: str, column: np.ndarray, places: Sequence[object], blanks: bool, category: bool | None
) -> Features | str:
    """A column of texts, or what is wrong with it; `category`: whether it is known for one."""
    whole = pd.Series(column, dtype=object)
    blank = whole.isin(MISSING).to_numpy()
    if fault := _blank_fault(name, blank, places, blanks):
        return fault
    series = pd.Series(column[~blank], dtype=object)
    there = [place for place, gone in zip(places, blank, strict=True) if not gone]
    if fault := _fault(name, series, there, bool(category)):
        return fault

    def filled(x: np.ndarray) -> np.ndarray:
        out = np.full((len(column), x.shape[1]), np.nan)
        out[~blank] = x
        return out

    numbers = _numbers(series)
    if not np.isnan(numbers).any():
        return Features(filled(numbers[:, None]), [name], [])
    lower = series.str.lower()
    found = set(lower.unique())
    truth = any(found == words or (found < words and category is False) for words in _TRUTH)
    if truth and not category:
        ones = lower.isin(("true", "yes")).to_numpy(np.float64)
        return Features(filled(ones[:, None]), [name], [f"{name} as 0 and 1"])
    if category is False:
        words = {word for truth in _TRUTH for word in truth}
        other = ~lower.isin(words).to_numpy()
        return (
            f"column {name!r} must hold numbers, or yes and no, as those that trained, found "
            f"{shown(series.tolist()[int(np.argmax(other))])} on {_where(other, there)}; replace it"
        )
    dummies = pd.get_dummies(series)
    titles = [f"{name}={category}" for category in dummies.columns]
    return Features(
        filled(dummies.to_numpy(np.float64)), titles, [f"{name} one-hot ({dummies.shape[1]})"]
    )


def _blank_fault(
    name: str, blank: np.ndarray, places: Sequence[object], blanks: bool
) -> str | None:
    if blank.all():
        return f"column {name!r} is empty; {_LEAVE_OUT}"
    if blank.any() and not blanks:
        return f"column {name!r} is blank on {_where(blank, places)}; {_FILL}, or {_LEAVE_OUT}"
    return None


def _fault(name: str, series: pd.Series, places: Sequence[object], category: bool) -> str | None:
    """What is wrong with a column of texts without blanks, and the way out; None if nothing is."""
    numbers = _numbers(series)
    is_text = np.isnan(numbers)
    if np.isinf(numbers).any():
        return f"column {name!r} is not finite on {_where(np.isinf(numbers), places)}; replace it"
    if not is_text.any() or category:
        return None
    if not is_text.all():
        first = shown(series.tolist()[int(np.argmax(is_text))])
        return (
            f"column {name!r} must hold numbers or texts, found {first} among numbers on "
            f"{_where(is_text, places)}; replace it"
        )
    if _are_dates(series):
        return (
            f"column {name!r} holds dates such as {shown(series.iloc[0])}; write them as numbers "
            f"(days, years), or {_LEAVE_OUT}"
        )
    count = series.nunique()
    if count > min(MAX_CATEGORIES, max(2, len(series) // 2)):
        return (
            f"column {name!r} holds {count} different texts in {len(series)} rows, neither numbers "
            f"nor categories; {_LEAVE_OUT}, or write it as numbers"
        )
    return None


def _numbers(series: pd.Series) -> np.ndarray:
    """float64 [N], NaN where a text is no number."""
    return np.asarray(pd.to_numeric(series, errors="coerce"), np.float64)


def _are_dates(series: pd.Series) -> bool:
    # Digits twice at least: names such as "May" are no dates.
    if not series.str.contains(r"\d\D+\d", regex=True).all():
        return False
    values = pd.Series(series.unique())
    return bool(pd.to_datetime(values, errors="coerce", format="mixed", utc=True).notna().all())


def _where(marked: np.ndarray, places: Sequence[object]) -> str:
    rows = np.flatnonzero(marked)
    more = f" and {rows.size - 1} more" if rows.size > 1 else ""
    return f"{places[rows[0]]}{more}"
