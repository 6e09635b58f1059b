"""The library's side of the image benchmarks: its training steps, and the work that they are."""

import numpy as np

from mmix_jax.data import ImageDataset, make_image_dataset
from mmix_jax.experiments.defaults import Config
from mmix_jax.experiments.image_defaults import IMAGE_VARIANTS, image_config
from mmix_jax.experiments.images.inputs import make_order
from mmix_jax.experiments.images.task import start, task_of
from mmix_jax.experiments.runs import keys_of, optimization_of
from mmix_jax.frameworks.simclr import make_image_loss
from mmix_jax.training.step import AXIS, make_optimizer, make_step, make_steps, replicate

SHAPE = (32, 32, 3)


def random_images(count: int) -> ImageDataset:
    """Noise of CIFAR's shape without labels: speed does not depend on what is in an image."""
    values = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)
    return make_image_dataset("noise", values)


def config_of(rule: str, *, batch_size: int, precision: str, width: int) -> Config:
    """CIFAR-10's config for speed alone; every image of a batch is mixed where the rule mixes."""
    config = image_config("cifar10")
    config.update(IMAGE_VARIANTS[rule])
    config.update(batch_size=batch_size, precision=precision, width=width, num_devices=1)
    return config


def multiplications(width: int, stages: tuple[int, ...] = (2, 2, 2, 2)) -> float:
    """Multiply-adds of one forward pass of `ResNet18` on one image (convolutions alone)."""
    places = SHAPE[0] * SHAPE[1]
    total = places * 9 * SHAPE[2] * width
    before = width
    for stage, blocks in enumerate(stages):
        channels = width * 2**stage
        places //= 1 if stage == 0 else 4
        for block in range(blocks):
            inner = before if block == 0 else channels
            total += places * 9 * (inner * channels + channels * channels)
            total += places * inner * channels if block == 0 and inner != channels else 0
        before = channels
    return float(total)


def flops_of_step(batch_size: int, width: int, stages: tuple[int, ...] = (2, 2, 2, 2)) -> float:
    """Forward and backward passes of both views, each product and sum counted."""
    return 2 * 3 * 2 * batch_size * multiplications(width, stages)


class LibraryStep:
    """The training of a config on one device, as `mmix_jax.main` runs it.

    `chunk` steps a dispatch; augmentation is part of them.
    """

    def __init__(self, config: Config, dataset: ImageDataset, *, chunk: int = 1):
        config.chunk_steps = chunk
        self.task = task_of(config, dataset)
        self.state = start(self.task, config.seed)
        self.chunk = chunk
        self._key = keys_of(config.seed)[1]
        self._order = make_order(config, len(dataset.train), config.seed, 1)
        loss_fn = make_image_loss(self.task.settings, AXIS)
        optimizer = make_optimizer(optimization_of(config))
        make = make_step if chunk == 1 else make_steps
        self._step = make(loss_fn, optimizer, devices=self.task.devices)
        self._tables = replicate(self.task.tables, self.task.devices)
        self._state = replicate(self.state, self.task.devices)
        self._number = 0

    def __call__(self) -> float:
        """One dispatch; returns its mean loss, and with it waits for the steps."""
        rows = self._order(self._number)
        count = () if self.chunk == 1 else (self.chunk,)
        found = self._step(self._state, self._tables, rows, *count, self._key)
        self._state, metrics = found
        self._number += self.chunk
        return float(metrics["loss"])
