"""What all tests of tasks run under: one cache of programs a module, and nobody's cache folder."""

import pytest

from tests.experiments.nodes import small


@pytest.fixture(scope="module", autouse=True)
def compile_once(tmp_path_factory):
    with small.compile_cache(tmp_path_factory.mktemp("programs")):
        yield


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
