"""What --checkpoint names: checkpoints, a workdir, a saved model, or pretrained:NAME."""

import os
from pathlib import Path
from typing import Any

from mmix_jax.errors import InputError
from mmix_jax.pretrained import PREFIX, folder_of
from mmix_jax.surroundings import user_path

# Names that estimators give to data in memory, and the data sets that such data come from in files.
_OF_OWN = {"graph": "graph_file", "graphs": "graph_folder", "images": "image_folder"}


def place_of(given: str, flag: str) -> Path:
    """The folder that PATH or pretrained:NAME names, given by `flag`.

    Raises:
      InputError: there is no such folder, it cannot be read, or as `folder_of`.
    """
    if given.startswith(PREFIX):
        return folder_of(given.removeprefix(PREFIX))
    if not given or given.startswith("--"):
        raise InputError(
            f"{flag} must name a checkpoint, found {given or 'nothing'!r}; name a workdir, a saved "
            f"model, or {PREFIX}NAME"
        )
    folder = user_path(given, flag)
    if not os.path.isdir(folder):
        raise InputError(
            f"no checkpoint: {folder} is not there, or no folder; name a workdir, a saved model, "
            f"or {PREFIX}NAME"
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"a checkpoint must be readable, found {folder}; see to its permissions")
    return folder


def settings_of(given: str, flag: str) -> tuple[Any, str]:
    """The config that a checkpoint tells, unread, and a name for a workdir of its own.

    A saved model of data in memory is one of files: which, --config.data_path says.

    Raises:
      InputError: it tells none, or as `place_of` and `recorded_config`.
    """
    from mmix_jax.experiments.configs import recorded_config
    from mmix_jax.experiments.records import seed_of

    folder = place_of(given, flag)
    place = folder
    if seed_of(folder) is not None and folder.parent.name == "checkpoints":
        place = folder.parent.parent
    if not os.path.isfile(place / "config.json"):
        raise InputError(
            "a checkpoint without --config must tell its settings, found no config.json at "
            f"{place}; add --config"
        )
    config = recorded_config(place / "config.json", flag=flag)
    config.dataset = _OF_OWN.get(str(config.dataset), config.dataset)
    kind = "pretrained" if given.startswith(PREFIX) else "checkpoint"
    return config, f"{kind}-{place.resolve().name}"
