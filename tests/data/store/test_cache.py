"""Arrays kept in the cache folder."""

import logging

import numpy as np
import pytest

from mmix_jax.data.store.cache import cached_array


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mmix_jax" / "kind"


def counting():
    calls = []

    def compute():
        calls.append(1)
        return np.arange(6.0).reshape(2, 3) * len(calls)

    return calls, compute


def test_computed_once_for_equal_settings_and_arrays(cache):
    calls, compute = counting()
    x = np.ones(3)
    first = cached_array("kind", {"a": 1, "b": 2.0}, [x], compute)
    again = cached_array("kind", {"b": 2.0, "a": 1}, [x.copy()], compute)
    np.testing.assert_array_equal(first, again)
    assert len(calls) == 1
    for settings, array in (({"a": 2, "b": 2.0}, x), ({"a": 1, "b": 2.0}, x + 1)):
        cached_array("kind", settings, [array], compute)
    cached_array("kind", {"a": 1, "b": 2.0}, [x.reshape(1, 3)], compute)
    assert len(calls) == 4


def test_a_damaged_file_is_computed_anew(cache):
    calls, compute = counting()
    cached_array("kind", {}, [np.ones(3)], compute)
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:20])
    found = cached_array("kind", {}, [np.ones(3)], compute)
    assert len(calls) == 2
    np.testing.assert_array_equal(found, cached_array("kind", {}, [np.ones(3)], compute))
    assert len(calls) == 2


def test_without_a_writable_folder_it_goes_on(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    calls, compute = counting()
    with caplog.at_level(logging.WARNING, "mmix_jax"):
        np.testing.assert_array_equal(
            cached_array("kind", {}, [np.ones(3)], compute), [[0, 1, 2], [3, 4, 5]]
        )
    assert len(calls) == 1
    assert "cannot be written" in caplog.text
