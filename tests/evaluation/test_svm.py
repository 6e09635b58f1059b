"""The Newton solver against scikit-learn's, against the gradient by hand, and by laws."""

import importlib

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from mmix_jax.evaluation import svm_path, svm_predict
from naive import dot

module = importlib.import_module("mmix_jax.evaluation.svm")

CS = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)


def classes(num_rows, dim, num_classes=2, seed=0, spread=1.0):
    """Overlapping Gaussian classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(num_rows) % num_classes
    centres = rng.normal(size=(num_classes, dim))
    return centres[y] + spread * np.sqrt(dim) * rng.normal(size=(num_rows, dim)), y


def repeated_rows():
    x, y = classes(30, 6, seed=1)
    return np.repeat(x, 3, axis=0), np.repeat(y, 3)


def contradicting_rows():
    x, _ = classes(30, 6, seed=2)
    return np.concatenate([x, x]), np.repeat([0, 1], 30)


def constant_columns():
    x, y = classes(60, 8, seed=3)
    x[:, 2], x[:, 5] = 0.0, 4.0
    return x, y


def dependent_columns():
    x, y = classes(50, 3, seed=4)
    return np.concatenate([x, -x, x @ np.ones((3, 2))], axis=1), y


def one_far_row():
    x, y = classes(80, 5, seed=5)
    x[7] *= 30.0
    return x, y


def one_small_class():
    x, _ = classes(60, 7, seed=6)
    return x, (np.arange(60) < 3).astype(int)


PROBLEMS = {
    "more rows": classes(60, 8),
    "more columns": classes(30, 70),
    "as many columns": classes(41, 40),
    "three classes": classes(90, 10, num_classes=3),
    "five classes, more columns": classes(30, 40, num_classes=5),
    "separable": classes(60, 5, spread=0.05),
    "repeated rows": repeated_rows(),
    "contradicting rows": contradicting_rows(),
    "constant columns": constant_columns(),
    "dependent columns": dependent_columns(),
    "one far row": one_far_row(),
    "one small class": one_small_class(),
}
every_problem = pytest.mark.parametrize("name", PROBLEMS)


def targets(y, k, num_weights):
    positive = 1 if num_weights == 1 else k
    return [1.0 if label == positive else -1.0 for label in y]


def gradient_by_hand(x, signs, w, c):
    """Of ½‖w‖² + c Σ max(0, 1 − y w·[x, 1])²."""
    gradient = np.array(w, np.float64)
    for row, sign in zip(x, signs, strict=True):
        row = np.append(row, 1.0)
        slack = 1.0 - sign * dot(w, row)
        if slack > 0:
            gradient -= 2.0 * c * slack * sign * row
    return gradient


@every_problem
def test_gradient_vanishes(name):
    # The objective is the sum of ½‖w‖² and a convex function, so that the distance to its
    # minimum is at most the length of the gradient.
    x, y = PROBLEMS[name]
    for c, weights in zip(CS, svm_path(x, y, CS), strict=True):
        for k, w in enumerate(weights):
            gradient = gradient_by_hand(x, targets(y, k, len(weights)), w, c)
            assert np.linalg.norm(gradient) <= 1e-7


@every_problem
def test_minimum_is_that_of_scikit_learn(name):
    x, y = PROBLEMS[name]
    cs = (1e-3, 1e-1, 1e1)
    for c, weights in zip(cs, svm_path(x, y, cs), strict=True):
        theirs = LinearSVC(C=c, dual=False, tol=1e-10, max_iter=100_000).fit(x, y)
        expected = np.column_stack([theirs.coef_, theirs.intercept_])
        np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-6)
        # Rows on the boundary itself belong to neither class.
        decided = np.abs(theirs.decision_function(x).reshape(len(x), -1)).min(axis=1) > 1e-6
        np.testing.assert_array_equal(svm_predict(weights, x[decided]), theirs.predict(x)[decided])


@pytest.mark.parametrize(("num_rows", "dim"), [(60, 8), (40, 100)])
def test_large_c_meets_scikit_learn_too(num_rows, dim):
    # Without a direction that all rows share: liblinear does not get there with one.
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(num_rows, dim)), np.arange(num_rows) % 2
    theirs = LinearSVC(C=1e3, dual=False, tol=1e-10, max_iter=100_000).fit(x, y)
    (weights,) = svm_path(x, y, [1e3])
    others = rng.normal(size=(20, dim))
    values = others @ weights[0, :-1] + weights[0, -1]
    np.testing.assert_allclose(values, theirs.decision_function(others), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["more rows", "more columns", "three classes"])
def test_a_path_is_its_points_in_any_order(name):
    x, y = PROBLEMS[name]
    path = svm_path(x, y, CS)
    backwards = svm_path(x, y, CS[::-1])
    np.testing.assert_array_equal(backwards[::-1], path)
    for c, weights in zip(CS, path, strict=True):
        (alone,) = svm_path(x, y, [c])  # from w = 0, not from the last C
        np.testing.assert_allclose(alone, weights, rtol=0, atol=1e-9)


def test_few_rows_are_solved_in_their_span(monkeypatch):
    x, y = PROBLEMS["five classes, more columns"]
    path = svm_path(x, y, CS)
    assert path.shape == (7, 5, 41)
    monkeypatch.setattr(module, "in_row_space", lambda rows: (rows, None))
    np.testing.assert_allclose(svm_path(x, y, CS), path, rtol=0, atol=1e-9)


def test_every_row_twice_is_c_twice():
    x, y = PROBLEMS["more rows"]
    twice = svm_path(np.repeat(x, 2, axis=0), np.repeat(y, 2), CS)
    np.testing.assert_allclose(twice, svm_path(x, y, [2 * c for c in CS]), rtol=0, atol=1e-9)


def test_order_of_rows_and_columns_does_not_matter():
    x, y = PROBLEMS["three classes"]
    path = svm_path(x, y, CS)
    rng = np.random.default_rng(9)
    rows, columns = rng.permutation(90), rng.permutation(10)
    moved = svm_path(x[rows][:, columns], y[rows], CS)
    np.testing.assert_allclose(moved, path[:, :, np.append(columns, 10)], rtol=0, atol=1e-9)


def test_exchanged_classes_change_the_sign_of_two_class_weights():
    x, y = PROBLEMS["more rows"]
    np.testing.assert_allclose(svm_path(x, 1 - y, CS), -svm_path(x, y, CS), rtol=0, atol=1e-9)


def test_zero_columns_have_weight_zero():
    path = svm_path(*PROBLEMS["constant columns"], CS)
    np.testing.assert_array_equal(path[..., 2], 0.0)


def test_a_class_without_rows_is_never_predicted():
    x, y = PROBLEMS["three classes"]
    path = svm_path(x, y, CS, num_classes=4)
    np.testing.assert_array_equal(path[:, :3], svm_path(x, y, CS))
    assert (svm_predict(path, x) < 3).all()
    assert (svm_predict(svm_path(x, np.zeros(90, int), [1.0]), x) == 0).all()


def test_weights_follow_from_the_formula_for_one_row():
    # One row of class 1 under C = ½: (I + x̃ x̃ᵀ) w = x̃, so w = x̃ / (1 + ‖x̃‖²).
    row = np.array([2.0, -1.0, 1.0])
    (weights,) = svm_path(row[None, :2], np.array([1]), [0.5])
    np.testing.assert_allclose(weights[0], row / 7.0, rtol=1e-14)


def random_line(rng):
    rows, w, step = rng.normal(size=(12, 4)), rng.normal(size=4), rng.normal(size=4)
    c = 10.0 ** rng.integers(-2, 4)

    def derivative(t):
        moved = w + t * step
        hinges = (max(0.0, 1.0 - dot(row, moved)) * dot(row, step) for row in rows)
        return dot(moved, step) - 2.0 * c * sum(hinges)

    return (w, step, 1.0 - rows @ w, rows @ step, c), derivative


def test_line_search_ends_where_the_derivative_is_zero():
    rng = np.random.default_rng(10)
    crossed = 0
    for _ in range(60):
        (w, step, slack, fall, c), derivative = random_line(rng)
        t = module._exact_line_search(w, step, slack, fall, c)
        if derivative(0.0) >= 0:
            assert t == 0.0
        else:
            assert abs(derivative(t)) <= 1e-11 * abs(derivative(0.0))
            crossed += not np.array_equal(slack > 0, slack - t * fall > 0)
    assert crossed > 10  # more than one piece was walked


def test_gram_follows_its_active_rows():
    rng = np.random.default_rng(11)
    rows = rng.normal(size=(40, 6))
    gram = module._ActiveGram(rows, rows.T @ rows)
    for changed in (0, 3, 40, 1, 20, 5, 0):  # few rows are added and taken away, many start anew
        active = np.ones(40, bool)
        active[rng.permutation(40)[:changed]] = False
        expected = sum((np.outer(row, row) for row in rows[active]), np.zeros((6, 6)))
        np.testing.assert_allclose(gram.of(active), expected, rtol=0, atol=1e-12)


def test_prediction_is_the_largest_value_the_first_of_equals():
    x = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    one = np.array([[2.0, -1.0, 0.0]])  # values 2, -1, 0
    np.testing.assert_array_equal(svm_predict(one, x), [1, 0, 0])
    three = np.array([[0.0, 0.0, 0.5], [1.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    np.testing.assert_array_equal(svm_predict(three, x), [1, 0, 0])
    np.testing.assert_array_equal(svm_predict(np.stack([one, -one]), x), [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.ones(4)}, r"found shapes \(4,\) and \(4,\)"),
        ({"x": np.ones((0, 2)), "y": np.zeros(0, int)}, r"with N > 0, found shapes \(0, 2\)"),
        ({"y": np.zeros(3, int)}, r"found shapes \(4, 2\) and \(3,\)"),
        ({"y": np.zeros(4)}, "found float64 from 0.0 to 0.0"),
        ({"y": np.array([0, 1, -1, 1])}, "integers from 0 to 1, found int64 from -1 to 1"),
        ({"y": np.array([0, 1, 2, 1]), "num_classes": 2}, "from 0 to 1, found int64 from 0 to 2"),
        ({"cs": ()}, r"C must be positive and finite, found \[\]"),
        ({"cs": (1.0, 0.0)}, r"found \[1.0, 0.0\]"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(changes, message):
    good = {"x": np.eye(4)[:, :2], "y": np.array([0, 1, 0, 1]), "cs": (1.0,)}
    with pytest.raises(ValueError, match=message) as error:
        svm_path(**(good | changes))
    assert "\n" not in str(error.value)
