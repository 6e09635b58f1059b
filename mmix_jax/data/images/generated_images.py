"""Images drawn by formula, for trials that need no files."""

import numpy as np

from mmix_jax.data.types import ImageDataset, make_image_dataset

NUM_CLASSES = 10
NUM_TRAIN, NUM_TEST = 400, 100
SIZE = 32


def load_generated_images() -> ImageDataset:
    """Coloured stripes with noise, 32 × 32 × 3: a class is a direction and a width of stripes.

    Position, colours and noise differ from image to image, so that pixels alone say little about
    the class. 40 training and 10 test images of each of 10 classes; the same each time.
    """
    draw = np.random.default_rng(0)
    count = NUM_TRAIN + NUM_TEST
    labels = np.arange(count) % NUM_CLASSES
    angle = np.pi * (labels % 5) / 5
    period = np.where(labels < 5, 5.0, 10.0)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    along = np.cos(angle)[:, None, None] * columns[None] + np.sin(angle)[:, None, None] * rows[None]
    phase = draw.uniform(0, 1, (count, 1, 1))
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (along / period[:, None, None] + phase))
    dark, light = draw.uniform(0, 0.5, (count, 1, 1, 3)), draw.uniform(0.5, 1, (count, 1, 1, 3))
    values = dark + (light - dark) * wave[..., None] + draw.normal(0, 0.05, (count, SIZE, SIZE, 3))
    images = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    train, test = slice(0, NUM_TRAIN), slice(NUM_TRAIN, count)
    return make_image_dataset(
        "generated",
        images[train],
        labels[train],
        images[test],
        labels[test],
        classes=[f"stripes {number}" for number in range(NUM_CLASSES)],
    )
