"""Scripts of examples/ are short, say what they show, and stand in the folder's README."""

import pathlib
import re

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "examples"
FILES = sorted(path.name for path in FOLDER.glob("*.py"))
MAX_LINES = 80


@pytest.mark.parametrize("name", FILES)
def test_it_is_short_and_says_what_it_shows_and_how_long_it_takes(name):
    text = (FOLDER / name).read_text("utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert text.startswith('"""')
    assert re.search(r"(second|minute)s? on two cores", text.split('"""')[1])


def test_the_readme_lists_every_script_with_its_lines():
    readme = (FOLDER / "README.md").read_text("utf-8")
    table = re.findall(r"^\| `(\S+)` \| .+ \| (\d+) \| \d+ \|$", readme, re.MULTILINE)
    lines = {name: len((FOLDER / name).read_text("utf-8").splitlines()) for name in FILES}
    assert {name: int(count) for name, count in table} == lines
