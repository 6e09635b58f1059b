"""The digits as images: the same everywhere, in shares by class."""

import numpy as np
import pytest

from mmix_jax.data import statistics
from mmix_jax.data.images.digit_images import load_digit_images, stratified_test


@pytest.fixture(scope="module")
def digits():
    return load_digit_images()


def test_statistics(digits):
    assert statistics.measure_images(digits) == statistics.EXPECTED_IMAGES["digits"]
    assert digits.classes == tuple("0123456789")
    assert digits.train.dtype == digits.test.dtype == np.uint8


def test_every_given_image_is_in_one_part_with_its_digit(digits):
    from sklearn.datasets import load_digits

    given, targets = load_digits(return_X_y=True)
    wanted = sorted(
        (tuple(int(v * 255 / 16 + 0.5) for v in row), int(digit))
        for row, digit in zip(given, targets, strict=True)
    )
    found = [
        (tuple(image.ravel().tolist()), int(label))
        for images, labels in (
            (digits.train, digits.train_labels),
            (digits.test, digits.test_labels),
        )
        for image, label in zip(images, labels, strict=True)
    ]
    assert sorted(found) == wanted


def test_the_first_test_images_never_change(digits):
    assert digits.test_labels[:12].tolist() == [1, 2, 4, 5, 6, 9, 4, 7, 8, 9, 2, 7]
    assert int(digits.test.astype(np.int64).sum()) == 2480942


@pytest.mark.parametrize(("sizes", "num_test"), [((5, 5, 5), 4), ((7, 2, 11), 9), ((3, 4), 7)])
def test_every_class_gives_its_share(sizes, num_test):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    test = stratified_test(labels, num_test, seed=1)
    counts = np.bincount(labels[test], minlength=len(sizes))
    assert counts.sum() == num_test == np.unique(test).size
    assert (np.abs(counts - np.array(sizes) * num_test / sum(sizes)) < 1).all()
    assert (np.diff(test) > 0).all()
    np.testing.assert_array_equal(test, stratified_test(labels, num_test, seed=1))


def test_left_over_places_go_to_the_largest_remainders_and_then_the_first_classes():
    labels = np.repeat([0, 1, 2], 5)  # shares 4/3 each: one place is left
    assert np.bincount(labels[stratified_test(labels, 4, seed=0)]).tolist() == [2, 1, 1]
    labels = np.repeat([0, 1], [5, 7])  # shares 5/4 and 7/4
    assert np.bincount(labels[stratified_test(labels, 3, seed=0)]).tolist() == [1, 2]
