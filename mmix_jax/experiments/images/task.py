"""The image task: SimCLR-style pretraining, frozen features judged by kNN and a linear probe."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmix_jax.data.catalog import load_images
from mmix_jax.data.types import ImageDataset
from mmix_jax.experiments.images.config import ImageConfig
from mmix_jax.experiments.images.figures import draw_mixtures, points_of
from mmix_jax.experiments.images.fitting import fit
from mmix_jax.experiments.images.inputs import (
    ImageInputs,
    check_scoring,
    chunk_of,
    image_settings,
    inputs_of,
    make_order,
    optimization_of,
)
from mmix_jax.experiments.images.scores import (
    features_of,
    make_monitor,
    score_features,
    variables_of,
)
from mmix_jax.experiments.task import Encoder, Files, Points, Scores, Training, devices_of, keys_of
from mmix_jax.frameworks import simclr
from mmix_jax.frameworks.simclr import ImageTables
from mmix_jax.training.step import Optimization, TrainState, init_state, make_optimizer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageTask:
    """A config with its images, and the model's settings.

    asked: the config as it was given; that in `inputs` is fitted to the images. length: how long
    it trains, in words, where that hangs on the images.
    """

    inputs: ImageInputs
    devices: list
    asked: ImageConfig
    length: str = ""

    @property
    def config(self) -> ImageConfig:
        return self.inputs.config

    @property
    def dataset(self) -> ImageDataset:
        return self.inputs.dataset

    @property
    def labelled(self) -> bool:
        return self.dataset.test_labels is not None

    @property
    def optimization(self) -> Optimization:
        return optimization_of(self.config)

    def start(self, seed: int) -> TrainState:
        """The state before the first step."""
        shape = self.dataset.train.shape[1:]
        variables = simclr.init_variables(self.inputs.settings, shape, keys_of(seed)[0])
        optimizer = make_optimizer(self.optimization)
        return init_state(variables["params"], optimizer, variables["batch_stats"])

    def training(self, seed: int, workdir: Path | None = None) -> Training:
        num_images = len(self.dataset.train)
        monitor = make_monitor(self.inputs)
        return Training(
            self.start(seed),
            self.optimization,
            simclr.make_loss,
            self.inputs.settings,
            self.inputs.tables,
            make_order(self.config, num_images, seed, len(self.devices)),
            lambda state: (None, monitor(state)),  # no label chooses: the loss judges
            self.config.batch_size,
            chunk=chunk_of(self.config, num_images),
            remembered={"mean": self.dataset.mean, "std": self.dataset.std},
            classes=None if self.inputs.tables.labels is None else _classes,
        )

    def check_scoring(self) -> None:
        """Raise InputError where kNN or the linear probe would."""
        check_scoring(self.config, self.dataset)

    def score(self, encoder: Encoder, interrupted: Callable[[], bool]) -> Scores:
        return score_features(self._as_trained(encoder), variables_of(encoder.state), encoder.seed)

    def embed(self, encoder: Encoder) -> dict[str, Any]:
        """z [N + M, D], training images first.

        Labels stand beside them where known, and names of files. However few the images: they are
        normalised as those of the training were.
        """
        inputs, data = self._as_trained(encoder), self.dataset
        variables = variables_of(encoder.state)
        images, labels, ids = (
            [part for part in parts if part is not None]
            for parts in (
                (data.train, data.test),
                (data.train_labels, data.test_labels),
                (data.train_ids, data.test_ids),
            )
        )
        z = [np.asarray(features_of(inputs, variables, part)) for part in images]
        return {
            "z": np.concatenate(z),
            "labels": np.concatenate(labels) if labels else None,
            "ids": np.concatenate(ids) if ids else None,
        }

    def points(self, encoder: Encoder) -> Points | str:
        inputs = self._as_trained(encoder)
        return points_of(inputs, variables_of(encoder.state), encoder.seed)

    def mixtures(self, encoder: Encoder) -> Files | str:
        inputs = self._as_trained(encoder)
        return draw_mixtures(inputs, variables_of(encoder.state), encoder.seed)

    def _as_trained(self, encoder: Encoder) -> ImageInputs:
        return self.inputs.as_trained(encoder.progress) if encoder.trained else self.inputs


def _classes(tables: ImageTables, rows: Any) -> Any:
    return None if tables.labels is None else tables.labels[rows]


def load(config: ImageConfig) -> ImageTask:
    """Read the images and lay those for training on the device."""
    dataset = load_images(
        config.dataset,
        data_dir=config.data_dir or None,
        path=config.data_path or None,
        size=config.image_size,
    )
    return task_of(config, dataset)


def task_of(config: ImageConfig, dataset: ImageDataset) -> ImageTask:
    """The task on images that are at hand; what is left to them is chosen and told.

    Raises:
      InputError: the config asks for more images than there are.
    """
    fitted = fit(config, dataset)
    for note in fitted.notes:
        _log.info("%s", note)
    inputs = inputs_of(fitted.config, dataset)
    return ImageTask(inputs, devices_of(config), config, fitted.training)


def task_to_embed(config: ImageConfig, dataset: ImageDataset) -> ImageTask:
    """The task on images of any number that a trained encoder is to embed: nothing is fitted."""
    settings = image_settings(config, dataset)
    images: Any = dataset.train  # on the host: read by passes
    tables = ImageTables(images, None)
    return ImageTask(ImageInputs(config, dataset, settings, tables), devices_of(config), config)
