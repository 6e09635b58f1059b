"""Homes, terminals and other runs: what a program may find around it."""

import io
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest

from mmix_jax import surroundings
from mmix_jax.errors import InputError
from mmix_jax.surroundings import cache_home, locked, print_anything, user_path


def test_a_tilde_is_a_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~") == tmp_path
    assert user_path("~/a b/ü") == tmp_path / "a b" / "ü"
    assert user_path("./~x/y") == Path.cwd() / "~x" / "y"
    assert user_path(b"~/b") == tmp_path / "b"
    assert user_path("a~/b") == Path("a~/b")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("~nobody_of_this_name/x", "begins with '~nobody_of_this_name', found no home folder"),
        ("", "must name a file or folder, found ''"),
        ("a\0b", "must name a file or folder, found 'a"),
        ("a" * 5000, "must name a file or folder, found 'aaaa"),
        (None, "must be a path, found None"),
        (3, "must be a path, found 3"),
    ],
)
def test_paths_that_lead_nowhere_are_told(given, told):
    with pytest.raises(InputError, match=told):
        user_path(given)


def test_caches_lie_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_home() == tmp_path / ".cache"
    monkeypatch.setenv("XDG_CACHE_HOME", "~/mine")
    assert cache_home() == tmp_path / "mine"


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(surroundings.tempfile, "gettempdir", lambda: str(tmp_path))
    surroundings._homeless.cache_clear()
    yield tmp_path / f"mmix_jax-{os.getuid()}"
    surroundings._homeless.cache_clear()


def test_without_a_home_there_is_a_folder_of_ones_own(homeless):
    assert cache_home() == homeless
    assert homeless.stat().st_mode & 0o777 == 0o700
    assert cache_home() == homeless


def test_an_empty_home_is_none(homeless, monkeypatch):
    monkeypatch.setenv("HOME", "")
    assert cache_home() == homeless


def test_a_folder_that_others_may_write_is_not_trusted(homeless):
    homeless.mkdir()
    homeless.chmod(0o777)
    with pytest.raises(InputError, match=r"found no home and another's .*; set XDG_CACHE_HOME"):
        cache_home()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "shift_jis", "utf-8"])
def test_everything_can_be_printed(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    print_anything()
    print("0.83 ± 0.01, τ − λ …, 日本, \udcff")
    assert raw.getvalue().startswith(b"0.83 ")
    assert b"0.01" in raw.getvalue()


def _hold(folder, begun, end):
    with locked(folder):
        begun.set()
        end.wait(60)


def _holder(folder):
    # Not forked: jax's threads would not come along.
    context = multiprocessing.get_context("spawn")
    begun, end = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(folder, begun, end))
    process.start()
    assert begun.wait(60)
    return process, end


def test_a_folder_is_for_one_process_at_a_time(tmp_path):
    process, end = _holder(tmp_path / "run")
    try:
        for _ in range(2):
            with (
                pytest.raises(InputError, match=f"one run at a time, found process {process.pid} "),
                locked(tmp_path / "run"),
            ):
                raise AssertionError
    finally:
        end.set()
        process.join(60)
    assert not (tmp_path / "run").exists()  # nothing has come into it
    with locked(tmp_path / "run"):
        assert (tmp_path / "run" / surroundings.LOCK).read_text() == str(os.getpid())


def test_a_killed_process_holds_nothing(tmp_path):
    process, _ = _holder(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    assert (tmp_path / surroundings.LOCK).exists()
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_has_come_into_a_new_folder_stays(tmp_path):
    with locked(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "x").write_text("x")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["x"]


def test_a_lock_within_this_process_counts_too(tmp_path):
    with locked(tmp_path), pytest.raises(InputError, match="one run at a time"), locked(tmp_path):
        raise AssertionError
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the workdir must be writable"), locked(tmp_path / "file"):
        raise AssertionError
