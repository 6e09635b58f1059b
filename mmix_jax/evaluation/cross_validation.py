"""The graph protocol: stratified cross-validation of classifiers on frozen graph embeddings.

Everything a fold learns, it learns from its training part: mean and standard deviation of the
features, C by an inner cross-validation, and, for ``select_by_inner``, which encoder to use.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from mmix_jax.evaluation.checks import POSITIVE_WEIGHTS, sorted_grid
from mmix_jax.evaluation.folds import (
    Embeddings,
    checked_rows,
    inner_seed,
    numbered_classes,
    standardised,
    stratified,
)
from mmix_jax.evaluation.knn import knn_predict
from mmix_jax.evaluation.svm import in_row_space, svm_path, svm_predict
from mmix_jax.ops.numbers import whole_number
from mmix_jax.results import score

SVM_CS = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)
LOGISTIC_CS = (0.01, 0.1, 1.0, 10.0)

# Called after every outer fold with the number of folds done and the number of all.
Progress = Callable[[int, int], None]


class CrossValidation(NamedTuple):
    """Accuracies of one cross-validation, as fractions in [0, 1].

    Fields:
      mean: over the outer folds.
      folds: accuracy on the test part of every outer fold.
      chosen: the C of every outer fold; empty where there is nothing to choose.
      inner: the accuracy in the inner cross-validation by which it was chosen; empty likewise.
    """

    mean: float
    folds: tuple[float, ...]
    chosen: tuple[float, ...]
    inner: tuple[float, ...]


class Selection(NamedTuple):
    """A cross-validation in which every outer fold chose its encoder, too.

    Fields:
      result: accuracies, with the chosen encoders.
      candidates: the number of the encoder that each outer fold chose.
    """

    result: CrossValidation
    candidates: tuple[int, ...]


def svm_cross_validation(
    z: Embeddings,
    labels: np.ndarray | jax.Array,
    *,
    seed: int,
    num_folds: int = 10,
    inner_folds: int = 5,
    cs: Sequence[float] = SVM_CS,
    progress: Progress | None = None,
    num_threads: int | None = None,
) -> CrossValidation:
    """Accuracy of linear SVMs by nested stratified cross-validation (METHOD, section 5).

    In every outer fold the features are standardised by mean and standard deviation of the
    training part (a column that is constant there, up to the rounding of its type, becomes 0). C
    is the one that gets most rows of the training part right in an inner cross-validation, which
    standardises by its own training parts; the smallest of equals. The SVM with that C, refitted
    on the whole training part, is scored on the test part.

    Args:
      z: embeddings [M, D], one per graph.
      labels: classes [M], 0 or more, any such numbers.
      seed: shuffles the outer folds; the inner ones follow from it and the fold.
      num_folds: outer folds.
      inner_folds: inner folds.
      cs: the C's to choose from.
      progress: called as ``progress(done, num_folds)`` in this thread; what it raises ends the
        cross-validation.
      num_threads: folds computed at a time; None means one per core. The numbers are the same.

    Raises:
      ValueError: a shape or type, or another argument, is not as described.
      InputError: an embedding is not finite, a graph has no label, or a class has fewer members
        than folds, or there is only one class.
    """
    return select_by_inner(
        [z],
        labels,
        seed=seed,
        num_folds=num_folds,
        inner_folds=inner_folds,
        cs=cs,
        progress=progress,
        num_threads=num_threads,
    ).result


def select_by_inner(
    candidates: Sequence[Embeddings],
    labels: np.ndarray | jax.Array,
    *,
    seed: int,
    num_folds: int = 10,
    inner_folds: int = 5,
    cs: Sequence[float] = SVM_CS,
    progress: Progress | None = None,
    num_threads: int | None = None,
) -> Selection:
    """``svm_cross_validation`` over several encoders: ``selection="inner_cv"``.

    Per outer fold, the candidate whose best C has the best inner accuracy on that fold's training
    part is the one that is scored on its test part; the earliest of equals. All candidates see
    the same folds.

    Args:
      candidates: embeddings [M, D_c] of the same graphs by each encoder.
      labels, seed, num_folds, inner_folds, cs, progress, num_threads, and errors: as there.
    """
    settings = _Settings(seed, num_folds, inner_folds, cs, progress, num_threads)
    return _nested(_predict_by_svm, candidates, labels, settings)


def logistic_cross_validation(
    z: Embeddings,
    labels: np.ndarray | jax.Array,
    *,
    seed: int,
    num_folds: int = 10,
    inner_folds: int = 5,
    cs: Sequence[float] = LOGISTIC_CS,
    progress: Progress | None = None,
    num_threads: int | None = None,
) -> CrossValidation:
    """``svm_cross_validation`` with scikit-learn's multinomial logistic regression instead.

    Same folds, same standardisation, same choice of C, the inverse L2 weight. The intercept is
    not penalised. Arguments and errors as there.
    """
    settings = _Settings(seed, num_folds, inner_folds, cs, progress, num_threads)
    return _nested(_predict_by_logistic, [z], labels, settings).result


def knn_cross_validation(
    z: Embeddings,
    labels: np.ndarray | jax.Array,
    *,
    seed: int,
    num_folds: int = 10,
    k: int = 5,
    progress: Progress | None = None,
) -> CrossValidation:
    """Accuracy of k nearest neighbours by cosine, over the outer folds of ``svm_cross_validation``.

    Features are standardised as there; the neighbours have equal votes (``knn_predict``). Nothing
    is chosen, so there are no inner folds.

    Raises:
      ValueError: a shape or type, or another argument, is not as described.
      InputError: as ``svm_cross_validation``.
    """
    (z,), labels = checked_rows([z], labels)
    y = numbered_classes(labels, seed, num_folds, inner_folds=None)
    accuracies = []
    for done, (train, test) in enumerate(stratified(y, num_folds, seed), start=1):
        bank, queries = standardised(z[train], z[test])
        votes = knn_predict(bank, y[train], queries, k=k, num_classes=int(y.max()) + 1)
        accuracies.append(float((votes.classes[:, 0] == y[test]).mean()))
        if progress is not None:
            progress(done, num_folds)
    return CrossValidation(score(accuracies).mean, tuple(accuracies), chosen=(), inner=())


# What tells the classifiers apart: predictions [L, n_test] of one classifier per C, from
# standardised features and classes of the training part and features of the test part.
_Predict = Callable[[np.ndarray, np.ndarray, np.ndarray, Sequence[float]], np.ndarray]
_Fold = tuple[np.ndarray, np.ndarray]


def _predict_by_svm(x, y, queries, cs: Sequence[float]) -> np.ndarray:
    return svm_predict(svm_path(x, y, cs), queries)


def _predict_by_logistic(x, y, queries, cs: Sequence[float]) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    rows, basis = in_row_space(x)
    queries = queries if basis is None else queries @ basis
    models = (LogisticRegression(C=c, solver="newton-cholesky", tol=1e-6) for c in cs)
    return np.stack([model.fit(rows, y).predict(queries) for model in models])


class _Settings(NamedTuple):
    seed: int
    num_folds: int
    inner_folds: int
    cs: Sequence[float]
    progress: Progress | None
    num_threads: int | None


class _Outcome(NamedTuple):
    """Of one outer fold."""

    accuracy: float
    c: float
    inner: float
    candidate: int


def _nested(
    predict: _Predict,
    candidates: Sequence[Embeddings],
    labels: np.ndarray | jax.Array,
    settings: _Settings,
) -> Selection:
    """The nested cross-validation, outer folds side by side."""
    zs, labels = checked_rows(candidates, labels)
    y = numbered_classes(labels, settings.seed, settings.num_folds, settings.inner_folds)
    cs = _checked_cs(settings.cs)
    folds = stratified(y, settings.num_folds, settings.seed)

    def evaluate(number: int) -> _Outcome:
        train, test = folds[number]
        inner = stratified(y[train], settings.inner_folds, inner_seed(settings.seed, number))
        right = np.stack([_count_right(predict, z[train], y[train], inner, cs) for z in zs])
        # Whole numbers: ties are exact, and argmax takes the first candidate, then the first C.
        candidate, place = np.unravel_index(np.argmax(right), right.shape)
        x, queries = standardised(zs[candidate][train], zs[candidate][test])
        predicted = predict(x, y[train], queries, [cs[place]])[0]
        return _Outcome(
            accuracy=float((predicted == y[test]).mean()),
            c=cs[place],
            inner=float(right.max() / len(train)),
            candidate=int(candidate),
        )

    outcomes = _in_threads(evaluate, settings)
    accuracies = tuple(outcome.accuracy for outcome in outcomes)
    return Selection(
        CrossValidation(
            mean=score(accuracies).mean,
            folds=accuracies,
            chosen=tuple(outcome.c for outcome in outcomes),
            inner=tuple(outcome.inner for outcome in outcomes),
        ),
        candidates=tuple(outcome.candidate for outcome in outcomes),
    )


def _count_right(
    predict: _Predict, z: np.ndarray, y: np.ndarray, folds: Sequence[_Fold], cs: Sequence[float]
) -> np.ndarray:
    """How many rows each C gets right [L], each row by the fold that left it out."""
    right = np.zeros(len(cs), int)
    for train, test in folds:
        x, queries = standardised(z[train], z[test])
        right += (predict(x, y[train], queries, cs) == y[test]).sum(axis=1)
    return right


def _in_threads(evaluate: Callable[[int], _Outcome], settings: _Settings) -> list[_Outcome]:
    """Evaluates all outer folds, in threads, and tells the progress in their order."""
    import joblib
    from threadpoolctl import threadpool_limits

    if settings.num_threads is None:
        num_threads = min(joblib.cpu_count(), settings.num_folds)
    else:
        num_threads = whole_number("num_threads", settings.num_threads, 1, "None is one per core")
    outcomes = []
    # One thread per matrix product: folds side by side are faster than cores within a small
    # product, and the numbers do not depend on how a product is shared out.
    with threadpool_limits(1), ThreadPoolExecutor(num_threads) as pool:
        futures = [pool.submit(evaluate, number) for number in range(settings.num_folds)]
        try:
            for done, future in enumerate(futures, start=1):
                outcomes.append(future.result())
                if settings.progress is not None:
                    settings.progress(done, settings.num_folds)
        finally:  # interrupted: only folds that have begun are waited for
            for future in futures:
                future.cancel()
    return outcomes


def _checked_cs(cs: Sequence[float]) -> list[float]:
    """The C's in ascending order."""
    return sorted_grid("cs", cs, POSITIVE_WEIGHTS, LOGISTIC_CS)
