"""The nested protocol against the same protocol put together from scikit-learn's parts."""

import importlib
import threading

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from mmix_jax.errors import InputError
from mmix_jax.evaluation import (
    CrossValidation,
    knn_cross_validation,
    logistic_cross_validation,
    select_by_inner,
    svm_cross_validation,
)

module = importlib.import_module("mmix_jax.evaluation.cross_validation")

CS = (1e-3, 1e-1, 1e1)
SMALL = {"num_folds": 4, "inner_folds": 3, "cs": CS}


def problem(num_rows=72, dim=6, num_classes=2, seed=0, spread=1.5):
    """Overlapping classes, with columns of very different mean and scale."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(num_rows) % num_classes)
    z = rng.normal(size=(num_classes, dim))[labels] + spread * rng.normal(size=(num_rows, dim))
    return (5.0 + z * np.logspace(-1, 2, dim)[None, :]).astype(np.float32), labels


def outer_folds(labels, seed, num_folds=4):
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=seed)
    return list(folds.split(labels, labels))


def nested_by_scikit_learn(make_model, z, labels, seed, cs=CS) -> CrossValidation:
    accuracies, chosen, inner = [], [], []
    for number, (train, test) in enumerate(outer_folds(labels, seed)):
        state = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        folds = StratifiedKFold(3, shuffle=True, random_state=state)
        models = [make_pipeline(StandardScaler(), make_model(c)) for c in cs]
        scores = [
            np.mean(cross_val_predict(model, z[train], labels[train], cv=folds) == labels[train])
            for model in models
        ]
        best = int(np.argmax(scores))
        chosen.append(cs[best])
        inner.append(float(scores[best]))
        accuracies.append(models[best].fit(z[train], labels[train]).score(z[test], labels[test]))
    return CrossValidation(
        float(np.mean(accuracies)), tuple(accuracies), tuple(chosen), tuple(inner)
    )


def assert_same(found: CrossValidation, expected: CrossValidation):
    assert found.chosen == expected.chosen
    assert found.inner == pytest.approx(expected.inner, abs=1e-12)
    assert found.folds == pytest.approx(expected.folds, abs=1e-12)
    assert found.mean == pytest.approx(expected.mean, abs=1e-12)


@pytest.mark.parametrize(
    "data",
    [problem(), problem(num_classes=3, seed=1), problem(num_rows=48, dim=60, seed=2, spread=5.0)],
    ids=["two classes", "three classes", "more columns"],
)
def test_svm_protocol_is_scikit_learns(data):
    z, labels = data
    wide = z.astype(np.float64)

    def make_model(c):
        return LinearSVC(C=c, dual=False, tol=1e-8, max_iter=100_000)

    found = svm_cross_validation(z, labels, seed=3, **SMALL)
    assert_same(found, nested_by_scikit_learn(make_model, wide, labels, seed=3))
    assert len(set(found.folds + found.inner)) > 2


@pytest.mark.parametrize("num_classes", [2, 3])
def test_logistic_protocol_is_scikit_learns(num_classes):
    z, labels = problem(num_classes=num_classes, seed=4)
    wide = z.astype(np.float64)

    def make_model(c):
        return LogisticRegression(C=c, solver="newton-cholesky", tol=1e-8)

    found = logistic_cross_validation(z, labels, seed=5, **SMALL)
    assert_same(found, nested_by_scikit_learn(make_model, wide, labels, seed=5))


def test_knn_protocol_is_scikit_learns():
    z, labels = problem(seed=6)
    wide = z.astype(np.float64)
    expected = []
    for train, test in outer_folds(labels, seed=7):
        neighbours = KNeighborsClassifier(5, metric="cosine", algorithm="brute")
        model = make_pipeline(StandardScaler(), neighbours).fit(wide[train], labels[train])
        expected.append(model.score(wide[test], labels[test]))
    found = knn_cross_validation(z, labels, seed=7, num_folds=4)
    assert found.folds == pytest.approx(expected, abs=1e-12)
    assert (found.chosen, found.inner) == ((), ())


def test_seed_decides_and_the_number_of_threads_does_not():
    z, labels = problem(spread=3.0)
    found = svm_cross_validation(z, labels, seed=0, num_threads=1, **SMALL)
    for num_threads in (2, 4, None):
        assert svm_cross_validation(z, labels, seed=0, num_threads=num_threads, **SMALL) == found
    assert svm_cross_validation(z, labels, seed=1, **SMALL).folds != found.folds


def test_mean_is_over_folds_of_fractions():
    z, labels = problem(spread=3.0)
    found = svm_cross_validation(z, labels, seed=0, **SMALL)
    assert found.mean == pytest.approx(np.mean(found.folds), abs=1e-15)
    assert len(found.folds) == len(found.chosen) == len(found.inner) == 4
    for accuracy in found.folds:  # 72 rows in 4 folds
        assert accuracy * 18 == pytest.approx(round(accuracy * 18), abs=1e-12)


def test_protocol_is_ten_by_five_folds_and_seven_cs():
    z, labels = problem(num_rows=100)
    found = svm_cross_validation(z, labels, seed=0)
    cs = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)
    assert found == svm_cross_validation(z, labels, seed=0, num_folds=10, inner_folds=5, cs=cs)
    assert len(found.folds) == 10
    assert len(logistic_cross_validation(z, labels, seed=0, cs=[1.0]).folds) == 10


def test_what_is_not_in_the_training_part_has_no_say_in_the_choice():
    z, labels = problem(spread=3.0)
    found = svm_cross_validation(z, labels, seed=0, **SMALL)
    for fold, (_, test) in enumerate(outer_folds(labels, seed=0)):
        changed = z.copy()
        changed[test] = 1e3 * np.random.default_rng(fold).normal(size=changed[test].shape)
        other = svm_cross_validation(changed, labels, seed=0, **SMALL)
        assert other.chosen[fold] == found.chosen[fold]
        assert other.inner[fold] == found.inner[fold]
        assert other.folds != found.folds


def test_equally_good_cs_mean_the_smallest_whatever_the_order():
    z, labels = problem(spread=0.01)
    found = svm_cross_validation(z, labels, seed=0, num_folds=4, cs=(1e1, 1e-1, 1e3))
    assert found.inner == (1.0,) * 4
    assert found.chosen == (1e-1,) * 4


@pytest.mark.parametrize(
    "validate", [svm_cross_validation, logistic_cross_validation, knn_cross_validation]
)
def test_units_of_the_columns_do_not_matter(validate):
    z, labels = problem(spread=3.0)
    settings = {"seed": 0, "num_folds": 4}
    found = validate(z, labels, **settings)
    units = 2.0 ** np.array([-9, -2, 0, 3, 5, 8])
    # Powers of two change no digit; the float64 shift changes the last ones.
    assert validate(z * units.astype(np.float32)[None, :], labels, **settings) == found
    assert validate(z.astype(np.float64) - 100.0, labels, **settings) == found


def test_constant_columns_change_nothing():
    z, labels = problem(spread=3.0)
    constant = np.full((72, 3), 0.1, np.float32) * np.array([[0.0, 1.0, 1e4]], np.float32)
    found = svm_cross_validation(np.concatenate([z, constant], axis=1), labels, seed=0, **SMALL)
    assert found == svm_cross_validation(z, labels, seed=0, **SMALL)


def test_labels_are_names():
    z, labels = problem(num_classes=3)
    renamed = np.array([4, 7, 100])[labels]
    for validate in (svm_cross_validation, logistic_cross_validation, knn_cross_validation):
        settings = {"seed": 0, "num_folds": 4}
        assert validate(z, renamed, **settings) == validate(z, labels, **settings)


def test_every_fold_chooses_its_candidate_by_the_inner_score():
    _, labels = problem(num_rows=96)
    rng = np.random.default_rng(9)
    signal = 0.4 * rng.normal(size=(96, 1)) + labels[:, None]
    candidates = [signal + 3.0 * rng.normal(size=(96, 4)) for _ in range(3)]
    found = select_by_inner(candidates, labels, seed=0, **SMALL)
    alone = [svm_cross_validation(z, labels, seed=0, **SMALL) for z in candidates]
    for fold, candidate in enumerate(found.candidates):
        scores = [single.inner[fold] for single in alone]
        assert candidate == int(np.argmax(scores))
        assert found.result.inner[fold] == scores[candidate]
        assert found.result.chosen[fold] == alone[candidate].chosen[fold]
        assert found.result.folds[fold] == alone[candidate].folds[fold]
    assert len(set(found.candidates)) > 1  # the choice was put to the test


def test_equally_good_candidates_mean_the_earlier():
    z, labels = problem(spread=0.01)
    noise = np.random.default_rng(10).normal(size=z.shape)
    found = select_by_inner([noise, z, 2.0 * z], labels, seed=0, **SMALL)
    assert found.candidates == (1, 1, 1, 1)
    assert found.result == svm_cross_validation(z, labels, seed=0, **SMALL)


def test_candidates_may_differ_in_width():
    z, labels = problem()
    found = select_by_inner([z[:, :1], z], labels, seed=0, **SMALL)
    assert set(found.candidates) <= {0, 1}


@pytest.mark.parametrize(
    "validate", [svm_cross_validation, logistic_cross_validation, knn_cross_validation]
)
def test_progress_is_told_after_every_fold(validate):
    z, labels = problem()
    told = []

    def progress(done, num_folds):
        told.append((done, num_folds, threading.current_thread()))

    validate(z, labels, seed=0, num_folds=4, progress=progress)
    here = threading.current_thread()
    assert told == [(done, 4, here) for done in (1, 2, 3, 4)]


def test_what_progress_raises_ends_the_folds(monkeypatch):
    z, labels = problem()
    started = []
    original = module.stratified

    def counted(y, num_folds, seed):
        if num_folds == 3:  # the inner folds of an outer one
            started.append(seed)
        return original(y, num_folds, seed)

    def progress(done, num_folds):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "stratified", counted)
    with pytest.raises(KeyboardInterrupt):
        svm_cross_validation(
            z, labels, seed=0, num_folds=12, inner_folds=3, progress=progress, num_threads=1
        )
    assert len(started) < 12


GOOD = dict(zip(("z", "labels"), problem(num_rows=24), strict=True))
NAN = np.where(np.arange(24)[:, None] == 3, np.nan, GOOD["z"])
FEW = np.array([0] * 15 + [5] * 9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z": NAN}, "NaN or infinity in 1 of 24 rows"),
        ({"labels": FEW}, "each of 10 folds, found 9 in class 5; use fewer folds, or merge"),
        ({"labels": FEW, "num_folds": 2}, "each of 5 inner folds, found 4 of class 5"),
        ({"labels": np.zeros(24, int)}, "at least two classes, found 1"),
        ({"z": np.ones((0, 6)), "labels": np.zeros(0, int)}, "at least two classes, found 0"),
        ({"labels": GOOD["labels"] - 1}, "label for every row, found 12 of 24 without"),
    ],
)
def test_bad_input_is_told_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as error:
        svm_cross_validation(**(GOOD | {"seed": 0} | changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z": GOOD["z"][0]}, r"found shapes \(6,\) and \(24,\)"),
        ({"labels": GOOD["labels"][:5]}, r"found shapes \(24, 6\) and \(5,\)"),
        ({"labels": GOOD["labels"] / 2}, "labels must be integers, found float64"),
        ({"num_folds": 1}, "must be at least 2, found 1 and 5"),
        ({"inner_folds": 1}, "must be at least 2, found 10 and 1"),
        ({"seed": -1}, "seed must be 0 to .*, found -1"),
        ({"cs": ()}, r"cs must hold positive finite numbers, found \[\]"),
        ({"cs": (1.0, -1.0)}, r"found \[1.0, -1.0\]"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        svm_cross_validation(**(GOOD | {"seed": 0} | changes))
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)


def test_every_candidate_is_checked():
    with pytest.raises(InputError, match="NaN or infinity in 1 of 24 rows"):
        select_by_inner([GOOD["z"], NAN], GOOD["labels"], seed=0)


def test_no_candidates_are_told_in_one_line():
    with pytest.raises(ValueError, match="needs candidates, found none; give embeddings"):
        select_by_inner([], GOOD["labels"], seed=0)
