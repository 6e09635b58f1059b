"""What an image config makes of its data: parts, order of the batches, static settings."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.augment.images import ImageAugmentation
from mmix_jax.data.splits import stratified_test
from mmix_jax.data.types import ImageDataset, make_image_dataset
from mmix_jax.errors import InputError
from mmix_jax.experiments.images.config import ImageConfig
from mmix_jax.frameworks.simclr import ImageSettings, ImageTables
from mmix_jax.training.step import Optimization

SPLIT_SEED = 0
log = logging.getLogger(__name__)


def parts_of(config: ImageConfig, dataset: ImageDataset) -> ImageDataset:
    """The images that this config trains and tests on: parts of those of `dataset`.

    Without a test part a share of the labelled images becomes one; subsets have of each class its
    share of all. Statistics of the channels are those of the images kept for training.

    Raises:
      InputError: fewer images than asked for.
    """
    train = _Part(dataset.train, dataset.train_labels, dataset.train_ids)
    test = None
    if dataset.test is not None:
        test = _Part(dataset.test, dataset.test_labels, dataset.test_ids)
    elif train.labels is not None:
        num_test = max(round(config.test_share * len(train.images)), 1)
        chosen = stratified_test(train.labels, num_test, seed=SPLIT_SEED)
        rest = np.setdiff1d(np.arange(len(train.images)), chosen)
        train, test = train.take(rest), train.take(chosen)
    if config.num_train:
        train = train.take(_subset("num_train", train, config.num_train))
    if config.num_test and test is not None:
        test = test.take(_subset("num_test", test, config.num_test))
    if train.images is dataset.train and (test is None or test.images is dataset.test):
        return dataset
    try:
        return make_image_dataset(
            dataset.name,
            train.images,
            train.labels,
            None if test is None else test.images,
            None if test is None else test.labels,
            classes=dataset.classes,
            train_ids=train.ids,
            test_ids=None if test is None else test.ids,
        )
    except ValueError as error:  # told of a config's parts, not of a caller's arrays
        raise InputError(str(error)) from error


class _Part(NamedTuple):
    """Images of one part with what belongs to them."""

    images: np.ndarray
    labels: np.ndarray | None
    ids: np.ndarray | None

    def take(self, rows: np.ndarray) -> "_Part":
        labels, ids = (None if x is None else x[rows] for x in (self.labels, self.ids))
        return _Part(self.images[rows], labels, ids)


def _subset(name: str, part: _Part, wanted: int) -> np.ndarray:
    """Rows of a subset, ascending, with of each class its share."""
    if wanted > len(part.images):
        raise InputError(f"{name} must be at most {len(part.images)}, found {wanted}; 0 is all")
    known = np.zeros(len(part.images), np.int64) if part.labels is None else part.labels
    return stratified_test(known, wanted, seed=SPLIT_SEED)


def held_out_of(config: ImageConfig, num_images: int, num_classes: int) -> int:
    """Training images that the linear probe holds out: as told, or a tenth, 5,000 at most."""
    return config.probe_held_out or max(min(5000, num_images // 10), num_classes)


def check_scoring(config: ImageConfig, dataset: ImageDataset) -> None:
    """Raise InputError where kNN or the linear probe would; without labels there are no scores."""
    if dataset.train_labels is None or dataset.test_labels is None:
        return
    num_images, num_classes = len(dataset.train), len(dataset.classes)
    if config.num_neighbours > num_images:
        raise InputError(
            f"num_neighbours must be at most the {num_images} training images, found "
            f"{config.num_neighbours}; lower it"
        )
    if num_images <= num_classes:
        raise InputError(
            "the linear probe holds out an image per class and learns from others: training "
            f"images must be more than the {num_classes} classes, found {num_images}; use more"
        )
    held_out = held_out_of(config, num_images, num_classes)
    if not num_classes <= held_out < num_images:
        raise InputError(
            f"probe_held_out must be {num_classes} to {num_images - 1}, found {held_out}; 0 takes "
            "a tenth of the training images"
        )
    num_seen = len(np.unique(dataset.train_labels))
    if num_seen < 2:
        raise InputError(
            f"training images must be of two classes or more, found {num_seen} among {num_images}; "
            "use more"
        )


def chunk_of(config: ImageConfig, num_images: int) -> int:
    """Steps per dispatch at most."""
    if config.chunk_steps:
        return config.chunk_steps
    return 1 if jax.default_backend() == "cpu" else num_images // config.batch_size


def make_order(
    config: ImageConfig, num_images: int, seed: int, num_devices: int
) -> Callable[[int], np.ndarray]:
    """`batch(step)`: rows of the images of that step on each device, int32 [k, B / k].

    Every epoch has its own order, a function of seed and epoch, and leaves out what does not fill
    a batch. With a chunk of S > 1 steps: those of S steps from `step` on, [k, S, B / k].

    Raises:
      InputError: there are fewer images than a batch needs, or the devices do not divide it.
    """
    size, chunk = config.batch_size, chunk_of(config, num_images)
    if size > num_images:
        raise InputError(
            f"batch_size must be at most the {num_images} training images, found {size}; lower it"
        )
    if size % num_devices:
        most = num_images // num_devices
        near = min(max(round(size / num_devices), 1), most) * num_devices
        way_out = f"the nearest is {near}" if most else f"{num_images} images want num_devices=1"
        raise InputError(
            f"batch_size must be a multiple of the {num_devices} devices, found {size}; {way_out}"
        )
    per_epoch = num_images // size
    orders: dict[int, np.ndarray] = {}

    def order_of(epoch: int) -> np.ndarray:
        if epoch not in orders:
            orders.clear()
            drawn = np.random.default_rng((seed, epoch)).permutation(num_images)
            orders[epoch] = drawn[: per_epoch * size].astype(np.int32)
        return orders[epoch]

    def rows(step: int) -> np.ndarray:
        epoch, place = divmod(step, per_epoch)
        return order_of(epoch)[place * size : (place + 1) * size].reshape(num_devices, -1)

    if chunk == 1:
        return rows
    return lambda step: np.stack([rows(step + number) for number in range(chunk)], axis=1)


def augmentation_of(config: ImageConfig, dataset: ImageDataset) -> ImageAugmentation:
    """The augmentation, with the statistics of the training images."""
    return ImageAugmentation(
        crop_scale=None if config.crop_min >= 1 else (config.crop_min, 1.0),
        flip=config.flip,
        jitter=config.jitter,
        jitter_strengths=(config.brightness, config.contrast_jitter, config.saturation, config.hue),
        grayscale=config.grayscale,
        mean=dataset.mean,
        std=dataset.std,
    )


def image_settings(config: ImageConfig, dataset: ImageDataset) -> ImageSettings:
    """The framework's static settings."""
    precision = config.precision
    if precision == "auto":
        precision = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return ImageSettings(
        stages=tuple(config.stages),
        width=config.width,
        features=config.head_width,
        hidden=config.head_hidden_width,
        dtype=precision,
        augmentation=augmentation_of(config, dataset),
        mixing=config.mixing,
        symmetric=config.symmetric,
        renormalise=config.renormalise,
        contrast=config.contrast,
        num_contrasted=config.batch_size,
    )


def optimization_of(config: ImageConfig) -> Optimization:
    """How this config updates parameters."""
    return Optimization(
        config.learning_rate,
        config.weight_decay,
        optimizer=config.optimizer,
        momentum=config.momentum,
        warmup_steps=config.warmup_steps,
        cosine_steps=config.num_steps if config.schedule == "cosine" else 0,
    )


class ImageInputs(NamedTuple):
    """A config with its images and the model's settings; `tables` are the training images."""

    config: ImageConfig
    dataset: ImageDataset
    settings: ImageSettings
    tables: ImageTables

    def as_trained(self, progress: Mapping[str, Any]) -> "ImageInputs":
        """With the channels' mean and deviation of the encoder's training, by its record.

        A record without them (of converted weights, or of an older version) leaves these inputs'
        own, and a warning says so.
        """
        if "mean" not in progress:
            log.warning(
                "warning: the checkpoint does not tell mean and deviation of its training images; "
                "those of the images given now are used"
            )
            return self
        channels = {name: tuple(progress[name]) for name in ("mean", "std")}
        augmentation = self.settings.augmentation._replace(**channels)
        settings = dataclasses.replace(self.settings, augmentation=augmentation)
        return self._replace(settings=settings)


def inputs_of(config: ImageConfig, dataset: ImageDataset) -> ImageInputs:
    """Those parts of the images that the config wants, on the device.

    Raises:
      InputError: the config asks for more images than there are.
    """
    dataset = parts_of(config, dataset)
    labels = None if dataset.train_labels is None else jnp.asarray(dataset.train_labels)
    tables = ImageTables(jnp.asarray(dataset.train), labels)
    return ImageInputs(config, dataset, image_settings(config, dataset), tables)
