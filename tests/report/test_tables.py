"""Tables: units, alignment, width."""

import pytest

from example_results import result
from mmix_jax.report import text_table
from mmix_jax.report.tables import align, format_score


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("accuracy", "85.90 ± 0.31"),
        ("micro_f1", "85.90 ± 0.31"),
        ("top5", "85.90 ± 0.31"),
        ("nmi", "0.859 ± 0.003"),
        ("ari", "0.859 ± 0.003"),
        ("pair_auc", "0.859 ± 0.003"),
        ("triplet_accuracy", "0.859 ± 0.003"),
    ],
)
def test_accuracies_are_in_percent_and_all_else_in_three_decimals(metric, expected):
    assert format_score(metric, 0.859, 0.00312, 5) == expected


def test_a_single_value_has_no_spread():
    assert format_score("accuracy", 0.859, 0.0, 1) == "85.90"


def test_text_table_line_by_line():
    table = text_table(
        [
            result(),
            result((0.7004, 0.6996), trained=False, mixing="none", candidates=""),
            result((0.64,), metric="nmi", representation="a"),
        ],
        max_width=200,
    )
    assert table.split("\n") == [
        "dataset  framework  objective  mixing  candidates  representation  trained      "
        "metric        mean ± std  n  protocol  selection",
        "-------  ---------  ---------  ------  ----------  --------------  -----------  "
        "----------  ------------  -  --------  ---------",
        "cora     mvgrl      info_nce   mo      wp          mean            yes          "
        "accuracy %  85.90 ± 0.42  2  standard  valid",
        "cora     mvgrl      info_nce   none    -           mean            random-init  "
        "accuracy %  70.00 ± 0.06  2  standard  valid",
        "cora     mvgrl      info_nce   mo      wp          a               yes          "
        "nmi                0.640  1  standard  valid",
    ]


def test_a_wide_table_says_common_columns_once():
    rows = [result(representation=r, protocol="a rather long protocol") for r in "ab"]
    lines = text_table(rows, max_width=110).split("\n")
    assert lines[0] == "all rows: objective info_nce, protocol a rather long protocol"
    assert max(map(len, lines)) <= 110
    assert "protocol" not in lines[1] and "selection" in lines[1]


def test_columns_in_which_rows_differ_always_stay():
    rows = [result(dataset="cora"), result(dataset="pubmed", protocol="reference")]
    lines = text_table(rows, max_width=10).split("\n")
    assert "protocol" in lines[1] and "dataset" in lines[1]
    assert "protocol" not in lines[0]
    assert "mixing mo" in lines[0]


def test_the_usual_table_fits():
    rows = [
        result(representation=representation, trained=trained, mixing="neighbour_mean")
        for representation in ("mean", "a", "b")
        for trained in (True, False)
    ]
    assert max(map(len, text_table(rows).split("\n"))) <= 110


def test_no_results_are_said_in_words():
    assert text_table([]) == "no results"


def test_a_name_from_a_file_cannot_break_the_table():
    rows = [result(dataset="two\nlines"), result(dataset="a|b")]
    lines = text_table(rows, max_width=200).split("\n")
    assert len(lines) == 4
    assert lines[2].startswith("two lines  mvgrl") and lines[3].startswith("a|b        mvgrl")


def test_align():
    assert align({"name": ["a", "long one"], "n": ["1", "10"]}, right=("n",)) == [
        "name       n",
        "--------  --",
        "a          1",
        "long one  10",
    ]


def test_an_unusual_encoder_is_named():
    rows = [result(framework="grace", encoder=name) for name in ("", "gcn", "gat")]
    lines = text_table(rows).splitlines()[-3:]
    assert [" grace gat " in line for line in lines] == [False, False, True]
