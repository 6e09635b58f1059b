"""What may be given to the protocols: embeddings, labels and numbers of every type and range."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import evaluation
from mmix_jax.evaluation.edit_distance import cosine_similarities, spearman, triplet_accuracy
from mmix_jax.evaluation.folds import standardised
from mmix_jax.graphs.types import Split
from tests import number_types as types

pytestmark = pytest.mark.slow

Z = np.random.default_rng(0).integers(0, 2, (24, 5))
LABELS = np.arange(24) % 2
SPLIT = Split(np.arange(12), np.arange(12, 18), np.arange(18, 24))
KEY = jax.random.key(0)

# Everything public that takes embeddings and labels.
OF_EMBEDDINGS = {
    "knn": lambda z, y: evaluation.knn_predict(z, y, z, k=3, num_classes=2, temperature=0.4),
    "knn accuracy": lambda z, y: evaluation.knn_accuracy(z, y, z, y, k=3, num_classes=2),
    "knn folds": lambda z, y: evaluation.knn_cross_validation(z, y, seed=0, num_folds=3, k=3),
    "logistic": lambda z, y: evaluation.logistic(z, y, SPLIT, num_runs=2, num_steps=20, key=KEY),
    "splits": lambda z, y: evaluation.logistic_over_splits(
        z, y, splits=[SPLIT], tuning_splits=[SPLIT], num_classes=2, l2_grid=(0.1,)
    ),
    "multilabel": lambda z, y: evaluation.multilabel_logistic(
        z, np.stack([y, y], axis=1), SPLIT, l2_grid=(0.1,)
    ),
    "svm folds": lambda z, y: evaluation.svm_cross_validation(
        z, y, seed=0, num_folds=3, inner_folds=2, cs=(0.1, 1.0), num_threads=1
    ),
    "svm": lambda z, y: evaluation.svm_predict(evaluation.svm_path(z, y, [1.0]), z),
    "probe": lambda z, y: evaluation.linear_probe(
        z, y, z, y, num_classes=2, key=KEY, num_held_out=4, num_epochs=2, batch_size=8
    ),
    "clustering": lambda z, y: evaluation.clustering(z, y, num_clusters=2, num_repeats=2),
    "cosines": lambda z, y: cosine_similarities(z, np.asarray(z)[::-1]),
}


@functools.cache
def in_float32(name):
    return OF_EMBEDDINGS[name](Z.astype(np.float32), LABELS.astype(np.int32))


@pytest.mark.parametrize("kind", types.VECTORS)
@pytest.mark.parametrize("name", OF_EMBEDDINGS)
def test_embeddings_of_every_type(name, kind):
    if (name, kind) == ("clustering", ">f8"):
        return  # scikit-learn's k-means goes another way in float64
    found = OF_EMBEDDINGS[name](types.given(Z, kind), LABELS)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(in_float32(name)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("kind", types.IDS)
@pytest.mark.parametrize("name", OF_EMBEDDINGS)
def test_labels_of_every_integer_type(name, kind):
    found = OF_EMBEDDINGS[name](Z.astype(np.float32), types.given(LABELS, kind))
    types.check_same(found, in_float32(name), "int32" if kind != "list" else ">f8")


@pytest.mark.parametrize("kind", types.NO_IDS)
@pytest.mark.parametrize("name", [name for name in OF_EMBEDDINGS if name != "cosines"])
def test_labels_that_are_no_integers_are_refused(name, kind):
    if (name, kind) == ("multilabel", "bool"):
        return  # has or has not
    with pytest.raises(ValueError, match="integers") as caught:
        OF_EMBEDDINGS[name](Z.astype(np.float32), types.given(LABELS, kind))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", types.IDS)
def test_splits_of_every_integer_type(kind):
    split = Split(*(types.given(part, kind) for part in SPLIT))
    z = Z.astype(np.float32)
    found = evaluation.logistic(z, LABELS, split, num_runs=2, num_steps=20, key=KEY)
    types.check_same(found, in_float32("logistic"), "int32")


@pytest.mark.parametrize("temperature", [0.01, 1e-3, 1e-20, 1e-44, np.float32(0.02)])
def test_votes_are_finite_and_in_order_at_every_temperature(temperature):
    """exp(1 / 0.01) is infinite in float32: votes of two classes were both so."""
    draw = np.random.default_rng(1)
    bank, queries = draw.normal(size=(30, 4)), draw.normal(size=(8, 4))
    queries[0] = -bank.sum(axis=0)  # far from most
    labels = draw.integers(0, 3, 30)
    votes = evaluation.knn_predict(
        bank, labels, queries, k=5, num_classes=3, temperature=temperature
    )
    assert np.isfinite(votes.scores).all() and (votes.scores[:, 0] >= 0.99).all()
    cosines = naive.similarities(queries, bank)
    for q in range(8):
        nearest = np.argsort(-cosines[q])[:5]
        powers = np.exp((cosines[q][nearest] - cosines[q].max()) / max(float(temperature), 1e-30))
        sums = [powers[labels[nearest] == c].sum() for c in range(3)]
        assert votes.classes[q, 0] == np.argmax(sums)
        np.testing.assert_allclose(
            votes.scores[q], sorted(sums, reverse=True), rtol=2e-2, atol=1e-6
        )


@pytest.mark.parametrize("length", [1e-30, 1e-13, 1e20, 1e38])
def test_neighbours_do_not_depend_on_lengths(length):
    draw = np.random.default_rng(1)
    bank, queries = draw.normal(size=(30, 4)), draw.normal(size=(8, 4))
    labels, scale = draw.integers(0, 3, 30), np.float32(length)
    wanted = evaluation.knn_predict(bank, labels, queries, k=5, num_classes=3, temperature=0.4)
    found = evaluation.knn_predict(
        bank.astype(np.float32) / 4 * scale,
        labels,
        queries.astype(np.float32) / 4 * scale,
        k=5,
        num_classes=3,
        temperature=0.4,
    )
    np.testing.assert_array_equal(found.classes, wanted.classes)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-5)


@pytest.mark.parametrize("length", [1e-320, 1e-200, 1e-13, 1e200, 1e308])
def test_cosines_and_standardisation_at_every_size(length):
    draw = np.random.default_rng(2)
    z, other = draw.normal(size=(2, 6, 3)) / 8
    expected = [naive.cosine(a, b) for a, b in zip(z, other, strict=True)]
    loose = 5e-2 if length < 1e-307 else 1e-12
    np.testing.assert_allclose(
        cosine_similarities(z * length, other * length), expected, rtol=loose
    )
    ours, wanted = standardised(z * length, other * length), standardised(z, other)
    np.testing.assert_allclose(ours, wanted, rtol=loose * 10, atol=loose)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_clusters_do_not_depend_on_sizes(size):
    z = np.random.default_rng(5).normal(size=(24, 5)) + 4 * LABELS[:, None]
    wanted = evaluation.clustering(z.astype(np.float32), LABELS, num_clusters=2, num_repeats=2)
    scaled = z.astype(np.float32) * np.float32(size)
    found = evaluation.clustering(scaled, LABELS, num_clusters=2, num_repeats=2)
    assert found == wanted and wanted["nmi"].mean == pytest.approx(1.0)


@pytest.mark.parametrize("call", ["logistic", "probe"])
def test_embeddings_that_adam_cannot_follow_are_refused(call):
    with pytest.raises(ValueError, match=r"embeddings must be within ±1e\+15, found 1e\+25; scale"):
        OF_EMBEDDINGS[call](Z * np.float32(1e25), LABELS)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
def test_a_constant_column_of_half_precision_is_zero(dtype):
    column = np.full((7, 1), 0.1).astype(dtype)
    column[3] = np.float32(column[3]) * (1 + float(jnp.finfo(dtype).eps))  # rounded the other way
    assert column[3] != column[2]
    np.testing.assert_array_equal(standardised(column, column)[0], np.zeros((7, 1)))


@pytest.mark.parametrize("kind", ["float16", "bfloat16", ">f4", "uint8", "list"])
def test_ranks_of_every_type(kind):
    near, far = types.given([3, 1, 2], kind), types.given([1, 1, 3], kind)
    assert triplet_accuracy(near, far) == (0.5, 1 / 3)
    assert spearman(near, types.given([1, 3, 2], kind)) == pytest.approx(-1)


def knn(**options):
    usual = {"k": 3, "num_classes": 2}
    return evaluation.knn_predict(Z, LABELS, Z, **(usual | options))


def folds(**options):
    return evaluation.svm_cross_validation(Z, LABELS, **({"seed": 0, "num_folds": 3} | options))


def logistic(**options):
    usual = {"num_runs": 1, "num_steps": 1, "key": KEY}
    return evaluation.logistic(Z, LABELS, SPLIT, **(usual | options))


def clusters(**options):
    return evaluation.clustering(Z, LABELS, **({"num_clusters": 2} | options))


def probe(**options):
    usual = {"num_classes": 2, "key": KEY, "num_held_out": 4, "num_epochs": 1}
    return evaluation.linear_probe(Z, LABELS, Z, LABELS, **(usual | options))


WRONG = [
    *[(knn, "temperature", v) for v in (0, -1, np.nan, np.float32(0), True, np.ones(1), "1")],
    *[(knn, "k", v) for v in (0, 25, 3.0, True, np.int64(-1))],
    *[(knn, "num_classes", v) for v in (2.0, True)],
    *[(knn, "block_size", v) for v in (0, 2.0, True)],
    *[(folds, "num_folds", v) for v in (1, 3.0, True)],
    *[(folds, "cs", v) for v in ([], [np.nan], [0.0], [True], 1.0)],
    *[(folds, "seed", v) for v in (-1, 0.5, True)],
    *[(folds, "num_threads", v) for v in (0, 1.5)],
    *[(logistic, "learning_rate", v) for v in (np.nan, 0, -1, True, np.inf)],
    *[(logistic, "l2", v) for v in ([np.nan], [], [-1], [True], 0.1)],
    *[(logistic, "num_steps", v) for v in (0, 2.0, True)],
    *[(clusters, "num_clusters", v) for v in (2.0, True)],
    *[(clusters, "num_repeats", v) for v in (0, 2.0)],
    *[(probe, "learning_rate", v) for v in (np.nan, 0)],
    *[(probe, "batch_size", v) for v in (0, 2.0)],
    *[(probe, "copies", v) for v in (0, 1.0)],
]


@pytest.mark.parametrize(("call", "name", "value"), WRONG, ids=types.named)
def test_numbers_out_of_range_are_refused_in_one_line(call, name, value):
    with pytest.raises(ValueError, match=f"{name}.* found .*") as caught:
        call(**{name: value})
    assert "\n" not in str(caught.value)
