"""Encoders that leave a device machine in small files: bfloat16, and no file over 15 MiB.

    python -m benchmarks.device.weights pack NAME --from=WORKDIR --to=DIR
    python -m benchmarks.device.weights unpack NAME --from=DIR --to=WORKDIR

NAME is that of the files: NAME.0, NAME.1, … and NAME.json in DIR. What is unpacked is a workdir, to
be evaluated.

Exit status: 0 done; 2 bad input, one `error:` line.
"""

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite import write_whole
from mmix_jax import command_line
from mmix_jax.errors import InputError
from mmix_jax.export import read_model
from mmix_jax.surroundings import user_path

PART = 15 * 2**20  # bytes


def pack(workdir: Path, out: Path, name: str, *, part: int = PART) -> list[Path]:
    """Write the encoder that a workdir's `selection` chooses; returns the files.

    Parameters and statistics are rounded to bfloat16. What they hang on, config and step, stands
    in NAME.json, which is written last.

    Raises:
      InputError: the workdir has no checkpoint.
    """
    import ml_dtypes

    from mmix_jax.training.checkpoint import by_name

    _, encoder = read_model(workdir)
    trees = {"params": encoder.state.params, "batch_stats": encoder.state.batch_stats}
    arrays = {
        key: np.asarray(x).astype(ml_dtypes.bfloat16).view(np.uint16)
        for key, x in by_name(trees).items()
    }
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    content = stream.getvalue()
    out.mkdir(parents=True, exist_ok=True)
    described = out / f"{name}.json"
    described.unlink(missing_ok=True)
    files = []
    for number, begin in enumerate(range(0, len(content), part)):
        files.append(out / f"{name}.{number}")
        files[-1].write_bytes(content[begin : begin + part])
    kept = {
        "config": json.loads((workdir / "config.json").read_text("utf-8")),
        "seed": encoder.seed,
        "progress": {key: value for key, value in encoder.progress.items() if key != "stopped"},
        "parts": len(files),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_whole(described, json.dumps(kept, indent=1) + "\n")
    return [*files, described]


def unpack(folder: Path, name: str, workdir: Path) -> None:
    """Make a workdir of what `pack` wrote, in float32.

    Raises:
      InputError: a file is missing or damaged, or the workdir holds a run already.
    """
    import jax
    import jax.numpy as jnp
    import ml_dtypes
    from flax import traverse_util

    from mmix_jax.experiments.pretraining import checkpoint_folder
    from mmix_jax.training.checkpoint import Checkpointer
    from mmix_jax.training.step import TrainState

    kept, content = _read(folder, name)
    with np.load(io.BytesIO(content)) as archive:
        arrays = {key: archive[key].view(ml_dtypes.bfloat16) for key in archive.files}
    if (workdir / "config.json").exists() or (workdir / "checkpoints").exists():
        raise InputError(f"weights start a workdir, found a run in {workdir}; choose another --to")
    trees: Any = traverse_util.unflatten_dict({tuple(k.split("/")): x for k, x in arrays.items()})
    single = jax.tree.map(lambda x: x.astype(np.float32), trees)
    step = kept["progress"]["step"]
    state = TrainState(
        jnp.asarray(step, jnp.int32), single["params"], single.get("batch_stats", {}), ()
    )
    with Checkpointer(checkpoint_folder(workdir, kept["seed"])) as checkpointer:
        checkpointer.save(step, state, kept["progress"])
    write_whole(workdir / "config.json", json.dumps(kept["config"], indent=2) + "\n")


def _read(folder: Path, name: str) -> tuple[dict[str, Any], bytes]:
    try:
        kept = json.loads((folder / f"{name}.json").read_text("utf-8"))
        parts = [(folder / f"{name}.{number}").read_bytes() for number in range(kept["parts"])]
        content = b"".join(parts)
        if hashlib.sha256(content).hexdigest() != kept["sha256"]:
            raise ValueError("other bytes than were packed")
        kinds = {"config": dict, "seed": int, "progress": dict}
        if any(type(kept[key]) is not kind for key, kind in kinds.items()):
            raise ValueError("another description")
        if type(kept["progress"].get("step")) is not int:
            raise ValueError("no step")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{name} must be an encoder in parts in {folder}, found {type(error).__name__}: "
            f"{error}; copy {name}.json and all its parts there anew"
        ) from error
    return kept, content


def _run(argv: list[str], _interrupted: Any) -> None:
    parser = command_line.parser("device.weights", __doc__, package="benchmarks")
    parser.add_argument("action", choices=("pack", "unpack"))
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--from", dest="source", required=True, metavar="DIR")
    parser.add_argument("--to", dest="target", required=True, metavar="DIR")
    args = parser.parse_args(argv[1:])
    source, target = user_path(args.source, "--from"), user_path(args.target, "--to")
    if args.action == "pack":
        for path in pack(source, target, args.name):
            print(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB")
    else:
        unpack(source, args.name, target)
        print(f"wrote {target}")


if __name__ == "__main__":
    sys.exit(command_line.run(_run, None))
