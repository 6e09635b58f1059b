"""Columns of a table as features: numbers as they are, categories one-hot, all else refused."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from mmix_jax.data.labels import MISSING, shown

# A column of texts is one of categories with at most so many, each twice or more on average.
MAX_CATEGORIES = 256
_TRUTH = ({"true", "false"}, {"yes", "no"})


class Features(NamedTuple):
    """x: float64 [N, F]. names: of the columns of x. notes: what was encoded, in words."""

    x: np.ndarray
    names: list[str]
    notes: list[str]


def encode_columns(
    names: Sequence[str], columns: Sequence[np.ndarray], places: Sequence[object], faults: list[str]
) -> Features:
    """Features of columns of texts; what is wrong with any of them is appended to `faults`.

    Numbers stay. True and false, yes and no become 1 and 0. Few texts that repeat are categories
    and become a column of 0 and 1 each, in sorted order. Blanks, dates, numbers among texts and
    texts that hardly repeat are faults.

    Args:
      names: of the columns.
      columns: texts without outer blanks, objects [N] each.
      places: what messages call the rows, such as `"line 2"`.
      faults: receives one message a faulty column.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.data.columns import encode_columns
      >>> columns = [np.array(["3", "4", "5", "6"]), np.array(["a", "b", "b", "a"])]
      >>> x, names, notes = encode_columns(["age", "kind"], columns, range(4), faults := [])
      >>> x[:2].tolist(), names, notes, faults
      ([[3.0, 1.0, 0.0], [4.0, 0.0, 1.0]], ['age', 'kind=a', 'kind=b'], ['kind one-hot (2)'], [])
    """
    parts, titles, notes = [], [], []
    for name, column in zip(names, columns, strict=True):
        series = pd.Series(column, dtype=object)
        if fault := _fault(name, series, places):
            faults.append(fault)
            continue
        numbers = _numbers(series)
        if not np.isnan(numbers).any():
            parts.append(numbers[:, None])
            titles.append(name)
            continue
        lower = series.str.lower()
        if set(lower.unique()) in _TRUTH:
            parts.append(lower.isin(("true", "yes")).to_numpy(np.float64)[:, None])
            titles.append(name)
            notes.append(f"{name} as 0 and 1")
            continue
        dummies = pd.get_dummies(series)
        parts.append(dummies.to_numpy(np.float64))
        titles += [f"{name}={category}" for category in dummies.columns]
        notes.append(f"{name} one-hot ({dummies.shape[1]})")
    x = np.concatenate(parts, axis=1) if parts else np.zeros((len(places), 0))
    return Features(x, titles, notes)


def _fault(name: str, series: pd.Series, places: Sequence[object]) -> str | None:
    """What is wrong with a column, and the way out; None if nothing is."""
    blank = series.isin(MISSING).to_numpy()
    if blank.all():
        return f"column {name!r} is empty; leave it out"
    if blank.any():
        return f"column {name!r} is blank on {_where(blank, places)}; fill or leave out"
    numbers = _numbers(series)
    is_text = np.isnan(numbers)
    if np.isinf(numbers).any():
        return f"column {name!r} is not finite on {_where(np.isinf(numbers), places)}; replace it"
    if not is_text.any():
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
            "(days, years), or leave it out"
        )
    count = series.nunique()
    if count > min(MAX_CATEGORIES, max(2, len(series) // 2)):
        return (
            f"column {name!r} holds {count} different texts in {len(series)} rows, neither numbers "
            "nor categories; leave it out, or write it as numbers"
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
