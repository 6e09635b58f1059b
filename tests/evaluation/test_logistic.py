"""The batched logistic regressions against classifiers trained one by one, by hand."""

import importlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mmix_jax.errors import InputError
from mmix_jax.evaluation import LogisticScore, logistic, protocol_l2
from mmix_jax.graphs.types import Split

# The package's name `logistic` is the function; this is its module.
module = importlib.import_module("mmix_jax.evaluation.logistic")


class Problem(NamedTuple):
    z: np.ndarray
    labels: np.ndarray
    split: Split


def problem(
    spread=1.0, num_nodes=90, dim=6, num_classes=3, seed=0, dtype: type = np.float32
) -> Problem:
    """Gaussian classes around random centres; the smaller the spread, the easier."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_nodes) % num_classes
    z = rng.normal(size=(num_classes, dim))[labels] + spread * rng.normal(size=(num_nodes, dim))
    nodes = rng.permutation(num_nodes)
    third = num_nodes // 3
    split = Split(nodes[:third], nodes[third : 2 * third], nodes[2 * third :])
    return Problem(z.astype(dtype), labels, split)


def initial_weights(key, dim, num_classes, dtype):
    return np.asarray(jax.nn.initializers.glorot_uniform()(key, (dim, num_classes), dtype))


def train_by_hand(z, labels, w, *, l2, learning_rate, num_steps):
    """One classifier in float64 loops: softmax gradient, decay into it, Adam as in its paper."""
    b = np.zeros(w.shape[1])
    moments = [[np.zeros_like(p), np.zeros_like(p)] for p in (w, b)]
    for t in range(1, num_steps + 1):
        grad_w, grad_b = np.zeros_like(w), np.zeros_like(b)
        for row, label in zip(z, labels, strict=True):
            odds = np.exp(row @ w + b)
            error = odds / odds.sum()
            error[label] -= 1.0
            grad_w += np.outer(row, error) / len(z)
            grad_b += error / len(z)
        gradients = (grad_w + l2 * w, grad_b + l2 * b)
        updated = []
        for p, gradient, moment in zip((w, b), gradients, moments, strict=True):
            moment[0] = 0.9 * moment[0] + 0.1 * gradient
            moment[1] = 0.999 * moment[1] + 0.001 * gradient**2
            m, v = moment[0] / (1 - 0.9**t), moment[1] / (1 - 0.999**t)
            updated.append(p - learning_rate * m / (np.sqrt(v) + 1e-8))
        w, b = updated
    return w, b


def fit(data: Problem, keys, grid, num_steps=40, learning_rate=1e-2):
    z, labels = jnp.asarray(data.z[data.split.train]), data.labels[data.split.train]
    grid = jnp.asarray(grid, z.dtype)
    return module._fit(keys, grid, z, labels, learning_rate, num_classes=3, num_steps=num_steps)


def test_every_classifier_is_the_one_trained_by_hand(x64):
    data = problem(spread=2.0, dtype=np.float64)
    train, valid, test = data.split
    key = jax.random.key(1)
    for l2 in (0.0, 0.3):
        params = fit(data, jax.random.split(key, 2), (l2,))
        scores = logistic(*data, num_runs=2, key=key, l2=(l2,), num_steps=40)
        for run, run_key in enumerate(jax.random.split(key, 2)):
            w, b = train_by_hand(
                data.z[train],
                data.labels[train],
                initial_weights(run_key, 6, 3, np.float64),
                l2=l2,
                learning_rate=1e-2,
                num_steps=40,
            )
            np.testing.assert_allclose(params.w[0, run], w, rtol=0, atol=1e-12)
            np.testing.assert_allclose(params.b[0, run], b, rtol=0, atol=1e-12)
            right = np.argmax(data.z @ w + b, axis=1) == data.labels
            assert scores.test.values[run] == right[test].mean()
            assert scores.valid.values[run] == right[valid].mean()


def test_start_is_xavier_uniform_with_zero_bias():
    # A learning rate of zero leaves the start as it is.
    params = fit(problem(), jax.random.split(jax.random.key(0), 200), (0.0, 0.1), learning_rate=0.0)
    bound = np.sqrt(6 / (6 + 3))
    assert np.abs(params.w).max() <= bound
    assert np.std(params.w) == pytest.approx(bound / np.sqrt(3), rel=0.05)
    np.testing.assert_array_equal(params.b, 0.0)
    np.testing.assert_array_equal(params.w[0], params.w[1])  # one start for the whole grid
    assert len(np.unique(params.w[0, :, 0, 0])) == 200


def test_all_at_once_is_one_after_another(x64):
    data = problem(dtype=np.float64)
    keys, grid = jax.random.split(jax.random.key(2), 2), (0.0, 0.01)
    together = fit(data, keys, grid)
    for i, l2 in enumerate(grid):
        for run in range(2):
            alone = fit(data, keys[run : run + 1], (l2,))
            np.testing.assert_allclose(together.w[i, run], alone.w[0, 0], rtol=0, atol=1e-12)
            np.testing.assert_allclose(together.b[i, run], alone.b[0, 0], rtol=0, atol=1e-12)


def test_converges_to_the_same_classifier_as_scikit_learn(x64):
    data = problem(spread=0.7, dtype=np.float64)
    train, _, test = data.split
    # scikit-learn sums the cross entropy and does not penalise its own intercept, but it does
    # penalise the weight of a constant feature, which is our bias.
    constant = np.c_[data.z, np.ones(len(data.z))]
    theirs = LogisticRegression(C=1 / (0.1 * len(train)), fit_intercept=False, tol=1e-8)
    theirs.fit(constant[train], data.labels[train])
    key = jax.random.key(0)
    params = fit(data, jax.random.split(key, 1), (0.1,), num_steps=3000)
    np.testing.assert_allclose(params.w[0, 0], theirs.coef_.T[:-1], atol=1e-4)
    np.testing.assert_allclose(params.b[0, 0], theirs.coef_.T[-1], atol=1e-4)
    ours = logistic(*data, num_runs=1, key=key, l2=(0.1,), num_steps=3000)
    assert ours.test.mean == theirs.score(constant[test], data.labels[test])


def run(data: Problem, **changes) -> LogisticScore:
    settings = {"num_runs": 4, "key": jax.random.key(0), "num_steps": 30, "l2": (0.0, 0.1, 1.0)}
    return logistic(*data, **(settings | changes))


def test_l2_is_chosen_by_mean_validation_accuracy():
    chosen = set()
    for seed in range(4):
        data = problem(spread=3.0, seed=seed)
        singles = {l2: run(data, l2=[l2]) for l2 in (0.0, 0.1, 1.0)}
        best = max(singles, key=lambda l2: singles[l2].valid.mean)
        found = run(data)
        assert found == singles[best]
        assert found.l2 == best
        chosen.add(best)
    assert len(chosen) > 1  # the choice was put to the test


def test_equally_good_l2_means_the_smaller_whatever_the_order():
    found = run(problem(spread=0.05), l2=(0.1, 1e-3, 0.01), learning_rate=0.1)
    assert found.valid.mean == 1.0
    assert found.l2 == 1e-3


def test_test_labels_have_no_say_in_the_choice():
    data = problem(spread=3.0)
    other = data.labels.copy()
    other[data.split.test] = (other[data.split.test] + 1) % 3
    found, relabelled = run(data), run(data._replace(labels=other))
    assert (found.valid, found.l2) == (relabelled.valid, relabelled.l2)
    assert found.test != relabelled.test


def test_labels_outside_the_split_are_ignored():
    data = problem(num_nodes=120)
    part = Split(*(nodes[:30] for nodes in data.split))
    expected = run(data._replace(split=part))
    outside = np.setdiff1d(np.arange(120), np.concatenate(part))
    for label in (-1, 99):
        labels = data.labels.copy()
        labels[outside] = label
        assert run(Problem(data.z, labels, part)) == expected


def test_key_decides():
    data = problem(spread=4.0)
    assert run(data) == run(data)
    assert run(data).test.values != run(data, key=jax.random.key(1)).test.values


def test_numbering_of_the_nodes_does_not_matter():
    data = problem(spread=2.0)
    order = np.random.default_rng(5).permutation(90)
    place = np.argsort(order)
    moved = Problem(data.z[order], data.labels[order], Split(*(place[p] for p in data.split)))
    assert run(moved) == run(data)


@pytest.mark.parametrize("block", [1, 7, 30, 1000])
def test_blocks_of_nodes_change_nothing(monkeypatch, block):
    data = problem(spread=2.0)
    expected = run(data)
    monkeypatch.setattr(module, "_BLOCK", block)
    assert run(data) == expected


def test_scores_are_fractions_over_all_runs():
    found = run(problem(spread=2.0))
    assert (found.test.n, found.valid.n) == (4, 4)
    for accuracy in found.test.values + found.valid.values:
        assert 0.0 <= accuracy <= 1.0
        assert accuracy * 30 == pytest.approx(round(accuracy * 30), abs=1e-12)


def test_narrow_types_are_computed_in_float32():
    data = problem()
    halves = jnp.asarray(data.z, jnp.bfloat16)
    assert run(data._replace(z=halves)) == run(data._replace(z=np.asarray(halves, np.float32)))
    counts = np.rint(3 * data.z).astype(np.int32)
    assert run(data._replace(z=counts)) == run(data._replace(z=counts.astype(np.float32)))


def test_protocols_have_their_grids():
    assert protocol_l2("standard", "cora") == (0.0, 1e-4, 1e-3, 1e-2, 1e-1)
    assert protocol_l2("reference", "citeseer") == (0.01,)
    assert protocol_l2("reference", "cora") == (0.0,)
    with pytest.raises(InputError, match="unknown protocol 'best'; expected one of"):
        protocol_l2("best", "cora")


GOOD = problem(num_nodes=12)
ONE_CLASS = Split(np.array([0, 3]), np.array([1, 2]), np.array([4, 5]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z": np.where(np.arange(12)[:, None] == 3, np.nan, GOOD.z)}, "in 1 of 12 rows"),
        ({"z": np.full((12, 6), np.inf, np.float32)}, "in 12 of 12 rows"),
        ({"split": GOOD.split._replace(test=np.array([0, 12]))}, "nodes 0 to 11, found 12"),
        ({"split": GOOD.split._replace(valid=np.array([-1]))}, "split.valid .* found -1"),
        ({"split": GOOD.split._replace(valid=np.array([], int))}, "split.valid must not be empty"),
        ({"split": ONE_CLASS}, "at least two classes, found class 0 only"),
        ({"labels": np.full(12, -1)}, "split.train must hold labelled nodes, found 4 of 4"),
        ({"num_classes": 2}, "below num_classes = 2, found 2"),
    ],
)
def test_bad_input_is_told_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as error:
        logistic(**(GOOD._asdict() | {"key": jax.random.key(0)} | changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z": GOOD.z[0]}, r"found shapes \(6,\) and \(12,\)"),
        ({"labels": GOOD.labels[:5]}, r"found shapes \(12, 6\) and \(5,\)"),
        ({"labels": GOOD.labels.astype(float)}, "labels must be integers, found float64"),
        ({"split": GOOD.split._replace(test=np.ones(12, bool))}, r"found bool \[12\]"),
        ({"num_runs": 0}, "num_runs must be at least 1, found 0"),
        ({"num_steps": 0}, "num_steps must be at least 1, found 0"),
        ({"l2": ()}, r"l2 must hold .* found \[\]"),
        ({"l2": (0.1, -0.1)}, r"found \[0.1, -0.1\]"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        logistic(**(GOOD._asdict() | {"key": jax.random.key(0)} | changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("numbers", [[1, 2, 3], [3, 9, 70], [0, 1, 5]])
def test_classes_are_those_that_occur(numbers):
    """Empty classes between them would take part in the softmax, and draw other initial weights."""
    data = problem()
    key = jax.random.key(0)
    wanted = logistic(data.z, data.labels, data.split, key=key, num_runs=3)
    renamed = np.array(numbers)[data.labels]
    assert logistic(data.z, renamed, data.split, key=key, num_runs=3) == wanted
