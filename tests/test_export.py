"""The program that writes a checkpoint's weights as a file of safetensors."""

import contextlib
import io
import json
import pathlib
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax import __version__, export
from mmix_jax.experiments import graph_config, image_config, node_config, records
from mmix_jax.experiments.configs import finish, read
from mmix_jax.experiments.pretraining import checkpoint_folder
from mmix_jax.interop.safetensors_files import read_safetensors
from mmix_jax.interop.torch_export import flax_tensors, torch_tensors
from mmix_jax.training.checkpoint import Checkpointer
from mmix_jax.training.loop import new_progress
from mmix_jax.training.step import TrainState
from tests.interop.export_models import gat, images, mvgrl


def write_run(workdir, config, state, *, seeds=(0,), step=7, **remembered):
    """What a training leaves that is read here, without training."""
    for name, value in {"width": 6, "num_steps": 9}.items():
        config[name] = value
    records.record(read(config, any_dataset=True), workdir)
    for seed in seeds:
        params, stats = state
        kept = TrainState(jnp.asarray(step + seed), params, stats, {"nu": np.ones(3)})
        with Checkpointer(checkpoint_folder(workdir, seed)) as checkpointer:
            progress = new_progress() | {"best_step": step + seed} | remembered
            checkpointer.save(step + seed, kept, progress)
    return workdir


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """A workdir of nodes with the trainings of two seeds; to be read only."""
    config = node_config("cora")
    return write_run(tmp_path_factory.mktemp("runs") / "nodes", config, mvgrl(), seeds=(0, 1))


def run(*arguments) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = export.main(["export", *map(str, arguments)])
    return status, out.getvalue(), err.getvalue()


def refused(ran, *words):
    status, out, err = ran
    assert (status, out) == (2, "")
    # Before it, a damaged checkpoint is named in lines of its own.
    told = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert len(told) == 1 and told[0].startswith("error: "), err
    for word in words:
        assert word in told[0]


def metadata(path: pathlib.Path) -> dict[str, str]:
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size])["__metadata__"]


def assert_holds(path, expected):
    found = read_safetensors(path.read_bytes())
    assert found.keys() == expected.keys()
    for name, x in expected.items():
        np.testing.assert_array_equal(found[name], x, strict=True)


def test_a_workdir_of_nodes(nodes, tmp_path):
    out = tmp_path / "a folder" / "model.safetensors"
    assert run(nodes, f"--out={out}") == (
        0,
        "note: of the trainings of seeds 0, 1 this is 0; --seed=N for another\n"
        f"wrote {out}: step 7 of seed 0\n",
        "",
    )
    assert_holds(out, torch_tensors(*mvgrl()))
    assert metadata(out) == {
        "format": "pt", "mmix_jax": __version__, "task": "node", "dataset": "cora", "mixing": "mp",
        "width": "6", "step": "7", "seed": "0",
    }  # fmt: skip
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_another_seed_and_our_own_names(nodes, tmp_path):
    out = tmp_path / "model.safetensors"
    status, told, err = run(nodes, f"--out={out}", "--seed=1", "--names=flax")
    assert (status, told, err) == (0, f"wrote {out}: step 8 of seed 1\n", "")
    assert_holds(out, flax_tensors(*mvgrl()))
    assert read_safetensors(out.read_bytes())["params.encoder_a.prelu_0.negative_slope"].shape == ()
    assert {name: metadata(out)[name] for name in ("format", "step", "seed")} == {
        "format": "flax", "step": "8", "seed": "1"
    }  # fmt: skip


def test_graphs_attention_and_images(tmp_path):
    grace = finish(node_config("cora"), "gat")
    grace.num_heads = 2
    cases = {
        "graph": (graph_config("MUTAG"), mvgrl(), {}),
        "node": (grace, gat(), {}),
        "image": (image_config("cifar10"), images(), {"mean": [0.5, 0.25, 0.1], "std": [1, 2, 3]}),
    }
    for task, (config, state, remembered) in cases.items():
        workdir = write_run(tmp_path / task, config, state, **remembered)
        out = tmp_path / f"{task}.safetensors"
        told = export.export(workdir, out)
        assert_holds(out, torch_tensors(*state))
        assert told == metadata(out)
        assert told["task"] == task
        kept = {name: json.loads(told[name]) for name in ("mean", "std") if name in told}
        assert kept == remembered


def test_a_file_is_replaced_only_where_that_is_asked_for(nodes, tmp_path):
    out = tmp_path / "model.safetensors"
    out.write_text("mine")
    refused(run(nodes, f"--out={out}"), "must not take another file's place", "--overwrite")
    assert out.read_text() == "mine"
    assert run(nodes, f"--out={out}", "--overwrite")[0] == 0
    assert_holds(out, torch_tensors(*mvgrl()))


def test_what_cannot_be_written_is_one_line(nodes, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.safetensors").mkdir()
    out = tmp_path / "file" / "model.safetensors"
    refused(run(nodes, f"--out={out}"), f"an export must be writable at {out}", "another --out")
    folder = f"--out={tmp_path / 'folder.safetensors'}"
    refused(run(nodes, folder, "--overwrite"), "found a folder at", "choose another --out")
    refused(
        run(nodes, f"--out={tmp_path / 'model.pth'}"), "must end with .safetensors", "model.pth"
    )
    refused(run(nodes, f"--out={'~nobody-here/m.safetensors'}"), "found no home folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.safetensors"]


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_nothing(stop, nodes, tmp_path, monkeypatch):
    """Half of the file is written, then it ends."""
    write, out = pathlib.Path.write_bytes, tmp_path / "model.safetensors"
    out.write_text("earlier")

    def half(path, content):
        write(path, content[: len(content) // 2])
        raise stop

    monkeypatch.setattr(pathlib.Path, "write_bytes", half)
    if isinstance(stop, OSError):
        refused(run(nodes, f"--out={out}", "--overwrite"), "No space left on device")
    else:
        with pytest.raises(KeyboardInterrupt):
            export.export(nodes, out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "earlier"


def test_what_is_no_model_is_one_line(nodes, tmp_path):
    out = f"--out={tmp_path / 'model.safetensors'}"
    refused(run(tmp_path / "absent", out), "is not there, or no folder", "absent")
    refused(run(nodes / "config.json", out), "is not there, or no folder")
    refused(run(nodes, out, "--seed=5"), "found 5 in", "which has 0, 1; pass one of them")
    refused(run(nodes, out, "--seed=-1"), "whole number from 0 on, found '-1'")
    refused(run(nodes, out, "--names=keras"), "invalid choice: 'keras'")
    refused(run(nodes), "--out")
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{")
    refused(run(other, out), "found a damaged", "config.json")
    (other / "config.json").write_text('{"task": "speech"}')
    refused(run(other, out), "found task 'speech'")
    (other / "config.json").write_bytes((nodes / "config.json").read_bytes())
    refused(run(other, out), "found 0 in", "which has none; train first")
    checkpoint_folder(other, 0).mkdir(parents=True)
    refused(run(other, out), "no checkpoint")
    with pytest.raises(ValueError, match=r"unknown names 'keras'; expected one of: flax, torch"):
        export.export(nodes, tmp_path / "model.safetensors", names="keras")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_arrays_of_other_shapes_are_one_line(tmp_path):
    state, batch_stats = mvgrl()
    state["encoder_a"]["dense_0"]["kernel"] = np.ones((2, 2, 2), np.float32)
    workdir = write_run(tmp_path / "run", node_config("cora"), (state, batch_stats))
    out = tmp_path / "model.safetensors"
    refused(run(workdir, f"--out={out}"), "of this package's names and shapes", "--names=flax")
    assert run(workdir, f"--out={out}", "--names=flax")[0] == 0
    assert read_safetensors(out.read_bytes())["params.encoder_a.dense_0.kernel"].shape == (2, 2, 2)


def test_checkpoints_that_are_damaged_or_of_something_else(tmp_path):
    out = f"--out={tmp_path / 'model.safetensors'}"
    workdir = write_run(tmp_path / "run", node_config("cora"), mvgrl())
    file = max(
        workdir.glob("checkpoints/seed_0/7/state/**/*"), key=lambda path: path.stat().st_size
    )
    file.write_bytes(file.read_bytes()[:-1])
    refused(run(workdir, out), "a checkpoint must be whole", "all damaged")
    with Checkpointer(checkpoint_folder(workdir, 1)) as checkpointer:
        checkpointer.save(0, {"weights": np.ones(3)}, new_progress())
    refused(run(workdir, out, "--seed=1"), "must be of a training's state, found weights in it")
    assert not (tmp_path / "model.safetensors").exists()


def test_without_the_library_a_line_says_how_to_get_it(nodes, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    ran = run(nodes, f"--out={tmp_path / 'model.safetensors'}")
    refused(ran, "an export needs the library safetensors", "pip install 'mmix-jax[export]'")
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_looked_up_where_pretrained_models_are(nodes, tmp_path, monkeypatch):
    monkeypatch.setattr("mmix_jax.pretrained.places.folder_of", {"cora": nodes}.__getitem__)
    out = tmp_path / "x.safetensors"
    assert run("pretrained:cora", f"--out={out}", "--seed=0")[0] == 0
    assert_holds(out, torch_tensors(*mvgrl()))
