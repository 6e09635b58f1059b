"""Evaluations of features whose every score is known beforehand, part by part."""

import jax
import numpy as np
import pytest

from mmix_jax.evaluation.knn import knn_accuracy
from mmix_jax.evaluation.linear_probe import linear_probe

KEY = jax.random.key(0)
NUM_CLASSES = 8
# Which place the right class has among the eight of a test row: 2 are first, 7 among five.
PLACES = np.array([0, 0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 7])


def ranked_rows() -> tuple[np.ndarray, np.ndarray]:
    """Rows whose largest feature is the class put first, and so on, and their classes."""
    labels = np.arange(len(PLACES)) % NUM_CLASSES
    rows = np.empty((len(PLACES), NUM_CLASSES), np.float32)
    for row, label, place in zip(rows, labels, PLACES, strict=True):
        order = np.delete(np.roll(np.arange(NUM_CLASSES), -label), 0)  # the others, from its next
        row[np.insert(order, place, label)] = np.arange(NUM_CLASSES, 0, -1)
    return rows, labels


def one_hot_rows(copies: int = 4) -> tuple[np.ndarray, np.ndarray]:
    labels = np.tile(np.arange(NUM_CLASSES), copies)
    return np.eye(NUM_CLASSES, dtype=np.float32)[labels], labels


def test_top_5_are_five():
    """No class differs from another in training, so that logits are ordered as features are."""
    probe = linear_probe(
        *one_hot_rows(),
        *ranked_rows(),
        num_classes=NUM_CLASSES,
        key=KEY,
        num_held_out=NUM_CLASSES,
        num_epochs=10,
    )
    votes = knn_accuracy(*one_hot_rows(), *ranked_rows(), num_classes=NUM_CLASSES, k=32)
    for top1, top5 in ((probe.top1, probe.top5), (votes["top1"], votes["top5"])):
        assert top1 == pytest.approx(2 / 12)
        assert top5 == pytest.approx(7 / 12)


def test_the_probe_that_is_scored_has_learnt_from_the_rows_held_out_for_l2():
    """Both rows of a class have a feature of their own, so that each is known by itself alone."""
    labels = np.tile(np.arange(NUM_CLASSES), 2)
    rows = np.eye(2 * NUM_CLASSES, dtype=np.float32)
    probe = linear_probe(
        rows,
        labels,
        rows,
        labels,
        num_classes=NUM_CLASSES,
        key=KEY,
        num_held_out=NUM_CLASSES,
        num_epochs=10,
    )
    assert probe.top1 == 1.0
    assert max(probe.held_out) < 0.5  # while it chose, it had not
