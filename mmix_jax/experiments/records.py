"""The record of a config in its workdir, and whether another may go on there."""

import json
import math
import os
import re
from pathlib import Path
from typing import Any

from mmix_jax.errors import InputError
from mmix_jax.experiments import flat
from mmix_jax.experiments.schema import Run

_LENGTH = ("num_steps", "num_epochs")
# What makes an encoder another function of its input.
_OF_AN_ENCODER = ("model", "framework grace", "mixing", "representation")
# Of mixing, what a training alone reads.
_OF_A_TRAINING = (
    *("mixing_start", "num_synthetic", "num_mixed", "num_hardest", "skip_hardest", "skip_hops"),
)
_OF_FEATURES = ("binarise_features", "normalise_features", "features", "max_degree")
# How long to train, and how often.
_MAY_GROW = (*_LENGTH, "num_seeds")
# Where the files lie, what is drawn or watched, and what may grow may change between a run and its
# resumption.
_MAY_CHANGE = ("data_dir", "tables", "figures", "num_monitored", *_MAY_GROW)


def seed_of(checkpoints: Path) -> int | None:
    """The seed of a training, told by the folder of its checkpoints, `seed_N`; None of others."""
    told = re.fullmatch(r"seed_(0|[1-9][0-9]{0,9})", checkpoints.name)
    return int(told[1]) if told else None


def check_record(config: Run, workdir: Path, *, mode: str) -> None:
    """Refuse a workdir that holds checkpoints of other settings; without any there is no harm.

    Raises:
      InputError: names the fields that differ; or `config.json` is damaged.
    """
    path = workdir / "config.json"
    if path.exists() and (workdir / "checkpoints").exists():
        check_settings(config, read_record(path), workdir, mode=mode)


def check_checkpoint(config: Run, checkpoints: Path) -> None:
    """Refuse an encoder of other settings, where its workdir still tells which they were.

    What data, training and evaluation alone read may differ.

    Raises:
      InputError: names the fields that differ; or `config.json` is damaged.
    """
    path = checkpoints.parent.parent / "config.json"
    if not path.is_file():
        return
    recorded = json.loads(json.dumps(flat.defaults(type(config)))) | read_record(path)
    asked = json.loads(json.dumps(flat.flat(config)))
    differing = sorted(
        name
        for name, entry in flat.entries(type(config)).items()
        if not entry.meaning.evaluation
        and (entry.meaning.section in _OF_AN_ENCODER or name in _OF_FEATURES)
        and name not in _OF_A_TRAINING
        and asked.get(name) != recorded.get(name)
    )
    if differing:
        flags = " ".join(f"--config.{name}={recorded.get(name)}" for name in differing)
        raise InputError(
            f"a checkpoint is of one set of settings, found others in {path}: "
            f"{_differences(differing, recorded, asked)}; add {flags}"
        )


def _differences(names: list[str], there: dict, asked: dict) -> str:
    return ", ".join(f"{n} ({there.get(n)!r} there, {asked.get(n)!r} asked)" for n in names)


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


def read_record(path: Path, *, flag: str = "--workdir") -> dict:
    """The flat config in a `config.json`; `flag` is the way out of a damaged one.

    Raises:
      InputError: it is damaged.
    """
    try:
        recorded = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"config.json must be readable JSON, found a damaged {path}; choose another {flag}"
        ) from error
    return checked_record(recorded, path, flag=flag)


def checked_record(recorded: Any, path: Path, *, flag: str) -> dict:
    """The record, if it is an object whose seeds and lengths are whole numbers.

    Raises:
      InputError: it is not.
    """
    if not isinstance(recorded, dict):
        raise InputError(
            f"config.json must be a JSON object, found a damaged {path}; choose another {flag}"
        )
    for name in ("seed", *_MAY_GROW):
        if type(recorded.get(name, 0)) is not int or not 0 <= recorded.get(name, 0) < 2**31:
            raise InputError(
                f"{name} must be a whole number, found a damaged {path}; choose another {flag}"
            )
    return recorded


def check_settings(
    config: Run,
    recorded: dict,
    workdir: Path,
    *,
    mode: str = "train",
    flag: str = "--workdir",
    fixed: bool = False,
) -> None:
    """Refuse a config other than the one recorded of a workdir, but for what may change; lengths
    may grow, unless they are `fixed`.

    Raises:
      InputError: names the fields that differ, and `flag` as the way out.
    """
    asked = json.loads(json.dumps(flat.flat(config)))
    # Fields that are newer than the record have meant their defaults before.
    recorded = json.loads(json.dumps(flat.defaults(type(config)))) | recorded
    may_change = set(_MAY_CHANGE)
    if mode != "train":
        entries = flat.entries(type(config)).items()
        may_change |= {name for name, entry in entries if entry.meaning.evaluation}
    elif fixed or asked.get("schedule") == "cosine" or asked.get("mixing_start"):
        # The whole run's learning rates, or the step that mixes first, hang on it.
        may_change.difference_update(_LENGTH)
    differing = sorted(
        name
        for name in asked.keys() | recorded.keys()
        if name not in may_change and asked.get(name) != recorded.get(name)
    )
    if differing:
        words = _differences(differing, recorded, asked)
        raise InputError(
            f"a workdir belongs to one set of settings, found others in {workdir}: {words}; "
            f"choose another {flag}"
        )
    for name in _MAY_GROW if mode == "train" else ():
        there, here = recorded.get(name, 0), asked.get(name, 0)
        if (here or math.inf) < (there or math.inf):  # 0 is no limit
            raise InputError(
                f"{name} may only grow in a workdir, found {there or 'no limit'} there and {here} "
                f"asked; choose another {flag}"
            )
