"""The minimum of an L2-penalised logistic regression, for callers that vmap over many of them.

One problem has features x_i [D] and a weight row W_c and a bias b_c per class, and minimises

    J = mean_i CE(W x_i + b, y_i) + (l2 / 2) ‖W‖²,

where CE is the cross entropy of the softmax, or of the sigmoid where there is one row only. The
bias is not penalised, as in scikit-learn, whose C is 1 / (n · l2).

L-BFGS works where the problem is almost round: features are centred (the bias makes up for it),
turned to their principal axes (which leaves ‖W‖ as it is) and divided by √(λ/4 + l2), λ being the
variance along the axis. That is the Hessian of the binary problem at W = 0. Its steps go to the
minimum along their direction, which costs no product with the features, as logits are linear in W.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mmix_jax.errors import InputError

# The gradient's norm, in the coordinates of the search, below which a problem counts as solved;
# half its square is of the order of what J still has to fall. Rounding allows a tenth of these.
TOLERANCE = {"float32": 1e-5, "float64": 1e-9}
MAX_STEPS = 300
# Pairs of differences that L-BFGS keeps.
_MEMORY = 10
# A search along a direction ends where the slope is this part of what it was at its start.
_FLATTENED = 0.1
_MAX_TRIALS = 20


class PrincipalRows(NamedTuple):
    """Features as ``fit_logistic`` takes them: centred, along their principal axes.

    Fields:
      rows: [n, D + 1]; the last column is one, for the bias.
      variance: mean square of every column [D + 1]; 0 where it is only rounding.
      axes: orthonormal columns [D, D].
      centre: mean of the features [D].
    """

    rows: jax.Array
    variance: jax.Array
    axes: jax.Array
    centre: jax.Array


class LogisticFit(NamedTuple):
    """A logistic regression, for features as they were before ``principal_rows``.

    Fields:
      w: weights, one row per class [C, D].
      b: bias [C].
      steps: of L-BFGS.
      converged: whether the gradient met the tolerance within ``max_steps``.
    """

    w: jax.Array
    b: jax.Array
    steps: jax.Array
    converged: jax.Array


def principal_rows(x: jax.Array) -> PrincipalRows:
    """Features [n, D] in the coordinates that all L2 weights and labels share.

    Axes along which the features differ by rounding only are left out of the search: weights along
    them are 0, even without a penalty.
    """
    centre = x.mean(axis=0)
    centred = x - centre[None, :]
    _, axes = jnp.linalg.eigh(_product(centred.T, centred))
    turned = _product(centred, axes)
    variance = jnp.mean(turned**2, axis=0)
    # A product with a unit vector is off by about eps times the length of the row.
    rounding = jnp.sum(centre**2) + jnp.sum(variance)
    variance = jnp.where(variance > (4 * jnp.finfo(x.dtype).eps) ** 2 * rounding, variance, 0.0)
    return PrincipalRows(
        rows=jnp.concatenate([turned, jnp.ones_like(turned[:, :1])], axis=1),
        variance=jnp.append(variance, 1.0).astype(x.dtype),
        axes=axes,
        centre=centre,
    )


def fit_logistic(
    features: PrincipalRows,
    targets: jax.Array,
    l2: jax.Array,
    *,
    tolerance: float | None = None,
    max_steps: int = MAX_STEPS,
) -> LogisticFit:
    """The minimum of J, from W = 0 and b = 0, with no randomness.

    Without a minimum (``l2`` 0 and separable classes, or a class without rows) weights grow until
    the gradient is below the tolerance, or ``max_steps`` ends them.

    Args:
      features: of the n training rows.
      targets: [C, n], 1 where the row has the class and 0 elsewhere; C = 1 is a binary regression.
      l2: weight of the penalty, 0 or more.
      tolerance: norm of the gradient in the coordinates of the search; None means ``TOLERANCE`` of
        the type.
      max_steps: of L-BFGS; each takes two products with the features.
    """
    if tolerance is None:
        tolerance = TOLERANCE[targets.dtype.name]
    problem = _problem(features, targets, l2)
    direction_of = optax.scale_by_lbfgs(_MEMORY)

    def step(state: _State) -> _State:
        downhill, memory = direction_of.update(state.gradient, state.memory, state.u)
        direction = jax.tree.map(jnp.negative, downhill)
        change = problem.logits(direction)
        t = _line_search(problem, state, direction, change, tolerance)
        u, logits = state.u + t * direction, state.logits + t * change
        return _State(u, logits, problem.gradient(u, logits), memory, state.steps + 1)

    def goes_on(state: _State) -> jax.Array:
        return (_norm(state.gradient) > tolerance) & (state.steps < max_steps)

    u = jnp.zeros((len(targets), len(problem.scale)), targets.dtype)
    logits = jnp.zeros_like(targets)
    start = _State(u, logits, problem.gradient(u, logits), direction_of.init(u), jnp.int32(0))
    end = jax.lax.while_loop(goes_on, step, start)
    turned = end.u * problem.scale[None, :]
    w = _product(turned[:, :-1], features.axes.T)
    return LogisticFit(
        w=w,
        b=turned[:, -1] - _product(w, features.centre),
        steps=end.steps,
        converged=_norm(end.gradient) <= tolerance,
    )


def check_finite(fit: LogisticFit) -> None:
    """Raises ``InputError`` if a weight or bias of these fits is not finite."""
    if not all(np.isfinite(leaf).all() for leaf in (fit.w, fit.b)):
        raise InputError(
            "logistic regressions must stay finite, found NaN or infinity in their weights; "
            "scale the embeddings down"
        )


class _Problem(NamedTuple):
    """J in the coordinates of the search: ``u * scale`` are weights along the principal axes."""

    rows: jax.Array
    targets: jax.Array
    scale: jax.Array
    ridge: jax.Array

    def logits(self, u: jax.Array) -> jax.Array:
        """[C, n], linear in u."""
        return _product(u * self.scale[None, :], self.rows.T)

    def gradient(self, u: jax.Array, logits: jax.Array) -> jax.Array:
        residual = (_probabilities(logits) - self.targets) / self.targets.shape[1]
        return _product(residual, self.rows) * self.scale[None, :] + self.ridge[None, :] * u


class _State(NamedTuple):
    u: jax.Array
    logits: jax.Array
    gradient: jax.Array
    memory: optax.OptState
    steps: jax.Array


def _problem(features: PrincipalRows, targets: jax.Array, l2: jax.Array) -> _Problem:
    penalty = jnp.full_like(features.variance, l2).at[-1].set(0.0)
    used = features.variance > 0
    curvature = jnp.where(used, features.variance / 4 + penalty, 1.0)
    scale = jnp.where(used, jax.lax.rsqrt(curvature), 0.0)
    return _Problem(features.rows, targets, scale, ridge=penalty * scale**2)


def _probabilities(logits: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(logits) if len(logits) == 1 else jax.nn.softmax(logits, axis=0)


def _line_search(
    problem: _Problem, state: _State, direction: jax.Array, change: jax.Array, tolerance: float
) -> jax.Array:
    """The t > 0 at which J along ``direction`` is flat, by Newton's method within a bracket.

    J is convex, so its slope along the direction rises from a negative value, and a t at which it
    is negative is too small. Where Newton's next t leaves the bracket, the bracket is halved, or
    doubled while it has no end.
    """
    num_rows = problem.targets.shape[1]
    ridge = problem.ridge[None, :] * direction
    ridge_slope, ridge_curvature = jnp.sum(ridge * state.u), jnp.sum(ridge * direction)

    def slope_and_curvature(t):
        probabilities, moved = jax.jvp(_probabilities, (state.logits + t * change,), (change,))
        slope = jnp.sum((probabilities - problem.targets) * change) / num_rows
        curvature = jnp.sum(moved * change) / num_rows
        return slope + ridge_slope + t * ridge_curvature, curvature + ridge_curvature

    first = jnp.sum(state.gradient * direction)
    # What is below the tolerance needs no further trials, and may be rounding.
    flat = jnp.maximum(_FLATTENED * jnp.abs(first), tolerance / 10 * _norm(direction))

    def trial(carry):
        t, low, high, _, trials = carry
        slope, curvature = slope_and_curvature(t)
        low, high = jnp.where(slope < 0, t, low), jnp.where(slope < 0, high, t)
        newton = t - slope / curvature
        halved = jnp.where(jnp.isinf(high), 2 * t, (low + high) / 2)
        following = jnp.where((low < newton) & (newton < high), newton, halved)
        found = jnp.abs(slope) <= flat
        return jnp.where(found, t, following), low, high, found, trials + 1

    def goes_on(carry):
        return ~carry[3] & (carry[4] < _MAX_TRIALS)

    one = jnp.ones((), state.u.dtype)
    start = (one, 0 * one, jnp.inf * one, jnp.bool_(False), jnp.int32(0))
    return jax.lax.while_loop(goes_on, trial, start)[0]


def _norm(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(x**2))


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    # Full precision, or a GPU may round the products to 10 bits and the minimum follow the device.
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
