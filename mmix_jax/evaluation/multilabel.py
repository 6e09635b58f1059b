"""Nodes with several labels: a logistic regression per label on frozen embeddings, all at once."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.evaluation.checks import as_floats, check_l2_grid, check_label_matrix, check_split
from mmix_jax.evaluation.convex import LogisticFit, check_finite, fit_logistic, principal_rows
from mmix_jax.evaluation.folds import standardised
from mmix_jax.graphs.types import Split

MULTILABEL_L2_GRID = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


class MultilabelScore(NamedTuple):
    """What ``multilabel_logistic`` measured; micro-F1 in [0, 1].

    Fields:
      test: on the test nodes, with the chosen L2 weight.
      valid: on the validation nodes, with the same classifiers.
      l2: the chosen L2 weight.
      l2_grid: the L2 weights to choose from, ascending.
      valid_of_grid: on the validation nodes, of each in ``l2_grid``.
      converged: whether the classifiers of all labels met the solver's tolerance.
    """

    test: float
    valid: float
    l2: float
    l2_grid: tuple[float, ...]
    valid_of_grid: tuple[float, ...]
    converged: bool


def multilabel_logistic(
    z: np.ndarray | jax.Array,
    labels: np.ndarray | jax.Array,
    split: Split,
    *,
    l2_grid: Sequence[float] = MULTILABEL_L2_GRID,
) -> MultilabelScore:
    """Test micro-F1 of one binary logistic regression per label (METHOD, section 5).

    Features are standardised by mean and standard deviation of the training part (a column that is
    constant there, up to the rounding of its type, becomes 0). A classifier minimises the mean
    cross entropy of the training part plus ``l2 / 2 · ‖w‖²``, the bias not penalised; a node has
    the label where its logit is positive. The L2 weight, one for all labels, is the one with the
    best micro-F1 on the validation part; the larger of equals, as its classifiers are the simpler
    ones. A label that all or no training nodes have is predicted for all or none.

    Args:
      z: embeddings [N, D]; floats narrower than 32 bits, and integers, are computed in float32.
      labels: [N, L], 1 where the node has the label, else 0.
      split: node indices; the three parts must not be empty.
      l2_grid: L2 weights to choose from; a single one leaves no choice.

    Raises:
      ValueError: a shape or type, or ``l2_grid``, is not as described.
      InputError: an embedding is not finite or too large, a label is neither 0 nor 1, an index is
        out of range, or a part of the split is empty.
    """
    labels = check_label_matrix("multilabel_logistic", z, labels)
    split = check_split(split, labels)
    grid = check_l2_grid(l2_grid, MULTILABEL_L2_GRID)
    z = as_floats(z)
    train, valid, test = _standardised_parts(z, split)
    fits = _fit(train, jnp.asarray(labels[split.train].T, z.dtype), jnp.asarray(grid, z.dtype))
    check_finite(fits)
    found = np.array([micro_f1(has, labels[split.valid]) for has in _predictions(fits, valid)])
    best = int(np.flatnonzero(found == found.max())[-1])
    chosen = jax.tree.map(lambda leaf: leaf[best : best + 1], fits)
    return MultilabelScore(
        test=micro_f1(_predictions(chosen, test)[0], labels[split.test]),
        valid=float(found[best]),
        l2=grid[best],
        l2_grid=tuple(grid),
        valid_of_grid=tuple(found.tolist()),
        converged=bool(np.all(chosen.converged)),
    )


def micro_f1(predicted: np.ndarray, labels: np.ndarray) -> float:
    """2 TP / (2 TP + FP + FN) over all nodes and labels, in [0, 1].

    0 where there is nothing to find and nothing was found.

    Args:
      predicted: [n, L], nonzero where the node is said to have the label.
      labels: [n, L], nonzero where it has.
    """
    predicted, labels = np.asarray(predicted, bool), np.asarray(labels, bool)
    said_or_there = int(predicted.sum()) + int(labels.sum())
    return 2 * int((predicted & labels).sum()) / said_or_there if said_or_there else 0.0


def _standardised_parts(z: jax.Array, split: Split) -> list[jax.Array]:
    """Training, validation and test rows, in the type of z."""
    rows = np.asarray(z)
    train, others = standardised(rows[split.train], rows[np.concatenate(split[1:])])
    valid, test = np.split(others, [len(split.valid)])
    return [jnp.asarray(part, z.dtype) for part in (train, valid, test)]


@jax.jit
def _fit(x, targets, grid) -> LogisticFit:
    """One classifier per L2 weight and label: w [G, L, 1, D], b [G, L, 1]."""
    features = principal_rows(x)

    def fit_labels(l2):
        return jax.vmap(lambda target: fit_logistic(features, target[None, :], l2))(targets)

    # The labels share x: two products [n, D] x [D, L] per step. The grid is walked, not batched:
    # large weights take few steps and need not wait for small ones.
    return jax.lax.map(fit_labels, grid)


def _predictions(fits: LogisticFit, x: jax.Array) -> np.ndarray:
    """Which rows have which label: bool [G, n, L]."""
    return np.asarray(_has_label(fits.w[:, :, 0, :], fits.b[:, :, 0], x))


@jax.jit
def _has_label(w, b, x) -> jax.Array:
    def predict(classifiers):
        w, b = classifiers
        return jnp.matmul(x, w.T, precision=jax.lax.Precision.HIGHEST) + b[None, :] > 0

    return jax.lax.map(predict, (w, b))
