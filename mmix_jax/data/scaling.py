"""Scales of features: what of one's own columns is standardised, and by which statistics."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

# How features may be normalised; auto is words by rows, one's own by columns, others not at all.
NORMALISATIONS = ("auto", "zscore", "rows", "none")
# Counts and indicators up to here stay as they are.
_MAX_COUNT = 20.0
# Deviations of columns that are of one scale.
_UNIT = (0.25, 4.0)
# Deviations below which float32 runs out in products and squares.
_SMALL = 1e-3
_COLUMNS = 64  # at a time: the sums are float64

_log = logging.getLogger(__name__)


class Scaling(NamedTuple):
    """x becomes (x − mean) / std, column by column; 0 and 1 leave a column as it is.

    mean, std: float64 [F].
    """

    mean: np.ndarray
    std: np.ndarray

    def as_json(self) -> dict[str, list]:
        """The columns that change, as a checkpoint keeps them."""
        changed = np.flatnonzero((self.mean != 0) | (self.std != 1))
        return {
            "num_features": [self.mean.size],
            "columns": changed.tolist(),
            "mean": self.mean[changed].tolist(),
            "std": self.std[changed].tolist(),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Scaling":
        """What `as_json` gave."""
        mean, std = np.zeros(kept["num_features"][0]), np.ones(kept["num_features"][0])
        mean[kept["columns"]], std[kept["columns"]] = kept["mean"], kept["std"]
        return cls(mean, std)


def fit_scaling(x: np.ndarray, how: str, *, own: bool) -> Scaling | None:
    """The scaling of training features x [N, F], said in a line; None where nothing is scaled.

    With "auto" features of one's own are left as they are if their real-valued columns are of one
    scale (all within [−1, 1], or all about 0 with about unit deviation), and so are columns of
    counts and indicators in any case: non-negative, up to 20, half of them zero, or 0 and 1 only.
    All other columns are standardised. With "zscore" all columns are.

    Args:
      x: of the nodes that train.
      how: one of `NORMALISATIONS`.
      own: whether nobody has seen to their scale.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.data.scaling import fit_scaling, scaled
      >>> x = np.array([[30, 2001, 1], [50, 2003, 0]], np.float32)
      >>> scaled(x, fit_scaling(x, "auto", own=True)).tolist()
      [[-1.0, -1.0, 1.0], [1.0, 1.0, 0.0]]
    """
    if how not in ("zscore", "auto") or (how == "auto" and not own) or 0 in x.shape:
        return None
    mean, std = _moments(x)
    chosen = np.ones(x.shape[1], bool) if how == "zscore" else _is_real(x)
    if how == "auto" and _of_one_scale(x, mean, std, chosen):
        _log.info("features: %d columns as they are, of one scale", x.shape[1])
        return None
    constant = chosen & (std == 0)
    # A sum of equal numbers may be off in the last digit: what never changes is its first value.
    mean = np.where(constant, x[0], mean)
    _log.info(
        "features: %d of %d columns standardised (means %.3g to %.3g, deviations %.3g to %.3g%s); "
        "%d left as they are (counts, 0 and 1)",
        *(chosen.sum(), chosen.size, mean[chosen].min(), mean[chosen].max()),
        *(std[chosen].min(), std[chosen].max()),
        f"; {constant.sum()} never change and become 0" if constant.any() else "",
        (~chosen).sum(),
    )
    return Scaling(np.where(chosen, mean, 0.0), np.where(chosen & ~constant, std, 1.0))


def scaled(x: np.ndarray, scaling: Scaling | None) -> np.ndarray:
    """x [N, F] by a scaling, in its own type; as it is without one.

    Raises:
      ValueError: another number of features.
    """
    if scaling is None:
        return x
    if x.shape[1] != scaling.mean.size:
        raise ValueError(
            f"features must be {scaling.mean.size}, as those that trained, found {x.shape[1]}; "
            "give the same columns"
        )
    changed = np.flatnonzero((scaling.mean != 0) | (scaling.std != 1))
    out = x.copy()
    for start in range(0, changed.size, _COLUMNS):
        columns = changed[start : start + _COLUMNS]
        out[:, columns] = (x[:, columns] - scaling.mean[columns]) / scaling.std[columns]
    return out


def normalised(
    x: np.ndarray, how: str, *, words: bool, scaling: Scaling | None, binarise: bool = False
) -> np.ndarray:
    """Features x [N, F] as an encoder takes them.

    Args:
      how: one of `NORMALISATIONS`; "rows", and "auto" with words, divide rows by their L1 norm.
      words: whether they are counts of words.
      scaling: of `fit_scaling`, on the features that train.
      binarise: whether every one that is not zero becomes 1 before.
    """
    if binarise:
        x = (x != 0).astype(np.float32)
    x = scaled(x, scaling)
    from mmix_jax.graphs.normalize import row_normalize  # with jax, which a config does without

    return row_normalize(x) if how == "rows" or (how == "auto" and words) else x


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every column, float64."""
    parts = [x[:, start : start + _COLUMNS] for start in range(0, x.shape[1], _COLUMNS)]
    mean = np.concatenate([part.mean(axis=0, dtype=np.float64) for part in parts])
    std = np.concatenate([part.std(axis=0, dtype=np.float64) for part in parts])
    constant = np.concatenate([(part == part[:1]).all(axis=0) for part in parts])
    return mean, np.where(constant, 0.0, std)


def _is_real(x: np.ndarray) -> np.ndarray:
    """Which columns are neither counts nor indicators, [F]."""
    low, high = x.min(axis=0), x.max(axis=0)
    zeros = x.shape[0] - np.count_nonzero(x, axis=0)
    ones = np.concatenate(
        [
            np.count_nonzero(x[:, start : start + _COLUMNS] == 1, axis=0)
            for start in range(0, x.shape[1], _COLUMNS)
        ]
    )
    counts = (low >= 0) & (high <= _MAX_COUNT) & (2 * zeros >= x.shape[0])
    return ~(counts | (zeros + ones == x.shape[0]))


def _of_one_scale(x: np.ndarray, mean: np.ndarray, std: np.ndarray, real: np.ndarray) -> bool:
    if not real.any():
        return True
    mean, std, largest = mean[real], std[real], np.abs(x).max(axis=0)[real]
    alike = std.min() * 100 >= std.max() >= _SMALL
    unit = (np.abs(mean) <= 1).all() and _UNIT[0] <= std.min() and std.max() <= _UNIT[1]
    return bool(unit or (alike and (largest <= 1).all()))
