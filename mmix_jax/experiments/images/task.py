"""The image task: pretrain SimCLR-style, judge frozen features by kNN and a linear probe."""

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.augment.images import augment
from mmix_jax.data.catalog import load_images
from mmix_jax.data.types import ImageDataset
from mmix_jax.evaluation.knn import knn_accuracy
from mmix_jax.evaluation.linear_probe import linear_probe
from mmix_jax.experiments import runs
from mmix_jax.experiments.defaults import Config
from mmix_jax.experiments.images.inputs import (
    check_scoring,
    chunk_of,
    held_out_of,
    image_settings,
    make_order,
    parts_of,
)
from mmix_jax.frameworks.simclr import (
    ImageSettings,
    ImageTables,
    embed_images,
    init_variables,
    make_image_loss,
)
from mmix_jax.results import Result, score
from mmix_jax.training.loop import Interrupted
from mmix_jax.training.step import TrainState, init_state, make_optimizer

_embed = jax.jit(embed_images, static_argnums=0)
log = logging.getLogger(__name__)


class ImageTask(NamedTuple):
    """A config with its data, and the model's settings; `tables` are the training images."""

    config: Config
    dataset: ImageDataset
    settings: ImageSettings
    tables: ImageTables
    devices: list


def load(config: Config) -> ImageTask:
    """Read the data and lay it on the device; whether they suffice is asked where they are used."""
    dataset = load_images(
        config.dataset,
        data_dir=config.data_dir or None,
        path=config.data_path or None,
        size=config.image_size,
    )
    return task_of(config, dataset)


def task_of(config: Config, dataset: ImageDataset) -> ImageTask:
    """The task on images that are at hand.

    Raises:
      InputError: the config asks for more images than there are.
    """
    dataset = parts_of(config, dataset)
    labels = None if dataset.train_labels is None else jnp.asarray(dataset.train_labels)
    tables = ImageTables(jnp.asarray(dataset.train), labels)
    settings = image_settings(config, dataset)
    return ImageTask(config, dataset, settings, tables, runs.devices_of(config))


def load_to_score(config: Config) -> ImageTask:
    """As `load`, of data that kNN and the linear probe can use, if labelled."""
    task = load(config)
    check_scoring(config, task.dataset)
    return task


def start(task: ImageTask, seed: int) -> TrainState:
    """The state before the first step."""
    variables = init_variables(task.settings, task.dataset.train.shape[1:], runs.keys_of(seed)[0])
    optimizer = make_optimizer(runs.optimization_of(task.config))
    return init_state(variables["params"], optimizer, variables["batch_stats"])


def pretrain(task: ImageTask, workdir: Path, seed: int, interrupted: Callable[[], bool]) -> bool:
    """Train one seed from its latest checkpoint to the end; False if it was there already."""
    num_images = len(task.dataset.train)
    order = make_order(task.config, num_images, seed, len(task.devices))
    return runs.pretrain(
        task.config,
        workdir,
        seed,
        state=start(task, seed),
        make_loss=make_image_loss,
        settings=task.settings,
        tables=task.tables,
        batch=order,
        evaluate=lambda state: (None, {}),  # no label is seen; the loss judges
        devices=task.devices,
        interrupted=interrupted,
        chunk=chunk_of(task.config, num_images),
        remembered={"mean": task.dataset.mean, "std": task.dataset.std},
    )


def restore(task: ImageTask, folder: Path, seed: int) -> tuple[Any, dict]:
    """Variables to evaluate, and the progress record behind them."""
    state, progress = runs.restore(start(task, seed), folder, best=task.config.selection == "loss")
    return variables_of(state), progress


def as_trained(task: ImageTask, progress: dict) -> ImageTask:
    """The task with the channels' statistics of the encoder's training, from its record.

    A record without them (of converted weights, or of an older version) leaves the task's own, and
    a warning says so.
    """
    if "mean" not in progress:
        log.warning(
            "warning: the checkpoint does not tell mean and deviation of its training images; "
            "those of the images given now are used"
        )
        return task
    statistics = {name: tuple(progress[name]) for name in ("mean", "std")}
    augmentation = task.settings.augmentation._replace(**statistics)
    return task._replace(settings=task.settings._replace(augmentation=augmentation))


def variables_of(state: TrainState) -> dict[str, Any]:
    """What the model is applied to."""
    return {"params": state.params, "batch_stats": state.batch_stats}


def features_of(task: ImageTask, variables: Any, images, crop_key=None) -> jax.Array:
    """Features [N, D] of uint8 images, in passes of one size: one program for any number.

    With `crop_key` of images that are cropped and flipped at random.
    """
    plain = task.settings.augmentation._replace(jitter=0.0, grayscale=0.0, mean=(), std=())
    size = min(task.config.eval_batch_size, len(images))
    found = []
    for begin in range(0, len(images), size):
        rows = jnp.asarray(images[begin : begin + size])
        short = size - len(rows)
        rows = jnp.pad(rows, ((0, short), (0, 0), (0, 0), (0, 0)))
        if crop_key is not None:
            rows = _cropped(crop_key, rows, begin, plain)
        found.append(_embed(task.settings, variables, rows)[: size - short])
    return jnp.concatenate(found)


@partial(jax.jit, static_argnums=3)
def _cropped(key, images, first, settings):
    return jnp.round(255 * augment(key, images, settings, first=first)).astype(jnp.uint8)


def probe_features(task: ImageTask, variables: Any, clean: jax.Array, key) -> jax.Array:
    """Training rows of the linear probe: clean ones, or copies behind one another."""
    if not task.config.probe_copies:
        return clean
    keys = jax.random.split(key, task.config.probe_copies)
    return jnp.concatenate([features_of(task, variables, task.tables.images, k) for k in keys])


def measure(task: ImageTask, variables: Any, seed: int) -> dict[tuple[str, str], float]:
    """Scores of one encoder by (protocol, metric)."""
    config, dataset = task.config, task.dataset
    labels, test_labels = dataset.train_labels, dataset.test_labels
    assert labels is not None and test_labels is not None
    num_classes, num_images = len(dataset.classes), len(dataset.train)
    crop_key, probe_key = jax.random.split(runs.keys_of(seed)[2])
    train = features_of(task, variables, task.tables.images)
    test = features_of(task, variables, dataset.test)
    votes = knn_accuracy(
        train,
        labels,
        test,
        test_labels,
        num_classes=num_classes,
        k=config.num_neighbours,
        temperature=config.knn_temperature,
    )
    probe = linear_probe(
        probe_features(task, variables, train, crop_key),
        labels,
        test,
        test_labels,
        num_classes=num_classes,
        key=probe_key,
        num_held_out=held_out_of(config, num_images, num_classes),
        num_epochs=config.probe_epochs,
        batch_size=config.probe_batch_size,
        copies=max(config.probe_copies, 1),
    )
    knn, linear = f"knn k={config.num_neighbours}", "linear"
    if config.probe_copies:
        linear = f"linear, {config.probe_copies} crops"
    return {
        (knn, "top1"): votes["top1"],
        (knn, "top5"): votes["top5"],
        (linear, "top1"): probe.top1,
        (linear, "top5"): probe.top5,
    }


def evaluate(
    task: ImageTask, folders: dict[int, Path], interrupted: Callable[[], bool] = lambda: False
) -> list[Result]:
    """Scores of the encoders in `folders` (by seed), and of random-initialised ones alike."""
    config = task.config
    if task.dataset.test_labels is None:
        return []
    rows: dict[bool, list[dict]] = {True: [], False: []}
    steps, seconds = 0, 0.0
    for seed, folder in folders.items():
        variables, progress = restore(task, folder, seed)
        steps, seconds = max(steps, progress["step"]), seconds + progress["seconds"]
        begin = time.monotonic()
        rows[True].append(measure(as_trained(task, progress), variables, seed))
        seconds += time.monotonic() - begin
        rows[False].append(measure(task, variables_of(start(task, seed)), seed))
        if interrupted():
            raise Interrupted(progress["step"])
    return [
        runs.make_result(
            config,
            task.devices,
            score([found[protocol, metric] for found in rows[trained]]),
            task="image",
            trained=trained,
            representation="single",
            metric=metric,
            seeds=tuple(folders),
            protocol=protocol,
            selection=config.selection,
            steps=steps,
            seconds=seconds,
        )
        for trained in (True, False)
        for protocol, metric in rows[trained][0]
        if metric != "top5" or len(task.dataset.classes) > 5
    ]


def run_train(config: Config, workdir: Path, interrupted: Callable[[], bool]) -> list[Result]:
    """Pretrain every seed, then evaluate; a finished run only reports."""
    return runs.train_and_evaluate(
        config,
        workdir,
        load=load_to_score,
        pretrain=pretrain,
        evaluate=evaluate,
        interrupted=interrupted,
    )


def run_eval(config: Config, workdir: Path, checkpoint: str | None) -> list[Result]:
    """Evaluate the checkpoints of a workdir, or the one at `checkpoint`.

    With `figures` those of the first seed are written to the workdir before.
    """
    task = load_to_score(config)
    runs.require_labels(config, task.dataset.test_labels)
    folders = runs.checkpoint_folders(config, workdir, checkpoint)
    if config.figures:
        from mmix_jax.experiments.images.figures import write_figures  # it imports this module

        seed, folder = next(iter(folders.items()))
        variables, progress = restore(task, folder, seed)
        write_figures(as_trained(task, progress), variables, workdir, seed)
    return evaluate(task, folders)


def run_embed(config: Config, workdir: Path, checkpoint: str | None) -> dict[str, np.ndarray]:
    """Arrays of `embeddings.npz`: z [N + M, D] of the first seed, training images first.

    Labels stand beside them where known, and names of files. However few the images: they are
    normalised as those of the training were.
    """
    task = load(config)
    seed, folder = next(iter(runs.checkpoint_folders(config, workdir, checkpoint).items()))
    variables, progress = restore(task, folder, seed)
    task, data = as_trained(task, progress), task.dataset
    parts = [part for part in (data.train, data.test) if part is not None]
    labels = [part for part in (data.train_labels, data.test_labels) if part is not None]
    ids = [part for part in (data.train_ids, data.test_ids) if part is not None]
    z = np.concatenate([np.asarray(features_of(task, variables, part)) for part in parts])
    known, names = (np.concatenate(part) if part else None for part in (labels, ids))
    return runs.embeddings(z, known, names)
