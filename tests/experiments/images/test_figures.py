"""Figures of an image run: which are written, and that they show what training does."""

import dataclasses
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.experiments import run
from mmix_jax.experiments.images import figures as image_figures
from mmix_jax.experiments.images.figures import mixtures_of, write_figures
from mmix_jax.experiments.images.inputs import ImageInputs
from mmix_jax.experiments.images.scores import features_of, variables_of
from mmix_jax.experiments.pretraining import checkpoint_folder, fresh_encoder, restored_encoder
from mmix_jax.frameworks.simclr import ImageTables, make_loss, mix_batch
from mmix_jax.training.checkpoint import Checkpointer
from mmix_jax.training.loop import new_progress
from mmix_jax.training.metrics import MetricsWriter
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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A task, and a workdir as two trainings leave it."""
    workdir = tmp_path_factory.mktemp("run")
    task = run.load(config_with(num_seeds=2))
    for seed in (0, 1):
        with Checkpointer(checkpoint_folder(workdir, seed)) as checkpointer:
            checkpointer.save(0, task.start(seed), new_progress())
        with MetricsWriter(workdir, seed=seed) as writer:
            for step in (2, 4):
                writer.write(step, {"loss": 5.0 - step, "mixing/partners": 3.0})
    return task, workdir


@pytest.fixture
def shown(monkeypatch) -> dict[str, tuple]:
    """What each figure is drawn from, by the name of the function that draws it."""
    calls = {}

    def watch(name, draw):
        def drawn(*given, **named):
            calls[name] = (*given, named)
            return draw(*given, **named)

        monkeypatch.setattr(image_figures, name, drawn)

    for name in ("mixture_images", "tsne_scatter", "training_curves"):
        watch(name, getattr(image_figures, name))
    return calls


def png_names(folder) -> list[str]:
    pictures = folder.glob("*.png")
    return sorted(path.name for path in pictures if path.read_bytes().startswith(b"\x89PNG"))


def test_eval_writes_figures_of_a_run_into_its_workdir(trained, shown, monkeypatch, capsys):
    _, workdir = trained
    monkeypatch.setattr(run, "evaluate", lambda task, encoders, _: [e.seed for e in encoders])
    config = config_with(num_seeds=2)
    assert run.evaluate_checkpoints(config, workdir, None) == [0, 1]
    assert png_names(workdir) == []
    config.figures = True
    assert run.evaluate_checkpoints(config, workdir, None) == [0, 1]
    assert png_names(workdir) == ["curves.png", "mixtures.png", "tsne.png"]
    told = capsys.readouterr().out.splitlines()
    assert told == [f"wrote {workdir / name}.png" for name in ("curves", "mixtures", "tsne")]
    records, _ = shown["training_curves"]
    assert records == [
        {"seed": seed, "step": step, "loss": 5.0 - step, "mixing/partners": 3.0}
        for seed in (0, 1)
        for step in (2, 4)
    ]


def test_a_checkpoint_from_elsewhere_is_shown_in_the_workdir(trained, shown, tmp_path, capsys):
    task, workdir = trained
    variables = variables_of(
        restored_encoder(task, 1, workdir / "checkpoints" / "seed_1", None).state
    )
    task = task.inputs
    new = tmp_path / "new" / "run"
    assert write_figures(task, variables, new, 0) == [new / "mixtures.png", new / "tsne.png"]
    assert png_names(new) == ["mixtures.png", "tsne.png"]
    note = capsys.readouterr().out.splitlines()[0]
    assert note.startswith("note: no curves.png: found no losses in ") and str(new) in note
    z, labels, named = shown["tsne_scatter"]
    assert (z.shape, named["names"]) == ((100, 4), task.dataset.classes)
    np.testing.assert_array_equal(labels, task.dataset.test_labels)
    np.testing.assert_allclose(z, features_of(task, variables, task.dataset.test), atol=1e-5)


def test_anchors_stand_with_the_images_and_classes_of_their_batch(shown, tmp_path):
    inputs = inputs_with()
    write_figures(inputs, fresh(inputs), tmp_path, 0)
    batch, mixtures, named = shown["mixture_images"]
    rows, expected = mixtures_of(inputs, fresh(inputs), 0)
    np.testing.assert_array_equal(batch, inputs.dataset.train[rows])
    labels = inputs.dataset.train_labels
    assert labels is not None
    assert named["names"] == [inputs.dataset.classes[label] for label in labels[rows]]
    assert [mixture[0] for mixture in mixtures] == [mixture[0] for mixture in expected]


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
def test_where_nothing_is_mixed_a_line_says_so(changes, tmp_path, capsys):
    inputs = inputs_with(**changes)
    assert write_figures(inputs, fresh(inputs), tmp_path, 0) == [tmp_path / "tsne.png"]
    told = capsys.readouterr().out
    reason = f"(mixing '{changes['mixing']}', threshold {inputs.config.mixing.threshold})"
    assert f"note: no mixtures.png: none of 32 embeddings was mixed with another {reason}" in told


def test_grey_images_without_labels_have_mixtures_alone(tmp_path, capsys):
    inputs = inputs_with(dataset="digits", num_train=64, num_test=10)
    bare = inputs.dataset._replace(train_labels=None, test=None, test_labels=None, classes=())
    inputs = run.task_of(inputs.config, bare).inputs
    assert write_figures(inputs, fresh(inputs), tmp_path, 0) == [tmp_path / "mixtures.png"]
    assert "note: no tsne.png: found no labelled test images\n" in capsys.readouterr().out


def test_an_encoder_that_tells_nothing_apart_has_no_map(tmp_path, capsys):
    inputs = inputs_with(mixing="none")
    dead = jax.tree.map(jnp.zeros_like, fresh(inputs))
    assert write_figures(inputs, dead, tmp_path, 0) == []
    assert "note: no tsne.png: found 1 different features of dimension 4" in capsys.readouterr().out


def test_large_tests_are_cut_evenly(shown, tmp_path, monkeypatch):
    monkeypatch.setattr(image_figures, "_MAX_POINTS", 30)
    inputs = inputs_with(mixing="none")
    write_figures(inputs, fresh(inputs), tmp_path, 0)
    z, labels, _ = shown["tsne_scatter"]
    assert len(z) == 30
    assert np.bincount(labels).tolist() == [3] * 10


def test_damaged_lines_of_metrics_are_passed_over(shown, tmp_path):
    inputs = inputs_with(mixing="none")
    good = [{"seed": 0, "step": step, "loss": 1.0} for step in (1, 2)]
    lines = [json.dumps(good[0]), "7", '{"seed": 0}', json.dumps(good[1]), '{"seed": 0, "st']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert tmp_path / "curves.png" in write_figures(inputs, fresh(inputs), tmp_path, 0)
    assert shown["training_curves"][0] == good


def test_a_folder_in_the_place_of_metrics_is_told(tmp_path):
    inputs = inputs_with()
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(InputError, match=r"metrics must be readable at .*metrics.jsonl, found "):
        write_figures(inputs, {}, tmp_path, 0)


def test_without_matplotlib_the_way_out_is_told_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told = "figures need matplotlib, found none; pip install matplotlib"
    with pytest.raises(InputError, match=f"^{told}$"):
        write_figures(inputs_with(), {}, tmp_path / "run", 0)
    assert not (tmp_path / "run").exists()
