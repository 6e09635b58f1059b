"""Figures from the runs behind them: scores, curves, and what theorem 3.2 says beside them."""

import json

import matplotlib.image
import numpy as np
import pytest

from mmix_jax.plans import figures
from mmix_jax.plans.figures import SIZES, WIDTHS, cifar_plans, figure_plans, write_figure
from mmix_jax.plans.runs import Found, Setting, carry_out, found
from mmix_jax.theory import sample_size
from tests.example_results import result


def mean_of(setting):
    """A score of each run of figure 2; the best size is 512 of every width."""
    fields = dict(setting.changes)
    size, width = int(fields["batch_size"]), int(fields["width"])
    return 0.7 + 0.02 * (size == 512) + 1e-4 * width + 0.01 * (setting.variant == "mp")


@pytest.fixture
def runs(tmp_path):
    """All runs of figure 2 with two seeds, but one that is missing; metrics in their workdirs."""
    runs = {}
    for setting in list(figure_plans(2)["figure2"].settings)[1:]:
        mean = mean_of(setting)
        values = (mean - 0.01, mean + 0.01)
        runs[setting] = Found({}, [result(values), result(values, trained=False, steps=0)])
        lines = [
            {"seed": seed, "step": step, "loss": 1.0, "validation_accuracy": mean + seed / 100}
            for seed in (0, 1)
            for step in (10, 20)
        ]
        folder = tmp_path / setting.name
        folder.mkdir()
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return runs


def written(name, runs, folder):
    plan = figure_plans(2)[name]
    drawn = plan.make(runs, folder)
    paths = write_figure(plan, drawn, folder / "out")
    return drawn, json.loads(paths[0].read_text())["values"], paths


def test_sizes_and_widths(runs, tmp_path):
    drawn, rows, paths = written("figure2", runs, tmp_path)
    assert len(rows) == 2 * len(SIZES) * len(WIDTHS) - 1
    by_name = {(row["variant"], row["width"], row["sample_size"]): row for row in rows}
    for setting in runs:
        fields = dict(setting.changes)
        row = by_name[setting.variant, int(fields["width"]), int(fields["batch_size"])]
        assert row["mean"] == pytest.approx(mean_of(setting))
        assert row["n"] == 2
    assert np.ptp(matplotlib.image.imread(paths[1])) > 0
    panels = drawn.figure.axes
    assert [axes.get_title() for axes in panels] == ["with L_div", "without L_div"]
    shown = panels[1].containers[0].lines[0].get_xydata()
    assert shown == pytest.approx(np.array([[256, 70.64], [512, 72.64], [1024, 70.64]]))


def test_curves_over_steps(runs, tmp_path):
    drawn, curves, paths = written("figure3", runs, tmp_path)
    assert len(curves) == 2 * len(runs)
    assert {tuple(curve["step"]) for curve in curves} == {(10, 20)}
    assert len(drawn.figure.axes) == 2 * len(SIZES)
    assert paths[1].exists()
    without = figure_plans(2)["figure3"].make(runs, tmp_path / "elsewhere")
    assert without.figure is None
    assert "no metrics" in without.text


def test_the_theorem_beside_the_best_sizes(runs, tmp_path):
    _, rows, paths = written("theorem32", runs, tmp_path)
    assert [row["dimension"] for row in rows] == list(WIDTHS)
    assert [row["least_sample_size"] for row in rows] == [
        sample_size(width, delta=0.1) for width in WIDTHS
    ]
    assert {size for row in rows for size in row["best_sample_size"].values()} == {512}
    assert len(paths) == 1


@pytest.mark.parametrize("name", ["figure2", "figure4", "figure5"])
def test_without_runs_there_is_no_picture(name, tmp_path):
    drawn, values, paths = written(name, {}, tmp_path)
    assert drawn.figure is None
    assert values == []
    assert "there" in drawn.text
    assert len(paths) == 1


@pytest.mark.slow
def test_pictures_of_images(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fields = {"num_devices": "1", "num_train": "120", "num_test": "40", "batch_size": "16"}
    fields |= {"stages": "(1,)", "width": "4"}
    small = Setting("digits", "smoke", tuple(fields.items()))
    monkeypatch.setattr(figures, "_DIGITS", small)
    assert [s for plan in cifar_plans(3).values() for s in plan.settings] == 2 * [figures._CIFAR]
    carry_out(small, range(1), tmp_path, lambda: False)
    runs = {small: found(small, tmp_path)}
    drawn, panels, _ = written("figure4", runs, tmp_path)
    classes = {panel["class"] for panel in panels}
    titles = [axes.get_title() for axes in drawn.figure.axes]
    assert [title.partition(":")[0] for title in titles] == ["random-initialised", "trained"]
    assert len(panels) == 2 * len(classes)
    assert sum(len(panel["points"]) for panel in panels) == 2 * 40
    drawn, mixtures, paths = written("figure5", runs, tmp_path)
    assert paths[1].exists()
    assert mixtures
    for mixture in mixtures:
        assert mixture["self_weight"] + sum(mixture["weights"]) == pytest.approx(1, abs=1e-5)
        assert len(mixture["partners"]) == len(mixture["classes"]) == len(mixture["weights"]) > 0
        assert mixture["anchor"] not in mixture["partners"]
