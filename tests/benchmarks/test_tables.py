"""Tables of a document, filled from results of the suite."""

import json
import pathlib

import jax
import pytest

from benchmarks import tables
from benchmarks.__main__ import PARTS

ROOT = pathlib.Path(__file__).parents[2]


def test_every_part_has_a_table_in_the_document():
    text = (ROOT / "docs" / "performance.md").read_text()
    _, _, named = tables.fill(text, {"parts": {}})
    assert set(PARTS) <= set(named)


@pytest.fixture
def document(written) -> dict:
    """Results that may fill a document."""
    return json.loads(written.read_text()) | {"quick": False}


@pytest.fixture
def page(tmp_path) -> pathlib.Path:
    path = tmp_path / "page.md"
    path.write_text(
        "# Before\n<!-- table: diffusion -->\nold | table\n<!-- end -->\nbetween\n"
        "<!-- table: steps -->\nkept\n<!-- end -->\nafter\n"
    )
    return path


def _results(tmp_path: pathlib.Path, document) -> str:
    path = tmp_path / "results.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def test_tables_are_filled_and_the_rest_stays(tmp_path, page, document, capsys):
    arguments = [_results(tmp_path, document), str(page)]
    assert tables.main(arguments) == 0
    text = page.read_text()
    rows = document["parts"]["diffusion"]["rows"]
    assert [line for line in text.splitlines() if line.startswith("| ppr")]
    assert text.count("\n| ") == 2 + len(rows)  # headings, rule, rows
    assert "old | table" not in text
    assert document["hardware"]["processor"] in text
    assert f"jax {jax.__version__}" in text
    assert text.startswith("# Before\n<!-- table: diffusion -->\n")
    assert text.endswith(
        "<!-- end -->\nbetween\n<!-- table: steps -->\nkept\n<!-- end -->\nafter\n"
    )
    assert "filled: diffusion; without results: steps" in capsys.readouterr().out
    assert tables.main(arguments) == 0  # again: nothing piles up
    assert page.read_text() == text


def test_quick_results_do_not_fill_a_document(written, page, capsys):
    before = page.read_text()
    assert tables.main([str(written), str(page)]) == 2
    assert "--quick" in capsys.readouterr().err
    assert page.read_text() == before


@pytest.mark.parametrize(
    ("results", "text", "message"),
    [
        ("{", "", "must be JSON"),
        ("[]", "", "found other JSON"),
        (None, "<!-- table: steps -->\n", "has no '<!-- end -->'"),
        (None, "a\n<!-- end -->\n", "line 2: every"),
        (None, "<!-- table: steps --><!-- table: runs -->", "out of turn"),
    ],
)
def test_what_cannot_be_filled_is_said(tmp_path, page, document, capsys, results, text, message):
    page.write_text(text)
    assert tables.main([_results(tmp_path, results or document), str(page)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert page.read_text() == text


def test_tables_wants_two_files(capsys):
    assert tables.main(["results.json"]) == 2
    assert "two files are needed, found 1" in capsys.readouterr().err
