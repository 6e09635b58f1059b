"""The study's sweeps: all can be asked for, and a page is filled from what is there."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.study import page as pages
from benchmarks.study.__main__ import main
from benchmarks.study.sweeps import SWEEPS, chosen
from mmix_jax.plans.runs import Found, write_record
from mmix_jax.plans.sweeping import table_of
from tests.example_results import result


def test_every_sweep_is_a_table_of_different_runs(tmp_path):
    for name, asked in SWEEPS.items():
        table = table_of(asked.sweep(tmp_path))
        assert set(asked.first) <= {line.row for line in table.lines if line.against}, name
        assert set(asked.learnt) <= {line.row for line in table.lines}, name
        assert asked.validation or asked.seeds.start >= 200  # fresh seeds
        assert asked.validation == (asked.seeds.start == 100)


def test_names():
    assert chosen([]) == list(SWEEPS)
    assert chosen(["h", "a"]) == ["a", "h_proteins", "h_nci1"]
    with pytest.raises(ValueError, match="unknown question 'z'"):
        chosen(["z"])


def test_data_in_a_file_are_named_by_it():
    assert SWEEPS["c_cs"].data == "coauthor_cs" and SWEEPS["d_photo"].data == "amazon_photo"
    assert SWEEPS["a"].data == SWEEPS["h_nci1"].data == ""


@pytest.fixture
def runs(tmp_path):
    """Records of a and of both sweeps of h, whose mo gains 0.01, 0.02 and 0.03 over none; in
    h_proteins training gains 0.2."""
    gains = {"a": 0.01, "h_proteins": 0.02, "h_nci1": 0.03}
    for name, gain in gains.items():
        asked = SWEEPS[name].sweep(tmp_path / name)
        table = table_of(asked)
        for place, line in enumerate(table.lines[:2]):
            values = [0.8, 0.81, 0.79] if not place else [0.8 + gain, 0.811 + gain, 0.79 + gain]
            measure, values = line.measure, np.array(values)
            scores = [
                result(
                    list(values - lost), seeds=range(200, 203), metric=measure.metric, task="node",
                    representation=measure.representation, protocol=measure.protocol or "splits",
                    dataset=line.dataset, mixing=("none", "mo")[place], trained=not lost,
                )
                for lost in ((0.0, 0.2) if name == "h_proteins" else (0.0,))
            ]  # fmt: skip
            settings = {"seed": 200, "num_seeds": 3, "num_steps": 1}
            write_record(line.setting, Found(settings, scores), tmp_path / name)
    return tmp_path


def test_a_page_is_filled(runs, tmp_path, monkeypatch, capsys):
    from mmix_jax.plans import work

    monkeypatch.setattr(work, "check", lambda *args: None)  # the records tell no settings
    page = tmp_path / "page.md"
    page.write_text(
        "A\n<!-- study: a -->\n<!-- end -->\nB\n<!-- study: b -->\nold\n<!-- end -->\n"
        "<!-- study: first -->\n<!-- end -->\nZ\n"
    )
    for _ in range(2):  # and again, over what it wrote
        assert main(["study", "a", f"--runs={runs}", "--read", f"--page={page}"]) == 0
    text = page.read_text()
    assert text.startswith("A\n<!-- study: a -->\n### a: dblp\n\ndblp, variant varied. Differences")
    assert "| mo | 81.0" in text and "+1.0" in text
    assert "<!-- study: b -->\nold\n<!-- end -->" in text and text.endswith("Z\n")
    first = text[text.index("<!-- study: first") :]
    assert "a: mo" in first and "h_nci1" not in first  # whose untrained encoder has no score
    assert "h_proteins: mo" not in first
    (learnt,) = [line for line in first.splitlines() if "h_proteins: none" in line]
    assert "none, untrained | +20.00 |" in learnt
    assert text.count("<!-- end -->") == 3
    assert " hours of trainings" in capsys.readouterr().out
    assert pages.seconds_of(pages.shown("a", runs)[1]) == 2 * 12.5  # two runs, as results of tests


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("<!-- study: zz -->\n<!-- end -->", "unknown sweep of the study 'zz'"),
        ("<!-- study: first-one -->\n<!-- end -->", "unknown sweep of the study 'first-one'"),
        ("<!-- study: a -->\nwords <!-- study: b -->\n<!-- end -->", "line 2: every"),
        ("<!-- end -->", "line 1: every"),
        ("<!-- study: a -->\nwords", "study 'a' has no"),
    ],
)
def test_a_page_with_bad_marks_is_left(tmp_path, capsys, page, told):
    path = tmp_path / "page.md"
    path.write_text(page)
    assert main(["study", f"--runs={tmp_path}", "--read", f"--page={path}"]) == 2
    assert told in capsys.readouterr().err and path.read_text() == page


def test_bad_input(tmp_path, capsys):
    page = tmp_path / "page.md"
    for flags, told in (
        ([f"--page={tmp_path / 'gone.md'}", "--read"], "--page must be a file of text"),
        ([f"--page={page}", "--dry"], "found --dry"),
    ):
        page.write_text("<!-- study: first -->\nKEEP\n<!-- end -->")
        assert main(["study", f"--runs={tmp_path}", *flags]) == 2
        assert told in capsys.readouterr().err
    (tmp_path / "b").mkdir()  # a sweep that has just begun
    assert main(["study", f"--runs={tmp_path}", "--read", f"--page={page}"]) == 0
    assert "b: no score yet" in capsys.readouterr().out
    assert "KEEP" in page.read_text()


def test_the_page_says_what_the_records_do():
    root = Path(__file__).parents[2]
    runs, page = root / "results" / "study", (root / "docs" / "when_mixing_helps.md").read_text()
    there = [name for name in SWEEPS if (runs / name).is_dir()]
    assert "e_chameleon" in there
    tables = {name: pages.shown(name, runs) for name in there}
    assert pages.filled(page, tables) == page
    for name in SWEEPS:  # each has its place
        assert page.count(f"<!-- study: {name} -->") == 1
