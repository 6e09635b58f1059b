"""Paired differences: their intervals, p-values, and p-values among several."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_CONFIDENCE = 0.95


class Paired(NamedTuple):
    """interval: 95 %, of the mean difference. p: two-sided, of a mean difference of 0; None
    where all differences are equal and not 0. Both None for one seed, which says nothing of other
    trainings."""

    interval: tuple[float, float] | None
    p: float | None


def paired(differences: np.ndarray) -> Paired:
    """Student's t for the mean of differences [S seeds, T splits], both drawn at random.

    Differences on one split, or of one seed, resemble each other, so S·T of them are not as good as
    as many independent ones: the mean's variance is (MS_S + MS_T − MS_ST)/(S T), at least each of
    MS_S/(S T) and MS_T/(S T), with Satterthwaite's degrees of freedom (Searle, Casella and
    McCulloch, Variance Components, 1992). One split alone: the paired t-test over seeds. Splits of
    one graph overlap, so all this speaks of this graph, not of others like it.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.report.paired import paired
      >>> interval, p = paired(np.array([[0.01], [0.02], [0.03]]))
      >>> [round(end, 4) for end in interval], round(p, 4)
      ([-0.0048, 0.0448], 0.0742)
    """
    from scipy import stats

    if differences.shape[0] == 1:
        return Paired(None, None)
    variance, degrees = _mean_variance(differences)
    mean, error = float(differences.mean()), variance**0.5
    half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, degrees)) * error
    if error > 0:
        p = float(2 * stats.t.sf(abs(mean) / error, degrees))
    else:  # chance makes a few coarse scores differ by the same: no spread to judge by
        p = 1.0 if mean == 0 else None
    return Paired((mean - half, mean + half), p)


def _mean_variance(differences: np.ndarray) -> tuple[float, float]:
    """The variance of the mean, and its degrees of freedom."""
    num_seeds, num_splits = differences.shape
    mean = differences.mean()
    centred = differences - mean
    squares, freedom = [], []
    for axis, size in ((1, num_seeds), (0, num_splits)):
        if size > 1:
            effect = centred.mean(axis=axis)
            squares.append(differences.shape[axis] * float(np.sum(effect**2)) / (size - 1))
            freedom.append(size - 1)
    if len(squares) == 1:
        return squares[0] / differences.size, freedom[0]
    rest = centred - centred.mean(axis=1)[:, None] - centred.mean(axis=0)[None, :]
    shared = float(np.sum(rest**2)) / (freedom[0] * freedom[1])
    larger = int(squares[1] > squares[0])
    total = squares[0] + squares[1] - shared
    if total <= squares[larger]:
        return squares[larger] / differences.size, freedom[larger]
    parts = zip((*squares, shared), (*freedom, freedom[0] * freedom[1]), strict=True)
    return total / differences.size, total**2 / sum(square**2 / df for square, df in parts)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values of a family of m questions after Holm (1979): the k-th smallest times m − k + 1,
    never below a smaller one, at most 1. None stays None, and is no question.

    Example:
      >>> from mmix_jax.report.paired import holm
      >>> holm([0.01, None, 0.04, 0.03])
      [0.03, None, 0.06, 0.06]
    """
    asked = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(asked):
        highest = max(highest, min(1.0, (len(asked) - rank) * p))
        adjusted[place] = highest
    return adjusted
