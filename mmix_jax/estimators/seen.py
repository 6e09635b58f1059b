"""Which data the checkpoints of a workdir are of: a digest of what the training sees lies there."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mmix_jax.errors import InputError

DATA_FILE = "data.json"


def digest(arrays: Iterable[np.ndarray]) -> str:
    """Of arrays of numbers, their types and shapes.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.estimators.seen import digest
      >>> digest([np.zeros(2)]) == digest([np.zeros((2, 1))])
      False
    """
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def check_seen(arrays: Iterable[np.ndarray], workdir: Path) -> None:
    """Refuse a workdir with checkpoints of other data; without any it is of these from now on.

    One that tells no data, as of the program, is taken.

    Raises:
      InputError: the data are others, or the folder cannot be read and written.
    """
    path, now = workdir / DATA_FILE, digest(arrays)
    trained = (workdir / "checkpoints").exists()
    try:
        if trained and path.exists() and json.loads(path.read_text("utf-8"))["sha256"] != now:
            raise InputError(
                f"a workdir belongs to the data of one training, found others in {workdir}; bring "
                "those back, or choose another workdir"
            )
        if not trained:
            workdir.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"sha256": now}) + "\n", encoding="utf-8")
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{DATA_FILE} must be a JSON object that can be read and written, found otherwise in "
            f"{workdir} ({error}); choose another workdir"
        ) from error
