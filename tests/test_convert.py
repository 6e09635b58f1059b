"""The program that makes a checkpoint of PyTorch's weights."""

import contextlib
import io
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax import convert
from mmix_jax.encoders.heads import ProjectionHead
from mmix_jax.encoders.resnet import ResNet18
from mmix_jax.interop.torch_resnet import from_state_dict
from mmix_jax.training.checkpoint import Checkpointer
from mmix_jax.training.step import init_state, make_optimizer
from tests.interop.test_torch_resnet import SMALL, assert_same, drawn
from tests.interop.torch_files import save, save_state

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[1]


def template(options):
    """The state that a training of this encoder starts from."""
    encoder = ResNet18(**options).init(jax.random.key(5), jnp.zeros((1, 8, 8, 3)))
    width = options["width"] * 2 ** (len(options["stages"]) - 1)
    head = ProjectionHead().init(jax.random.key(6), jnp.zeros((1, width)))
    params, stats = (
        {"encoder": encoder[collection], "head": head[collection]}
        for collection in ("params", "batch_stats")
    )
    return init_state(params, make_optimizer(1e-3, 1e-6), stats)


@pytest.mark.parametrize("naming", ["authors", "torchvision"])
def test_the_checkpoint_is_a_state_before_its_first_step(naming, tmp_path):
    converted = from_state_dict(drawn(naming, **SMALL), **SMALL)
    folder, notes = convert.write_checkpoint(converted, tmp_path / "run")
    assert folder == tmp_path / "run" / "checkpoints" / "seed_0"
    with Checkpointer(folder, read_only=True) as checkpointer:
        restored = checkpointer.restore(template(SMALL), best=True)
    assert restored is not None
    state, progress = restored
    assert (int(state.step), progress["best_step"], progress["stopped"]) == (0, 0, False)
    parts = list(converted.params)
    assert parts == ["encoder", "head"][: len(parts)]
    assert_same({part: state.params[part] for part in parts}, converted.params)
    assert_same({part: state.batch_stats[part] for part in parts}, converted.batch_stats)
    assert (notes == ()) == (naming == "authors")
    assert all(float(jnp.abs(leaf).max()) == 0 for leaf in jax.tree.leaves(state.opt_state))


def run(*arguments) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = convert.main([str(argument) for argument in arguments])
    return status, out.getvalue(), err.getvalue()


def refused(ran, *words):
    status, out, err = ran
    assert (status, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1
    for word in words:
        assert word in err


def test_the_command(tmp_path):
    """A whole ResNet-18 of torchvision's names, once; the second time the folder is taken."""
    state = drawn("torchvision") | {"fc.weight": np.zeros((10, 512)), "fc.bias": np.zeros(10)}
    state |= {"total_ops": np.zeros(1)}
    state = {f"module.encoder.{name}": array for name, array in state.items()}
    model, workdir = save_state(tmp_path / "model.pth", state, under="net"), tmp_path / "run"
    status, out, err = run(model, f"--workdir={workdir}")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "note: read the weights under 'net', not epoch",
        "note: the file has no projection head (g)",
        "note: read the entries under encoder.",
        "note: left out the classifier: encoder.fc.weight, encoder.fc.bias",
        "note: left out a profiler's counters: encoder.total_ops",
        "note: the projection head is a fresh one, of seed 0",
        f"wrote {workdir / 'checkpoints' / 'seed_0'}",
    ]
    refused(run(model, f"--workdir={workdir}"), "found checkpoints in", "another --workdir")


def test_bad_input_ends_with_one_line(tmp_path):
    other = save_state(tmp_path / "other.pth", {"conv1.weight": np.zeros((2, 3, 7, 7))})
    workdir = f"--workdir={tmp_path / 'run'}"
    refused(run(other, workdir), "missing: bn1.", "conv1.weight (2, 3, 7, 7)")
    refused(run(save(tmp_path / "list.pth", [1]), workdir), "found list")
    refused(run(tmp_path / "absent.pth", workdir), "No such file")
    refused(run(other), "--workdir")
    refused(run(other, workdir, "--mode=eval"), "--mode=eval")
    assert not (tmp_path / "run").exists()


def test_as_a_program(tmp_path):
    command = [sys.executable, "-m", "mmix_jax.convert", "absent.pth", f"--workdir={tmp_path}"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    refused((ran.returncode, ran.stdout, ran.stderr), "found absent.pth: No such file")
