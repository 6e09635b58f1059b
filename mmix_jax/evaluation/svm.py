"""Linear support vector machines as scikit-learn's ``LinearSVC`` defines them, for a path of C.

The minimum is found exactly: the objective is piecewise quadratic, and Newton's method with an
exact line search reaches the right piece in a few steps (Keerthi and DeCoste, "A modified finite
Newton method for fast solution of large scale linear SVMs", JMLR 6, 2005).
"""

from collections.abc import Sequence

import numpy as np
import scipy.linalg

from mmix_jax.ops.arrays import native, numbers_of
from mmix_jax.ops.numbers import whole_number

# A bound, not a setting: paths of standardised features take about 5 steps per C.
_MAX_STEPS = 500
_MAX_REFINEMENTS = 5
# Slacks below this are as good as zero: which side of the hinge they are on does not matter.
_ZERO_SLACK = 1e-12


def svm_path(
    x: np.ndarray, y: np.ndarray, cs: Sequence[float], *, num_classes: int | None = None
) -> np.ndarray:
    """Weights [L, K, D + 1] of one linear SVM per C: K = 1 for two classes, else one per class.

    Each row of weights, the intercept last, minimises

        ½‖w‖² + C Σ_i max(0, 1 − y_i w·[x_i, 1])²,

    where y_i is 1 for the row's class and −1 for all others; the single row of two classes is
    that of class 1. As in ``LinearSVC`` (loss "squared_hinge", intercept_scaling 1) the intercept
    is penalised like a weight. The minimum is unique, whatever the rank of x. To a class
    without rows all rows are negative. Computed in float64, for features of order 1: standardise
    them, or the largest C meet the limits of float64.

    Args:
      x: features [N, D], finite.
      y: classes [N] in [0, num_classes).
      cs: C's, positive, in any order; each starts from the minimum of the next smaller one.
      num_classes: None means the largest class plus one, at least two.

    Raises:
      ValueError: a shape, a class or a C is not as described.
    """
    x, y, num_classes = _checked(x, y, cs, num_classes)
    rows, basis = in_row_space(np.column_stack([x, np.ones(len(x))]))
    full = rows.T @ rows
    positives = [1] if num_classes == 2 else range(num_classes)
    path = np.empty((len(cs), len(positives), rows.shape[1]))
    for k, positive in enumerate(positives):
        signed = np.where(y == positive, 1.0, -1.0)[:, None] * rows
        gram = _ActiveGram(signed, full)  # a row and its negative have one outer product
        w = np.zeros(rows.shape[1])
        for place in np.argsort(cs, kind="stable"):
            w = _minimise(signed, cs[place], w, gram)
            path[place, k] = w
    return path if basis is None else path @ basis.T


def svm_predict(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Classes [..., N] of features [N, D] under weights [..., K, D + 1] of ``svm_path``.

    The class with the largest decision value, the first of equals; with K = 1 class 1 where the
    value is positive, else 0.
    """
    x = np.asarray(numbers_of("x", x)).astype(np.float64)
    values = weights[..., :-1] @ x.T + weights[..., -1:]
    if weights.shape[-2] == 1:
        return (values[..., 0, :] > 0).astype(np.int64)
    return np.argmax(values, axis=-2)


class _ActiveGram:
    """Σ x xᵀ over the active rows, kept up to date by those that enter and leave."""

    def __init__(self, rows: np.ndarray, full: np.ndarray):
        """Begins with all rows active; ``full`` is their sum."""
        self._rows = rows
        self._active = np.ones(len(rows), bool)
        self._sum = full

    def of(self, active: np.ndarray) -> np.ndarray:
        entering, leaving = active & ~self._active, self._active & ~active
        if entering.sum() + leaving.sum() < active.sum():
            # New arrays, never in place: the sum over all rows is shared between classes.
            for changed, sign in ((entering, 1.0), (leaving, -1.0)):
                if changed.any():
                    self._sum = self._sum + sign * self._sum_over(changed)
        else:
            self._sum = self._sum_over(active)
        self._active = active
        return self._sum

    def _sum_over(self, chosen: np.ndarray) -> np.ndarray:
        rows = self._rows[chosen]
        return rows.T @ rows


def _minimise(rows: np.ndarray, c: float, w: np.ndarray, gram: _ActiveGram) -> np.ndarray:
    """The minimum of ½‖w‖² + c Σ max(0, 1 − rows·w)² by Newton steps from w."""
    slack = 1.0 - rows @ w
    value = _objective(w, slack, c)
    for _ in range(_MAX_STEPS):
        active = slack > 0
        factor = _factor(gram.of(active), c)
        step = _newton_step(factor, rows, c, w, slack)
        fall = rows @ step
        if _same_piece(active, slack - fall):
            return _refine(factor, rows, c, w + step)
        moved = w + _exact_line_search(w, step, slack, fall, c) * step
        slack = 1.0 - rows @ moved
        moved_value = _objective(moved, slack, c)
        if not moved_value < value:  # only rounding is left
            return w
        w, value = moved, moved_value
    return w


def _objective(w: np.ndarray, slack: np.ndarray, c: float) -> float:
    violated = np.maximum(slack, 0.0)
    return float(0.5 * (w @ w) + c * (violated @ violated))


def _factor(gram: np.ndarray, c: float):
    """Cholesky factor of the generalised Hessian I + 2c·gram."""
    hessian = 2.0 * c * gram
    diagonal = np.einsum("ii->i", hessian)
    # What rounding may have taken from the smallest eigenvalue; too little to cost a step.
    diagonal += 1.0 + len(gram) * np.finfo(np.float64).eps * diagonal.max()
    return scipy.linalg.cho_factor(hessian, lower=True, overwrite_a=True, check_finite=False)


def _newton_step(factor, rows, c: float, w: np.ndarray, slack: np.ndarray) -> np.ndarray:
    gradient = w - 2.0 * c * (np.maximum(slack, 0.0) @ rows)
    return -scipy.linalg.cho_solve(factor, gradient, check_finite=False)


def _same_piece(active: np.ndarray, slack: np.ndarray) -> bool:
    """Whether the same rows are active after the step: then it ended in the minimum."""
    crossed = active != (slack > 0)
    return bool((np.abs(slack[crossed]) <= _ZERO_SLACK).all())


def _refine(factor, rows: np.ndarray, c: float, w: np.ndarray) -> np.ndarray:
    """Repeats the last step, against the rounding in its factor."""
    for _ in range(_MAX_REFINEMENTS):
        step = _newton_step(factor, rows, c, w, 1.0 - rows @ w)
        w = w + step
        if np.abs(step).max() <= 1e-13 * np.abs(w).max():
            break
    return w


def _exact_line_search(w, step, slack: np.ndarray, fall: np.ndarray, c: float) -> float:
    """The t >= 0 that minimises the objective at w + t·step, where slack is slack − t·fall.

    The derivative along t is piecewise linear and increasing: offset + t·slope, with a new offset
    and slope at each t where a row's slack passes zero.
    """
    active = (slack > 0) | ((slack == 0) & (fall < 0))
    passes = np.flatnonzero(np.where(active, fall > 0, (fall < 0) & (slack < 0)))
    times = slack[passes] / fall[passes]
    order = np.argsort(times, kind="stable")
    passes, times = passes[order], times[order]
    change = np.where(active[passes], -2.0 * c, 2.0 * c) * fall[passes]  # leaves, or enters
    offset = w @ step - 2.0 * c * (slack[active] @ fall[active])
    slope = step @ step + 2.0 * c * (fall[active] @ fall[active])
    offsets = np.concatenate([[offset], offset - np.cumsum(change * slack[passes])])
    slopes = np.concatenate([[slope], slope + np.cumsum(change * fall[passes])])
    # The first piece at whose end the derivative is not negative any more holds the minimum.
    ends = np.append(offsets[:-1] + times * slopes[:-1] >= 0, True)
    piece = int(np.argmax(ends))
    bounds = np.concatenate([[0.0], times, [np.inf]])
    return float(np.clip(-offsets[piece] / slopes[piece], bounds[piece], bounds[piece + 1]))


def in_row_space(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows [N, D] in an orthonormal basis [D, N] of their span, and that basis; None if N >= D.

    The minimum of an L2-penalised linear model lies in the span of the rows: with N < D it is
    found at a cost of O(N³), not O(D³).
    """
    if rows.shape[0] >= rows.shape[1]:
        return rows, None
    basis, triangle = np.linalg.qr(rows.T)
    return np.ascontiguousarray(triangle.T), basis


def _checked(x, y, cs: Sequence[float], num_classes: int | None):
    x, y = np.asarray(numbers_of("x", x)).astype(np.float64), np.asarray(native(y))
    if x.ndim != 2 or y.shape != x.shape[:1] or len(x) == 0:
        raise ValueError(
            f"an SVM needs x [N, D] and y [N] with N > 0, found shapes {x.shape} and {y.shape}; "
            "give one class per row of x"
        )
    integers = np.issubdtype(y.dtype, np.integer)
    if num_classes is None:
        num_classes = max(2, int(y.max()) + 1) if integers else 2
    num_classes = whole_number("num_classes", num_classes, 2, "two are the fewest")
    if not integers or y.min() < 0 or y.max() >= num_classes:
        raise ValueError(
            f"y must hold integers from 0 to {num_classes - 1}, found {y.dtype} from {y.min()} "
            f"to {y.max()}; np.unique(y, return_inverse=True) renumbers any labels"
        )
    if len(cs) == 0 or not all(0.0 < c < np.inf for c in cs):
        raise ValueError(f"C must be positive and finite, found {list(cs)}; e.g. (0.1, 1.0, 10.0)")
    return x, y, num_classes
