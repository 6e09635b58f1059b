"""Splits are disjoint, labelled, reproducible, and refused when they are not."""

import numpy as np
import pytest

from mmix_jax.data import splits
from mmix_jax.graphs.types import Split

LABELS = np.arange(100) % 4


def _split(train, valid, test):
    return Split(*(np.array(part, np.int32) for part in (train, valid, test)))


def test_random_split_is_10_10_80_of_the_labelled_nodes():
    labels = np.where(np.arange(100) < 90, LABELS, -1)
    split = splits.random_split(labels, seed=1)
    assert [part.size for part in split] == [9, 9, 72]
    assert [part.dtype for part in split] == [np.int32] * 3
    np.testing.assert_array_equal(np.sort(np.concatenate(split)), np.arange(90))


def test_random_split_depends_on_its_seed_only():
    first, again, other = (splits.random_split(LABELS, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)
    # NumPy's RandomState never changes its stream: neither may this.
    np.testing.assert_array_equal(first.train, [2, 16, 26, 54, 55, 73, 75, 86, 93, 95])


def test_small_random_split_has_a_node_in_every_part():
    with pytest.raises(ValueError, match="two classes or more"):
        splits.random_split(np.array([0, 1, 0, 1]))
    split = splits.random_split(np.array([0, 1, 0, 1]), train=0.5)
    assert [part.size for part in split] == [2, 1, 1]


def test_stratified_split_takes_equally_many_of_every_class():
    labels = np.where(np.arange(100) < 90, LABELS, -1)
    split = splits.stratified_split(labels, per_class=5, num_valid=30, seed=2)
    np.testing.assert_array_equal(np.bincount(labels[split.train]), [5, 5, 5, 5])
    assert [part.size for part in split] == [20, 30, 40]
    np.testing.assert_array_equal(np.sort(np.concatenate(split)), np.arange(90))


def test_stratified_split_needs_enough_nodes():
    with pytest.raises(ValueError, match="needs 26 nodes of every class, found 25 of class 0"):
        splits.stratified_split(LABELS, per_class=26)
    with pytest.raises(ValueError, match="'test' must hold one node"):
        splits.stratified_split(LABELS, per_class=5, num_valid=80)


@pytest.mark.parametrize(("sizes", "num_test"), [((5, 5, 5), 4), ((7, 2, 11), 9), ((3, 4), 7)])
def test_every_class_gives_its_share(sizes, num_test):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    test = splits.stratified_test(labels, num_test, seed=1)
    counts = np.bincount(labels[test], minlength=len(sizes))
    assert counts.sum() == num_test == np.unique(test).size
    assert (np.abs(counts - np.array(sizes) * num_test / sum(sizes)) < 1).all()
    assert (np.diff(test) > 0).all()
    np.testing.assert_array_equal(test, splits.stratified_test(labels, num_test, seed=1))


def test_left_over_places_go_to_the_largest_remainders_and_then_the_first_classes():
    labels = np.repeat([0, 1, 2], 5)  # shares 4/3 each: one place is left
    assert np.bincount(labels[splits.stratified_test(labels, 4, seed=0)]).tolist() == [2, 1, 1]
    labels = np.repeat([0, 1], [5, 7])  # shares 5/4 and 7/4
    assert np.bincount(labels[splits.stratified_test(labels, 3, seed=0)]).tolist() == [1, 2]


def test_seed_out_of_range_is_refused():
    with pytest.raises(ValueError, match="split_seed must lie in"):
        splits.random_split(LABELS, seed=-1)


@pytest.mark.parametrize(
    ("split", "told"),
    [
        (_split([0, 1], [2], [2, 3]), "must be disjoint, found node 2"),
        (_split([0, 1, 1], [2], [3]), "must be disjoint, found node 1"),
        (_split([], [2], [3]), "'train' must hold one node"),
        (_split([0, 1], [], [3]), "'valid' must hold one node"),
        (_split([0, 1], [2], []), "'test' must hold one node"),
        (_split([0, 1], [2], [100]), "'test' must lie in"),
        (_split([0, 1], [-1], [3]), "'valid' must lie in"),
        (_split([0, 4], [2], [3]), "training nodes must be of two classes"),
        (_split([0, 1], [99], [3]), "'valid' must have labels, found node 99"),
        (Split(np.array([0.0, 1.0]), np.array([2]), np.array([3])), "must hold node indices"),
        (Split(np.array([[0, 1]]), np.array([2]), np.array([3])), "found shape"),
    ],
)
def test_bad_splits_are_refused(split, told):
    labels = LABELS.copy()
    labels[99] = -1
    with pytest.raises(ValueError, match=told):
        splits.validate_split(split, labels, 100)


def test_without_labels_only_indices_are_checked():
    splits.validate_split(_split([0, 4], [2], [99]), None, 100)
    with pytest.raises(ValueError, match="disjoint"):
        splits.validate_split(_split([0, 4], [2], [4]), None, 100)


def test_nodes_of_a_matrix_of_labels_may_have_none():
    labels = np.zeros((4, 3), np.uint8)
    with pytest.raises(ValueError, match="training nodes must hold 0 and 1, found 0 only"):
        splits.validate_split(_split([0, 1], [2], [3]), labels, 4)
    labels[1, 2] = 1
    splits.validate_split(_split([0, 1], [2], [3]), labels, 4)
    with pytest.raises(ValueError, match="found 1 only"):
        splits.validate_split(_split([0, 1], [2], [3]), labels | 1, 4)


def test_a_matrix_of_labels_is_not_split_by_classes():
    labels = np.eye(4, dtype=np.uint8)
    for draw in (splits.random_split, splits.stratified_split):
        with pytest.raises(ValueError, match=r"one class per node, found labels of shape \(4, 4\)"):
            draw(labels)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_masks_mark_nodes(dtype):
    masks = np.eye(3, dtype=dtype)
    split = splits.split_from_masks(dict(zip(splits.MASKS, masks, strict=True)), 3)
    np.testing.assert_array_equal(np.concatenate(split), [0, 1, 2])


@pytest.mark.parametrize(
    "mask", [np.ones(2), np.ones((3, 2)), np.array([0, 1, 2]), np.array(list("abc"))]
)
def test_bad_masks_are_refused(mask):
    with pytest.raises(ValueError, match="val_mask must"):
        splits.split_from_masks(
            {"train_mask": np.ones(3), "val_mask": mask, "test_mask": np.ones(3)}, 3
        )


def test_choose_split():
    given = _split([0, 1], [2], [3])
    assert splits.choose_split("default", given, LABELS) is given
    assert splits.choose_split("public", given, LABELS) is given
    drawn = splits.random_split(LABELS, seed=5)
    for split, source in (("random", given), ("default", None)):
        found = splits.choose_split(split, source, LABELS, seed=5)
        np.testing.assert_array_equal(found.test, drawn.test)
    assert splits.choose_split("default", given, None) is None
    for split, source, labels in (("public", None, LABELS), ("random", given, None)):
        with pytest.raises(ValueError, match="found none"):
            splits.choose_split(split, source, labels)
    with pytest.raises(ValueError, match="expected one of: default, public, random"):
        splits.choose_split("publik", given, LABELS)
