"""scikit-learn's handwritten digits as images; needs no file and no network."""

import numpy as np

from mmix_jax.data.splits import stratified_test
from mmix_jax.data.statistics import check_statistics, image_statistics
from mmix_jax.data.types import ImageDataset, make_image_dataset

NUM_TEST = 500
SEED = 0


def load_digit_images() -> ImageDataset:
    """1,297 training and 500 test images of 8 × 8 grey pixels, both stratified by class.

    The given values 0 … 16 become 0 … 255, rounded. Everybody's test images are the same.

    Raises:
      InputError: scikit-learn's copy is another one.
    """
    from sklearn.datasets import load_digits

    values, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    pixels = np.rint(values * 255 / 16).astype(np.uint8).reshape(-1, 8, 8, 1)
    test = stratified_test(labels, NUM_TEST, seed=SEED)
    train = np.setdiff1d(np.arange(labels.size), test)
    dataset = make_image_dataset(
        "digits",
        pixels[train],
        labels[train],
        pixels[test],
        labels[test],
        classes=[str(digit) for digit in range(10)],
    )
    check_statistics("digits", image_statistics(dataset))
    return dataset
