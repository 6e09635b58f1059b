"""The digits as images: the same everywhere, in shares by class."""

import numpy as np
import pytest

from mmix_jax.data import statistics
from mmix_jax.data.images.digit_images import load_digit_images


@pytest.fixture(scope="module")
def digits():
    return load_digit_images()


def test_statistics(digits):
    assert statistics.image_statistics(digits) == statistics.EXPECTED["digits"]
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
