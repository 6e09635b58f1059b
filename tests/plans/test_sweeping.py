"""A sweep on trainings of four steps, cut off and begun again."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from mmix_jax import sweep
from mmix_jax.plans import sweeping
from tests.experiments.nodes import small
from tests.metric_lines import lines_of

SWEEP = ("--config=graph_file:smoke", "--config.width=8", "--config.num_devices=1")


def call(*arguments):
    return sweep.main(["", *arguments])


@pytest.mark.slow
def test_a_sweep_that_is_cut_off_ends_with_the_same_table(tmp_path, ran, capsys, monkeypatch):
    kinds = np.random.default_rng(0).integers(0, 3, small.N)  # no training finds all of them
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rings = small.save(tmp_path / "rings.npz", y=kinds)
    arguments = [*SWEEP, f"--config.data_path={rings}", "--vary=mixing=none,mo", "--seeds=1:3"]
    assert call(*arguments, "--runs=whole") == 0
    out = capsys.readouterr().out
    assert "+" in out or "-" in out
    assert len(ran) == 2

    class Cut:
        """True in the second training of the second run, once."""

        asked = 0

        def __call__(self):
            self.asked += 1
            return self.asked == 18

    cut = Cut()
    carried_out = sweeping.carried_out
    monkeypatch.setattr(
        sweeping,
        "carried_out",
        lambda p, folder, _, run: carried_out(p, folder, cut, run=run),
    )
    assert call(*arguments, "--runs=cut") == 130
    assert "start the same command again" in capsys.readouterr().err.splitlines()[-1]
    last = {path.parent.name for path in (tmp_path / "cut").glob("*mixing=mo/checkpoints/*/4")}
    assert last == {"seed_1"}
    assert call(*arguments, "--runs=cut") == 0
    mixed = [next((tmp_path / folder).glob("*mixing=mo")) for folder in ("whole", "cut")]
    assert lines_of(mixed[0]) == lines_of(mixed[1])
    (name,) = [path.name for path in (tmp_path / "whole").glob("*.json")]
    whole, again = (json.loads((tmp_path / d / name).read_text())["rows"] for d in ("whole", "cut"))
    for a, b in zip(whole, again, strict=True):
        assert {**a, "seconds": 0, "command": ""} == {**b, "seconds": 0, "command": ""}
    assert [row["row"] for row in whole] == ["mixing=none", "mixing=mo"]
    assert whole[0]["mean"] != whole[1]["mean"]
    assert [row["against"] for row in whole] == ["", "mixing=none"]
    assert whole[1]["interval"][0] <= whole[1]["difference"] <= whole[1]["interval"][1]
    assert "--config.seed=1 --config.num_seeds=2" in whole[1]["command"]

    # The same runs by what their settings may be chosen by.
    ran.clear()
    assert call(*arguments, "--runs=cut", "--validation") == 0
    assert ran == []
    (path,) = (tmp_path / "cut").glob("*-validation.json")
    mo = json.loads(path.read_text())["rows"][1]
    (metrics,) = (tmp_path / "cut").glob("*mixing=mo/metrics.jsonl")
    logged = [json.loads(line) for line in metrics.read_text().splitlines()]
    best = [
        max(row["validation_accuracy"] for row in logged if row["seed"] == seed) for seed in (1, 2)
    ]
    assert (mo["measure"], mo["n"]) == ("validation_accuracy", 2)
    assert mo["mean"] == pytest.approx(sum(best) / 2)


def test_a_sweep_s_values_may_hold_commas():
    assert sweeping.values_of(["stages=(1,1),(2,2)", "width=8"]) == {
        "stages": ["(1,1)", "(2,2)"],
        "width": ["8"],
    }


@pytest.mark.slow
def test_a_late_start_is_judged_by_what_is_mixed(tmp_path, monkeypatch, ran):
    """Of epochs: six steps, though a hundred are allowed; from the fourth on they mix."""
    kinds = np.random.default_rng(0).integers(0, 3, small.N)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rings = small.save(tmp_path / "rings.npz", y=kinds)
    fields = ("num_epochs=6", "num_steps=100", "eval_every=1", "mixing_start=0.5")
    fields += ("learning_rate=0.1",)  # it gets worse from the first step on
    arguments = [*SWEEP, f"--config.data_path={rings}", *(f"--config.{f}" for f in fields)]
    arguments += ["--config.selection=validation", "--vary=mixing=mo,mp", "--seeds=4:5"]
    assert call(*arguments, f"--runs={tmp_path / 'runs'}", "--validation") == 0
    (path,) = (tmp_path / "runs").glob("*-validation.json")
    mo = json.loads(path.read_text())["rows"][0]
    workdir = shlex.split(mo["command"])[-1].removeprefix("--workdir=")
    logged = lines_of(Path(workdir))
    assert [row["step"] for row in logged] == [1, 2, 3, 4, 5, 6]
    scores = [row["validation_accuracy"] for row in logged]
    assert mo["mean"] == max(scores[3:]) < max(scores)


def test_validation_is_not_shown_where_the_test_set_chooses(tmp_path, capsys):
    arguments = ("--config=cora:mo", "--config.protocol=reference", "--vary=temperature=1,2")
    assert call(*arguments, f"--runs={tmp_path}", "--validation", "--dry") == 2
    assert "and protocol 'reference'; leave it out" in capsys.readouterr().err
