"""The face of the package: what it offers, that all is documented, and that it stays light."""

import pathlib
import re
import subprocess
import sys
import types

import pytest

import mmix_jax as mm

ROOT = pathlib.Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "face.md").read_text("utf-8")
NAMES = [name for name in mm.__all__ if not isinstance(getattr(mm, name), types.ModuleType)]


@pytest.mark.parametrize("name", mm.__all__)
def test_every_name_is_there_and_on_the_page(name):
    assert getattr(mm, name) is not None
    assert f"`mm.{name}" in PAGE


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_runnable_example(name):
    """That they run as they stand is tested with all others."""
    assert ">>>" in getattr(mm, name).__doc__


def test_the_page_has_no_other_names():
    assert set(re.findall(r"`mm\.(\w+)", PAGE)) == set(mm.__all__)


def test_it_is_a_page_of_some_thirty_names():
    assert 25 <= len(NAMES) <= 40
    assert dir(mm) == sorted(mm.__all__)


def test_another_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'mmix_jax' has no attribute 'NodeEmbeder'"):
        mm.NodeEmbeder  # noqa: B018


def test_importing_it_imports_nothing_heavy():
    code = (
        "import sys, mmix_jax; print([m for m in ('jax', 'numpy', 'sklearn') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
