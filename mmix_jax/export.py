"""Weights of a checkpoint as a file of safetensors, by PyTorch's names.

    python -m mmix_jax.export MODEL --out=FILE.safetensors [--seed=N] [--names=torch|flax]
        [--overwrite]

MODEL is a workdir, the folder of a saved model, or pretrained:NAME. Of a workdir with several
trainings the config's seed is taken, or --seed. docs/export.md lists the names.

Exit status: 0 done; 2 bad input, one `error:` line.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmix_jax import __version__, command_line
from mmix_jax.errors import InputError
from mmix_jax.fields import unknown
from mmix_jax.pretrained.places import place_of
from mmix_jax.report.files import write_whole
from mmix_jax.surroundings import user_path
from mmix_jax.training.interrupts import whole

if TYPE_CHECKING:
    from mmix_jax.experiments.schema import Run
    from mmix_jax.experiments.task import Encoder

_SUFFIX = ".safetensors"
# What a file says that its tensors are, by the names they have.
_FORMATS = {"torch": "pt", "flax": "flax"}


def export(
    model: Path,
    out: Path,
    *,
    seed: int | None = None,
    names: str = "torch",
    overwrite: bool = False,
) -> dict[str, str]:
    """Write the encoder that a model's `selection` chooses; returns the metadata of the file.

    Args:
      model: a workdir, or the folder of a saved model.
      out: the file, `*.safetensors`; its folder is made.
      seed: of the training; the config's unless given.
      names: "torch", matrices (out, in) and convolutions OIHW; or "flax", arrays as they are.
      overwrite: take the place of a file that is there.

    Raises:
      ValueError: `names` is neither.
      InputError: the model has no such checkpoint, or a damaged one; the file is there already, or
        cannot be written; the library `safetensors` is missing.

    Example:
      >>> import pathlib, tempfile
      >>> import mmix_jax as mm
      >>> from mmix_jax.export import export
      >>> folder = pathlib.Path(tempfile.mkdtemp())
      >>> graph = mm.from_edges([(0, 1), (1, 2), (2, 3)], num_nodes=4)
      >>> model = mm.NodeEmbedder(width=8, num_steps=1).fit(graph).save(folder / "model")
      >>> export(model, folder / "model.safetensors")["width"]
      '8'
    """
    from mmix_jax.interop.torch_export import flax_tensors, torch_tensors

    if names not in _FORMATS:
        raise ValueError(unknown("names", names, _FORMATS))
    _check_place(out, overwrite)
    serialise = _library()
    config, encoder = read_model(model, seed)
    named = {"torch": torch_tensors, "flax": flax_tensors}[names]
    try:
        tensors = named(encoder.state.params, encoder.state.batch_stats)
    except (KeyError, ValueError) as error:
        raise InputError(
            f"an export needs arrays of this package's names and shapes, found others in {model} "
            f"({error}); --names=flax writes them as they are"
        ) from error
    metadata = {"format": _FORMATS[names], **metadata_of(config, encoder)}
    # Views would be written in the order of their memory; ascontiguousarray makes scalars vectors.
    tensors = {name: np.array(_single(x), order="C") for name, x in tensors.items()}
    content = serialise(tensors, metadata)
    with whole():
        write_whole(out, lambda path: _write(path, content), what="an export", flag="--out")
    return metadata


def _check_place(out: Path, overwrite: bool) -> None:
    """Raise InputError where no export is to be written, before anything is read."""
    if out.suffix != _SUFFIX:
        raise InputError(
            f"an export's name must end with {_SUFFIX}, found {out}; pass another --out"
        )
    if os.path.isdir(out):
        raise InputError(f"an export is a file, found a folder at {out}; choose another --out")
    if os.path.lexists(out) and not overwrite:
        raise InputError(
            f"an export must not take another file's place, found one at {out}; choose another "
            "--out, or add --overwrite"
        )


def _library() -> Callable[[dict[str, np.ndarray], dict[str, str]], bytes]:
    """What makes the file's bytes of tensors and metadata.

    Raises:
      InputError: the library is not installed.
    """
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise InputError(
            f"an export needs the library safetensors, found {error}; "
            "pip install 'mmix-jax[export]', or safetensors alone"
        ) from error
    return save


def _single(x: np.ndarray) -> np.ndarray:
    """The numbers of a pretrained encoder, which may be stored as bfloat16, as float32."""
    return x.astype(np.float32) if x.dtype.name == "bfloat16" else x


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except BaseException:  # an OSError is told by who asked; nothing half written stays
        path.unlink(missing_ok=True)
        raise


def read_model(model: Path, seed: int | None = None) -> tuple["Run", "Encoder"]:
    """The config and the chosen encoder of a workdir or saved model, whatever its task.

    Raises:
      InputError: there is no model, none of this seed, or its checkpoints are damaged.
    """
    from mmix_jax.experiments.configs import read, recorded_config
    from mmix_jax.experiments.pretraining import checkpoint_folder, stored_encoder

    file = model / "config.json"
    if not os.path.isfile(file):
        raise InputError(
            f"a model is a folder with config.json and checkpoints, found none at {model}; name a "
            "workdir, or what save wrote"
        )
    config = read(recorded_config(file), any_dataset=True)
    seed = config.seed if seed is None else seed
    there = seeds_in(model)
    if seed not in there:
        listed = ", ".join(map(str, there)) or "none"
        way_out = f"pass one of them, as --seed={there[0]}" if there else "train first"
        raise InputError(
            f"seed must be that of a training, found {seed} in {model}, which has {listed}; "
            f"{way_out}"
        )
    encoder = stored_encoder(config, checkpoint_folder(model, seed), _state)
    return config, encoder._replace(seed=seed)


def seeds_in(model: Path) -> list[int]:
    """Seeds of the trainings that a workdir has checkpoints of, ascending."""
    from mmix_jax.experiments.records import seed_of

    seeds = map(seed_of, model.glob("checkpoints/seed_*"))
    return sorted(seed for seed in seeds if seed is not None)


def _state(arrays: Mapping[str, Any]) -> Any:
    """The state that these arrays are, whichever model's: names tell their places."""
    from flax import traverse_util

    from mmix_jax.training.step import TrainState

    tree = traverse_util.unflatten_dict({tuple(name.split("/")): x for name, x in arrays.items()})
    if not {"step", "params"} <= tree.keys() or not tree.keys() <= {*TrainState._fields}:
        raise InputError(
            f"a checkpoint must be of a training's state, found {', '.join(sorted(tree))} in it; "
            "name a workdir of this package"
        )
    return TrainState(tree["step"], tree["params"], tree.get("batch_stats", {}), ())


def metadata_of(config: "Run", encoder: "Encoder") -> dict[str, str]:
    """What a file tells of its weights; of images also how their pixels were normalised."""
    told = {
        "mmix_jax": __version__,
        "task": config.task,
        "dataset": config.dataset,
        "mixing": config.mixing.rule,
        "width": str(config.width),
        "step": str(encoder.progress["step"]),
        "seed": str(encoder.seed),
    }
    if config.task == "image":
        remembered = {name: encoder.progress.get(name) for name in ("mean", "std")}
        told |= {name: json.dumps(x) for name, x in remembered.items() if x is not None}
    return told


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("export", __doc__)
    parser.add_argument("model", metavar="MODEL", help="workdir, saved model, or pretrained:NAME")
    parser.add_argument("--out", required=True, metavar="FILE", help=f"file to write, *{_SUFFIX}")
    parser.add_argument("--seed", type=_seed, metavar="N", help="default: the config's")
    parser.add_argument(
        "--names", choices=tuple(_FORMATS), default="torch", help="default: %(default)s"
    )
    parser.add_argument("--overwrite", action="store_true", help="take an earlier file's place")
    return parser


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, found '{text}'")
    return int(text)


def _run(argv: list[str], _interrupted: Callable[[], bool]) -> None:
    args = _parser().parse_args(argv[1:])
    model, out = place_of(args.model, "MODEL"), user_path(args.out, "--out")
    told = export(model, out, seed=args.seed, names=args.names, overwrite=args.overwrite)
    if args.seed is None and len(seeds := seeds_in(model)) > 1:
        listed = ", ".join(map(str, seeds))
        print(
            f"note: of the trainings of seeds {listed} this is {told['seed']}; --seed=N for another"
        )
    print(f"wrote {out}: step {told['step']} of seed {told['seed']}")


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    return command_line.run(_run, argv)


if __name__ == "__main__":
    sys.exit(main())
