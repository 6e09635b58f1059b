"""The benchmark of sizes: which cases it measures, and one of them on a tiny graph."""

import json

import pytest

from benchmarks.parts import scale
from benchmarks.scripts.scale import parse, text_table

pytestmark = pytest.mark.slow


def test_cases_are_every_size_and_the_smallest_at_other_degrees():
    sizes = parse(["--nodes", "300", "100", "--degree", "8", "--degrees", "2", "8", "16"])
    cases = [(case["nodes"], case["degree"]) for case in scale.cases(sizes)]
    assert cases == [(300, 8.0), (100, 8.0), (100, 2.0), (100, 16.0)]


@pytest.fixture(scope="module")
def rows():
    tiny = "--nodes 1000 --degree 6 --degrees --features 8 --width 8 --batch_size 64 --steps 2"
    return list(scale.rows_of(parse(tiny.split())))


def test_a_row_says_what_every_stage_took(rows):
    (row,) = rows
    assert json.loads(json.dumps(row)) == row
    assert 2800 < row["edges"] <= 3000
    assert 200 < row["batch_edges"] < 600
    stages = [row[f"{name}_seconds"] for name in ("generate", "adjacency", "diffusion", "batch")]
    assert min(*stages, row["step_mp_seconds"], row["step_none_seconds"]) > 0
    marks = [row[f"{name}_mb"] for name in ("floor", "generate", "adjacency", "diffusion", "peak")]
    assert marks == sorted(marks)
    assert 0 < row["training_mb"] <= row["peak_mb"]


def test_the_table_has_a_line_for_every_row(rows):
    program = {"kind": "embed", "nodes": 1000, "degree": 6.0, "seconds": 2.0, "peak_mb": 300.0}
    lines = text_table([*rows, program]).splitlines()
    assert len(lines) == 4
    assert lines[1].split()[:3] == ["1000", "6", str(rows[0]["edges"])]
    assert "embed, 1000 nodes of degree 6: 2 s, peak 300 MB" in lines[2]
