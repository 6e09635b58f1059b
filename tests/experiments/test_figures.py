"""The files to look at: which are written, what stands above the maps, what is said instead."""

import json
import logging
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.experiments import figures
from mmix_jax.experiments.figures import check_plots, some_points, write_figures
from mmix_jax.experiments.task import Encoder, Points
from mmix_jax.report.plots import training_curves
from mmix_jax.training.loop import Interrupted
from tests.example_results import result

LABELS = np.repeat([0, 1], 4)
BEFORE, AFTER = np.random.default_rng(0).normal(size=(2, 8, 3))


class Task(SimpleNamespace):
    """Eight points; z of the random-initialised encoder is one thing, of a trained one another."""

    def __init__(self, **changes):
        config = SimpleNamespace(representation="mean")
        super().__init__(config=config, before=BEFORE, after=AFTER, labels=LABELS, **changes)

    def start(self, seed):
        return f"fresh {seed}"

    def points(self, encoder):
        if self.labels is None:
            return "found no labels"
        fresh = encoder.state == f"fresh {encoder.seed}"
        return Points(self.before if fresh else self.after, self.labels, ["cat", "dog"])

    def mixtures(self, encoder):
        return {"mixtures.csv": "a,b\n", "mixtures.txt": f"of {encoder.state}\n"}


TRAINED = Encoder(3, "trained", {"step": 9})  # pyright: ignore[reportArgumentType]


@pytest.fixture
def drawn(monkeypatch) -> dict:
    """What maps and curves are drawn from."""
    calls = {}

    def panels(z, labels, names):
        calls["map"] = (z, labels, names)
        return training_curves([{"step": 1, "loss": 1.0}])

    def curves(records):
        calls["curves"] = records
        return training_curves(records)

    monkeypatch.setattr(figures, "tsne_panels", panels)
    monkeypatch.setattr(figures, "training_curves", curves)
    return calls


@pytest.fixture(autouse=True)
def heard(caplog):
    caplog.set_level(logging.INFO, logger="mmix_jax.experiments.figures")
    return caplog


def test_all_files_are_written_and_told(drawn, tmp_path, heard):
    records = [{"seed": 3, "step": step, "loss": 1.0} for step in (1, 2)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    written = write_figures(Task(), TRAINED, tmp_path)
    names = ["curves.png", "mixtures.csv", "mixtures.txt", "tsne.png"]
    assert written == [tmp_path / name for name in names]
    assert heard.messages == [f"wrote {path}" for path in written]
    assert (tmp_path / "mixtures.txt").read_text() == "of trained\n"
    assert (tmp_path / "tsne.png").read_bytes().startswith(b"\x89PNG")
    assert drawn["curves"] == records
    assert {p.name for p in tmp_path.iterdir()} == {*names, "metrics.jsonl"}


def test_the_map_has_the_fresh_encoder_on_the_left_and_scores_above(drawn, tmp_path):
    results = [
        result([0.9, 0.8], seeds=[2, 3]),
        result([0.5, 0.6], seeds=[2, 3], trained=False),
    ]
    write_figures(Task(), TRAINED, tmp_path, results)
    z, labels, names = drawn["map"]
    assert list(z) == ["random-initialised: accuracy 60.00 %", "trained: accuracy 80.00 %"]
    np.testing.assert_array_equal([*z.values()], [BEFORE, AFTER])
    np.testing.assert_array_equal(labels, LABELS)
    assert names == ["cat", "dog"]


def test_without_scores_the_map_has_names_alone(drawn, tmp_path):
    write_figures(Task(), TRAINED, tmp_path)
    assert list(drawn["map"][0]) == ["random-initialised", "trained"]


def test_what_cannot_be_shown_is_said(tmp_path, heard):
    task = Task()
    task.labels = None
    task.mixtures = lambda encoder: "nothing is mixed"
    assert write_figures(task, TRAINED, tmp_path / "new") == []
    assert heard.messages == [
        f"no curves.png: found no losses in {tmp_path / 'new' / 'metrics.jsonl'}, where training "
        "writes them",
        "no mixtures: nothing is mixed",
        "no tsne.png: found no labels",
    ]


@pytest.mark.parametrize("which", ["before", "after"])
def test_an_encoder_that_tells_nothing_apart_has_no_map(which, tmp_path, heard):
    task = Task()
    setattr(task, which, np.ones((8, 3)))
    write_figures(task, TRAINED, tmp_path)
    name = {"before": "random-initialised", "after": "trained"}[which]
    told = f"no tsne.png: found 1 different representations of dimension 3 ({name}), no plane"
    assert heard.messages[-1] == told


def test_damaged_lines_of_metrics_are_passed_over(drawn, tmp_path):
    good = [{"seed": 0, "step": step, "loss": 1.0} for step in (1, 2)]
    lines = [json.dumps(good[0]), "7", '{"seed": 0}', json.dumps(good[1]), '{"seed": 0, "st']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    write_figures(Task(), TRAINED, tmp_path)
    assert drawn["curves"] == good


def test_a_folder_in_the_place_of_metrics_is_told(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(InputError, match=r"metrics must be readable at .*metrics.jsonl, found "):
        write_figures(Task(), TRAINED, tmp_path)


def test_an_interrupt_is_answered_between_two_files(drawn, tmp_path):
    asked = iter([False, False, True])
    with pytest.raises(Interrupted) as stop:
        write_figures(Task(), TRAINED, tmp_path, interrupted=lambda: next(asked))
    assert stop.value.step == 9
    assert "map" not in drawn and (tmp_path / "mixtures.csv").exists()


def test_without_matplotlib_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for call in (check_plots, lambda: write_figures(Task(), TRAINED, tmp_path / "run")):
        with pytest.raises(InputError, match=r"^figures need matplotlib, found none; pip install"):
            call()
    assert not (tmp_path / "run").exists()


def test_points_are_those_with_a_class_and_of_every_class_its_share():
    labels = np.array([0, -1, 1, 1])
    assert some_points(labels, 0).tolist() == [0, 2, 3]
    many = np.repeat([-1, 0, 1], [1000, 3000, 1000])
    chosen = some_points(many, 0)
    assert np.bincount(many[chosen]).tolist() == [1500, 500]
    assert np.all(np.diff(chosen) > 0)
    assert not np.array_equal(chosen, some_points(many, 1))
