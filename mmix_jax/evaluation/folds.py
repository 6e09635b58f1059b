"""Stratified folds, and what a cross-validation asks of its labels and does to its features."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.evaluation.checks import check_embeddings
from mmix_jax.fields import MOST_ROWS
from mmix_jax.ops.arrays import native, numbers_of
from mmix_jax.ops.numbers import whole_number

Embeddings = np.ndarray | jax.Array


def stratified(y: np.ndarray, num_folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of every fold: scikit-learn's shuffled ``StratifiedKFold``."""
    from sklearn.model_selection import StratifiedKFold

    return list(StratifiedKFold(num_folds, shuffle=True, random_state=seed).split(y, y))


def inner_seed(seed: int, fold: int) -> int:
    """The shuffle of the inner folds of an outer fold."""
    return int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])


def standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both parts [n, D] in float64, by mean and standard deviation of the training part.

    A column that is constant in the training part, up to the rounding of its type, becomes 0.
    """
    floating = jnp.issubdtype(train.dtype, jnp.floating)
    rounding = float(jnp.finfo(train.dtype).eps) if floating else np.finfo(float).eps
    train, test = train.astype(np.float64), test.astype(np.float64)
    # By a power of two, which rounds nothing: the square of a finite number may not be finite.
    _, exponent = np.frexp(np.abs(train).max(axis=0, initial=0.0))
    train, test = np.ldexp(train, -exponent), np.ldexp(test, -exponent)
    mean, std = train.mean(axis=0), train.std(axis=0)
    constant = std <= 4.0 * rounding * np.abs(mean)
    scale = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, std))
    return (train - mean) * scale, (test - mean) * scale


def checked_rows(
    candidates: Sequence[Embeddings], labels: np.ndarray | jax.Array
) -> tuple[list[np.ndarray], np.ndarray]:
    """The embeddings of all candidates and the labels on the host.

    Raises:
      ValueError: there is no candidate, or a shape or type is wrong.
      InputError: an embedding is not finite, or a row has no label.
    """
    if len(candidates) == 0:
        raise ValueError("a cross-validation needs candidates, found none; give embeddings [M, D]")
    for z in candidates:
        check_embeddings("cross-validation", z, labels)
    labels = np.asarray(native(labels))
    unknown = int((labels < 0).sum())
    if unknown:
        raise InputError(
            f"cross-validation needs a label for every row, found {unknown} of {len(labels)} "
            "without; leave them out"
        )
    return [np.asarray(numbers_of("embeddings", z)) for z in candidates], labels


def numbered_classes(
    labels: np.ndarray, seed: int, num_folds: int, inner_folds: int | None
) -> np.ndarray:
    """Classes 0, 1, … in the order of the labels, once every training part can hold them all.

    Args:
      labels: any numbers [M].
      seed: of the folds.
      num_folds: outer folds.
      inner_folds: None means that there are none.

    Raises:
      ValueError: the seed or a number of folds is out of range.
      InputError: there is only one class, or one has fewer members than folds.
    """
    for name, value in (("num_folds", num_folds), ("inner_folds", inner_folds), ("seed", seed)):
        if value is not None:
            whole_number(name, value, -MOST_ROWS, "the protocol has 10, 5 and 0", high=2**64)
    if num_folds < 2 or (inner_folds is not None and inner_folds < 2):
        raise ValueError(
            "num_folds and inner_folds must be at least 2, "
            f"found {num_folds} and {inner_folds}; the protocol has 10 and 5"
        )
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be 0 to 2**32 − 1, found {seed}; give another")
    names, y, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise InputError(
            f"cross-validation needs at least two classes, found {len(names)}; give other labels"
        )
    name, size = names[np.argmin(sizes)], int(sizes.min())
    if size < num_folds:
        raise InputError(
            f"every class needs a member in each of {num_folds} folds, found {size} in class "
            f"{name}; use fewer folds, or merge classes"
        )
    kept = size - -(-size // num_folds)
    if inner_folds is not None and kept < inner_folds:
        raise InputError(
            f"every class needs a member in each of {inner_folds} inner folds, found {kept} of "
            f"class {name} left by the outer fold; use fewer inner folds, or merge classes"
        )
    return y
