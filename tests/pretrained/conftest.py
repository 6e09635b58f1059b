"""An encoder as the package's own are made, of two trainings of four steps."""

import shutil

import pytest

from mmix_jax import pretrained
from mmix_jax.pretrained import making
from tests.pretrained.tiny import NAME, TINY


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Folders of runs and of encoders, with one of two trainings."""
    folder = tmp_path_factory.mktemp("pretrained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(making, "SHIPPED", {NAME: TINY})
        patch.setitem(making.SEEDS, "digits_graph", 2)
        making.make([NAME], folder / "models", folder / "runs", lambda: False)
    return folder


@pytest.fixture
def around(made, monkeypatch, tmp_path):
    """A copy of the encoders in the place of the package's own."""
    shutil.copytree(made / "models", tmp_path / "models")
    monkeypatch.setattr(pretrained, "MODELS", tmp_path / "models")
    monkeypatch.setattr(making, "SHIPPED", {NAME: TINY})
    monkeypatch.setitem(making.SEEDS, "digits_graph", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(made / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models" / NAME
