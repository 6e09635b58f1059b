"""The linear probe against Adam by hand, scikit-learn, and what no classifier may do."""

import importlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mmix_jax.errors import InputError
from mmix_jax.evaluation import LinearProbe, linear_probe

pytestmark = pytest.mark.slow

# The package's name `linear_probe` is the function; this is its module.
module = importlib.import_module("mmix_jax.evaluation.linear_probe")


class Problem(NamedTuple):
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def problem(
    spread=1.0, num_rows=60, dim=5, num_classes=3, seed=0, dtype: type = np.float32
) -> Problem:
    """Gaussian classes around random centres, half of them for training."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_rows) % num_classes
    centres = rng.normal(size=(num_classes, dim))
    z = (centres[labels] + spread * rng.normal(size=(num_rows, dim))).astype(dtype)
    half = num_rows // 2
    return Problem(z[:half], labels[:half], z[half:], labels[half:])


def probe(data: Problem, **changes) -> LinearProbe:
    settings = {
        "num_classes": 3,
        "key": jax.random.key(0),
        "l2_grid": (0.0, 0.1),
        "num_held_out": 9,
        "num_epochs": 10,
        "batch_size": 8,
        "learning_rate": 1e-2,
    }
    return linear_probe(*data, **(settings | changes))


def fit(data: Problem, grid=(0.0,), *, key=0, rows=None, **changes):
    settings = {
        "learning_rate": 1e-2,
        "num_classes": 3,
        "num_epochs": 3,
        "batch_size": 8,
        "cosine": False,
    }
    return module._fit(
        jax.random.key(key),
        jnp.asarray(grid, data.train.dtype),
        z=jnp.asarray(data.train),
        labels=jnp.asarray(data.train_labels),
        rows=np.arange(len(data.train)) if rows is None else rows,
        **(settings | changes),
    )


def orders(rows, *, key, num_epochs):
    """The order of every epoch."""
    keys = jax.random.split(jax.random.key(key), num_epochs)
    return [np.asarray(jax.random.permutation(k, rows)) for k in keys]


def train_by_hand(z, labels, rows_of_epochs, *, l2, learning_rate, batch_size, cosine):
    """Minibatches in float64 loops: softmax gradient, decay into it, Adam as in its paper."""
    w, b = np.zeros((z.shape[1], 3)), np.zeros(3)
    moments = [[np.zeros_like(p), np.zeros_like(p)] for p in (w, b)]
    batches = [
        order[start : start + batch_size]
        for order in rows_of_epochs
        for start in range(0, len(order), batch_size)
    ]
    for t, batch in enumerate(batches, start=1):
        grad_w, grad_b = np.zeros_like(w), np.zeros_like(b)
        for i in batch:
            odds = np.exp(z[i] @ w + b)
            error = odds / odds.sum()
            error[labels[i]] -= 1.0
            grad_w += np.outer(z[i], error) / len(batch)
            grad_b += error / len(batch)
        rate = learning_rate
        if cosine:
            rate *= 0.5 * (1.0 + np.cos(np.pi * (t - 1) / len(batches)))
        updated = []
        gradients = (grad_w + l2 * w, grad_b + l2 * b)
        for p, gradient, moment in zip((w, b), gradients, moments, strict=True):
            moment[0] = 0.9 * moment[0] + 0.1 * gradient
            moment[1] = 0.999 * moment[1] + 0.001 * gradient**2
            m, v = moment[0] / (1 - 0.9**t), moment[1] / (1 - 0.999**t)
            updated.append(p - rate * m / (np.sqrt(v) + 1e-8))
        w, b = updated
    return w, b


@pytest.mark.parametrize(
    ("batch_size", "cosine"),
    [(5, False), (5, True), (13, False), (25, False), (512, False)],
)
def test_every_classifier_is_the_one_trained_by_hand(x64, batch_size, cosine):
    # 26 rows: 5 and 25 leave a last batch of one. No batch is of three equal classes: the first
    # gradient of the bias would be a rounding error, which Adam divides by itself.
    data, rows = problem(dtype=np.float64), np.arange(26)
    found = fit(data, (0.0, 0.3), key=1, rows=rows, batch_size=batch_size, cosine=cosine)
    for i, l2 in enumerate((0.0, 0.3)):
        w, b = train_by_hand(
            *data[:2],
            orders(rows, key=1, num_epochs=3),
            l2=l2,
            learning_rate=1e-2,
            batch_size=batch_size,
            cosine=cosine,
        )
        np.testing.assert_allclose(found.w[i], w, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.b[i], b, rtol=0, atol=1e-12)


def test_only_the_rows_named_are_trained_on(x64):
    data = problem(dtype=np.float64)
    rows = np.array([1, 4, 5, 11, 12, 20, 29])
    z = np.full_like(data.train, 1e6)
    z[rows] = data.train[rows]
    found = fit(data._replace(train=z), rows=rows, batch_size=4)
    w, b = train_by_hand(
        *data[:2],
        orders(rows, key=0, num_epochs=3),
        l2=0.0,
        learning_rate=1e-2,
        batch_size=4,
        cosine=False,
    )
    np.testing.assert_allclose(found.w[0], w, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.b[0], b, rtol=0, atol=1e-12)


def test_every_row_is_met_once_per_epoch():
    for order in orders(np.arange(5, 25), key=0, num_epochs=3):
        np.testing.assert_array_equal(np.sort(order), np.arange(5, 25))
    first, second = orders(np.arange(20), key=0, num_epochs=2)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("batch_size", [30, 8])
def test_converges_to_the_same_classifier_as_scikit_learn(x64, batch_size):
    data = problem(dtype=np.float64)
    # scikit-learn sums the cross entropy and does not penalise its own intercept, but it does
    # penalise the weight of a constant feature, which is our bias.
    constant = np.c_[data.train, np.ones(30)]
    theirs = LogisticRegression(C=1 / (0.1 * 30), fit_intercept=False, tol=1e-10)
    theirs.fit(constant, data.train_labels)
    ours = fit(data, (0.1,), batch_size=batch_size, num_epochs=2000, cosine=True)
    tolerance = 1e-6 if batch_size == 30 else 1e-2  # 8: batches of 6 weigh their rows more
    np.testing.assert_allclose(ours.w[0], theirs.coef_.T[:-1], atol=tolerance)
    np.testing.assert_allclose(ours.b[0], theirs.coef_.T[-1], atol=tolerance)


def test_exchanged_classes_exchange_the_classifiers(x64):
    data = problem(dtype=np.float64)
    exchange = np.array([2, 0, 1])
    found, exchanged = fit(data), fit(data._replace(train_labels=exchange[data.train_labels]))
    np.testing.assert_allclose(exchanged.w[:, :, exchange], found.w, rtol=0, atol=1e-12)
    np.testing.assert_allclose(exchanged.b[:, exchange], found.b, rtol=0, atol=1e-12)


def noise_problem(num_rows=200, dim=60, seed=0) -> Problem:
    """One direction that tells the classes apart among many that say nothing."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_rows) % 2
    z = rng.normal(size=(num_rows, dim))
    z[:, 0] += 3.0 * labels - 1.5
    half = num_rows // 2
    return Problem(z[:half], labels[:half], z[half:], labels[half:])


def shared_noise_problem(num_rows=200, dim=60, seed=0) -> Problem:
    """The difference of two columns tells the classes apart; alone they drown in shared noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_rows) % 2
    z = np.zeros((num_rows, dim))
    z[:, :2] = rng.normal(size=(num_rows, 1))
    z[:, 1] += 0.3 * (2 * labels - 1)
    half = num_rows // 2
    return Problem(z[:half], labels[:half], z[half:], labels[half:])


@pytest.mark.parametrize(("data", "best"), [(noise_problem(), 1.0), (shared_noise_problem(), 0.0)])
def test_held_out_rows_choose_the_l2_that_serves_the_test_rows(data, best):
    settings = {
        "num_classes": 2,
        "num_held_out": 40,
        "num_epochs": 150,
        "batch_size": 100,
        "learning_rate": 0.1,
    }
    found = probe(data, l2_grid=(1.0, 0.0), **settings)
    assert found.l2 == best
    assert found.l2_grid == (0.0, 1.0)
    assert max(found.held_out) == found.held_out[found.l2_grid.index(best)]
    assert max(found.held_out) - min(found.held_out) > 0.05
    worse = 1.0 - best
    other = probe(data, l2_grid=(worse, worse), **settings)
    assert found.top1 > other.top1 + 0.03


def test_the_classifier_of_the_test_rows_saw_all_training_rows():
    # Full batches: the order of the rows does not matter.
    data = problem(spread=2.0)
    settings = {"num_epochs": 10, "batch_size": 30}
    params = fit(data, (0.1,), **settings)
    logits = data.test @ np.asarray(params.w[0]) + np.asarray(params.b[0])
    found = probe(data, l2_grid=(0.1,), **settings)
    assert found.top1 == (logits.argmax(axis=1) == data.test_labels).mean()
    part = fit(data, (0.1,), rows=np.arange(21), **settings)
    assert not np.allclose(part.w, params.w, atol=1e-3)


def test_equally_good_l2_means_the_smaller_whatever_the_order():
    found = probe(problem(spread=0.05), l2_grid=(0.1, 1e-3), learning_rate=0.1)
    assert found.held_out == (1.0, 1.0)
    assert (found.l2, found.top1) == (1e-3, 1.0)


def test_test_rows_have_no_say_in_the_choice():
    data = problem(spread=3.0)
    other = data._replace(test=-data.test, test_labels=(data.test_labels + 1) % 3)
    found, changed = probe(data), probe(other)
    assert (found.held_out, found.l2) == (changed.held_out, changed.l2)
    assert found.top1 != changed.top1


def test_held_out_rows_have_every_class_in_its_share():
    labels = np.repeat([0, 1, 3], [50, 30, 21])
    kept, held_out = module._held_out_rows(jax.random.key(0), labels, 10, 4)
    np.testing.assert_array_equal(np.sort(np.r_[kept, held_out]), np.arange(101))
    # 10 * (50, 30, 0, 21) / 101 = 4.95, 2.97, 0, 2.08
    np.testing.assert_array_equal(np.bincount(labels[held_out], minlength=4), [5, 3, 0, 2])
    _, others = module._held_out_rows(jax.random.key(1), labels, 10, 4)
    assert not np.array_equal(held_out, others)
    tie = module._held_out_rows(jax.random.key(0), np.array([0, 0, 1, 1]), 3, 2)
    np.testing.assert_array_equal(tie[0], [2 + int(tie[0][0] == 3)])  # 1.5 each: class 0 gives two


def test_ranks_count_better_classes_and_equal_ones_before():
    rng = np.random.default_rng(0)
    z = rng.integers(-1, 2, size=(50, 3)).astype(np.float32)
    w = rng.integers(-1, 2, size=(2, 3, 7)).astype(np.float32)
    b = rng.integers(-1, 2, size=(2, 7)).astype(np.float32)
    labels = rng.integers(0, 7, 50)
    found = module._ranks(module._Classifier(jnp.asarray(w), jnp.asarray(b)), z, labels)
    for classifier in range(2):
        logits = z @ w[classifier] + b[classifier]
        for row, label in enumerate(labels):
            order = sorted(range(7), key=lambda c: (-logits[row, c], c))
            assert found[classifier, row] == order.index(label)


def test_top5_is_1_up_to_five_classes():
    three = probe(problem(spread=5.0))
    assert three.top1 < three.top5 == 1.0
    eight = probe(problem(spread=5.0, num_classes=8), num_classes=8)
    assert eight.top1 < eight.top5 < 1.0


def test_key_decides():
    data = problem(spread=5.0)
    assert probe(data) == probe(data)
    assert probe(data) != probe(data, key=jax.random.key(1))


def test_narrow_types_are_computed_in_float32():
    data = problem()
    halves = [jnp.asarray(z, jnp.bfloat16) for z in (data.train, data.test)]
    wide = [np.asarray(z, np.float32) for z in halves]
    assert probe(data._replace(train=halves[0], test=halves[1])) == probe(
        data._replace(train=wide[0], test=wide[1])
    )


def test_a_new_key_does_not_compile_anew():
    data = problem()
    probe(data)
    before = module._fit._cache_size()
    probe(data, key=jax.random.key(5), learning_rate=1e-3)
    assert module._fit._cache_size() == before


GOOD = problem()
NAN = np.where(np.arange(30)[:, None] == 3, np.nan, GOOD.train)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": NAN}, "in 1 of 30 rows"),
        ({"test": NAN}, "in 1 of 30 rows"),
        ({"train_labels": GOOD.train_labels - 1}, "train_labels must lie in 0 to 2, found -1"),
        ({"test_labels": GOOD.test_labels + 1}, "test_labels must lie in 0 to 2, found 3"),
        ({"train_labels": np.ones(30, int)}, "at least two classes, found 1"),
        ({"num_held_out": 2}, "num_held_out must be 3 to 29, .* found 2"),
        ({"num_held_out": 30}, "num_held_out must be 3 to 29, .* found 30"),
        ({"test": GOOD.test[:0], "test_labels": GOOD.test_labels[:0]}, "test rows, found none"),
        ({"learning_rate": 1e38}, "must stay finite, found NaN"),
    ],
)
def test_bad_input_is_told_in_one_line(changes, message):
    parts = {name: changes[name] for name in changes if name in Problem._fields}
    others = {name: changes[name] for name in changes if name not in Problem._fields}
    with pytest.raises(InputError, match=message) as error:
        probe(GOOD._replace(**parts), **others)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": GOOD.train[0]}, r"on train needs .* found shapes \(5,\) and \(30,\)"),
        ({"test_labels": GOOD.test_labels[:4]}, r"on test needs .* \(30, 5\) and \(4,\)"),
        ({"train_labels": GOOD.train_labels / 1}, "labels must be integers, found float64"),
        ({"test": GOOD.test[:, :4]}, "one width, found 5 and 4"),
        ({"num_epochs": 0}, "num_epochs must be at least 1, found 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, found 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, found 0.0"),
        ({"l2_grid": ()}, r"l2_grid must hold .* found \[\]"),
        ({"l2_grid": (0.1, -0.1)}, r"found \[0.1, -0.1\]"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(changes, message):
    parts = {name: changes[name] for name in changes if name in Problem._fields}
    others = {name: changes[name] for name in changes if name not in Problem._fields}
    with pytest.raises(ValueError, match=message) as error:
        probe(GOOD._replace(**parts), **others)
    assert "\n" not in str(error.value)
    assert not isinstance(error.value, InputError)
