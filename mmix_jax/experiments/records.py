"""The record of a config in its workdir, and whether another may go on there."""

import json
import math
import os
from pathlib import Path

from mmix_jax.errors import InputError
from mmix_jax.experiments import flat
from mmix_jax.experiments.schema import Run

_LENGTH = ("num_steps", "num_epochs")
# How long to train, and how often.
_MAY_GROW = (*_LENGTH, "num_seeds")
# Where the files lie, what is drawn, and what may grow may change between a run and its resumption.
_MAY_CHANGE = ("data_dir", "figures", *_MAY_GROW)


def check_record(config: Run, workdir: Path, *, mode: str) -> None:
    """Refuse a workdir that holds checkpoints of other settings; without any there is no harm.

    Raises:
      InputError: names the fields that differ; or `config.json` is damaged.
    """
    path = workdir / "config.json"
    if path.exists() and (workdir / "checkpoints").exists():
        _check(config, read_record(path), workdir, mode)


def record(config: Run, workdir: Path) -> None:
    """Write `config.json`, whole or not at all.

    Raises:
      InputError: the workdir cannot be written.
    """
    path = workdir / "config.json"
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        values = flat.flat(config)
        temporary.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"the workdir must be writable, found {workdir}: {error.strerror}; "
            "choose another --workdir"
        ) from error


def read_record(path: Path) -> dict:
    """The flat config in a `config.json`.

    Raises:
      InputError: it is damaged.
    """
    try:
        recorded = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"config.json must be readable JSON, found a damaged {path}; choose another --workdir"
        ) from error
    if not isinstance(recorded, dict):
        raise InputError(
            f"config.json must be a JSON object, found a damaged {path}; choose another --workdir"
        )
    return recorded


def _check(config: Run, recorded: dict, workdir: Path, mode: str) -> None:
    asked = json.loads(json.dumps(flat.flat(config)))
    # Fields that are newer than the record have meant their defaults before.
    recorded = json.loads(json.dumps(flat.defaults(type(config)))) | recorded
    may_change = set(_MAY_CHANGE)
    if mode != "train":
        entries = flat.entries(type(config)).items()
        may_change |= {name for name, entry in entries if entry.meaning.evaluation}
    elif asked.get("schedule") == "cosine":
        may_change.difference_update(_LENGTH)  # the whole run's learning rates hang on it
    differing = sorted(
        name
        for name in asked.keys() | recorded.keys()
        if name not in may_change and asked.get(name) != recorded.get(name)
    )
    if differing:
        words = ", ".join(
            f"{name} ({recorded.get(name)!r} there, {asked.get(name)!r} asked)"
            for name in differing
        )
        raise InputError(
            f"a workdir belongs to one set of settings, found others in {workdir}: {words}; "
            "choose another --workdir"
        )
    for name in _MAY_GROW if mode == "train" else ():
        there, here = recorded.get(name, 0), asked.get(name, 0)
        if (here or math.inf) < (there or math.inf):  # 0 is no limit
            raise InputError(
                f"{name} may only grow in a workdir, found {there or 'no limit'} there and {here} "
                "asked; choose another --workdir"
            )
