"""Figures of an image run: that they show what training does."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.experiments import figures as common
from mmix_jax.experiments import run
from mmix_jax.experiments.images import figures as image_figures
from mmix_jax.experiments.images.figures import draw_mixtures, mixtures_of, points_of
from mmix_jax.experiments.images.inputs import ImageInputs
from mmix_jax.experiments.images.scores import features_of, variables_of
from mmix_jax.experiments.pretraining import fresh_encoder
from mmix_jax.frameworks.simclr import ImageTables, make_loss, mix_batch
from tests.experiments import configs

pytestmark = pytest.mark.slow

# Few channels, and no jitter, which takes seconds to compile.
SMALL = {"stages": (1,), "width": 4, "head_width": 8, "jitter": 0.0, "num_devices": 1}


def config_with(**changes):
    config = configs.load("cifar10", "smoke")
    config.update(SMALL | changes)
    return config


def inputs_with(**changes) -> ImageInputs:
    return run.load(config_with(**changes)).inputs


def fresh(inputs: ImageInputs):
    return variables_of(fresh_encoder(run.task_of(inputs.config, inputs.dataset), 0).state)


def test_points_are_the_features_of_test_images():
    inputs = inputs_with()
    points = points_of(inputs, fresh(inputs), 0)
    assert not isinstance(points, str)
    assert (points.z.shape, points.names) == ((100, 4), inputs.dataset.classes)
    np.testing.assert_array_equal(points.labels, inputs.dataset.test_labels)
    expected = features_of(inputs, fresh(inputs), inputs.dataset.test)
    np.testing.assert_allclose(points.z, expected, atol=1e-5)


def test_large_tests_are_cut_evenly(monkeypatch):
    monkeypatch.setattr(common, "MAX_POINTS", 30)
    inputs = inputs_with()
    points = points_of(inputs, fresh(inputs), 0)
    assert not isinstance(points, str)
    assert len(points.z) == 30
    assert np.bincount(points.labels).tolist() == [3] * 10


def test_anchors_stand_with_the_images_and_classes_of_their_batch(monkeypatch):
    shown = {}
    monkeypatch.setattr(
        image_figures,
        "mixture_images",
        lambda images, mixtures, names: shown.update(images=images, mixtures=mixtures, names=names),
    )
    inputs = inputs_with()
    assert set(draw_mixtures(inputs, fresh(inputs), 0)) == {"mixtures.png"}
    rows, expected = mixtures_of(inputs, fresh(inputs), 0)
    np.testing.assert_array_equal(shown["images"], inputs.dataset.train[rows])
    labels = inputs.dataset.train_labels
    assert labels is not None
    assert shown["names"] == [inputs.dataset.classes[label] for label in labels[rows]]
    assert [mixture[0] for mixture in shown["mixtures"]] == [mixture[0] for mixture in expected]


def test_a_batch_is_drawn_by_seed_and_anchors_of_all_classes_lead():
    inputs = inputs_with(threshold=0.9)
    rows, mixtures = mixtures_of(inputs, fresh(inputs), 0)
    again, _ = mixtures_of(inputs, fresh(inputs), 0)
    other, _ = mixtures_of(inputs, fresh(inputs), 1)
    assert len(set(rows.tolist())) == rows.size == 32
    np.testing.assert_array_equal(rows, again)
    assert set(rows.tolist()) != set(other.tolist())
    partners = [len(found) for _, _, found, _ in mixtures]
    assert len(mixtures) == 8 and partners == sorted(partners, reverse=True)
    assert partners[0] > partners[-1] > 0
    classes = inputs.dataset.train_labels[rows]
    assert len({int(classes[anchor]) for anchor, *_ in mixtures}) == 8  # none twice yet
    for anchor, own, found, weights in mixtures:
        assert own == pytest.approx(0.2) and anchor not in found
        assert np.all(weights > 0)
        assert own + weights.sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"mixing": "mp", "threshold": 0.0},
        {"mixing": "random", "candidates": "all"},
    ],
    ids=lambda changes: changes["mixing"],
)
def test_a_mixed_batch_is_what_a_training_step_mixes(changes):
    inputs = inputs_with(**changes)
    variables, rows, key = fresh(inputs), jnp.arange(32), jax.random.key(3)
    mixture = jax.jit(mix_batch, static_argnums=0)(
        inputs.settings, variables, inputs.tables.images[rows], key
    )
    loss_fn = jax.jit(make_loss(inputs.settings))
    tables = ImageTables(*inputs.tables)
    _, aux = loss_fn(variables["params"], variables["batch_stats"], (tables, rows), key)
    assert mixture.stats["partners"] > 0
    assert "mixing/agreement" in aux.metrics  # the curves' names: partners, unmixed, agreement
    for name, value in mixture.stats.items():
        np.testing.assert_allclose(value, aux.metrics[f"mixing/{name}"], rtol=2e-3, err_msg=name)


def test_weights_of_a_streamed_run_are_shown_too():
    inputs = inputs_with()
    contrast = dataclasses.replace(inputs.settings.contrast, block_size=8)
    streamed = inputs._replace(settings=dataclasses.replace(inputs.settings, contrast=contrast))
    (rows, dense), (same, found) = (mixtures_of(t, fresh(inputs), 0) for t in (inputs, streamed))
    np.testing.assert_array_equal(rows, same)
    for one, other in zip(dense, found, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize(
    "changes", [{"mixing": "none"}, {"mixing": "mo", "threshold": 1.0}], ids=["none", "threshold"]
)
def test_where_nothing_is_mixed_words_say_so(changes):
    inputs = inputs_with(**changes)
    reason = f"(mixing '{changes['mixing']}', threshold {inputs.config.mixing.threshold})"
    told = draw_mixtures(inputs, fresh(inputs), 0)
    assert told == f"none of 32 embeddings was mixed with another {reason}"


def test_grey_images_without_labels_have_mixtures_alone():
    inputs = inputs_with(dataset="digits", num_train=64, num_test=10)
    bare = inputs.dataset._replace(train_labels=None, test=None, test_labels=None, classes=())
    task = run.task_of(inputs.config, bare)
    encoder = fresh_encoder(task, 0)
    assert set(task.mixtures(encoder)) == {"mixtures.png"}
    assert task.points(encoder) == "found no labelled test images"
