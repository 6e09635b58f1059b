"""A planted image task: 42 training and 20 test images of seven classes, told by their pixels.

Features are one-hot, of a class that a pixel names: in training images the image's own, in test
images often the next one. Fewer than half tell their class, so that test images as a bank of
neighbours would give other scores.
"""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.data.types import ImageDataset, make_image_dataset
from mmix_jax.experiments import image_config, read
from mmix_jax.experiments.images import scores
from mmix_jax.experiments.images import task as images
from tests.experiments.wiring import planted

NUM_TRAIN, NUM_TEST, NUM_CLASSES = 42, 20, 7
TRAIN_LABELS = np.arange(NUM_TRAIN) % NUM_CLASSES
TEST_LABELS = 3 * np.arange(NUM_TEST) % NUM_CLASSES
SHAPE = (planted.LANES, planted.CLOCKS)
SHARES = np.full(SHAPE, 0.45)  # of test images that tell their class, by lane and clock
SHARES[0, :5] = [0.1, 0.2, 0.3, 0.35, 0.4]
SHARES[1, :5] = [0.25, 0.15, 0.2, 0.3, 0.05]
_TONE = 255 // NUM_CLASSES


def told() -> np.ndarray:
    """The class that every test image names, by lane and clock, [M, lanes, clocks]."""
    own = np.empty((NUM_TEST, *SHAPE), bool)
    for place in np.ndindex(SHAPE):
        own[(slice(None), *place)] = planted.right(NUM_TEST, SHARES[place])
    labels = TEST_LABELS[:, None, None]
    return np.where(own, labels, (labels + 1) % NUM_CLASSES)


def pixels(classes: np.ndarray) -> np.ndarray:
    """Images of 6 × 6 that name these classes [N, lanes, clocks]."""
    flat = np.zeros((len(classes), 6 * 6), np.uint8)
    flat[:, : planted.LANES * planted.CLOCKS] = _TONE * classes.reshape(len(classes), -1)
    return flat.reshape(-1, 6, 6, 1)


def dataset() -> ImageDataset:
    named = np.broadcast_to(TRAIN_LABELS[:, None, None], (NUM_TRAIN, *SHAPE))
    return make_image_dataset(
        "planted",
        pixels(named),
        TRAIN_LABELS,
        pixels(told()),
        TEST_LABELS,
        classes=[f"class {number}" for number in range(NUM_CLASSES)],
    )


def named_in(images_: np.ndarray) -> np.ndarray:
    """The class that images [N, 6, 6, 1] name first."""
    return np.round(images_[:, 0, 0, 0] / _TONE).astype(int)


def _embed(settings, variables, rows):
    lane, clock = planted.place_of(variables["params"])
    flat = rows.reshape(rows.shape[0], -1)[:, : planted.LANES * planted.CLOCKS]
    named = flat.reshape(-1, *SHAPE)[:, lane, clock]
    return jax.nn.one_hot(jnp.round(named / _TONE).astype(int), NUM_CLASSES)


def _loss_fn(params, batch_stats, batch, key):
    return planted.step_loss(params, batch_stats, batch[1], key)


def _make_loss(settings, axis_name=None):
    return _loss_fn


FRAMEWORK: Any = SimpleNamespace(
    init_variables=lambda settings, shape, key: {
        "params": planted.init_params(key),
        "batch_stats": {},
    },
    make_loss=_make_loss,
)
SETTINGS = {
    "mixing": "none",
    "precision": "float32",
    "num_devices": 1,
    "learning_rate": planted.UNIT_RATE,
    "weight_decay": 0.0,
    "num_steps": 4,
    "eval_every": 1,
    "checkpoint_every": 0,
    "batch_size": 14,
    "chunk_steps": 1,
    "num_neighbours": 6,
    "probe_epochs": 5,
    "eval_batch_size": 21,
}


def install(monkeypatch):
    """From here on the image task trains and embeds by what is planted."""
    monkeypatch.setattr(images, "simclr", FRAMEWORK)
    monkeypatch.setattr(scores, "_embed", jax.jit(_embed, static_argnums=0))


def config(**changes):
    flat = image_config("generated")
    flat.update(SETTINGS | changes)
    return read(flat, any_dataset=True)
