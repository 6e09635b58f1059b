"""A config fitted to the number of its images: what was left to the data is chosen, and told.

Defaults, and what variants set, are made for CIFAR's 50,000 images. Where a folder has too few for
one of these values it gives way; a value of one's own is refused instead, by what uses it.
"""

import dataclasses
from typing import NamedTuple

import jax

from mmix_jax.data.types import ImageDataset
from mmix_jax.errors import InputError
from mmix_jax.experiments import flat
from mmix_jax.experiments.images.config import IMAGE_VARIANTS, ImageConfig
from mmix_jax.experiments.task import in_epochs


class Fitted(NamedTuple):
    """config: to be used in the asked one's place. notes: what was chosen for lack of images, a
    line each. training: how long it trains, in words; empty where the config says so itself."""

    config: ImageConfig
    notes: tuple[str, ...] = ()
    training: str = ""


def fit(config: ImageConfig, dataset: ImageDataset) -> Fitted:
    """Values for as many images as `dataset` has; a function of the config and of these numbers.

    - `num_train`, `num_test`: all where there are fewer.
    - `batch_size`: the largest power of two that the images fill, on all devices.
    - `num_neighbours`: a class's share of the training images.
    - `num_steps`: those of `num_epochs`, where that is given, but no more than asked;
      `eval_every` and `checkpoint_every` then divide these.
    - `warmup_steps`: those of `warmup_epochs`, where that is given.

    Raises:
      InputError: warmup takes no fewer steps than the training.
    """
    changes, notes = {}, []

    def choose(name: str, value: int, why: str) -> None:
        changes[name] = value
        notes.append(f"{name} {value or 'all'} in place of {getattr(config, name)}: {why}")

    num_train, num_test = _sizes(config, dataset)
    if config.num_train > num_train and _is_usual(config, "num_train"):
        choose("num_train", 0, f"there are {num_train} images to train on")
    elif config.num_train:
        num_train = min(num_train, config.num_train)
    if config.num_test > num_test and _is_usual(config, "num_test"):
        choose("num_test", 0, f"there are {num_test} test images")
    batch_size = config.batch_size
    if batch_size > num_train and _is_usual(config, "batch_size"):
        devices = config.num_devices or jax.local_device_count()
        batch_size = 2 ** (max(num_train, 1).bit_length() - 1) // devices * devices
        if batch_size >= 2:  # if not, making batches tells it
            choose("batch_size", batch_size, f"there are {num_train} images to train on")
    if config.num_neighbours > num_train and _is_usual(config, "num_neighbours"):
        share = max(num_train // max(len(dataset.classes), 1), 1)
        choose("num_neighbours", share, f"there are {num_train} images to choose them from")
    training, steps = "", config.num_steps
    per_epoch = max(num_train // max(batch_size, 1), 1)
    if config.num_epochs:
        in_steps, training = in_epochs(config, per_epoch)
        steps = changes["num_steps"] = in_steps.num_steps
        for name, share in {"eval_every": 20, "checkpoint_every": 10}.items():
            if _is_usual(config, name):
                changes[name] = min(getattr(config, name), max(steps // share, 1))
        if config.warmup_steps >= steps:
            raise InputError(
                f"warmup_steps must be fewer than the steps, found {config.warmup_steps} of "
                f"{training}; lower them"
            )
    if config.warmup_epochs:
        warmup = config.warmup_epochs * per_epoch
        changes |= {"warmup_steps": warmup, "warmup_epochs": 0}
        if warmup >= steps:
            raise InputError(
                f"warmup must be shorter than the training, found warmup_epochs "
                f"{config.warmup_epochs} of {per_epoch} steps and {training or f'{steps} steps'}; "
                "lower it"
            )
    return Fitted(dataclasses.replace(config, **changes), tuple(notes), training)


def _sizes(config: ImageConfig, dataset: ImageDataset) -> tuple[int, int]:
    """Images to train on and to test on, before subsets."""
    num_train = len(dataset.train)
    if dataset.test is not None:
        return num_train, len(dataset.test)
    if dataset.train_labels is None:
        return num_train, 0
    num_test = max(round(config.test_share * num_train), 1)
    return num_train - num_test, num_test


def _is_usual(config: ImageConfig, name: str) -> bool:
    """Whether a value is a default's or a variant's, not one that somebody chose for these data."""
    variants = {of[name] for of in IMAGE_VARIANTS.values() if name in of}
    return getattr(config, name) in {flat.entries(ImageConfig)[name].default, *variants}
