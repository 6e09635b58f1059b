"""Features of images, and how they are judged: kNN and a linear probe."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.augment.images import augment
from mmix_jax.data.splits import stratified_test
from mmix_jax.evaluation.knn import knn_accuracy
from mmix_jax.evaluation.linear_probe import linear_probe
from mmix_jax.experiments.images.inputs import SPLIT_SEED, ImageInputs, held_out_of
from mmix_jax.experiments.task import Row, Scores, keys_of
from mmix_jax.frameworks import simclr
from mmix_jax.results import score
from mmix_jax.training.step import TrainState

_embed = jax.jit(simclr.embed, static_argnums=0)


def variables_of(state: TrainState) -> dict[str, Any]:
    """What the model is applied to."""
    return {"params": state.params, "batch_stats": state.batch_stats}


def features_of(inputs: ImageInputs, variables: Any, images, crop_key=None) -> jax.Array:
    """Features [N, D] of uint8 images, in passes of one size: one program for any number.

    With `crop_key` of images that are cropped and flipped at random.
    """
    plain = inputs.settings.augmentation._replace(jitter=0.0, grayscale=0.0, mean=(), std=())
    size = min(inputs.config.eval_batch_size, len(images))
    passes = []
    for begin in range(0, len(images), size):
        rows = jnp.asarray(images[begin : begin + size])
        short = size - len(rows)
        rows = jnp.pad(rows, ((0, short), (0, 0), (0, 0), (0, 0)))
        if crop_key is not None:
            rows = _cropped(crop_key, rows, begin, plain)
        passes.append(_embed(inputs.settings, variables, rows)[: size - short])
    return jnp.concatenate(passes)


@partial(jax.jit, static_argnums=3)
def _cropped(key, images, first, settings):
    return jnp.round(255 * augment(key, images, settings, first=first)).astype(jnp.uint8)


def make_monitor(inputs: ImageInputs) -> Callable[[TrainState], dict[str, float]]:
    """`measure(state) -> {"validation_knn": accuracy}` of kNN on training images alone: classes of
    `num_monitored` of them, told from four times as many others; the same ones at every call.

    Nothing where there are no classes, or too few images. No label of a test image is read.
    """
    labels, num_images = inputs.dataset.train_labels, len(inputs.dataset.train)
    num_classes = len(inputs.dataset.classes)
    num_queries = min(inputs.config.num_monitored, num_images // 5)
    if labels is None or num_queries < 1:
        return lambda state: {}
    chosen = stratified_test(labels, num_queries, seed=SPLIT_SEED)
    rest = np.setdiff1d(np.arange(num_images), chosen)
    bank = rest[stratified_test(labels[rest], 4 * num_queries, seed=SPLIT_SEED)]
    # Of one class there are no more; of 50,000 images the protocol's 200.
    k = min(inputs.config.num_neighbours, max(len(bank) // num_classes, 1))
    images = inputs.dataset.train[np.concatenate([chosen, bank])]
    told = labels[chosen], labels[bank]

    def measure(state: TrainState) -> dict[str, float]:
        z = features_of(inputs, variables_of(state), images)
        votes = knn_accuracy(
            z[num_queries:], told[1], z[:num_queries], told[0],
            num_classes=num_classes, k=k, temperature=inputs.config.knn_temperature,
        )  # fmt: skip
        return {"validation_knn": votes["top1"]}

    return measure


def probe_features(inputs: ImageInputs, variables: Any, clean: jax.Array, key) -> jax.Array:
    """Training rows of the linear probe: clean ones, or copies behind one another."""
    if not inputs.config.probe_copies:
        return clean
    keys = jax.random.split(key, inputs.config.probe_copies)
    return jnp.concatenate([features_of(inputs, variables, inputs.tables.images, k) for k in keys])


def score_features(inputs: ImageInputs, variables: Any, seed: int) -> Scores:
    """Top-1 and top-5 accuracies of kNN and of a linear probe on the encoder's features."""
    config, dataset = inputs.config, inputs.dataset
    labels, test_labels = dataset.train_labels, dataset.test_labels
    assert labels is not None and test_labels is not None
    num_classes, num_images = len(dataset.classes), len(dataset.train)
    crop_key, probe_key = jax.random.split(keys_of(seed)[2])
    train = features_of(inputs, variables, inputs.tables.images)
    test = features_of(inputs, variables, dataset.test)
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
        probe_features(inputs, variables, train, crop_key),
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
    values = {
        (knn, "top1"): votes["top1"],
        (knn, "top5"): votes["top5"],
        (linear, "top1"): probe.top1,
        (linear, "top5"): probe.top5,
    }
    return {
        Row("image", "single", metric, protocol): score([value])
        for (protocol, metric), value in values.items()
        if metric != "top5" or num_classes > 5
    }
