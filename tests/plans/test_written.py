"""Tables as they are read: Markdown, CSV and JSON."""

import csv
import json

import pytest

from mmix_jax.errors import InputError
from mmix_jax.plans import written
from mmix_jax.plans.runs import Found, Setting
from mmix_jax.plans.table import Line, Measure, Paper, Table, cells_of
from mmix_jax.plans.written import markdown, text, write_table
from tests.example_results import result

NONE, MO, MP = (Setting("cora", variant) for variant in ("none", "mo", "mp"))
ACCURACY = Measure("accuracy", "mean")
TABLE = Table(
    "table2",
    "nodes",
    "A caption.",
    (
        Line("cora", "random-init", NONE, ACCURACY, 3, against="none", trained=False),
        Line("cora", "none", NONE, ACCURACY, 3, Paper(0.843, 0.011)),
        Line("cora", "mo", MO, ACCURACY, 3, Paper(0.70, 0.01), against="none"),
        Line("cora", "mp", MP, ACCURACY, 3, Paper(0.859, 0.003), against="none"),
        Line("cora", "nobody's", None, ACCURACY, 1, Paper(0.5)),
    ),
)


def run_of(*values):
    return Found(
        {},
        [
            result(values, selection="validation"),
            result([0.7] * len(values), trained=False, steps=0),
        ],
    )


@pytest.fixture
def cells():
    runs = {NONE: run_of(0.83, 0.84, 0.85), MO: run_of(0.84, 0.86)}
    return cells_of(TABLE, runs, lambda setting: "data absent")


def command(cell):
    return "" if cell.line.setting is None else f"run {cell.line.setting.name}"


def test_markdown_has_a_row_for_each(cells):
    lines = markdown(TABLE, cells).splitlines()
    assert lines[0] == "## table2: nodes"
    assert lines[2] == "A caption."
    assert lines[4] == "**cora, accuracy %, protocol standard, selection validation**"
    heading, _, *rows = lines[6:]
    assert heading == (
        "| row | ours | random-init | n | paper | against | difference | 95 % interval | p (Holm) |"
    )
    assert rows[0].startswith("| random-init | 70.00 ± 0.00 | – | 3 | – | none | -14.00 |")
    assert rows[1] == (
        "| none | 84.00 ± 1.00 | 70.00 ± 0.00 | 3 | 84.30 ± 1.10 ✓ | – | – | – | – |"
    )
    assert rows[2].startswith("| mo | 85.00 ± 1.41 | 70.00 ± 0.00 | 2 of 3 | 70.00 ± 1.00 ✗ | none")
    assert "| +1.50 | -4.85 … +7.85 |" in rows[2]
    assert rows[3] == "| mp | data absent | – | – | 85.90 ± 0.30 | – | – | – | – |"
    assert rows[4] == "| nobody's | not among ours | – | – | 50.00 | – | – | – | – |"


def test_a_heading_names_all_protocols_of_its_rows():
    splits = Found({}, [result([0.84, 0.86], protocol="splits", selection="last")])
    runs = {NONE: run_of(0.83, 0.84), MO: splits}
    heading = markdown(TABLE, cells_of(TABLE, runs, lambda setting: "absent")).splitlines()[4]
    assert (
        heading == "**cora, accuracy %, protocol standard or splits, selection last or validation**"
    )


def test_without_any_score_a_part_is_a_line(cells):
    some = [cell._replace(result=None, untrained=None, compared=None, p=None, reason="not run")
            for cell in cells]  # fmt: skip
    part = markdown(TABLE, some).splitlines()[4:]
    assert len(part) == 1
    assert part[0].startswith("**cora, accuracy %**: not run. ")


def test_columns_that_say_nothing_are_left_out(cells):
    (cell,) = [cell for cell in cells if cell.line.row == "mo"]
    cell = cell._replace(compared=None, p=None, untrained=None, line=cell.line._replace(paper=None))
    heading = text(TABLE, [cell]).splitlines()[3]
    assert heading.split() == ["row", "ours", "n"]


def test_files_hold_the_same(cells, tmp_path):
    paths = write_table(TABLE, cells, tmp_path / "new", command)
    assert [path.name for path in paths] == ["table2.md", "table2.csv", "table2.json"]
    rows = json.loads(paths[2].read_text())["rows"]
    assert [row["row"] for row in rows] == [line.row for line in TABLE.lines]
    mo, mp = rows[2], rows[3]
    assert mo["mean"] == pytest.approx(0.85)
    assert (mo["n"], mo["seeds_wanted"], mo["within_paper"]) == (2, 3, False)
    assert mo["paper"] == [0.70, 0.01]
    assert mo["random_init"] == pytest.approx([0.7, 0.0])
    assert mo["difference"] == pytest.approx(0.015)
    assert mo["interval"] == pytest.approx([-0.0485, 0.0785], abs=1e-4)
    assert mo["command"] == "run cora-mo"
    assert (mp["mean"], mp["missing"]) == (None, "data absent")
    with paths[1].open() as file:
        read = list(csv.DictReader(file))
    assert [row["row"] for row in read] == [row["row"] for row in rows]
    assert float(read[2]["mean"]) == mo["mean"]
    assert read[3]["mean"] == ""


def test_a_folder_that_is_a_file_is_told(cells, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"tables must be writable at .*another --runs"):
        write_table(TABLE, cells, tmp_path / "file", command)


def test_a_p_value_is_never_nothing():
    told = [written._p_value(p) for p in (0.0, 0.0004999, 0.0005, 0.0123, 1.0)]
    assert told == ["< 0.001", "< 0.001", "0.001", "0.012", "1.000"]
