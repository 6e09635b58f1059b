"""Checkpoints: what is kept, what comes back, and what is told of damaged and foreign ones."""

import logging
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.training.checkpoint import Checkpointer, MemoryCheckpoints


class State(NamedTuple):
    step: Any
    params: Any
    batch_stats: Any
    opt_state: Any


def state_at(step: int, width: int = 3) -> State:
    """Leaves of several types, floats that need all their bits, and an empty branch."""
    draw = np.random.default_rng(step)
    return State(
        jnp.asarray(step, jnp.int32),
        {"b": jnp.float32(0.1 * step), "w": jnp.asarray(draw.normal(size=(2, width)), jnp.float32)},
        {},
        ({"mu": jnp.asarray(draw.normal(size=200), jnp.bfloat16)}, jnp.uint32(7)),
    )


def progress_at(step: int, best_step: int = 0) -> dict:
    return {"best_step": best_step, "best_score": None, "seconds": 0.1 * step, "stopped": False}


def save(folder, steps, scores=None) -> None:
    scores = scores or {}
    best = 0
    with Checkpointer(folder) as checkpointer:
        for step in steps:
            best = step if step in scores else best
            checkpointer.save(step, state_at(step), progress_at(step, best), score=scores.get(step))


def restore(folder, template=None, **options):
    with Checkpointer(folder, read_only=True) as checkpointer:
        return checkpointer.restore(state_at(0) if template is None else template, **options)


def assert_same(actual, expected) -> None:
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def test_state_and_progress_come_back_bit_by_bit(tmp_path):
    save(tmp_path / "a" / "b", [5], {5: 0.25})
    state, progress = restore(tmp_path / "a" / "b")
    assert_same(state, state_at(5))
    assert progress == progress_at(5, best_step=5)


def test_a_fresh_folder_has_nothing(tmp_path):
    with Checkpointer(tmp_path / "new") as checkpointer:
        assert checkpointer.restore(state_at(0)) is None
        assert checkpointer.steps() == []


def test_the_latest_two_and_the_best_are_kept(tmp_path):
    save(tmp_path, range(1, 10), {2: 0.1, 4: 0.5})
    with Checkpointer(tmp_path) as checkpointer:
        steps = checkpointer.steps()
    assert {4, 8, 9} <= set(steps)
    assert len(steps) <= 4
    assert int(restore(tmp_path)[0].step) == 9
    assert_same(restore(tmp_path, best=True)[0], state_at(4))


@pytest.mark.parametrize("best_score", [-1e9, -5.0, 0.0])
def test_the_best_is_kept_whatever_the_size_of_its_score(tmp_path, best_score):
    save(tmp_path, range(1, 7), {1: best_score})
    assert_same(restore(tmp_path, best=True)[0], state_at(1))


def test_the_best_is_that_of_the_latest_progress(tmp_path):
    """A replayed step may save an improvement anew; the loop's own record decides."""
    save(tmp_path, [1, 2, 3], {1: 0.5, 3: 0.5})
    assert_same(restore(tmp_path, best=True)[0], state_at(3))


def test_without_any_score_the_best_is_the_latest(tmp_path):
    save(tmp_path, [1, 2])
    assert_same(restore(tmp_path, best=True)[0], state_at(2))


def test_a_replayed_step_replaces_its_checkpoint(tmp_path):
    save(tmp_path, [1, 2])
    with Checkpointer(tmp_path) as checkpointer:
        checkpointer.save(2, state_at(20), progress_at(2))
        assert checkpointer.steps() == [1, 2]
    assert_same(restore(tmp_path)[0], state_at(20))


def test_the_latest_record_is_told_whichever_state_is_asked_for(tmp_path):
    save(tmp_path, [1, 2, 3], {1: 0.5})
    damage(tmp_path, 3, "digests.json", truncate)
    with Checkpointer(tmp_path, read_only=True) as checkpointer:
        assert checkpointer.latest_progress() == progress_at(2, best_step=1)


# Damage


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    """Every bit of the middle third."""
    start, end = len(content) // 3, max(2 * len(content) // 3, 1)
    return content[:start] + bytes(byte ^ 255 for byte in content[start:end]) + content[end:]


def files_of(folder, step: int) -> list[str]:
    """All files of a checkpoint that have content, by their path in its folder."""
    root = folder / str(step)
    paths = sorted(path for path in root.rglob("*") if path.is_file() and path.stat().st_size)
    return [str(path.relative_to(root)) for path in paths]


def damage(folder, step: int, name: str, how) -> None:
    path = folder / str(step) / name
    path.write_bytes(how(path.read_bytes()))


@pytest.mark.parametrize("how", [truncate, flip])
def test_damaged_arrays_fall_back_on_the_previous_checkpoint(tmp_path, how, caplog):
    save(tmp_path, [1, 2])
    arrays = [name for name in files_of(tmp_path, 2) if "/d/" in name]
    assert arrays
    for name in arrays:
        damage(tmp_path, 2, name, how)
    with caplog.at_level(logging.WARNING, "mmix_jax"):
        state, progress = restore(tmp_path)
    assert_same(state, state_at(1))
    assert progress == progress_at(1)
    assert "checkpoint of step 2" in caplog.text
    assert "falling back" in caplog.text
    assert len([r for r in caplog.records if r.name.startswith("mmix_jax")]) == 1


@pytest.mark.parametrize("how", [truncate, flip])
def test_no_damage_to_one_file_is_fatal_or_goes_unnoticed(tmp_path, how):
    """Whichever file it is: the newest state as it was, or else the one before."""
    save(tmp_path, [1, 2])
    originals = {name: (tmp_path / "2" / name).read_bytes() for name in files_of(tmp_path, 2)}
    for name, content in originals.items():
        damage(tmp_path, 2, name, how)
        state, progress = restore(tmp_path)
        step = int(state.step)
        assert step in (1, 2), name
        assert_same(state, state_at(step))
        assert progress == progress_at(step), name
        (tmp_path / "2" / name).write_bytes(content)


def test_training_goes_on_beyond_a_damaged_checkpoint(tmp_path, caplog):
    save(tmp_path, [1, 2])
    for name in files_of(tmp_path, 2):
        damage(tmp_path, 2, name, truncate)
    with caplog.at_level(logging.ERROR, "mmix_jax"), Checkpointer(tmp_path) as checkpointer:
        state, _ = checkpointer.restore(state_at(0))
        assert int(state.step) == 1
        checkpointer.save(2, state_at(2), progress_at(2))
        checkpointer.save(3, state_at(3), progress_at(3))
    assert_same(restore(tmp_path)[0], state_at(3))


def test_a_damaged_best_falls_back_too(tmp_path, caplog):
    save(tmp_path, range(1, 5), {1: 0.9})
    for name in files_of(tmp_path, 1):
        damage(tmp_path, 1, name, truncate)
    with caplog.at_level(logging.WARNING, "mmix_jax"):
        state, _ = restore(tmp_path, best=True)
    assert_same(state, state_at(4))
    assert "checkpoint of step 1" in caplog.text


def test_what_a_killed_save_leaves_is_no_checkpoint(tmp_path):
    save(tmp_path, [1])
    leftover = tmp_path / "2.orbax-checkpoint-tmp"
    (leftover / "state.orbax-checkpoint-tmp").mkdir(parents=True)
    (leftover / "state.orbax-checkpoint-tmp" / "d").write_bytes(b"half")
    assert_same(restore(tmp_path)[0], state_at(1))
    save(tmp_path, [2])
    assert_same(restore(tmp_path)[0], state_at(2))


@pytest.mark.parametrize("how", [truncate, flip])
def test_all_damaged_is_told(tmp_path, how, caplog):
    save(tmp_path, [1, 2])
    for step in (1, 2):
        for name in files_of(tmp_path, step):
            if "/d/" in name:
                damage(tmp_path, step, name, how)
    with caplog.at_level(logging.CRITICAL), pytest.raises(InputError, match="all damaged") as error:
        restore(tmp_path)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_a_save_that_was_cut_short_before_its_digests_falls_back(tmp_path, caplog):
    save(tmp_path, [1, 2])
    (tmp_path / "2" / "digests.json").unlink()
    with caplog.at_level(logging.WARNING, "mmix_jax"):
        assert_same(restore(tmp_path)[0], state_at(1))
    assert "cut short" in caplog.text


# Another model's


@pytest.mark.parametrize(
    "template",
    [
        state_at(0, width=4),
        state_at(0)._replace(params={"w": state_at(0).params["w"]}),
        state_at(0)._replace(batch_stats={"mean": jnp.zeros(3)}),
    ],
    ids=["width", "fewer", "more"],
)
def test_another_models_checkpoint_is_told(tmp_path, template):
    save(tmp_path, [1, 2])
    with pytest.raises(InputError, match="must be of this model") as error:
        restore(tmp_path, template)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "opt_state",
    [((), *state_at(0).opt_state), ({"trace": state_at(0).opt_state[0]["mu"]},)],
    ids=["as many arrays", "fewer"],
)
def test_another_optimizers_checkpoint_is_told_or_left_out(tmp_path, opt_state, caplog):
    save(tmp_path, [1, 2])
    template = state_at(0)._replace(opt_state=opt_state)
    with pytest.raises(InputError, match="must be of this optimizer, found another's") as error:
        restore(tmp_path, template)
    assert "\n" not in str(error.value) and "damaged" not in str(error.value) + caplog.text
    state, progress = restore(tmp_path, template._replace(opt_state=()), without=("opt_state",))
    assert_same(state, state_at(2)._replace(opt_state=()))
    assert progress == progress_at(2)


def test_equal_shapes_under_other_names_are_another_model(tmp_path):
    save(tmp_path, [1])
    params = {"beta": state_at(0).params["b"], "kernel": state_at(0).params["w"]}
    with pytest.raises(InputError):
        restore(tmp_path, state_at(0)._replace(params=params))


# Folders


def test_reading_where_there_is_no_folder_is_told(tmp_path):
    with pytest.raises(InputError, match=r"no checkpoint: .*missing is not there"):
        Checkpointer(tmp_path / "missing", read_only=True)
    assert not (tmp_path / "missing").exists()


def test_reading_an_empty_folder_finds_none_and_writes_nothing(tmp_path):
    assert restore(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match="readable and writable at") as error:
        Checkpointer(tmp_path / "file" / "seed_0")
    assert "\n" not in str(error.value)


# In memory


def save_both(tmp_path, steps, scores) -> MemoryCheckpoints:
    """The same checkpoints on disk and in memory."""
    memory, best = MemoryCheckpoints(), 0
    save(tmp_path, steps, scores)
    for step in steps:
        best = step if step in scores else best
        memory.save(step, state_at(step), progress_at(step, best), score=scores.get(step))
    return memory


@pytest.mark.parametrize("scores", [{}, {1: 0.1, 3: 0.5}, {5: -1e9}, {2: 0.5, 6: 0.6}])
@pytest.mark.parametrize("without", [(), ("opt_state",)])
def test_what_comes_back_from_memory_is_what_comes_back_from_disk(tmp_path, scores, without):
    memory = save_both(tmp_path, range(1, 7), scores)
    template = state_at(0)._replace(**dict.fromkeys(without, ()))
    for best in (False, True):
        state, progress = memory.restore(template, best=best, without=without)
        expected = restore(tmp_path, template, best=best, without=without)
        assert_same(state, expected[0])
        assert progress == expected[1]
    with Checkpointer(tmp_path, read_only=True) as checkpointer:
        assert memory.latest_progress() == checkpointer.latest_progress()


def test_memory_holds_the_latest_and_the_best_as_numpy_arrays(tmp_path):
    with save_both(tmp_path, range(1, 10), {2: 0.1, 4: 0.5}) as memory:
        assert memory.steps() == [4, 9]
        memory.save(9, state_at(90), progress_at(9, 9), score=0.6)  # a replayed step
        assert memory.steps() == [9]
    state, _ = memory.restore(state_at(0), best=True)
    assert_same(state, state_at(90))
    assert {type(leaf) for leaf in jax.tree.leaves(state)} == {np.ndarray}


def test_memory_is_a_copy():
    memory, progress = MemoryCheckpoints(), progress_at(1)
    state = State(np.int32(1), {"w": np.zeros(2)}, {}, ())
    memory.save(1, state, progress)
    state.params["w"][:] = 7
    progress["best_step"] = 7
    kept, record = memory.restore(state)
    assert kept.params["w"].tolist() == [0, 0]
    assert record == memory.latest_progress() == progress_at(1)


def test_fresh_memory_has_nothing():
    memory = MemoryCheckpoints()
    assert memory.restore(state_at(0), best=True) is memory.latest_progress() is None
    assert memory.steps() == []


def test_saves_that_were_all_cut_short_are_none(tmp_path, caplog):
    """A run killed in its very first save starts anew; one that is damaged is told."""
    save(tmp_path, [1])
    (tmp_path / "1" / "digests.json").rename(tmp_path / "1" / "digests.json.tmp")
    assert restore(tmp_path) is None
    assert ["cut short" in caplog.messages[0], "counts as empty" in caplog.messages[1]] == [
        True
    ] * 2
    save(tmp_path, [1, 2])
    assert_same(restore(tmp_path)[0], state_at(2))
    damage(tmp_path, 1, "digests.json", truncate)
    (tmp_path / "2" / "digests.json").unlink()
    with pytest.raises(InputError, match=r"found 2 in .*, all damaged"):
        restore(tmp_path)


def test_what_a_killed_save_left_is_cleared_away_by_the_next_run(tmp_path):
    save(tmp_path, [1])
    left = tmp_path / "2.orbax-checkpoint-tmp"
    (left / "state").mkdir(parents=True)
    (left / "state" / "half").write_bytes(b"half")
    assert_same(restore(tmp_path)[0], state_at(1))
    assert left.exists()  # who only reads clears nothing away
    save(tmp_path, [3])
    assert not left.exists()
    assert_same(restore(tmp_path)[0], state_at(3))
