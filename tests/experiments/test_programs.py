"""Compiled programs on disk: kept, read again, bounded, switched off, damaged, not writable."""

import contextlib
import logging
import os
import pathlib
import shutil
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import monitoring
from jax.experimental.compilation_cache import compilation_cache

from mmix_jax.errors import InputError
from mmix_jax.experiments import programs, run
from mmix_jax.training.checkpoint import Checkpointer
from mmix_jax.training.loop import Interrupted
from tests.experiments.nodes import small
from tests.metric_lines import lines_of

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def user(monkeypatch):
    """As for a user who has set nothing; programs are kept however fast they compile."""
    monkeypatch.delenv(programs.SWITCH, raising=False)
    monkeypatch.setattr(programs, "_MIN_SECONDS", 0.0)
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """Where programs are looked for: `own_cache` names the user's cache folder."""
    return tmp_path / "cache" / "mmix_jax" / "programs" / programs.machine()


@contextlib.contextmanager
def hits():
    """Counts the programs that are read from disk."""
    read: list[str] = []

    def listen(event, **_):
        if event == "/jax/compilation_cache/cache_hits":
            read.append(event)

    monitoring.register_event_listener(listen)
    try:
        yield read
    finally:
        monitoring.unregister_event_listener(listen)


def compute() -> np.ndarray:
    """Two programs, compiled anew or read."""
    jax.clear_caches()
    x = np.linspace(0, 1, 7, dtype=np.float32)
    return np.asarray(jax.jit(shift)(jax.jit(stretch)(x)))


def stretch(x):
    return jnp.sin(x) * 3.5


def shift(x):
    return jnp.cos(x) + 0.25


def entries(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.rglob("*-cache"))


def test_a_program_is_compiled_once_for_many_runs(folder):
    with programs.kept(), hits() as read:
        expected = compute()
        assert not read and len(entries(folder)) == 2
    with programs.kept(), hits() as read:
        assert compute().tobytes() == expected.tobytes()
    assert len(read) == 2 and len(entries(folder)) == 2


def test_jax_is_afterwards_as_before(folder):
    before = [getattr(jax.config, name) for name in programs._SETTINGS]
    with contextlib.suppress(KeyError), programs.kept():
        assert jax.config.jax_compilation_cache_dir == str(folder)
        raise KeyError
    assert [getattr(jax.config, name) for name in programs._SETTINGS] == before
    compute()
    assert not entries(folder)


def test_the_switch_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv(programs.SWITCH, "off")
    with programs.kept():
        compute()
    assert not (tmp_path / "cache").exists()


def test_a_switch_that_is_neither_is_told(monkeypatch):
    monkeypatch.setenv(programs.SWITCH, "no")
    with (
        pytest.raises(InputError, match="MMIX_COMPILE_CACHE must be on or off, found 'no'"),
        programs.kept(),
    ):
        pass


def test_a_folder_of_the_users_own_takes_its_place(tmp_path):
    with small.compile_cache(tmp_path / "own"), programs.kept():
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "own")
        compute()
    assert len(entries(tmp_path / "own")) == 2
    assert not (tmp_path / "cache").exists()


def test_where_jax_is_told_to_keep_nothing_nothing_is_made(tmp_path):
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        with programs.kept():
            compute()
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
    assert not (tmp_path / "cache").exists()


def messages(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.fixture
def warned(caplog):
    """What is said, with warnings as a program has them: not as errors."""
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING, logger="mmix_jax"):
        warnings.simplefilter("always")
        yield lambda: messages(caplog)


def test_a_folder_that_cannot_be_written_is_said_and_done_without(tmp_path, warned):
    (tmp_path / "cache").write_text("no folder")
    expected = compute()
    with programs.kept():
        assert compute().tobytes() == expected.tobytes()
    (line,) = warned()
    assert (
        line.startswith("warning: the cache folder ") and "compiled programs are not kept" in line
    )


def test_a_folder_that_is_lost_on_the_way_is_said_once(folder, warned):
    with programs.kept():
        expected = compute()
        shutil.rmtree(folder)
        assert compute().tobytes() == expected.tobytes()
    (line,) = warned()
    assert line.startswith("warning: the compiled program jit_") and "cannot be kept" in line


@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
def test_a_damaged_program_is_said_and_compiled_anew(folder, warned, left):
    with programs.kept():
        expected = compute()
    for path in entries(folder):
        content = path.read_bytes()
        path.write_bytes(content[: int(left * len(content))])
    with programs.kept():
        assert compute().tobytes() == expected.tobytes()
    (line,) = warned()
    assert "was damaged; it is compiled anew" in line and "\n" not in line
    with programs.kept(), hits() as read:
        assert compute().tobytes() == expected.tobytes()
    assert len(read) == 2 and len(warned()) == 1


def test_other_warnings_are_shown_as_ever(warned):
    with programs.kept(), pytest.warns(UserWarning, match="of something else"):
        warnings.warn("of something else", stacklevel=1)
    assert warned() == []


def test_what_was_used_longest_ago_goes_first(tmp_path):
    for number, name in enumerate(["old", "older/still", "new"]):
        path = tmp_path / f"{name}-cache"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        used = [2000, 1000, 3000][number]
        os.utime(path, (used, 500))
    (tmp_path / "notes").write_bytes(bytes(1000))
    programs.trim(tmp_path, 300)
    assert len(entries(tmp_path)) == 3
    programs.trim(tmp_path, 299)
    assert [path.name for path in entries(tmp_path)] == ["new-cache", "old-cache"]
    programs.trim(tmp_path, 0)
    assert not entries(tmp_path) and (tmp_path / "notes").exists()


def test_a_run_trims_the_programs_of_all_machines(folder):
    other = folder.parent / "other" / "jit_f-0-cache"
    other.parent.mkdir(parents=True)
    with other.open("wb") as file:
        file.truncate(programs._MAX_BYTES + 1)
    with programs.kept():
        assert not other.exists()


def test_machines_of_other_cores_or_processors_have_folders_of_their_own(monkeypatch):
    mine = programs.machine()
    assert programs.machine() == mine
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(77)), raising=False)
    other = programs.machine()

    def read_text(_, *_encoding):
        raise OSError

    monkeypatch.setattr(pathlib.Path, "read_text", read_text)
    assert len({mine, other, programs.machine()}) == 3


# Numbers


def state_of(config, workdir) -> list[bytes]:
    template = run.load(config).start(0)
    with Checkpointer(workdir / "checkpoints" / "seed_0", read_only=True) as checkpointer:
        restored = checkpointer.restore(template)
    assert restored is not None
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(restored[0])]


def test_resumed_with_kept_programs_ends_bitwise_as_uninterrupted_without(tmp_path, folder):
    changes = {"sampler": "nodes", "batch_size": 14, "num_steps": 6, "learning_rate": 0.03}
    config = small.config(small.save(tmp_path / "rings.npz"), **changes)

    def train(workdir, interrupted=lambda: False):
        jax.clear_caches()
        run.train(config, workdir, interrupted)

    # As users have them: the optimised programs, not those of the other tests.
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        train(tmp_path / "whole")
        assert not entries(folder)
        with programs.kept():
            train(tmp_path / "first")
            kept = set(entries(folder))
            asked = iter([False] * 2 + [True])
            with hits() as read, pytest.raises(Interrupted):
                train(tmp_path / "parts", lambda: next(asked))
            train(tmp_path / "parts")
    finally:
        jax.config.update("jax_disable_most_optimizations", True)
    assert read and kept
    for workdir in (tmp_path / "first", tmp_path / "parts"):
        assert state_of(config, workdir) == state_of(config, tmp_path / "whole")
        assert lines_of(workdir) == lines_of(tmp_path / "whole")
