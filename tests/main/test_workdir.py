"""Workdirs and checkpoints that do not fit, are damaged or cannot be written."""

import pathlib

import pytest

from tests.main.program import contents, numbers, refused, run, steps_of


@pytest.mark.parametrize("mode", ["train", "eval", "embed"])
def test_a_workdir_below_a_file_is_told(smoke, tmp_path, mode, first_run):
    (tmp_path / "file").write_text("no folder")
    flags = [f"--workdir={tmp_path}/file/run", f"--mode={mode}"]
    if mode != "train":
        flags.append(f"--checkpoint={first_run[0]}/checkpoints/seed_0")
    refused(run(*smoke, *flags), "writable", "file")
    assert contents(tmp_path) == {"file": b"no folder"}


def test_a_workdir_with_other_settings_is_told_by_their_names(trained, smoke):
    before = contents(trained)
    flags = [f"--workdir={trained}", "--config.width=4", "--config.mixing=mo"]
    for mode in ("train", "eval"):
        refused(run(*smoke, *flags, f"--mode={mode}"), "width (8 there, 4 asked)", "mixing")
    assert contents(trained) == before


def test_steps_do_not_shrink(trained, smoke):
    before = contents(trained)
    refused(run(*smoke, f"--workdir={trained}", "--config.num_steps=2"), "num_steps", "4 there")
    assert contents(trained) == before


def test_another_models_checkpoint_is_told(trained, smoke, tmp_path):
    flags = [*smoke, "--config.width=4"]
    checkpoint = f"--checkpoint={trained}/checkpoints/seed_0"
    ran = run(*flags, f"--workdir={tmp_path}/new", "--mode=embed", checkpoint)
    refused(ran, "is of one set of settings", "width (8 there, 4 asked); add --config.width=8")
    assert not (tmp_path / "new").exists()
    (trained / "config.json").unlink()
    ran = run(*flags, f"--workdir={tmp_path}/new", "--mode=embed", checkpoint)
    refused(ran, "must be of this model", "config it was trained with")
    assert not (tmp_path / "new").exists()
    refused(run(*flags, f"--workdir={trained}"), "must be of this model")


def test_a_checkpoint_that_is_not_there_is_told(smoke, tmp_path):
    flags = [*smoke, f"--workdir={tmp_path}/run"]
    for mode in ("eval", "embed"):
        refused(run(*flags, f"--mode={mode}"), "no checkpoint", "train first")
        ran = run(*flags, f"--mode={mode}", f"--checkpoint={tmp_path}/nowhere")
        refused(ran, "no checkpoint", "nowhere")
    assert contents(tmp_path) == {}


def damage(workdir: pathlib.Path, *steps: int) -> None:
    """Cuts every array of these steps' checkpoints in half."""
    for step in steps:
        folder = workdir / "checkpoints" / "seed_0" / str(step) / "state"
        for path in folder.rglob("*"):
            if path.is_file() and path.parent.name == "d":
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_damaged_checkpoint_falls_back_with_a_warning(trained, smoke):
    before = numbers(trained)
    damage(trained, steps_of(trained)[-1])
    ran = run(*smoke, f"--workdir={trained}")
    assert ran.status == 0
    assert "Traceback" not in ran.err
    assert [line for line in ran.told if "damaged" in line]
    assert numbers(trained) == before  # the steps since were taken again


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_all_checkpoints_damaged_is_told(trained, smoke, mode):
    damage(trained, *steps_of(trained))
    ran = run(*smoke, f"--workdir={trained}", f"--mode={mode}")
    assert ran.status == 2
    assert ran.told[-1].startswith("error: ")
    assert "all damaged" in ran.told[-1]
    assert all("damaged" in line for line in ran.told)
    assert "Traceback" not in ran.err


def test_a_damaged_config_record_is_told(trained, smoke):
    (trained / "config.json").write_text('{"width": 8,')
    refused(run(*smoke, f"--workdir={trained}"), "config.json")


def test_embeddings_that_cannot_be_written_are_told(trained, smoke):
    (trained / "embeddings.npz").mkdir()
    before = contents(trained)
    refused(run(*smoke, f"--workdir={trained}", "--mode=embed"), "embeddings must be writable")
    assert contents(trained) == before  # nothing half-written is left


@pytest.mark.parametrize("name", ["metrics.jsonl", "tensorboard", "results.jsonl"])
def test_a_workdir_with_something_in_the_way_is_told(smoke, tmp_path, name):
    in_the_way = tmp_path / "run" / name
    in_the_way.parent.mkdir()
    if name == "tensorboard":
        in_the_way.write_text("no folder")
    else:
        in_the_way.mkdir()
    refused(run(*smoke, f"--workdir={tmp_path}/run"), "writable", str(tmp_path))


def test_divergence_is_told_and_leaves_no_results(smoke, tmp_path):
    flags = [f"--workdir={tmp_path}/run", "--config.learning_rate=1e30"]
    refused(run(*smoke, *flags), "finite", "learning_rate")
    assert not (tmp_path / "run" / "results.jsonl").exists()
