"""The protocol of many random splits: one logistic regression per split, one L2 weight for all.

Differences from the evaluation in GRACE's published code:

1. The L2 weight is chosen once, on splits that are not reported. Theirs is chosen in every split,
   by 5-fold cross-validation inside its training part.
2. Multinomial, with a bias that is not penalised. Theirs is one classifier per class against the
   rest, and ``liblinear`` penalises the bias.
3. The L2 weight goes with the mean cross entropy: scikit-learn's C is 1 / (n · l2) for n training
   nodes.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.evaluation.checks import as_floats, check_embeddings, check_l2_grid, check_split
from mmix_jax.evaluation.convex import LogisticFit, check_finite, fit_logistic, principal_rows
from mmix_jax.graphs.types import Split
from mmix_jax.ops.numbers import whole_number
from mmix_jax.ops.similarity import normalise
from mmix_jax.results import Score, score

# GRACE's C of 2^-10 to 2^9 are, on DBLP's 1,771 training nodes, weights of 6e-1 to 1e-6.
SPLITS_L2_GRID = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


class SplitsScore(NamedTuple):
    """What ``logistic_over_splits`` measured; accuracies are fractions in [0, 1].

    Fields:
      test: accuracies on the test parts, one per split.
      valid: accuracies on the validation parts of the tuning splits, with the chosen L2 weight.
      l2: the chosen L2 weight.
      l2_grid: the L2 weights to choose from, ascending.
      valid_of_grid: mean validation accuracy over the tuning splits of each in ``l2_grid``.
      converged: whether all classifiers behind ``test`` and ``valid`` met the solver's tolerance.
    """

    test: Score
    valid: Score
    l2: float
    l2_grid: tuple[float, ...]
    valid_of_grid: tuple[float, ...]
    converged: bool


def logistic_over_splits(
    z: np.ndarray | jax.Array,
    labels: np.ndarray | jax.Array,
    splits: Sequence[Split],
    tuning_splits: Sequence[Split],
    *,
    num_classes: int,
    l2_grid: Sequence[float] = SPLITS_L2_GRID,
    normalise_rows: bool = True,
) -> SplitsScore:
    """Test accuracy of logistic regressions on frozen embeddings over splits (METHOD, section 5).

    A classifier minimises the mean cross entropy of its split's training part plus
    ``l2 / 2 · ‖W‖²``, the bias not penalised. The L2 weight is the one with the best mean accuracy
    on the validation parts of the tuning splits; the larger of equals, as its classifier is the
    simpler one. With it, every split trains a classifier of its own, scored on its test part.
    Validation parts of ``splits`` and test parts of ``tuning_splits`` are not looked at.

    Args:
      z: embeddings [N, D]; floats narrower than 32 bits, and integers, are computed in float32.
      labels: classes [N] in [0, num_classes); -1, or anything, outside the splits.
      splits: to report; all splits have parts of the same sizes.
      tuning_splits: to choose the L2 weight on.
      num_classes: C.
      l2_grid: L2 weights to choose from; a single one leaves no choice.
      normalise_rows: divide every embedding by its length, as GRACE does; zero stays zero.

    Raises:
      ValueError: a shape or type, or ``l2_grid``, is not as described.
      InputError: an embedding is not finite or too large, an index is out of range, a part of a
        split is empty or has nodes without label, splits differ in size, a label is not below
        ``num_classes``, or a training part has one class only.
    """
    labels = check_embeddings("logistic_over_splits", z, labels)
    num_classes = whole_number("num_classes", num_classes, 1, "count all classes")
    splits = _checked_splits("splits", splits, labels, num_classes)
    tuning_splits = _checked_splits("tuning_splits", tuning_splits, labels, num_classes)
    grid = check_l2_grid(l2_grid, SPLITS_L2_GRID)
    z = as_floats(z)
    if normalise_rows:
        z = normalise(z)
    predict = functools.partial(_predictions, z, labels, num_classes=num_classes)
    predicted, tuned = predict(tuning_splits, grid)
    valid = _count_right(predicted, labels, [split.valid for split in tuning_splits])
    sums = valid.sum(axis=0)  # whole numbers: ties are exact
    best = int(np.flatnonzero(sums == sums.max())[-1])
    predicted, reported = predict(splits, grid[best : best + 1])
    test = _count_right(predicted, labels, [split.test for split in splits])
    num_valid, num_test = len(tuning_splits[0].valid), len(splits[0].test)
    return SplitsScore(
        test=score(test[:, 0] / num_test),
        valid=score(valid[:, best] / num_valid),
        l2=grid[best],
        l2_grid=tuple(grid),
        valid_of_grid=tuple((sums / (num_valid * len(tuning_splits))).tolist()),
        converged=bool(tuned[:, best].all() and reported.all()),
    )


def _predictions(z, labels: np.ndarray, splits: Sequence[Split], grid, *, num_classes: int):
    """Classes of all nodes [S, G, N] by every split's classifiers, and which converged [S, G]."""
    train = np.stack([split.train for split in splits])
    fits = _fit(z, train, labels[train], jnp.asarray(grid, z.dtype), num_classes=num_classes)
    check_finite(fits)
    return np.asarray(_classes(fits, z)), np.asarray(fits.converged)


@functools.partial(jax.jit, static_argnames="num_classes")
def _fit(z, train, classes, grid, *, num_classes: int) -> LogisticFit:
    """One classifier per split and L2 weight: w [S, G, C, D], b [S, G, C]."""

    def fit_split(train, classes):
        features = principal_rows(z[train])
        targets = jax.nn.one_hot(classes, num_classes, axis=0, dtype=z.dtype)
        return jax.vmap(lambda l2: fit_logistic(features, targets, l2))(grid)

    return jax.vmap(fit_split)(train, classes)


@jax.jit
def _classes(fits: LogisticFit, z) -> jax.Array:
    """Classes [S, G, N]; one split at a time holds logits, and none a copy of z."""

    def predict(classifiers):
        w, b = classifiers
        logits = jnp.matmul(w, z.T, precision=jax.lax.Precision.HIGHEST) + b[:, :, None]
        return jnp.argmax(logits, axis=1)

    return jax.lax.map(predict, (fits.w, fits.b))


def _count_right(
    predicted: np.ndarray, labels: np.ndarray, parts: Sequence[np.ndarray]
) -> np.ndarray:
    """How many nodes of each split's part its classes [S, G, N] get right: [S, G]."""
    right = [
        (classes[:, part] == labels[part][None, :]).sum(axis=1)
        for classes, part in zip(predicted, parts, strict=True)
    ]
    return np.stack(right)


def _checked_splits(
    name: str, splits: Sequence[Split], labels: np.ndarray, num_classes: int
) -> list[Split]:
    """The splits as arrays, of one size and fit to train on."""
    if len(splits) == 0:
        raise ValueError(f"{name} must hold at least one split, found none; draw them by seed")
    splits = [check_split(split, labels) for split in splits]
    sizes = [tuple(map(len, split)) for split in splits]
    for size in sizes:
        if size != sizes[0]:
            raise InputError(
                f"{name} must have parts of the same sizes, found {sizes[0]} and {size}; "
                "draw them with the same shares"
            )
    for split in splits:
        largest = max(int(labels[part].max()) for part in split)
        if largest >= num_classes:
            raise InputError(
                f"labels must be below num_classes = {num_classes}, found {largest}; "
                "raise num_classes or renumber the labels"
            )
        if np.unique(labels[split.train]).size < 2:
            raise InputError(
                f"training parts of {name} must hold at least two classes, found class "
                f"{labels[split.train[0]]} only; use another seed"
            )
    return splits
