"""Figures of an image run: what is mixed into what, a map of the features, curves of training."""

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from mmix_jax.data.splits import stratified_test
from mmix_jax.errors import InputError
from mmix_jax.experiments.images.inputs import ImageInputs
from mmix_jax.experiments.images.scores import features_of
from mmix_jax.experiments.task import keys_of
from mmix_jax.frameworks.simclr import mix_batch
from mmix_jax.report.plots import mixture_images, save_png, training_curves, tsne_scatter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIXTURES, MAP, CURVES = "mixtures.png", "tsne.png", "curves.png"
_NUM_ANCHORS = 8
_MAX_BATCH = 4096  # larger ones stream their weights in training; here they are all kept
_MAX_POINTS = 2000
_mix = jax.jit(mix_batch, static_argnums=0)


def write_figures(inputs: ImageInputs, variables: Any, workdir: Path, seed: int) -> list[Path]:
    """Write those PNG files that there is something to show in, and print a line on each.

    `curves.png`: loss and mixing over the steps of all seeds in the workdir's `metrics.jsonl`; none
    without that file. `mixtures.png`: anchors of one batch with their partners; none where no
    embedding is mixed. `tsne.png`: at most 2,000 test images' features, of every class its share;
    none without labels.

    Args:
      inputs: the images and the model's settings.
      variables: of the encoder to show.
      workdir: made if it is not there.
      seed: draws batch, augmentation and test images.

    Returns:
      The files written.

    Raises:
      InputError: matplotlib is not installed, or the workdir cannot be read or written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("figures need matplotlib, found none; pip install matplotlib")
    makers = {
        CURVES: lambda: _curves(workdir / "metrics.jsonl"),
        MIXTURES: lambda: _mixtures(inputs, variables, seed),
        MAP: lambda: _map(inputs, variables, seed),
    }
    written = []
    for name, make in makers.items():
        figure = make()
        if isinstance(figure, str):
            print(f"note: no {name}: {figure}", flush=True)
        else:
            written.append(save_png(figure, workdir / name))
            print(f"wrote {written[-1]}", flush=True)
    return written


def mixtures_of(
    inputs: ImageInputs, variables: Any, seed: int
) -> tuple[np.ndarray, list[tuple[int, float, np.ndarray, np.ndarray]]]:
    """Images of a batch, drawn by seed, and what training would mix into some of them.

    The batch has the run's size, at most 4,096 or all images, and is augmented and normalised as in
    training.

    Returns:
      Rows of the training images [B], and of up to eight anchors: (place in the batch, own weight,
      partners' places [P], their weights [P]). Of every class one before any has two, those with
      most partners first, of equal ones the first. Anchors without a partner are none.
    """
    num_images = len(inputs.dataset.train)
    size = min(inputs.config.batch_size, _MAX_BATCH, num_images)
    rows = np.random.default_rng(seed).choice(num_images, size, replace=False)
    key = jax.random.fold_in(keys_of(seed)[2], 0)
    mixture = _mix(inputs.settings, variables, inputs.tables.images[rows], key)
    weights = np.array(mixture.weights)
    np.fill_diagonal(weights, 0.0)
    own, partners = np.asarray(mixture.self_weights), np.sum(weights > 0, axis=1)
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


def _mixtures(inputs: ImageInputs, variables: Any, seed: int) -> "Figure | str":
    """The figure, or why there is none.

    Images are the original ones, not the augmented views that were mixed: many a crop of 32 × 32
    pixels shows nothing that can be named.
    """
    rows, mixtures = mixtures_of(inputs, variables, seed)
    if not mixtures:
        return (
            f"none of {len(rows)} embeddings was mixed with another (mixing "
            f"'{inputs.config.mixing.rule}', threshold {inputs.config.mixing.threshold})"
        )
    dataset = inputs.dataset
    names = None
    if dataset.train_labels is not None:
        names = [dataset.classes[label] for label in dataset.train_labels[rows]]
    return mixture_images(dataset.train[rows], mixtures, names=names)


def _map(inputs: ImageInputs, variables: Any, seed: int) -> "Figure | str":
    images, labels = inputs.dataset.test, inputs.dataset.test_labels
    if images is None or labels is None:
        return "found no labelled test images"
    if len(images) > _MAX_POINTS:
        chosen = stratified_test(labels, _MAX_POINTS, seed=seed)
        images, labels = images[chosen], labels[chosen]
    z = np.asarray(features_of(inputs, variables, images))
    num_distinct = len(np.unique(z, axis=0))
    if min(num_distinct, z.shape[1]) < 2:
        return f"found {num_distinct} different features of dimension {z.shape[1]}, no plane"
    return tsne_scatter(z, labels, names=inputs.dataset.classes)


def _curves(path: Path) -> "Figure | str":
    try:
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    except OSError as error:
        raise InputError(
            f"metrics must be readable at {path}, found {error}; or evaluate in another --workdir"
        ) from error
    records = _records(text)
    if not records:
        return f"found no losses in {path}, where training writes them"
    return training_curves(records)


def _records(text: str) -> list[dict]:
    """Lines that tell of a step; the last line of a killed run may be half-written."""
    records = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "step" in record and "loss" in record:
            records.append(record)
    return records
