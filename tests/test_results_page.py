"""Accuracies in the documents stand in committed records."""

import pathlib
import re

import pytest

from mmix_jax.plans.catalog import TABLES
from mmix_jax.plans.figures import figure_plans
from mmix_jax.plans.runs import found
from mmix_jax.reproduce import main

ROOT = pathlib.Path(__file__).parents[1]
RECORDS, PAGE = ROOT / "results", ROOT / "docs" / "results.md"
SCORE = re.compile(r"\d\d\.\d+ ± \d+\.\d+")
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def settings():
    wanted = [table().settings for table in TABLES.values()]
    wanted += [plan.settings for plan in figure_plans(None).values()]
    return {setting for settings in wanted for setting in settings}


def test_the_page_is_made_of_the_records(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "figures").symlink_to(PAGE.parent / "figures")
    page = folder / "results.md"
    assert main(["", "all", "--read", "--runs=results", f"--page={page}"]) == 0, capsys.readouterr()
    assert page.read_text("utf-8") == PAGE.read_text("utf-8")


def test_every_record_is_a_run_of_a_plan(settings):
    names = {setting.name for setting in settings}
    records = {path.stem for path in RECORDS.glob("*.jsonl")}
    assert records
    assert records <= names


def test_a_record_has_trained_and_untrained_scores_of_the_same_seeds(settings):
    for setting in settings:
        if there := found(setting, RECORDS):
            own = [r for r in there.results if r.mixing != "-"]
            for trained in (True, False):
                rows = [r for r in own if r.trained == trained]
                assert rows, setting.name
                assert {r.seeds for r in rows} == {tuple(there.seeds)}, setting.name


def test_scores_in_the_readme_stand_on_the_page():
    page = PAGE.read_text("utf-8")
    scores = SCORE.findall(README)
    assert len(scores) > 10
    assert [score for score in scores if score not in page] == []
