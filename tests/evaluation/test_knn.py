"""Votes of nearest neighbours against loops, golden numbers, and the rules for ties."""

import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.evaluation import knn as knn_module
from mmix_jax.evaluation import knn_accuracy, knn_predict
from naive import cosine


@pytest.fixture(scope="module")
def golden():
    path = pathlib.Path(__file__).parents[1] / "golden" / "knn.npz"
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("case", ["k5c3", "k20c10"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_golden_numbers(golden, case, dtype, request):
    if dtype == np.float64:
        request.getfixturevalue("x64")
    bank, queries = (golden[f"{case}_{name}"].astype(dtype) for name in ("bank", "test"))
    labels, wanted = golden[f"{case}_bank_labels"], golden[f"{case}_test_labels"]
    k, num_classes = int(golden[f"{case}_k"]), int(golden[f"{case}_c"])
    temperature = float(golden["temperature"])
    found = knn_predict(
        bank, labels, queries, k=k, num_classes=num_classes, temperature=temperature
    )
    expected = golden[f"{case}_scores"]
    rows = np.arange(len(queries))[:, None]
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found.scores, expected[rows, found.classes], rtol=tolerance)
    # The order of classes without votes is nobody's business.
    voted = found.scores > 0
    order = golden[f"{case}_pred_order"]
    np.testing.assert_array_equal(found.classes[voted], order[voted])
    accuracy = knn_accuracy(bank, labels, queries, wanted, k=k, num_classes=num_classes)
    name = "f64" if dtype == np.float64 else "f32"
    for top in (1, 5):
        percent = golden[f"{case}_{name}_top{top}"]
        assert 100.0 * accuracy[f"top{top}"] == pytest.approx(percent, rel=1e-6)


def votes_by_hand(bank, labels, query, *, k, num_classes, temperature):
    similarities = [cosine(row, query) for row in bank]
    nearest = sorted(range(len(bank)), key=lambda j: (-similarities[j], j))[:k]
    scores = [0.0] * num_classes
    first = [k] * num_classes
    for rank, j in enumerate(nearest):
        weight = 1.0 if temperature is None else math.exp(similarities[j] / temperature)
        scores[labels[j]] += weight
        first[labels[j]] = min(first[labels[j]], rank)
    order = sorted(range(num_classes), key=lambda c: (-scores[c], first[c], c))
    return order, [scores[c] for c in order]


def problem(num_rows=40, num_queries=23, dim=5, num_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    bank, queries = rng.normal(size=(num_rows, dim)), rng.normal(size=(num_queries, dim))
    return bank, rng.integers(0, num_classes, num_rows), queries


@pytest.mark.parametrize("k", [1, 5, 40])
@pytest.mark.parametrize("temperature", [None, 0.4])
def test_votes_are_those_by_hand(x64, k, temperature):
    bank, labels, queries = problem()
    settings = {"k": k, "num_classes": 4, "temperature": temperature}
    found = knn_predict(bank, labels, queries, **settings)
    for i, query in enumerate(queries):
        classes, scores = votes_by_hand(bank, labels, query, **settings)
        np.testing.assert_array_equal(found.classes[i], classes)
        np.testing.assert_allclose(found.scores[i], scores, rtol=1e-12)


AXES = np.eye(6, dtype=np.float32)


def towards(*nearness):
    """A query whose cosines with the axes fall in the order of these numbers."""
    return np.array([[*nearness, *[0.0] * (6 - len(nearness))]], np.float32)


def test_equal_votes_mean_the_class_of_the_nearest():
    labels = np.array([1, 0, 0, 1, 2, 2])
    query = towards(4, 3, 2, 1)
    assert knn_predict(AXES, labels, query, k=4, num_classes=3).classes.tolist() == [[1, 0, 2]]
    exchanged = np.array([0, 1, 1, 0, 2, 2])
    assert knn_predict(AXES, exchanged, query, k=4, num_classes=3).classes.tolist() == [[0, 1, 2]]
    # A majority comes before nearness.
    assert knn_predict(AXES, labels, query, k=3, num_classes=3).classes.tolist() == [[0, 1, 2]]


def test_equally_near_rows_are_taken_from_the_first():
    labels = np.array([2, 2, 0, 0, 0, 0])
    same = np.ones((6, 3), np.float32)
    assert knn_predict(same, labels, same[:1], k=3, num_classes=3).scores.tolist() == [[2, 1, 0]]


def test_a_zero_vector_is_equally_far_from_all():
    found = knn_predict(AXES, np.array([2, 1, 0, 0, 0, 0]), np.zeros((1, 6)), k=2, num_classes=3)
    assert found.classes.tolist() == [[2, 1, 0]]
    assert found.scores.tolist() == [[1.0, 1.0, 0.0]]


def test_weights_let_a_near_row_outvote_two_far_ones():
    query, labels = towards(5, 1, 1), np.array([1, 0, 0, 2, 2, 2])
    best = {
        temperature: knn_predict(
            AXES, labels, query, k=3, num_classes=3, temperature=temperature
        ).classes[0, 0]
        for temperature in (None, 0.4, 10.0)
    }
    assert best == {None: 0, 0.4: 1, 10.0: 0}


def test_length_of_the_vectors_does_not_matter():
    bank, labels, queries = problem()
    found = knn_predict(bank, labels, queries, k=5, num_classes=4)
    longer = knn_predict(4.0 * bank, labels, 0.25 * queries, k=5, num_classes=4)
    np.testing.assert_array_equal(longer.classes, found.classes)


@pytest.mark.parametrize("block", [1, 7, 23, 24])
def test_blocks_of_queries_change_nothing(block):
    bank, labels, queries = problem()
    settings = {"k": 5, "num_classes": 4, "temperature": 0.4}
    expected = knn_predict(bank, labels, queries, **settings)
    found = knn_predict(bank, labels, queries, **settings, block_size=block)
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)


@pytest.mark.parametrize("block", [1, 3, 256])
def test_ties_are_the_same_in_every_block(block):
    # Cosines are 0 and ±1/2 without rounding: many rows are equally near, in blocks of any size.
    rng = np.random.default_rng(1)
    bank = np.repeat(AXES, 5, axis=0)[rng.permutation(30)]
    labels = rng.integers(0, 4, 30)
    queries = rng.choice([-1.0, 1.0], size=(10, 4)) @ AXES[:4]
    settings = {"k": 7, "num_classes": 4, "temperature": 0.4}
    found = knn_predict(bank, labels, queries, **settings, block_size=block)
    for i, query in enumerate(queries):
        classes, scores = votes_by_hand(bank, labels, query, **settings)
        np.testing.assert_array_equal(found.classes[i], classes)
        np.testing.assert_allclose(found.scores[i], scores, rtol=1e-6)


def test_blocks_never_hold_all_cosines():
    program = knn_module._votes_in_blocks.lower(
        jnp.ones((500, 4)), jnp.zeros(500, int), jnp.ones((30, 8, 4)), 0.4, k=3, num_classes=2
    )
    assert "8x500xf32" in program.as_text()
    memory = program.compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 4 * 240 * 500 / 2


def test_accuracy_counts_the_first_and_the_first_five():
    # One row per axis, its class; a query's votes fall in the order of its entries.
    query = np.tile(towards(6, 5, 4, 3, 2, 1), (6, 1))
    found = knn_accuracy(AXES, np.arange(6), query, np.arange(6), k=6, num_classes=6)
    assert found == {"top1": pytest.approx(1 / 6), "top5": pytest.approx(5 / 6)}


def test_top5_of_five_classes_is_1():
    bank, labels, queries = problem(num_classes=5)
    wrong = (knn_predict(bank, labels, queries, k=5, num_classes=5).classes[:, 0] + 1) % 5
    found = knn_accuracy(
        bank, labels, queries, wrong, k=5, num_classes=5, temperature=None, block_size=4
    )
    assert found == {"top1": 0.0, "top5": 1.0}


def test_no_queries_have_no_votes():
    bank, labels, queries = problem()
    found = knn_predict(bank, labels, queries[:0], k=5, num_classes=4)
    assert found.classes.shape == found.scores.shape == (0, 4)


def test_narrow_types_are_computed_in_float32():
    bank, labels, queries = problem()
    halves = [jnp.asarray(a, jnp.bfloat16) for a in (bank, queries)]
    wide = [np.asarray(a, np.float32) for a in halves]
    settings = {"k": 5, "num_classes": 4, "temperature": 0.4}
    found = knn_predict(halves[0], labels, halves[1], **settings)
    assert found.scores.dtype == np.float32
    jax.tree.map(
        np.testing.assert_array_equal, found, knn_predict(wide[0], labels, wide[1], **settings)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": np.ones((2, 5))}, r"found shapes \(6, 6\) and \(2, 5\)"),
        ({"bank": np.ones(6)}, r"found shapes \(6,\) and \(1, 6\)"),
        ({"bank_labels": np.zeros(5, int)}, r"integers \[6\], found int64 \[5\]"),
        ({"bank_labels": np.zeros(6)}, r"integers \[6\], found float64 \[6\]"),
        ({"bank_labels": np.array([0, 1, 2, 3, -1, 0])}, "in 0 to 3, found -1 to 3"),
        ({"num_classes": 3}, "in 0 to 2, found 0 to 3"),
        ({"k": 0}, "k must be 1 to 6, .* found 0"),
        ({"k": 7}, "k must be 1 to 6, .* found 7"),
        ({"temperature": 0.0}, "temperature must be positive, found 0.0"),
        ({"block_size": 0}, "block_size must be at least 1, found 0"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(changes, message):
    good = {
        "bank": AXES,
        "bank_labels": np.array([0, 1, 2, 3, 3, 0]),
        "queries": towards(1),
        "k": 2,
        "num_classes": 4,
    }
    with pytest.raises(ValueError, match=message) as error:
        knn_predict(**(good | changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "error_type", "message"),
    [
        ({"labels": np.array([0, 1])}, ValueError, r"found shapes \(1, 6\) and \(2,\)"),
        ({"labels": np.array([4])}, ValueError, "labels must lie in 0 to 3, found 4 to 4"),
        ({"labels": np.array([-1])}, ValueError, "labels must lie in 0 to 3, found -1 to -1"),
        ({"queries": np.zeros((0, 6)), "labels": np.zeros(0, int)}, ValueError, "found none"),
        ({"queries": np.full((1, 6), np.nan)}, InputError, "finite, found .* 1 of 1 rows"),
        ({"bank": np.full((6, 6), np.inf)}, InputError, "finite, found .* 6 of 6 rows"),
        ({"k": 200}, ValueError, "k must be 1 to 6, .* found 200"),
    ],
)
def test_wrong_arguments_of_the_accuracy_are_told_in_one_line(changes, error_type, message):
    good = {
        "bank": AXES,
        "bank_labels": np.array([0, 1, 2, 3, 3, 0]),
        "queries": towards(1),
        "labels": np.array([0]),
        "k": 2,
        "num_classes": 4,
    }
    with pytest.raises(error_type, match=message) as error:
        knn_accuracy(**(good | changes))
    assert "\n" not in str(error.value)
