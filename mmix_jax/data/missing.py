"""Unknown features: refused, or filled by a value of their column that has a name."""

import logging
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

# What stands for an unknown value: nothing may, or the mean or median of its column, or 0.
MISSING_VALUES = ("refuse", "mean", "median", "zero")
_SHOWN = 5

_log = logging.getLogger(__name__)


class Gaps(NamedTuple):
    """mask: which features were unknown, [N, F]. fill: what stands there, by column, [F]."""

    mask: np.ndarray
    fill: np.ndarray


def filled(
    x: ArrayLike, missing: str, names: Sequence[str] | None = None
) -> tuple[Any, Gaps | None]:
    """Features with their NaN filled, which is said in a line, and where those were.

    With "refuse" there must be none. Statistics are those of the known values of a column.

    Args:
      x: [N, F].
      missing: one of `MISSING_VALUES`.
      names: of the columns.

    Raises:
      ValueError: there are some with "refuse", or nothing of a column is known.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.data.missing import filled
      >>> filled(np.array([[1.0], [np.nan], [3.0]]), "mean")[0].tolist()
      [[1.0], [2.0], [3.0]]
    """
    if missing not in MISSING_VALUES:
        raise ValueError(
            f"unknown missing {missing!r}; expected one of: {', '.join(MISSING_VALUES)}"
        )
    x = np.asarray(x)
    mask = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
    if x.ndim != 2 or x.dtype.kind not in "biuf":
        return x, None  # what is wrong with it is told by who makes the graph
    columns = np.flatnonzero(mask.any(axis=0))
    titles = [f"column {i}" if names is None else str(names[i]) for i in columns.tolist()]
    where = ", ".join(titles[:_SHOWN]) + (", …" if columns.size > _SHOWN else "")
    if missing == "refuse":
        if columns.size:
            raise ValueError(
                f"node features must be finite, found {mask.sum()} NaN in {where}; fill them in, "
                "or set missing to mean, median or zero"
            )
        return x, None
    if nothing := [title for title, i in zip(titles, columns, strict=True) if mask[:, i].all()]:
        raise ValueError(
            f"a feature must be known of one node or more, found none in {nothing[0]}; leave it out"
        )
    fill = _fill(x, missing)
    if columns.size:
        _log.info(
            "features: %d of %d values unknown, in %s; filled by %s",
            *(mask.sum(), mask.size, where),
            "0" if missing == "zero" else f"the {missing} of their column",
        )
        x = np.where(mask, fill, x)
    return x, Gaps(mask, fill)


def _fill(x: np.ndarray, missing: str) -> np.ndarray:
    if missing == "zero" or x.shape[0] == 0:
        return np.zeros(x.shape[1])
    known = x.astype(np.float64)
    with warnings.catch_warnings():  # infinite ones are refused later
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(known, axis=0) if missing == "mean" else np.nanmedian(known, axis=0)
