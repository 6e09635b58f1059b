"""The image protocol's linear probe: minibatch logistic regression on frozen features.

Differences from the linear evaluation in the authors' image code:

1. Features are clean and frozen. Theirs pass the training augmentation, at test too, and batch
   norm keeps moving.
2. The L2 weight comes from a grid, by accuracy on training rows held out; then a new classifier
   is trained on all training rows.
3. The classifier after the last epoch is scored on the test rows, once. Theirs is the best of
   all epochs by test accuracy.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mmix_jax.errors import InputError
from mmix_jax.evaluation.checks import RATES, as_floats, check_embeddings, check_l2_grid, check_size
from mmix_jax.fields import MOST_ROWS
from mmix_jax.ops.arrays import numbers_of
from mmix_jax.ops.numbers import real_number, whole_number

PROBE_L2_GRID = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)


class LinearProbe(NamedTuple):
    """What ``linear_probe`` measured; accuracies are fractions in [0, 1].

    Fields:
      top1: share of test rows whose class has the largest logit.
      top5: share of test rows whose class is among the five largest logits; 1 where there are no
        more than five classes.
      l2: the chosen L2 weight.
      l2_grid: the L2 weights to choose from, ascending.
      held_out: top-1 accuracy on the held-out training rows of each L2 weight in ``l2_grid``.
    """

    top1: float
    top5: float
    l2: float
    l2_grid: tuple[float, ...]
    held_out: tuple[float, ...]


def linear_probe(
    train: np.ndarray | jax.Array,
    train_labels: np.ndarray | jax.Array,
    test: np.ndarray | jax.Array,
    test_labels: np.ndarray | jax.Array,
    *,
    num_classes: int,
    key: jax.Array,
    l2_grid: Sequence[float] = PROBE_L2_GRID,
    num_held_out: int = 5000,
    num_epochs: int = 100,
    batch_size: int = 512,
    learning_rate: float = 1e-3,
    cosine: bool = False,
    copies: int = 1,
) -> LinearProbe:
    """Test accuracy of a logistic regression on frozen features (METHOD, section 5).

    One classifier per L2 weight is trained without the held-out rows, all on the same batches; the
    weight with the best held-out accuracy, the smaller of equals, is used to train once more on
    all training rows. Test labels only score that last classifier.

    Classifiers start from zero, as the problem is convex, and take Adam steps on the mean cross
    entropy of a batch. Every epoch has its own order and meets every row once; its last batch is
    smaller where ``batch_size`` does not divide the rows. The L2 weight acts as torch's
    ``weight_decay`` in Adam: ``l2 * w`` is added to the gradient, of weights and of bias. Features
    are taken as they are, without standardisation.

    Args:
      train: features [N, D]; floats narrower than 32 bits, and integers, are computed in float32.
      train_labels: classes [N] in [0, num_classes), at least two of them.
      test: features [M, D].
      test_labels: classes [M] in [0, num_classes).
      num_classes: C.
      key: PRNG key of the held-out rows and of the orders.
      l2_grid: L2 weights to choose from; a single one leaves no choice.
      num_held_out: training rows held out for the choice, C to N − 1; every class has the share
        of them that it has of all rows, up to rounding.
      num_epochs: of each training.
      batch_size: rows per step; no more than there are.
      learning_rate: of Adam.
      cosine: the learning rate falls to 0 along half a cosine, instead of staying.
      copies: ``train`` is [copies · N, D]: features of N samples, augmented anew in each block of
        N rows; ``train_labels`` are those of one block. A sample is held out with all its copies
        and judged by the first.

    Raises:
      ValueError: a shape or type, or another argument, is not as described.
      InputError: a feature is not finite or beyond 1e15, a label is out of range, there are no test
        rows, the training rows are of one class, ``num_held_out`` is out of range, or the training
        diverged.
    """
    train, test = (numbers_of("features", x) for x in (train, test))
    num_classes = whole_number("num_classes", num_classes, 1, "count all classes")
    copies = whole_number("copies", copies, 1, "1 is one block")
    if copies > 1 and len(train) != copies * len(train_labels):
        raise ValueError(
            f"train must hold {copies} blocks of a row per label, found {len(train)} rows and "
            f"{len(train_labels)} labels; put whole copies behind one another"
        )
    train_labels, test_labels = _checked_rows(
        train, np.tile(train_labels, copies), test, test_labels, num_classes
    )
    num_samples = len(train_labels) // copies
    check_size(train)
    grid = check_l2_grid(l2_grid, PROBE_L2_GRID)
    num_epochs = whole_number("num_epochs", num_epochs, 1, "the protocol has 100")
    batch_size = whole_number("batch_size", batch_size, 1, "the protocol has 512")
    num_held_out = whole_number("num_held_out", num_held_out, -MOST_ROWS, "5000 is the default")
    learning_rate = real_number("learning_rate", learning_rate, RATES, "the protocol has 1e-3")
    split_key, choice_key, final_key = jax.random.split(key, 3)
    kept, held_out = _held_out_rows(
        split_key, train_labels[:num_samples], num_held_out, num_classes
    )
    kept = (kept[None, :] + num_samples * np.arange(copies)[:, None]).reshape(-1)
    train, test = as_floats(train), as_floats(test)
    fit = functools.partial(
        _fit,
        z=train,
        labels=jnp.asarray(train_labels, jnp.int32),
        learning_rate=learning_rate,
        num_classes=num_classes,
        num_epochs=num_epochs,
        batch_size=batch_size,
        cosine=cosine,
    )
    candidates = fit(choice_key, jnp.asarray(grid, train.dtype), rows=kept)
    right = _ranks(candidates, train[held_out], train_labels[held_out]) < 1
    best = int(np.argmax(right.sum(axis=1)))  # whole numbers, ascending grid: ties are exact
    final = fit(
        final_key, jnp.asarray(grid[best : best + 1], train.dtype), rows=np.arange(len(train))
    )
    ranks = _ranks(final, test, test_labels)[0]
    return LinearProbe(
        top1=float((ranks < 1).mean()),
        top5=float((ranks < 5).mean()),
        l2=grid[best],
        l2_grid=tuple(grid),
        held_out=tuple(right.mean(axis=1).tolist()),
    )


class _Classifier(NamedTuple):
    """Weights [D, C] and bias [C], with a leading axis for several classifiers."""

    w: jax.Array
    b: jax.Array


def _logits(params: _Classifier, z: jax.Array) -> jax.Array:
    # Full precision, or a GPU may round the products to 10 bits and the scores follow the device.
    return jnp.matmul(z, params.w, precision=jax.lax.Precision.HIGHEST) + params.b[None, :]


def _cross_entropy(params: _Classifier, z, labels, real) -> jax.Array:
    """Mean over the real rows of a batch."""
    losses = optax.softmax_cross_entropy_with_integer_labels(_logits(params, z), labels)
    return jnp.sum(jnp.where(real, losses, 0.0)) / jnp.sum(real)


@functools.partial(jax.jit, static_argnames=("num_classes", "num_epochs", "batch_size", "cosine"))
def _fit(
    key,
    grid,
    *,
    z,
    labels,
    rows,
    learning_rate,
    num_classes: int,
    num_epochs: int,
    batch_size: int,
    cosine: bool,
) -> _Classifier:
    """Trains one classifier per L2 weight on ``rows`` of z: weights [L, D, C], biases [L, C]."""
    batch = min(batch_size, len(rows))
    num_steps = -(-len(rows) // batch)  # per epoch
    real = (np.arange(num_steps * batch) < len(rows)).reshape(num_steps, batch)
    if cosine:
        learning_rate = optax.cosine_decay_schedule(learning_rate, num_epochs * num_steps)

    def fit_one(l2):
        optimizer = optax.chain(optax.add_decayed_weights(l2), optax.adam(learning_rate))

        def step(carry, batch):
            params, state = carry
            index, real = batch
            gradient = jax.grad(_cross_entropy)(params, z[index], labels[index], real)
            updates, state = optimizer.update(gradient, state, params)
            return (jax.tree.map(jnp.add, params, updates), state), None

        def epoch(carry, key):
            order = jax.random.permutation(key, rows)
            order = jnp.pad(order, (0, real.size - len(rows))).reshape(real.shape)
            return jax.lax.scan(step, carry, (order, real))

        start = _Classifier(
            w=jnp.zeros((z.shape[1], num_classes), z.dtype), b=jnp.zeros(num_classes, z.dtype)
        )
        start = (start, optimizer.init(start))
        (params, _), _ = jax.lax.scan(epoch, start, jax.random.split(key, num_epochs))
        return params

    # The batches do not depend on the L2 weight: one [B, D] x [D, L * C] product per step.
    return jax.vmap(fit_one)(grid)


def _ranks(params: _Classifier, z: jax.Array, labels: np.ndarray) -> np.ndarray:
    """How many classes each classifier puts before the right one, [L, n].

    Of equal logits the smaller class comes first.

    Raises:
      InputError: a classifier is not finite.
    """
    if not all(np.isfinite(leaf).all() for leaf in params):
        raise InputError(
            "the linear probe must stay finite, found NaN or infinity in its weights; "
            "lower its learning rate or scale the features down"
        )
    return np.asarray(_ranks_of_all(params, z, jnp.asarray(labels)))


@jax.jit
def _ranks_of_all(params: _Classifier, z, labels):
    def ranks(params):
        logits = _logits(params, z)
        right = jnp.take_along_axis(logits, labels[:, None], axis=1)
        smaller = jnp.arange(logits.shape[1])[None, :] < labels[:, None]
        return jnp.sum((logits > right) | ((logits == right) & smaller), axis=1)

    return jax.lax.map(ranks, params)


def _held_out_rows(
    key: jax.Array, labels: np.ndarray, num_held_out: int, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows held out, both ascending.

    A class of n rows gives ``num_held_out * n / N`` rows, rounded down; what is then missing comes
    from the classes with the largest remainders, the smaller class of equals.
    """
    num_rows = len(labels)
    if not num_classes <= num_held_out < num_rows:
        raise InputError(
            f"num_held_out must be {num_classes} to {num_rows - 1}, one row per class and fewer "
            f"than there are, found {num_held_out}; e.g. a tenth of the rows"
        )
    shares = num_held_out * np.bincount(labels, minlength=num_classes)
    counts, remainders = np.divmod(shares, num_rows)
    missing = num_held_out - counts.sum()
    counts[np.argsort(-remainders, kind="stable")[:missing]] += 1
    order = np.asarray(jax.random.permutation(key, num_rows))
    held_out = np.sort(
        np.concatenate([order[labels[order] == c][:n] for c, n in enumerate(counts)])
    )
    return np.setdiff1d(np.arange(num_rows), held_out), held_out


def _checked_rows(train, train_labels, test, test_labels, num_classes: int):
    """The labels of both parts on the host, once they fit their features and each other."""
    train_labels = check_embeddings("linear_probe on train", train, train_labels)
    test_labels = check_embeddings("linear_probe on test", test, test_labels)
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            f"train and test need features of one width, found {train.shape[1]} and "
            f"{test.shape[1]}; take both from one encoder"
        )
    if len(test_labels) == 0:
        raise InputError("linear_probe needs test rows, found none; give at least one")
    for name, labels in (("train_labels", train_labels), ("test_labels", test_labels)):
        outside = labels[(labels < 0) | (labels >= num_classes)]
        if outside.size:
            raise InputError(
                f"{name} must lie in 0 to {num_classes - 1}, found {outside[0]}; "
                "leave unlabelled rows out, or raise num_classes"
            )
    trained = np.unique(train_labels)
    if trained.size < 2:
        raise InputError(
            f"train must hold rows of at least two classes, found {trained.size}; add rows"
        )
    return train_labels, test_labels
