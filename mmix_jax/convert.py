"""Weights of a PyTorch ResNet-18, as a checkpoint of this package.

    python -m mmix_jax.convert MODEL.pth --workdir=DIR

MODEL.pth holds a state_dict with the names of the paper's authors (f.0.weight, …, head g.0.weight,
…) or of torchvision (conv1.weight, …), under any prefix, or is a file of safetensors with such
names. What is left out is said in a note. DIR/checkpoints/seed_0 receives a state before its first
step, to be evaluated or trained on.

Exit status: 0 done; 2 bad input, one `error:` line.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

import jax
import jax.numpy as jnp

from mmix_jax.encoders.heads import ProjectionHead
from mmix_jax.errors import InputError
from mmix_jax.interop.torch_resnet import Converted, from_state_dict
from mmix_jax.interop.torch_weights import read_weights
from mmix_jax.surroundings import print_anything, user_path


def write_checkpoint(converted: Converted, workdir: Path) -> tuple[Path, tuple[str, ...]]:
    """Write a training's state before its first step; returns its folder and further notes.

    A missing head is drawn with seed 0: features do not depend on it.

    Raises:
      InputError: there are checkpoints already, or the folder cannot be written.
    """
    from mmix_jax.training.checkpoint import Checkpointer
    from mmix_jax.training.loop import new_progress
    from mmix_jax.training.step import init_state, make_optimizer

    folder = workdir / "checkpoints" / "seed_0"
    if folder.exists():
        raise InputError(
            f"converted weights start a workdir, found checkpoints in {folder}; "
            "choose another --workdir"
        )
    params, batch_stats = dict(converted.params), dict(converted.batch_stats)
    notes: tuple[str, ...] = ()
    if "head" not in params:
        last = max(name for name in params["encoder"] if name.startswith("stage_"))
        width = params["encoder"][last]["conv_2"]["kernel"].shape[-1]
        head = ProjectionHead().init(jax.random.key(0), jnp.zeros((1, width)))
        params["head"], batch_stats["head"] = head["params"], head["batch_stats"]
        notes = ("the projection head is a fresh one, of seed 0",)
    state = init_state(params, make_optimizer(1e-3, 1e-6), batch_stats)
    with Checkpointer(folder) as checkpointer:
        checkpointer.save(0, state, new_progress())
    return folder, notes


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; python -m mmix_jax.convert MODEL.pth --workdir=DIR")


def _run(argv: list[str]) -> None:
    parser = _Parser(
        prog="python -m mmix_jax.convert",
        description=__doc__,
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=100),
    )
    parser.add_argument("model", type=Path, help="file that torch.save wrote, or of safetensors")
    parser.add_argument("--workdir", type=Path, required=True, help="folder of the new run")
    arguments = parser.parse_args(argv)
    weights = read_weights(arguments.model)
    converted = from_state_dict(weights.state)
    workdir = user_path(arguments.workdir, "--workdir")
    folder, notes = write_checkpoint(converted, workdir)
    for note in (*weights.notes, *converted.notes, *notes):
        print(f"note: {note}")
    print(f"wrote {folder}")


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    print_anything()
    try:
        _run(sys.argv[1:] if argv is None else argv)
    except InputError as error:
        print(f"error: {' '.join(str(error).split())[:1000]}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
