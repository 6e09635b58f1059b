"""The protocol's logistic regressions on frozen embeddings, all at once.

Differences from the MVGRL reference's ``LogReg`` loop:

1. The L2 weight comes from a grid, by validation accuracy; ``protocol_l2("reference", name)`` is
   the reference's fixed choice.
2. All classifiers run as one program. The numbers are those of one after another.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mmix_jax.errors import InputError
from mmix_jax.evaluation.checks import (
    L2_WEIGHTS,
    RATES,
    as_floats,
    check_embeddings,
    check_size,
    check_split,
    sorted_grid,
)
from mmix_jax.graphs.types import Split
from mmix_jax.ops.numbers import real_number, whole_number
from mmix_jax.results import Score, score

L2_GRID = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)
# Rows scored at a time: with 50 x 5 classifiers of 7 classes, 14 MB of logits per block.
_BLOCK = 2048


class LogisticScore(NamedTuple):
    """What ``logistic`` measured; every score has one value per initialisation.

    Fields:
      test: accuracies on the test nodes, with the chosen L2 weight.
      valid: accuracies on the validation nodes, with the same classifiers.
      l2: the chosen L2 weight.
    """

    test: Score
    valid: Score
    l2: float


def protocol_l2(protocol: str, dataset: str) -> tuple[float, ...]:
    """The L2 grid of a protocol: ``"standard"`` searches, ``"reference"`` fixes one value.

    The reference (MVGRL's published node code) takes 0.01 on Citeseer and 0 elsewhere.

    Raises:
      InputError: the protocol is unknown.
    """
    if protocol == "standard":
        return L2_GRID
    if protocol == "reference":
        return (0.01,) if dataset == "citeseer" else (0.0,)
    raise InputError(f"unknown protocol {protocol!r}; expected one of: reference, standard")


def logistic(
    z: np.ndarray | jax.Array,
    labels: np.ndarray | jax.Array,
    split: Split,
    *,
    num_runs: int = 50,
    key: jax.Array,
    num_classes: int | None = None,
    l2: Sequence[float] = L2_GRID,
    learning_rate: float = 1e-2,
    num_steps: int = 300,
) -> LogisticScore:
    """Test accuracy of ``num_runs`` logistic regressions on frozen embeddings (METHOD, section 5).

    Each starts from its own Xavier-uniform weights and zero bias and takes ``num_steps``
    full-batch Adam steps on the mean cross entropy. The L2 weight is the one with the best mean
    validation accuracy over all runs, the smaller of equals; test labels are not looked at. It
    acts as torch's ``weight_decay`` in Adam: ``l2 * w`` is added to the gradient, of weights and
    of bias. Embeddings are taken as they are, without standardisation.

    Args:
      z: embeddings [N, D]; floats narrower than 32 bits, and integers, are computed in float32.
      labels: classes [N] in [0, num_classes); -1, or anything, outside the split.
      split: node indices; the three parts must not be empty.
      num_runs: initialisations; the same ones for every L2 weight.
      key: PRNG key of the initialisations.
      num_classes: None means those that occur within the split, whatever their numbers.
      l2: L2 weights to choose from; a single one leaves no choice.
      learning_rate: of Adam.
      num_steps: of Adam.

    Raises:
      ValueError: a shape or type, or ``num_runs``, ``num_steps``, ``l2`` is not as described.
      InputError: an embedding is not finite or beyond 1e15, an index is out of range, a part of the
        split is empty or has nodes without label, or the training part has one class only.
    """
    labels = check_embeddings("logistic", z, labels)
    check_size(z)
    split = check_split(split, labels)
    if num_classes is None:  # those that occur: one that does not would only be in the way
        known = np.concatenate(split)
        names, codes = np.unique(labels[known], return_inverse=True)
        labels, num_classes = np.array(labels), names.size
        labels[known] = codes
    num_classes = _checked_classes(labels, split, num_classes)
    num_runs = whole_number("num_runs", num_runs, 1, "the protocol has 50")
    num_steps = whole_number("num_steps", num_steps, 1, "the protocol has 300")
    learning_rate = real_number("learning_rate", learning_rate, RATES, "the protocol has 1e-2")
    grid = sorted_grid("l2", l2, L2_WEIGHTS, L2_GRID)
    z = as_floats(z)
    params = _fit(
        jax.random.split(key, num_runs),
        jnp.asarray(grid, z.dtype),
        z[split.train],
        labels[split.train],
        learning_rate,
        num_classes=num_classes,
        num_steps=num_steps,
    )
    valid = _count_correct(params, z, labels, split.valid)
    best = int(np.argmax(valid.sum(axis=1)))  # whole numbers, ascending grid: ties are exact
    chosen = jax.tree.map(lambda leaf: leaf[best : best + 1], params)
    test = _count_correct(chosen, z, labels, split.test)
    return LogisticScore(
        test=score(test[0] / len(split.test)),
        valid=score(valid[best] / len(split.valid)),
        l2=grid[best],
    )


class _Classifier(NamedTuple):
    """Weights [D, C] and bias [C], with leading axes for several classifiers."""

    w: jax.Array
    b: jax.Array


def _logits(params: _Classifier, z: jax.Array) -> jax.Array:
    # Full precision, or a GPU may round the products to 10 bits and the scores follow the device.
    return jnp.matmul(z, params.w, precision=jax.lax.Precision.HIGHEST) + params.b[None, :]


def _cross_entropy(params: _Classifier, z: jax.Array, targets: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy(_logits(params, z), targets).mean()


@functools.partial(jax.jit, static_argnames=("num_classes", "num_steps"))
def _fit(keys, grid, z, labels, learning_rate, *, num_classes: int, num_steps: int) -> _Classifier:
    """Trains one classifier per L2 weight and key: [L, R, D, C] weights and [L, R, C] biases."""
    targets = jax.nn.one_hot(labels, num_classes, dtype=z.dtype)
    shape = (z.shape[1], num_classes)

    def fit_one(key, l2):
        optimizer = optax.chain(optax.add_decayed_weights(l2), optax.adam(learning_rate))
        start = _Classifier(
            w=jax.nn.initializers.glorot_uniform()(key, shape, z.dtype),
            b=jnp.zeros(num_classes, z.dtype),
        )

        def step(carry, _):
            params, state = carry
            gradient = jax.grad(_cross_entropy)(params, z, targets)
            updates, state = optimizer.update(gradient, state, params)
            return (optax.apply_updates(params, updates), state), None

        (params, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=num_steps)
        return params

    # The runs of one L2 weight share z: one [n, D] x [D, R * C] product per step. The grid is
    # walked, not batched: the product is wide enough, and memory stays that of one L2 weight.
    return jax.lax.map(lambda l2: jax.vmap(fit_one, in_axes=(0, None))(keys, l2), grid)


def _count_correct(params: _Classifier, z: jax.Array, labels: np.ndarray, index: np.ndarray):
    """How many of the nodes ``index`` each classifier gets right, [L, R] whole numbers."""
    block = min(_BLOCK, len(index))
    padding = -len(index) % block
    nodes = np.pad(index, (0, padding)).reshape(-1, block)
    wanted = np.pad(labels[index], (0, padding), constant_values=-1).reshape(-1, block)
    return np.asarray(_count_correct_in_blocks(params, z, nodes, wanted))


@jax.jit
def _count_correct_in_blocks(params: _Classifier, z, nodes, wanted):
    """Walks blocks of nodes [K, B]; a wanted label -1 (padding) is never met."""
    highest = jax.lax.Precision.HIGHEST

    def count(block):
        rows, target = block
        logits = jnp.einsum("nd,lrdc->lrnc", z[rows], params.w, precision=highest)
        predicted = jnp.argmax(logits + params.b[:, :, None, :], axis=-1)
        return (predicted == target[None, None, :]).sum(axis=-1)

    return jax.lax.map(count, (nodes, wanted)).sum(axis=0)


def _checked_classes(labels: np.ndarray, split: Split, num_classes: int) -> int:
    """The number of classes, at least two of them among the training nodes."""
    largest = max(int(labels[part].max()) for part in split)
    num_classes = whole_number("num_classes", num_classes, 1, "None counts them")
    if largest >= num_classes:
        raise InputError(
            f"labels must be below num_classes = {num_classes}, found {largest}; "
            "raise num_classes or renumber the labels"
        )
    trained = np.unique(labels[split.train])
    if trained.size < 2:
        raise InputError(
            "split.train must hold at least two classes, "
            f"found class {trained[0]} only; use another split"
        )
    return num_classes
