"""The figures of what mixing does, from metrics in made workdirs."""

import json

import pytest

from mmix_jax.plans.figures import write_figure
from mmix_jax.plans.mechanism import ARMS, mechanism_plans, setting_of
from mmix_jax.plans.runs import Found
from tests.example_results import result


@pytest.fixture
def runs(tmp_path):
    """Every arm but one, two seeds each, whose metrics are step / 100 + seed / 10 + its place."""
    runs = {}
    for place, arm in enumerate(list(ARMS)[:-1]):
        setting = setting_of(arm)
        runs[setting] = Found({}, [result([0.8, 0.9])])
        names = ["contrast/" + n for n in ["hardness", "false_negatives", "weight", "uniformity"]]
        names += ["contrast/alignment"] + ["gradients/cosine", "gradients/ratio"] * (place > 0)
        lines = [
            {"seed": seed, "step": step} | dict.fromkeys(names, step / 100 + seed / 10 + place)
            for seed in (0, 1)
            for step in (10, 20)
        ]
        folder = tmp_path / setting.name
        folder.mkdir()
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return runs


@pytest.mark.parametrize("name", mechanism_plans(None))
def test_curves_are_means_over_seeds(runs, tmp_path, name):
    plan = mechanism_plans(2)[name]
    assert len(plan.settings) == len(ARMS) == len(set(plan.settings))
    drawn = plan.make(runs, tmp_path)
    curves = {curve["arm"]: curve for curve in drawn.values}
    assert list(curves) == list(ARMS)[:-1]
    shown = {"negatives": "contrast/weight", "geometry": "contrast/alignment"}
    metric = shown.get(name.removeprefix("mechanism_"), "gradients/ratio")
    assert curves["mo"][metric] == pytest.approx([1.15, 1.25])
    assert ("gradients/ratio" in curves["none"]) is False
    assert "mo (n = 2)" in drawn.text
    paths = write_figure(plan, drawn, tmp_path / "out")
    assert [path.suffix for path in paths] == [".json", ".png"]


def test_records_have_no_metrics(runs, tmp_path):
    drawn = mechanism_plans(2)["mechanism_negatives"].make(runs, tmp_path / "elsewhere")
    assert drawn.figure is None and "no metrics" in drawn.text
