"""The protocol of many splits against scikit-learn's classifiers, one after another."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from mmix_jax.data.splits import random_split
from mmix_jax.errors import InputError
from mmix_jax.evaluation import SplitsScore, logistic_over_splits
from mmix_jax.graphs.types import Split

pytestmark = pytest.mark.usefixtures("x64")

GRID = (1e-4, 1e-2, 1.0)


class Problem(NamedTuple):
    z: np.ndarray
    labels: np.ndarray
    splits: list[Split]
    tuning_splits: list[Split]


def draw(labels, seeds) -> list[Split]:
    return [random_split(labels, seed=seed, train=0.15, valid=0.25) for seed in seeds]


def problem(spread=1.0, num_nodes=160, dim=6, num_classes=3, seed=0):
    """Gaussian classes around random centres; the smaller the spread, the easier."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(num_nodes) % num_classes)
    z = rng.normal(size=(num_classes, dim))[labels] + spread * rng.normal(size=(num_nodes, dim))
    return Problem(z, labels, draw(labels, range(3)), draw(labels, (100, 101)))


def run(data: Problem, **changes) -> SplitsScore:
    return logistic_over_splits(*data, **({"num_classes": 3, "l2_grid": GRID} | changes))


def scikit_learn(z, data: Problem, split: Split, l2: float) -> np.ndarray:
    """Which nodes its classifier gets right."""
    size = len(split.train)
    theirs = LogisticRegression(C=1 / (l2 * size), solver="newton-cholesky", tol=1e-10)
    theirs.fit(z[split.train], data.labels[split.train])
    return np.equal(theirs.predict(z), data.labels)


@pytest.mark.parametrize("normalise", [True, False])
def test_every_step_is_scikit_learns(normalise):
    chosen = set()
    for seed in range(4):
        data = problem(spread=2.0, seed=seed)
        z = normalize(data.z) if normalise else data.z
        valid = np.array(
            [
                [
                    scikit_learn(z, data, split, l2)[split.valid].mean()
                    for split in data.tuning_splits
                ]
                for l2 in GRID
            ]
        )
        found = run(data, normalise_rows=normalise)
        assert found.l2_grid == GRID
        assert found.converged
        np.testing.assert_allclose(found.valid_of_grid, valid.mean(axis=1), atol=1e-12)
        best = max(range(3), key=lambda i: (round(valid[i].mean(), 9), GRID[i]))
        assert found.l2 == GRID[best]
        np.testing.assert_allclose(found.valid.values, valid[best], atol=1e-12)
        test = [scikit_learn(z, data, split, found.l2)[split.test].mean() for split in data.splits]
        np.testing.assert_allclose(found.test.values, test, atol=1e-12)
        chosen.add(found.l2)
    assert len(chosen) > 1  # the choice was put to the test


def test_all_splits_at_once_are_one_after_another():
    data = problem(spread=2.0)
    together = run(data)
    assert len(set(together.test.values)) > 1
    for i, split in enumerate(data.splits):
        alone = run(data._replace(splits=[split] * 3))  # three times: no new shape to compile
        assert alone == together._replace(test=alone.test)
        assert alone.test.values == (together.test.values[i],) * 3


def test_equally_good_l2_means_the_larger_whatever_the_order():
    found = run(problem(spread=0.05), l2_grid=(1e-2, 1e-4, 1e-3))
    assert found.l2_grid == (1e-4, 1e-3, 1e-2)
    assert found.valid_of_grid == (1.0, 1.0, 1.0)
    assert (found.l2, found.test.mean) == (1e-2, 1.0)


def test_test_labels_have_no_say_in_the_choice():
    data = problem(spread=2.0)
    seen = np.concatenate([np.r_[s.train, s.valid] for s in data.tuning_splits])
    trained = np.concatenate([s.train for s in data.splits])
    only_test = np.setdiff1d(np.arange(len(data.labels)), np.r_[seen, trained])
    assert len(only_test) > 20
    other = data.labels.copy()
    other[only_test] = (other[only_test] + 1) % 3
    found, relabelled = run(data), run(data._replace(labels=other))
    assert found._replace(test=relabelled.test) == relabelled
    assert found.test != relabelled.test


def test_validation_parts_of_the_reported_splits_are_not_looked_at():
    data = problem(spread=2.0)
    others = [split._replace(valid=np.full(40, split.test[0])) for split in data.splits]
    assert run(data._replace(splits=others)) == run(data)


def test_labels_outside_the_splits_are_ignored():
    data = problem(spread=2.0)
    part = [random_split(data.labels[:120], seed=seed, train=0.2, valid=1 / 3) for seed in range(5)]
    expected = run(Problem(data.z, data.labels, part[:3], part[3:]))
    for label in (-1, 99):
        labels = np.where(np.arange(160) < 120, data.labels, label)
        assert run(Problem(data.z, labels, part[:3], part[3:])) == expected


def test_numbering_of_the_nodes_does_not_matter():
    data = problem(spread=2.0)
    order = np.random.default_rng(5).permutation(160)
    place = np.argsort(order).astype(np.int32)  # the type of the splits: nothing to compile
    splits, tuning = (
        [Split(*(place[part] for part in split)) for split in group] for group in data[2:]
    )
    assert run(Problem(data.z[order], data.labels[order], splits, tuning)) == run(data)


def test_length_of_an_embedding_matters_only_unless_normalised():
    data = problem(spread=2.0)
    lengths = np.exp(2 * np.random.default_rng(0).normal(size=160))
    scaled = data._replace(z=data.z * lengths[:, None])
    assert run(scaled) == run(data)
    assert run(scaled, normalise_rows=False) != run(data, normalise_rows=False)
    huge = data._replace(z=1e200 * data.z)  # squares are not finite any more
    assert run(huge) == run(data)
    with pytest.raises(InputError, match="must stay finite"):
        run(huge, normalise_rows=False)


def test_embeddings_of_zero_are_classified_by_the_bias():
    data = problem()
    labels = np.where(np.arange(160) % 4 == 0, 1, 2)
    found = run(Problem(np.zeros_like(data.z), labels, data.splits, data.tuning_splits))
    assert found.test.values == tuple((labels[split.test] == 2).mean() for split in data.splits)


def test_scores_have_one_value_per_split():
    found = run(problem())
    assert (found.test.n, found.valid.n) == (3, 2)
    assert all(0.0 <= accuracy <= 1.0 for accuracy in found.test.values + found.valid.values)


def test_narrow_types_are_computed_in_float32():
    data = problem(spread=2.0)
    few = data._replace(splits=data.splits[:2])
    halves = jnp.asarray(data.z, jnp.bfloat16)
    narrow = run(few._replace(z=halves), l2_grid=(1e-2,))
    assert narrow == run(few._replace(z=np.asarray(halves, np.float32)), l2_grid=(1e-2,))
    assert narrow.converged


GOOD = problem()
FIRST = GOOD.splits[0]
ONE_CLASS = np.flatnonzero(GOOD.labels == 1)[: len(FIRST.train)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z": np.where(np.arange(160)[:, None] == 3, np.nan, GOOD.z)}, "in 1 of 160 rows"),
        ({"splits": [FIRST._replace(test=np.array([0, 160]))]}, "nodes 0 to 159, found 160"),
        ({"splits": [FIRST._replace(train=np.array([], int))]}, "split.train must not be empty"),
        (
            {"tuning_splits": [FIRST, FIRST._replace(valid=FIRST.valid[:4])]},
            r"tuning_splits must have .* found \(24, 40, 96\) and \(24, 4, 96\)",
        ),
        ({"splits": [FIRST._replace(train=ONE_CLASS)]}, "of splits .* found class 1 only"),
        ({"labels": np.full(160, -1)}, "must hold labelled nodes, found 24 of 24"),
        ({"num_classes": 2}, "below num_classes = 2, found 2"),
    ],
)
def test_bad_input_is_told_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as error:
        logistic_over_splits(**(GOOD._asdict() | {"num_classes": 3} | changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": GOOD.labels[:5]}, r"logistic_over_splits needs .* \(160, 6\) and \(5,\)"),
        ({"labels": GOOD.labels / 1}, "labels must be integers, found float64"),
        ({"splits": []}, "splits must hold at least one split, found none"),
        ({"l2_grid": ()}, r"l2_grid must hold .* found \[\]"),
        ({"l2_grid": (0.1, -0.1)}, r"found \[0.1, -0.1\]"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        logistic_over_splits(**(GOOD._asdict() | {"num_classes": 3} | changes))
    assert "\n" not in str(error.value)
    assert not isinstance(error.value, InputError)
