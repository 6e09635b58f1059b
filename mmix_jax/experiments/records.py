"""The record of a config in its workdir, and whether another may go on there."""

import json
import os
from pathlib import Path

from mmix_jax.errors import InputError
from mmix_jax.experiments.defaults import Config
from mmix_jax.experiments.settings import default_config

# Where the files lie and how long to train may change between a run and its resumption.
_MAY_CHANGE = ("data_dir", "num_steps")
# A checkpoint may be evaluated otherwise than its run was.
_EVALUATION = (
    "protocol",
    "num_classifiers",
    "num_splits",
    "num_probes",
    "num_clusterings",
    "representation",
    "readout",
    "num_devices",
    "eval_every",
    "checkpoint_every",
    "patience",
    "num_seeds",
    "num_folds",
    "sizes",
    "num_triplets",
    "num_pairs",
    "max_pair_nodes",
    "triplet_seed",
    "baselines",
    "num_test",
    "num_neighbours",
    "knn_temperature",
    "probe_epochs",
    "probe_batch_size",
    "probe_held_out",
    "probe_copies",
    "eval_batch_size",
    "figures",
)


def compare(config: Config, workdir: Path, *, mode: str) -> None:
    """Refuse a workdir that holds checkpoints of other settings; without any there is no harm.

    Raises:
      InputError: names the fields that differ; or `config.json` is damaged.
    """
    path = workdir / "config.json"
    if path.exists() and (workdir / "checkpoints").exists():
        _compare(json.loads(config.to_json()), _read(path), workdir, mode)


def record(config: Config, workdir: Path) -> None:
    """Write `config.json`, whole or not at all.

    Raises:
      InputError: the workdir cannot be written.
    """
    path = workdir / "config.json"
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        mine = json.loads(config.to_json())
        temporary.write_text(json.dumps(mine, indent=2, sort_keys=True) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"the workdir must be writable, found {workdir}: {error.strerror}; "
            "choose another --workdir"
        ) from error


def _read(path: Path) -> dict:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"config.json must be readable JSON, found a damaged {path}; choose another --workdir"
        ) from error
    if not isinstance(found, dict):
        raise InputError(
            f"config.json must be a JSON object, found a damaged {path}; choose another --workdir"
        )
    return found


def _compare(mine: dict, found: dict, workdir: Path, mode: str) -> None:
    # Fields that are newer than the record have meant their defaults before.
    found = json.loads(default_config(mine["task"]).to_json()) | found
    may_change = set(_MAY_CHANGE) if mode == "train" else {*_MAY_CHANGE, *_EVALUATION}
    if mode == "train" and mine.get("schedule") == "cosine":
        may_change.remove("num_steps")  # the whole run's learning rates hang on it
    differing = sorted(
        name
        for name in mine.keys() | found.keys()
        if name not in may_change and mine.get(name) != found.get(name)
    )
    if differing:
        words = ", ".join(f"{n} ({found.get(n)!r} there, {mine.get(n)!r} asked)" for n in differing)
        raise InputError(
            f"a workdir belongs to one set of settings, found others in {workdir}: {words}; "
            "choose another --workdir"
        )
    if mode == "train" and mine["num_steps"] < found["num_steps"]:
        raise InputError(
            f"num_steps may only grow in a workdir, found {found['num_steps']} there and "
            f"{mine['num_steps']} asked; choose another --workdir"
        )
