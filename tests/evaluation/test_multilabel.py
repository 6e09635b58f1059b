"""Classifiers of several labels against scikit-learn's, one label after another."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from mmix_jax.errors import InputError
from mmix_jax.evaluation import MultilabelScore, micro_f1, multilabel_logistic
from mmix_jax.graphs.types import Split

pytestmark = pytest.mark.usefixtures("x64")

GRID = (1e-4, 1e-2, 1.0)


class Problem(NamedTuple):
    z: np.ndarray
    labels: np.ndarray
    split: Split


def problem(noise=2.0, num_nodes=120, dim=6, num_labels=4, seed=0):
    """Labels, some rare, of features in different units; the smaller the noise, the easier."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(num_nodes, dim))
    values = 3 * z @ rng.normal(size=(dim, num_labels)) + noise * rng.normal(
        size=(num_nodes, num_labels)
    )
    labels = (values > np.linspace(-1, 5, num_labels)).astype(np.uint8)
    nodes = rng.permutation(num_nodes)
    split = Split(nodes[:40], nodes[40:80], nodes[80:])
    return Problem((z * [1e3, 10, 1, 1, 0.1, 1e-3] + 5), labels, split)


def run(data: Problem, **changes) -> MultilabelScore:
    return multilabel_logistic(*data, **({"l2_grid": GRID} | changes))


def scikit_learn(data: Problem, l2: float) -> np.ndarray:
    """Labels [N, L] that its classifiers predict."""
    z = data.z - data.z[data.split.train].mean(axis=0)
    z = z / z[data.split.train].std(axis=0)
    predicted = np.zeros_like(data.labels)
    for place, column in enumerate(data.labels.T):
        theirs = LogisticRegression(C=1 / (l2 * len(data.split.train)), tol=1e-10)
        theirs.set_params(solver="newton-cholesky")
        theirs.fit(z[data.split.train], column[data.split.train])
        predicted[:, place] = theirs.predict(z)
    return predicted


def test_every_step_is_scikit_learns():
    chosen = set()
    for seed in range(4):
        data = problem(noise=6.0, seed=seed)
        predicted = {l2: scikit_learn(data, l2) for l2 in GRID}

        def scored(l2, part, data=data, predicted=predicted):
            return f1_score(data.labels[part], predicted[l2][part], average="micro")

        valid = [scored(l2, data.split.valid) for l2 in GRID]
        found = run(data)
        assert found.converged
        assert found.l2_grid == GRID
        np.testing.assert_allclose(found.valid_of_grid, valid, atol=1e-12)
        assert found.l2 == max(zip(np.round(valid, 9), GRID, strict=True))[1]
        assert found.valid == max(found.valid_of_grid)
        assert found.test == pytest.approx(scored(found.l2, data.split.test), abs=1e-12)
        chosen.add(found.l2)
    assert len(chosen) > 1  # the choice was put to the test


@pytest.mark.parametrize("share", [0.0, 0.1, 0.7, 1.0])
def test_micro_f1_is_scikit_learns(share):
    rng = np.random.default_rng(0)
    labels = (rng.random((50, 7)) < 0.3).astype(np.uint8)
    predicted = rng.random((50, 7)) < share
    expected = f1_score(labels, predicted.astype(np.uint8), average="micro")
    assert micro_f1(predicted, labels) == pytest.approx(expected, abs=1e-15)


def test_micro_f1_is_0_where_there_is_nothing_to_find():
    nothing = np.zeros((3, 2), np.uint8)
    assert micro_f1(nothing, nothing) == 0.0
    assert micro_f1(nothing + 1, nothing + 1) == 1.0


def test_order_of_the_labels_does_not_matter():
    data = problem(noise=6.0)
    assert run(data._replace(labels=data.labels[:, ::-1])) == run(data)


@pytest.mark.parametrize("constant", [0, 1])
def test_a_label_without_exception_in_training_is_predicted_for_all(constant):
    data = problem()
    labels = data.labels.copy()
    labels[data.split.train] = constant
    found = run(data._replace(labels=labels))
    expected = np.full((40, 4), constant)
    assert found.test == micro_f1(expected, labels[data.split.test])
    assert found.valid == micro_f1(expected, labels[data.split.valid])
    assert found.converged


def test_equally_good_l2_means_the_larger_whatever_the_order():
    data = problem()
    ones = data._replace(labels=np.ones_like(data.labels))
    found = run(ones, l2_grid=(1e-2, 1e-4, 1e-3))
    assert found.l2_grid == (1e-4, 1e-3, 1e-2)
    assert (found.valid_of_grid, found.l2, found.test) == ((1.0, 1.0, 1.0), 1e-2, 1.0)


def test_test_nodes_have_no_say_in_the_choice():
    data = problem(noise=6.0)
    labels, z = data.labels.copy(), data.z.copy()
    labels[data.split.test] = 1 - labels[data.split.test]
    z[data.split.test] *= -1
    found, changed = run(data), run(data._replace(labels=labels, z=z))
    assert found._replace(test=changed.test) == changed
    assert found.test != changed.test


def test_units_of_the_features_do_not_matter():
    data = problem(noise=6.0)
    other = data.z * np.array([2, 0.25, -8, 1, 1, 64])
    assert run(data._replace(z=other)) == run(data)


def test_a_feature_that_is_constant_in_training_says_nothing():
    data = problem(noise=6.0)
    scores = []
    for elsewhere in (0.1, 1e6):
        z = data.z.copy()
        z[:, 0] = elsewhere
        z[data.split.train, 0] = 0.1
        scores.append(run(data._replace(z=z)))
    assert scores[0] == scores[1]


def test_numbering_of_the_nodes_does_not_matter():
    data = problem()
    order = np.random.default_rng(5).permutation(120)
    place = np.argsort(order)
    moved = Problem(data.z[order], data.labels[order], Split(*(place[p] for p in data.split)))
    assert run(moved) == run(data)


def test_types_of_embeddings_and_labels():
    data = problem()
    assert run(data._replace(labels=data.labels.astype(bool))) == run(data)
    halves = jnp.asarray(data.z, jnp.bfloat16)
    narrow = run(data._replace(z=halves), l2_grid=(1e-2,))
    assert narrow == run(data._replace(z=np.asarray(halves, np.float32)), l2_grid=(1e-2,))
    assert narrow.converged


GOOD = problem()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z": np.where(np.arange(120)[:, None] == 3, np.nan, GOOD.z)}, "in 1 of 120 rows"),
        ({"labels": GOOD.labels + 1}, "multilabel_logistic needs labels that are 0 or 1, found 2"),
        ({"labels": GOOD.labels.astype(int) - 1}, "labels that are 0 or 1, found -1"),
        ({"split": GOOD.split._replace(valid=np.array([], int))}, "split.valid must not be empty"),
        ({"split": GOOD.split._replace(test=np.array([120]))}, "nodes 0 to 119, found 120"),
    ],
)
def test_bad_input_is_told_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as error:
        multilabel_logistic(**(GOOD._asdict() | changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": GOOD.labels[:5]}, r"multilabel_logistic needs .* \(5, 4\) and \(120, 6\)"),
        ({"labels": GOOD.labels[:, 0]}, r"found shapes \(120,\) and \(120, 6\)"),
        ({"labels": GOOD.labels[:, :0]}, r"found shapes \(120, 0\) and \(120, 6\)"),
        ({"labels": GOOD.labels / 1}, "labels must be integers, found float64"),
        ({"z": GOOD.z[:, 0]}, r"needs z \[N, D\]"),
        ({"l2_grid": ()}, r"l2_grid must hold .* found \[\]"),
        ({"l2_grid": (0.1, -0.1)}, r"found \[0.1, -0.1\]"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        multilabel_logistic(**(GOOD._asdict() | changes))
    assert "\n" not in str(error.value)
    assert not isinstance(error.value, InputError)
