"""Accuracy over seconds: the table of known runs, and tiny trainings through processes."""

import json

import pytest

from benchmarks import suite
from benchmarks.curves import Point
from benchmarks.parts import frontier
from benchmarks.suite import Options

pytestmark = pytest.mark.slow


def _run(*points: tuple[int, float, float, float], steps: int = 9, cut: bool = False) -> dict:
    return {"seed": 0, "points": [Point(*p) for p in points], "steps": steps, "cut": cut}


def test_the_table_of_known_runs():
    runs = {
        "quick": [
            _run((0, 1.0, 0.3, 0.2), (5, 4.0, 0.80, 0.82), (9, 40.0, 0.85, 0.84)),
            _run((0, 1.0, 0.5, 0.4), (5, 12.0, 0.84, 0.80)),
        ],
        "slow": [_run((0, 2.0, 0.1, 0.1), steps=3, cut=True)] * 2,
    }
    rows = frontier.rows_of("cora", runs, Options(seeds=2, budget_s=60.0))
    assert json.loads(json.dumps(rows)) == rows
    by_what = {row["at"]: row for row in rows}
    shown = {what: (row["quick"], row["slow"]) for what, row in by_what.items()}
    assert shown["untrained"] == ("40.0 / 30.0 ± 14.1 (2)", "10.0 / 10.0 ± 0.0 (2)")
    assert shown["5 s"] == ("80.0 / 82.0 ± 0.0 (1)", "")
    assert shown["15 s"] == shown["30 s"] == ("82.0 / 81.0 ± 1.4 (2)", "")
    assert shown["45 s"] == shown["the end"] == ("84.5 / 82.0 ± 2.8 (2)", "")
    assert shown["the end, s"] == ("26.0 (2 of 2)", "2.0 (2 of 2)")
    assert shown["cut off at 60 s"] == ("", "step 3 (2 of 2)")
    assert shown["validation 83 first, s"] == ("26.0 (2 of 2)", "never")
    assert shown["test 80 first, s"] == ("8.0 (2 of 2)", "never")
    assert shown["test 83 first, s"] == ("40.0 (1 of 2)", "never")
    assert by_what["5 s"]["values"]["quick"]["test"] == {"mean": 0.82, "std": 0.0, "n": 1}
    assert len(rows[0]["runs"]["quick"][0]["points"]) == 3
    headings, _ = suite.cells(rows)
    assert headings == ["dataset", "at", "quick", "slow"]


@pytest.mark.parametrize("with_torch", [False, True])
def test_methods_are_those_that_can_be_had(with_torch, monkeypatch):
    monkeypatch.setattr(suite, "HAVE_TORCH", with_torch)
    methods = frontier.methods_of(Options())
    assert methods == [*frontier.OURS, *(frontier.TORCH if with_torch else [])]
    assert len(frontier.methods_of(Options(quick=True))) == 1 + 2 * with_torch


def test_tiny_trainings_on_a_drawn_graph(capsys):
    options = Options(quick=True, datasets=("cora",), seeds=1, num_classifiers=1)
    rows = frontier.measure(options)
    assert {row["dataset"] for row in rows} == {"cora"}
    for name in frontier.methods_of(options):
        (run,) = rows[0]["runs"][name]
        assert [point["step"] for point in run["points"]] == [0, 1, 2, 3, 4]
        seconds = [point["seconds"] for point in run["points"]]
        assert 0 < seconds[0] < seconds[-1]
        assert all(0 <= point["test"] <= 1 for point in run["points"])
    said = capsys.readouterr().err
    assert ("torch is not installed" in said) is not suite.HAVE_TORCH
    assert "cora, MVGRL frame, seed 0: 4 steps" in said
