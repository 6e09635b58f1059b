"""Figures of an image run: what is mixed into what, and the features that a map shows."""

from typing import Any

import jax
import numpy as np

from mmix_jax.experiments.figures import nothing_mixed, some_points
from mmix_jax.experiments.images.inputs import ImageInputs
from mmix_jax.experiments.images.scores import features_of
from mmix_jax.experiments.task import Files, Points, keys_of
from mmix_jax.frameworks.simclr import mix_batch
from mmix_jax.report.plots import mixture_images

MIXTURES = "mixtures.png"
_NUM_ANCHORS = 8
_MAX_BATCH = 4096  # larger ones stream their weights in training; here they are all kept
_mix = jax.jit(mix_batch, static_argnums=0)


def points_of(inputs: ImageInputs, variables: Any, seed: int) -> Points | str:
    """Features of test images, or why there are none."""
    images, labels = inputs.dataset.test, inputs.dataset.test_labels
    if images is None or labels is None:
        return "found no labelled test images"
    chosen = some_points(labels, seed)
    z = np.asarray(features_of(inputs, variables, images[chosen]))
    return Points(z, labels[chosen], inputs.dataset.classes)


def draw_mixtures(inputs: ImageInputs, variables: Any, seed: int) -> Files | str:
    """The figure, or why there is none.

    Images are the original ones, not the augmented views that were mixed: many a crop of 32 × 32
    pixels shows nothing that can be named.
    """
    rows, mixtures = mixtures_of(inputs, variables, seed)
    if not mixtures:
        return nothing_mixed(inputs.config, len(rows))
    dataset = inputs.dataset
    names = None
    if dataset.train_labels is not None:
        names = [dataset.classes[label] for label in dataset.train_labels[rows]]
    return {MIXTURES: mixture_images(dataset.train[rows], mixtures, names=names)}


def weights_of(
    inputs: ImageInputs, variables: Any, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images of a batch [B], drawn by seed, and what training would mix: weights [B, B] of others,
    and the own ones [B].

    The batch has the run's size, at most 4,096 or all images, and is augmented and normalised as in
    training.
    """
    num_images = len(inputs.dataset.train)
    size = min(inputs.config.batch_size, _MAX_BATCH, num_images)
    rows = np.random.default_rng(seed).choice(num_images, size, replace=False)
    key = jax.random.fold_in(keys_of(seed)[2], 0)
    mixture = _mix(inputs.settings, variables, inputs.tables.images[rows], key)
    weights = np.array(mixture.weights)
    np.fill_diagonal(weights, 0.0)
    return rows, weights, np.asarray(mixture.self_weights)


def mixtures_of(
    inputs: ImageInputs, variables: Any, seed: int
) -> tuple[np.ndarray, list[tuple[int, float, np.ndarray, np.ndarray]]]:
    """Images of the batch of `weights_of`, and what training would mix into some of them.

    Returns:
      Rows of the training images [B], and of up to eight anchors: (place in the batch, own weight,
      partners' places [P], their weights [P]). Of every class one before any has two, those with
      most partners first, of equal ones the first. Anchors without a partner are none.
    """
    rows, weights, own = weights_of(inputs, variables, seed)
    num_images, partners = len(inputs.dataset.train), np.sum(weights > 0, axis=1)
    anchors = np.argsort(-partners, kind="stable")
    anchors = anchors[partners[anchors] > 0]
    known = inputs.dataset.train_labels
    labels = (np.zeros(num_images, int) if known is None else known)[rows][anchors]
    earlier = [int(np.sum(labels[:place] == label)) for place, label in enumerate(labels)]
    mixtures = []
    for anchor in anchors[np.argsort(earlier, kind="stable")][:_NUM_ANCHORS]:
        others = np.flatnonzero(weights[anchor])
        mixtures.append((int(anchor), float(own[anchor]), others, weights[anchor, others]))
    return rows, mixtures
