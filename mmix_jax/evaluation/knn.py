"""Nearest neighbours by cosine similarity, with equal or weighted votes."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.evaluation.checks import as_floats, check_embeddings, fitting
from mmix_jax.fields import MOST_ROWS, POSITIVE
from mmix_jax.ops.arrays import native
from mmix_jax.ops.numbers import real_number, whole_number
from mmix_jax.ops.similarity import normalise

# From here on down powers of cosines are taken from the nearest's.
_SHARP = 1 / 40
# Differences of cosines over it stay within float32.
_LOWEST_TEMPERATURE = 1e-35


class Votes(NamedTuple):
    """What the neighbours of each query say.

    Fields:
      classes: all classes, best first [Q, num_classes]; column 0 is the prediction.
      scores: their votes, in the same order [Q, num_classes].
    """

    classes: np.ndarray
    scores: np.ndarray


def knn_predict(
    bank: np.ndarray | jax.Array,
    bank_labels: np.ndarray | jax.Array,
    queries: np.ndarray | jax.Array,
    *,
    k: int,
    num_classes: int,
    temperature: float | None = None,
    block_size: int = 256,
) -> Votes:
    """Votes of the k rows of the bank with the largest cosine to each query.

    A vote counts 1, or exp(cosine / temperature). Below a temperature of 1/40, where such powers
    leave float32, it is exp((cosine − the nearest's) / temperature): the same order, and the
    nearest counts 1. Among equally near rows the earlier ones are taken; among classes with equal
    votes the one whose nearest voter is nearer comes first, and among classes without votes the
    smaller number. A zero vector has cosine 0 with everything.
    Blocks of queries are compared at a time, so that memory does not grow with their number.

    Args:
      bank: features [N, D]; floats narrower than 32 bits, and integers, are computed in float32.
      bank_labels: classes [N] in [0, num_classes).
      queries: features [Q, D].
      k: neighbours, 1 to N.
      num_classes: C.
      temperature: positive; None means equal votes.
      block_size: queries compared at a time. With 256, and 50,000 rows in the bank, their cosines
        take 50 MB.

    Raises:
      ValueError: a shape, a label, ``k``, ``temperature`` or ``block_size`` is not as described.
    """
    bank, queries = as_floats(bank), as_floats(queries)
    labels = np.asarray(native(bank_labels))
    k = whole_number("k", k, -MOST_ROWS, "lower k")
    num_classes = whole_number("num_classes", num_classes, 1, "count all classes")
    block_size = whole_number("block_size", block_size, 1, "raise it")
    if temperature is not None:
        positive = real_number("temperature", temperature, POSITIVE, "None gives equal votes")
        temperature = max(positive, _LOWEST_TEMPERATURE)
    _check(bank, labels, queries, k, num_classes)
    labels = fitting(labels)
    num_queries = len(queries)
    block = max(1, min(block_size, num_queries))
    blocks = jnp.pad(queries, ((0, -num_queries % block), (0, 0)))
    votes = _votes_in_blocks(
        bank,
        jnp.asarray(labels),
        blocks.reshape(-1, block, queries.shape[1]),
        temperature,
        k=k,
        num_classes=num_classes,
    )
    scores, first = (np.asarray(a).reshape(-1, num_classes)[:num_queries] for a in votes)
    classes = np.lexsort((first, -scores), axis=-1)  # stable: then the smaller number
    return Votes(classes, np.take_along_axis(scores, classes, axis=-1))


def knn_accuracy(
    bank: np.ndarray | jax.Array,
    bank_labels: np.ndarray | jax.Array,
    queries: np.ndarray | jax.Array,
    labels: np.ndarray | jax.Array,
    *,
    num_classes: int,
    k: int = 200,
    temperature: float | None = 0.4,
    block_size: int = 256,
) -> dict[str, float]:
    """Shares of queries whose class is first, or among the first five, of ``knn_predict``.

    The image protocol (METHOD, section 5). ``"top5"`` is 1 where there are no more than five
    classes; where fewer than five have votes, the others follow by number.

    Args:
      bank, bank_labels, queries, num_classes, k, temperature, block_size: as there.
      labels: classes [Q] in [0, num_classes).

    Returns:
      ``"top1"`` and ``"top5"``, fractions in [0, 1].

    Raises:
      ValueError: as ``knn_predict``, or the labels of the queries are not as described, or there
        are no queries.
      InputError: a feature is not finite.
    """
    check_embeddings("knn_accuracy on the bank", bank, bank_labels)
    labels = check_embeddings("knn_accuracy on the queries", queries, labels)
    num_classes = whole_number("num_classes", num_classes, 1, "count all classes")
    if len(labels) == 0:
        raise ValueError("knn_accuracy needs queries, found none; give at least one")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"labels must lie in 0 to {num_classes - 1}, found {labels.min()} to "
            f"{labels.max()}; leave unlabelled queries out, or raise num_classes"
        )
    votes = knn_predict(
        bank,
        bank_labels,
        queries,
        k=k,
        num_classes=num_classes,
        temperature=temperature,
        block_size=block_size,
    )
    right = votes.classes == labels[:, None]
    return {f"top{n}": float(right[:, :n].any(axis=1).mean()) for n in (1, 5)}


@functools.partial(jax.jit, static_argnames=("k", "num_classes"))
def _votes_in_blocks(bank, labels, queries, temperature, *, k: int, num_classes: int):
    """Of queries [B, Q, D] against the bank [N, D], for every class [B, Q, C].

    The sum of its votes, and the rank of its nearest voter (k without any).
    """
    bank = normalise(bank)

    def vote(block):
        # Full precision, or a GPU may round the products to 10 bits.
        cosines = jnp.matmul(normalise(block), bank.T, precision=jax.lax.Precision.HIGHEST)
        nearest, rows = jax.lax.top_k(cosines, k)  # equal ones: the earlier row first
        weights = jnp.ones_like(nearest)
        if temperature is not None:
            origin = jnp.where(temperature < _SHARP, nearest[:, :1], 0.0)
            weights = jnp.exp((nearest - origin) / temperature)
        voted = labels[rows][:, :, None] == jnp.arange(num_classes)[None, None, :]  # [Q, k, C]
        scores = jnp.sum(jnp.where(voted, weights[:, :, None], 0.0), axis=1)
        first = jnp.where(voted.any(axis=1), jnp.argmax(voted, axis=1), k)
        return scores, first

    return jax.lax.map(vote, queries)


def _check(bank, labels: np.ndarray, queries, k: int, num_classes: int) -> None:
    if bank.ndim != 2 or queries.ndim != 2 or bank.shape[1] != queries.shape[1]:
        raise ValueError(
            f"neighbours need bank [N, D] and queries [Q, D], found shapes {bank.shape} and "
            f"{queries.shape}; take both from one encoder"
        )
    if labels.shape != bank.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"bank_labels must be integers [{len(bank)}], found {labels.dtype} "
            f"{list(labels.shape)}; give one class per row of the bank"
        )
    if not 1 <= k <= len(bank):
        raise ValueError(f"k must be 1 to {len(bank)}, the rows of the bank, found {k}; lower k")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"bank_labels must lie in 0 to {num_classes - 1}, found {labels.min()} to "
            f"{labels.max()}; leave unlabelled rows out, or raise num_classes"
        )
