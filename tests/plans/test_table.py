"""Rows of a table: which score each has, and what it is compared with."""

import numpy as np
import pytest
from scipy import stats

from mmix_jax.plans.paper import (
    BRANCHES,
    CLUSTERING,
    EDIT_DISTANCE,
    GRACE,
    GRAPHS,
    IMAGES,
    MIXING,
    NODES,
)
from mmix_jax.plans.runs import Found, Setting
from mmix_jax.plans.table import Line, Measure, Paper, Table, cells_of
from mmix_jax.report.paired import holm
from tests.example_results import result

ACCURACY = Measure("accuracy", "mean")
NONE, MO, MP = (Setting("cora", variant) for variant in ("none", "mo", "mp"))
SCORES = {
    NONE: (0.80, 0.82, 0.81, 0.79),
    MO: (0.82, 0.83, 0.84, 0.80),
    MP: (0.79, 0.83, 0.80, 0.80),
}


def run_of(values, **changes):
    rows = [result(values, representation=branch, **changes) for branch in ("a", "b", "mean")]
    untrained = [
        result([value - 0.1 for value in values], representation="mean", trained=False, steps=0)
    ]
    return Found({}, [*rows, *untrained, result(values, metric="nmi", protocol="k-means")])


def line(row, setting, against="none", **changes):
    return Line("cora", row, setting, ACCURACY, 4, against=against, **changes)


def table(*lines):
    return Table("t", "title", "caption", lines)


@pytest.fixture
def runs():
    return {setting: run_of(values) for setting, values in SCORES.items()}


def nothing(setting):
    return "not run"


def test_rows_have_their_scores_and_paired_differences(runs):
    lines = (line("none", NONE, ""), line("mo", MO), line("mp", MP))
    none, mo, mp = cells_of(table(*lines), runs, nothing)
    assert none.compared is None
    assert none.p is None
    assert mo.result.values == SCORES[MO]
    assert mo.untrained.mean == pytest.approx(np.mean(SCORES[MO]) - 0.1)
    ps = []
    for cell, setting in ((mo, MO), (mp, MP)):
        naive = stats.ttest_rel(SCORES[setting], SCORES[NONE])
        ps.append(naive.pvalue)
        assert cell.compared.mean == pytest.approx(
            np.mean(SCORES[setting]) - np.mean(SCORES[NONE]), abs=1e-12
        )
        interval = tuple(naive.confidence_interval(0.95))
        assert cell.compared.interval == pytest.approx(interval, abs=1e-12)
    assert [mo.p, mp.p] == pytest.approx(holm(ps), abs=1e-12)


def test_the_untrained_row_is_compared_but_asks_no_question(runs):
    lines = (
        line("random-init (none)", NONE, trained=False),
        line("none", NONE, ""),
        line("mo", MO),
    )
    untrained, _, mo = cells_of(table(*lines), runs, nothing)
    assert untrained.compared.mean == pytest.approx(-0.1)
    assert untrained.p is None
    assert mo.p == pytest.approx(mo.compared.p)  # a family of one


def test_branches_are_compared_within_a_run(runs):
    runs[MP].results[0] = result((0.78, 0.82, 0.79, 0.79), representation="a")
    a = Line("cora", "a", MP, Measure("accuracy", "a"), 4, against="mean")
    mean = Line("cora", "mean", MP, ACCURACY, 4)
    cells = cells_of(table(a, mean), runs, nothing)
    assert cells[0].compared.mean == pytest.approx(-0.01)
    assert cells[1].compared is None


def test_rows_of_another_data_set_or_metric_are_no_baseline(runs):
    other = line("mo", MO)._replace(dataset="pubmed")
    nmi = line("mo", MO)._replace(measure=Measure("nmi", "mean"))
    cells = cells_of(table(line("none", NONE, ""), other, nmi), runs, nothing)
    assert [cell.compared for cell in cells] == [None, None, None]
    assert cells[2].result.metric == "nmi"


def test_without_common_seeds_there_is_no_difference(runs):
    runs[MO] = run_of(SCORES[MO], seeds=(7, 8, 9, 10))
    _, mo = cells_of(table(line("none", NONE, ""), line("mo", MO)), runs, nothing)
    assert mo.result.mean == pytest.approx(np.mean(SCORES[MO]))
    assert mo.compared is None


def test_scores_by_another_protocol_or_on_other_splits_are_no_baseline(runs):
    values = SCORES[MO]
    runs[MO] = Found({}, [result(values, protocol="reference")])
    _, mo = cells_of(table(line("none", NONE, ""), line("mo", MO)), runs, nothing)
    assert mo.compared is None
    for setting, splits in ((NONE, 2), (MO, 3)):
        parts = tuple((value,) * splits for value in SCORES[setting])
        runs[setting] = Found({}, [result(SCORES[setting], parts=parts)])
    _, mo = cells_of(table(line("none", NONE, ""), line("mo", MO)), runs, nothing)
    assert mo.result is not None
    assert mo.compared is None


def test_rows_without_scores_tell_why(runs):
    del runs[MO]
    only_paper = line("grace", None)
    cells = cells_of(table(line("mo", MO), only_paper), runs, nothing)
    assert [cell.reason for cell in cells] == ["not run", "not among ours"]


def test_methods_that_are_not_pretrained_go_by_their_names():
    kernel = result((0.7,), framework="supervised", mixing="-", representation="single", steps=0)
    own = result((0.8,), representation="single")
    results = [own, kernel]
    assert Measure("accuracy", "single", method="supervised").of(results) is kernel
    assert Measure("accuracy", "single").of(results) is own
    assert Measure("accuracy", "single", "svm").of(results) is None


def test_the_paper_s_deviation_covers_or_not():
    assert Paper(0.84, 0.01).covers(0.85)
    assert not Paper(0.84, 0.01).covers(0.8501)
    assert Paper(0.84).covers(0.84) is None


def test_the_paper_s_numbers_are_those_of_its_tables():
    assert NODES["cora", "mp"] == Paper(0.859, 0.003)
    assert NODES["pubmed", "mvgrl"] == Paper(0.804, 0.011)
    assert GRACE["ppi", "mp"] == Paper(0.678, 0.001)
    assert GRAPHS["reddit_binary", "graph_only"] == Paper(0.843, 0.007)
    assert ("reddit_binary", "none") not in GRAPHS
    assert CLUSTERING["ari"]["citeseer", "mp"] == Paper(0.463)
    assert BRANCHES["imdb_multi", "b"] == Paper(0.524)
    assert EDIT_DISTANCE["pair_auc"]["n15", "mp"] == Paper(0.813)
    tables = (NODES, GRACE, GRAPHS, IMAGES, MIXING, BRANCHES)
    assert [len(scores) for scores in tables] == [18, 10, 38, 6, 15, 21]
    # Sums of all means and of all deviations, added up from the paper apart from this code.
    sums = [sum(paper.mean for paper in scores.values()) for scores in tables]
    assert sums == pytest.approx([14.443, 7.576, 27.645, 4.5498, 12.046, 15.841], abs=1e-9)
    spread = [sum(paper.std or 0 for paper in scores.values()) for scores in tables]
    assert spread == pytest.approx([0.107, 0.018, 0.252, 0.0, 0.103, 0.0], abs=1e-9)
