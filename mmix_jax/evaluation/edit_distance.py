"""How well similarities of graphs follow their edit distance: triplets, pairs and ranks."""

from typing import Any, NamedTuple

import jax
import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.ops.arrays import by_power_of_two, numbers_of

Array = np.ndarray | jax.Array


class TripletAccuracy(NamedTuple):
    """Shares of triplets in which the anchor is more similar to the nearer graph, in [0, 1].

    Fields:
      half_credit: a tie counts one half; 0.5 is chance.
      strict: a tie is wrong, as in the authors' code.
    """

    half_credit: float
    strict: float


def triplet_accuracy(near: Array, far: Array) -> TripletAccuracy:
    """Share of triplets with ``near`` above ``far``; a constant similarity has (0.5, 0).

    Args:
      near: similarity of anchor and nearer graph [T], of any scale.
      far: similarity of anchor and farther graph [T].

    Raises:
      ValueError: not two vectors of one length, one or more.
      InputError: a similarity is not finite.
    """
    near, far = _checked("near", near, "far", far)
    right, tied = np.mean(near > far), np.mean(near == far)
    return TripletAccuracy(half_credit=float(right + tied / 2), strict=float(right))


def pair_auc(near: Array, far: Array) -> float:
    """Area under the ROC curve of telling (anchor, near) pairs from (anchor, far) ones.

    In [0, 1]: the chance that a random near pair is more similar than a random far pair, of the
    same triplet or not, ties counting one half.

    Args:
      near: similarities of the positive pairs [T].
      far: similarities of the negative pairs [T].

    Raises:
      ValueError, InputError: as ``triplet_accuracy``.
    """
    from sklearn.metrics import roc_auc_score

    near, far = _checked("near", near, "far", far)
    positive = np.repeat([1, 0], [len(near), len(far)])
    return float(roc_auc_score(positive, np.append(near, far)))


def cosine_similarities(z_anchor: Array, z_other: Array) -> np.ndarray:
    """Cosines of rows, in float64 on the host: [T, D], [T, D] -> [T]; 0 where a row is zero.

    Raises:
      ValueError: the shapes differ or are not [T, D].
      InputError: an embedding is not finite.
    """
    z_anchor, z_other = _in_float64("embeddings", z_anchor), _in_float64("embeddings", z_other)
    if z_anchor.ndim != 2 or z_anchor.shape != z_other.shape:
        raise ValueError(
            "cosines need two arrays [T, D] of one shape, "
            f"found {z_anchor.shape} and {z_other.shape}; give one row per graph"
        )
    for z in (z_anchor, z_other):
        _check_finite("embeddings", z)
    z_anchor, z_other = by_power_of_two(z_anchor), by_power_of_two(z_other)
    lengths = np.linalg.norm(z_anchor, axis=1) * np.linalg.norm(z_other, axis=1)
    products = np.einsum("td,td->t", z_anchor, z_other)
    return products / np.where(lengths > 0, lengths, 1.0)


def _in_float64(name: str, x: Array) -> np.ndarray:
    return np.asarray(numbers_of(name, x)).astype(np.float64)


def spearman(similarity: Array, distance: Array) -> float:
    """Spearman's rank correlation, in [-1, 1]; a similarity that follows distance has −1.

    Ties get their mean rank. Pairs whose distance is NaN (see ``exact_edit_distances``) are left
    out. Where all similarities or all distances are equal nothing is ordered, and the correlation
    is taken to be 0.

    Args:
      similarity: finite [P].
      distance: [P], NaN where it is not known.

    Raises:
      ValueError: not two vectors of one length.
      InputError: a similarity is not finite, or fewer than two distances are known.
    """
    from scipy.stats import spearmanr

    distance = _in_float64("distance", distance)
    known = ~np.isnan(distance)
    similarity, distance = _checked(
        "similarity", similarity, "distance", np.where(known, distance, 0.0)
    )
    if known.sum() < 2:
        raise InputError(
            f"a rank correlation needs two known distances or more, found {known.sum()} of "
            f"{known.size}; allow more time per pair or smaller graphs"
        )
    similarity, distance = similarity[known], distance[known]
    if np.ptp(similarity) == 0 or np.ptp(distance) == 0:
        return 0.0
    found: Any = spearmanr(similarity, distance)
    return float(found.statistic)


def _checked(name: str, values: Array, other: str, others: Array) -> tuple[np.ndarray, np.ndarray]:
    """Two finite vectors of one length, in float64."""
    first, second = _in_float64(name, values), _in_float64(other, others)
    if first.ndim != 1 or first.size == 0 or first.shape != second.shape:
        raise ValueError(
            f"{name} and {other} must be vectors of one length above 0, "
            f"found shapes {first.shape} and {second.shape}; give one value per pair"
        )
    _check_finite(name, first)
    _check_finite(other, second)
    return first, second


def _check_finite(name: str, values: np.ndarray) -> None:
    bad = int((~np.isfinite(values.reshape(len(values), -1))).any(axis=1).sum())
    if bad:
        raise InputError(
            f"{name} must be finite, found NaN or infinity in {bad} of {len(values)}; "
            "the training diverged: lower its learning rate"
        )
