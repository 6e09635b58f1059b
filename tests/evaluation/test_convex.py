"""The solver against naive loops, scikit-learn, and problems that have no minimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mmix_jax.errors import InputError
from mmix_jax.evaluation import convex

pytestmark = pytest.mark.slow

DIM = 5


def problem(num_classes=3, num_rows=40, seed=0, dtype: type = np.float64):
    """Correlated features of very different scales, far from zero, and classes that overlap."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(num_rows) % num_classes)
    x = rng.normal(size=(num_classes, DIM))[labels] + rng.normal(size=(num_rows, DIM))
    x = x @ rng.normal(size=(DIM, DIM)) * np.array([100.0, 10.0, 1.0, 0.1, 0.01]) + 3.0
    return x.astype(dtype), labels


def targets_of(labels, num_classes, dtype: type = np.float64):
    """One row per class; of two classes only the second."""
    targets = (np.arange(num_classes)[:, None] == labels[None, :]).astype(dtype)
    return targets[1:] if num_classes == 2 else targets


@jax.jit
def _solve(x, targets, l2, tolerance, max_steps):
    rows = convex.principal_rows(x)
    return convex.fit_logistic(rows, targets, l2, tolerance=tolerance, max_steps=max_steps)


def solve(x, targets, l2, tolerance=None, max_steps=convex.MAX_STEPS):
    """Compiled once per shape, whatever the tolerance."""
    if tolerance is None:
        tolerance = convex.TOLERANCE[x.dtype.name]
    return _solve(x, targets, jnp.asarray(l2, x.dtype), tolerance, max_steps)


def naive_objective(w, b, x, targets, l2):
    """Mean cross entropy plus penalty, with gradients, in loops over rows and classes."""
    value, grad_w, grad_b = 0.0, np.zeros_like(w), np.zeros_like(b)
    for i in range(len(x)):
        logits = [float(w[c] @ x[i] + b[c]) for c in range(len(w))]
        if len(w) == 1:
            odds = np.exp(np.array([0.0, logits[0]]))
            probabilities, wanted = odds / odds.sum(), [1 - targets[0, i], targets[0, i]]
            errors = [probabilities[1] - wanted[1]]
        else:
            odds = np.exp(np.array(logits))
            probabilities, wanted = odds / odds.sum(), targets[:, i]
            errors = [probabilities[c] - wanted[c] for c in range(len(w))]
        for p, y in zip(probabilities, wanted, strict=True):
            value -= y * np.log(p) / len(x)
        for c, error in enumerate(errors):
            grad_w[c] += error * x[i] / len(x)
            grad_b[c] += error / len(x)
    return value + l2 / 2 * (w**2).sum(), grad_w + l2 * w, grad_b


def scikit_learn(x, labels, l2):
    theirs = LogisticRegression(C=1 / (l2 * len(x)), solver="newton-cholesky", tol=1e-12)
    theirs.fit(x, labels)
    return theirs.coef_, theirs.intercept_


@pytest.mark.parametrize("num_classes", [2, 3])
def test_gradient_is_the_naive_one_in_other_coordinates(x64, num_classes):
    x, labels = problem(num_classes, num_rows=12)
    targets, l2 = targets_of(labels, num_classes), 0.3
    features = convex.principal_rows(jnp.asarray(x))
    rng = np.random.default_rng(1)
    w, b = 0.1 * rng.normal(size=(len(targets), DIM)) / x.std(axis=0), rng.normal(size=len(targets))
    _, grad_w, grad_b = naive_objective(w, b, x, targets, l2)
    # Weights along the axes W·A with bias b + W·centre, divided by the scale: the chain rule.
    axes, centre = np.asarray(features.axes), np.asarray(features.centre)
    inner = convex._problem(features, jnp.asarray(targets), jnp.asarray(l2))
    scale = np.asarray(inner.scale)
    u = jnp.asarray(np.c_[w @ axes, b + w @ centre] / scale)
    turned = (grad_w - np.outer(grad_b, centre)) @ axes
    expected = np.c_[turned, grad_b] * scale
    np.testing.assert_allclose(inner.logits(u), w @ x.T + b[:, None], atol=1e-9)
    np.testing.assert_allclose(inner.gradient(u, inner.logits(u)), expected, atol=1e-10)


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("l2", [1e-4, 1e-2, 1.0])
def test_solution_is_scikit_learns_and_no_neighbour_is_better(x64, num_classes, l2):
    x, labels = problem(num_classes)
    targets = targets_of(labels, num_classes)
    found = solve(x, targets, l2)
    assert found.converged
    assert found.steps < 60
    w, b = scikit_learn(x, labels, l2)
    np.testing.assert_allclose(found.w, w, atol=1e-6)
    np.testing.assert_allclose(found.b, b, atol=1e-6)
    least, *_ = naive_objective(w, b, x, targets, l2)
    ours, *_ = naive_objective(np.asarray(found.w), np.asarray(found.b), x, targets, l2)
    assert ours == pytest.approx(least, abs=1e-12)
    first = np.arange(len(targets)) == 0
    for moved in (1e-3, -1e-3):
        assert naive_objective(w + moved / x.std(axis=0), b, x, targets, l2)[0] > least
        assert naive_objective(w, b + moved * first, x, targets, l2)[0] > least


def test_float32_meets_its_tolerance(x64):
    wide, narrow = problem(), problem(dtype=np.float32)
    for l2 in (1e-6, 1e-2):
        exact = solve(wide[0], targets_of(wide[1], 3), l2)
        found = solve(narrow[0], targets_of(narrow[1], 3, np.float32), l2)
        assert found.w.dtype == np.float32
        assert found.converged
        logits = narrow[0] @ np.asarray(found.w).T + np.asarray(found.b)
        expected = wide[0] @ np.asarray(exact.w).T + np.asarray(exact.b)
        np.testing.assert_allclose(logits, expected, atol=5e-3)


def test_all_at_once_are_one_after_another(x64):
    x, labels = problem()
    rows, grid = convex.principal_rows(jnp.asarray(x)), jnp.array([1e-3, 1.0])
    targets = jnp.asarray(targets_of(labels, 3))[:, None, :]

    def fit(target, l2):
        return convex.fit_logistic(rows, target, l2)

    together = jax.jit(jax.vmap(jax.vmap(fit, (0, None)), (None, 0)))(targets, grid)
    for i, l2 in enumerate(grid):
        for c in range(3):
            alone = solve(x, targets[c], l2)
            np.testing.assert_allclose(together.w[i, c], alone.w, rtol=1e-8)
            np.testing.assert_allclose(together.b[i, c], alone.b, rtol=1e-8)
            assert together.steps[i, c] == alone.steps
    assert len(np.unique(together.steps)) > 1  # some waited for others, and stayed as they were


def test_order_of_the_rows_does_not_matter(x64):
    x, labels = problem()
    order = np.random.default_rng(3).permutation(len(x))
    found = solve(x, targets_of(labels, 3), 0.01)
    moved = solve(x[order], targets_of(labels[order], 3), 0.01)
    np.testing.assert_allclose(moved.w, found.w, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_columns_that_say_nothing_get_no_weight_even_without_penalty(x64, dtype):
    x, labels = problem(dtype=dtype)
    x[:, 1] = 7.7
    x[:, 2] = x[:, 0]
    found = solve(x, targets_of(labels, 3, dtype), 0.0)
    assert found.converged
    largest = np.abs(found.w).max()
    np.testing.assert_allclose(found.w[:, 1], 0.0, atol=1e-3 * largest)
    np.testing.assert_allclose(found.w[:, 2], found.w[:, 0], atol=1e-3 * largest)


def test_separable_classes_without_penalty_end_in_finite_weights(x64):
    labels = np.arange(40) % 2
    x = problem()[0] / 100 + 100.0 * labels[:, None]
    targets = targets_of(labels, 2)
    found = solve(x, targets, 0.0, tolerance=0.0, max_steps=30)
    assert not found.converged
    assert found.steps <= 30
    for fit in (found, solve(x, targets, 0.0, tolerance=1e-4)):
        assert np.isfinite(fit.w).all()
        np.testing.assert_array_equal((x @ fit.w[0] + fit.b > 0).astype(int), labels)
    assert fit.converged


def test_steps_are_bounded_and_an_unsolved_problem_says_so(x64):
    x, labels = problem()
    found = solve(x, targets_of(labels, 3), 1e-4, max_steps=2)
    assert (found.steps, found.converged) == (2, False)


@pytest.mark.parametrize("everywhere", [0.0, 1.0])
def test_a_constant_label_is_predicted_for_all(x64, everywhere):
    x, _ = problem()
    found = solve(x, np.full((1, 40), everywhere), 0.0)
    assert found.converged
    np.testing.assert_array_equal(x @ found.w[0] + found.b > 0, everywhere == 1.0)


@pytest.mark.parametrize("factor", [1e-5, 1.0, 1e5])
def test_line_search_flattens_the_slope_however_far_the_minimum(x64, factor):
    x, labels = problem()
    features = convex.principal_rows(jnp.asarray(x))
    inner = convex._problem(features, jnp.asarray(targets_of(labels, 3)), jnp.asarray(1e-3))
    u = jnp.zeros((3, DIM + 1))
    logits = inner.logits(u)
    gradient = inner.gradient(u, logits)
    direction = -factor * gradient
    change = inner.logits(direction)
    state = convex._State(u, logits, gradient, (), jnp.int32(0))
    t = convex._line_search(inner, state, direction, change, 1e-12)
    slope = jnp.sum(inner.gradient(u + t * direction, logits + t * change) * direction)
    assert t > 0
    assert abs(slope) <= 0.1 * abs(jnp.sum(gradient * direction))


def test_weights_that_are_not_finite_are_told_in_one_line(x64):
    x, labels = problem(dtype=np.float32)
    found = solve(1e30 * x, targets_of(labels, 3, np.float32), 0.1)
    assert not found.converged
    with pytest.raises(InputError, match="must stay finite, found NaN or infinity") as error:
        convex.check_finite(found)
    assert "\n" not in str(error.value)
