"""Images of 8 × 8 pixels made by hand, in memory and as files, and settings that take seconds."""

import io
import pathlib
import zipfile

import numpy as np

from mmix_jax.data.types import ImageDataset, make_image_dataset
from tests.experiments import configs

NUM_TRAIN, NUM_TEST, SIZE = 40, 12, 8
# One small program: a single block of four channels, eight images a step.
QUICK = {
    "stages": (1,),
    "width": 4,
    "head_width": 8,
    "batch_size": 8,
    "num_steps": 6,
    "eval_every": 2,
    "checkpoint_every": 3,
    "chunk_steps": 1,
    "num_neighbours": 5,
    "probe_epochs": 2,
    "eval_batch_size": 16,
    "num_devices": 1,
}


def pixels(count: int = NUM_TRAIN + NUM_TEST, *, seed: int = 0) -> np.ndarray:
    """Noise about a colour of each image's own, uint8 [count, 8, 8, 3]."""
    draw = np.random.default_rng(seed)
    colours = draw.integers(40, 216, (count, 1, 1, 3))
    noise = draw.integers(-40, 40, (count, SIZE, SIZE, 3))
    return (colours + noise).astype(np.uint8)


def dataset(num_classes: int = 6, *, tested: bool = True) -> ImageDataset:
    """The same images whatever the number of classes; 0: no labels."""
    images, labels = pixels(), np.arange(NUM_TRAIN + NUM_TEST) % max(num_classes, 1)
    train, test = slice(0, NUM_TRAIN), slice(NUM_TRAIN, None)
    labelled = num_classes > 0
    return make_image_dataset(
        "small",
        images[train],
        labels[train] if labelled else None,
        images[test] if tested else None,
        labels[test] if labelled and tested else None,
        classes=[f"class {number}" for number in range(num_classes)],
    )


def config(name: str = "cifar10", **changes):
    """`configs/<name>.py:smoke`, smaller still."""
    small = configs.load(name, "smoke")
    small.update(QUICK | changes)
    return small


def png(image: np.ndarray) -> bytes:
    """The file of one image, or of noise in any other array's place."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def files(num_classes: int = 2, *, tested: bool = True) -> dict[str, bytes]:
    """The images of `dataset` as PNG by name, in its order within each class."""
    found, images = {}, pixels()
    for number, image in enumerate(images if tested else images[:NUM_TRAIN]):
        part = "train" if number < NUM_TRAIN else "test"
        folders = [part] if tested else []
        if num_classes:
            folders.append(f"class {number % num_classes}")
        found["/".join([*folders, f"{number:02d}.png"])] = png(image)
    return found


def save(place: pathlib.Path, contents: dict[str, bytes]) -> pathlib.Path:
    """Writes files into a folder, or into an archive where the name ends in .zip."""
    if place.suffix == ".zip":
        with zipfile.ZipFile(place, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        return place
    for name, content in contents.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return place
