"""scikit-learn's handwritten digits as images; needs no file and no network."""

import numpy as np

from mmix_jax.data.statistics import check_statistics, measure_images
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

    values, labels = load_digits(return_X_y=True)
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
    check_statistics("digits", measure_images(dataset))
    return dataset


def stratified_test(labels: np.ndarray, num_test: int, *, seed: int) -> np.ndarray:
    """Indices of test items, rising: of every class its share of them all, rounded.

    Shares are rounded down; what then lacks goes to the classes that lost most by it, of equal
    ones to the first.

    Args:
      labels: classes 0 … K − 1, [N].
      num_test: how many, at most N.
      seed: which of a class they are.
    """
    sizes = np.bincount(labels)
    counts, lost = np.divmod(sizes * num_test, labels.size)
    counts[np.argsort(-lost, kind="stable")[: num_test - counts.sum()]] += 1
    # RandomState, not default_rng: NumPy promises that its numbers never change.
    order = np.random.RandomState(seed).permutation(labels.size)
    chosen = [order[labels[order] == c][:count] for c, count in enumerate(counts)]
    return np.sort(np.concatenate(chosen))
