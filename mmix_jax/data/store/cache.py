"""Arrays that are costly to compute, kept in the cache folder under a key of what made them."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mmix_jax.data.store.files import cache_folder

_log = logging.getLogger(__name__)


def cached_array(
    kind: str,
    settings: Mapping[str, object],
    arrays: Sequence[np.ndarray],
    compute: Callable[[], np.ndarray],
) -> np.ndarray:
    """`compute()`, or what an earlier call with equal settings and arrays has left on disk.

    A damaged file is computed anew; a cache folder that cannot be written is said once and done
    without. Files are written whole or not at all.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    path = cache_folder() / kind / f"{digest.hexdigest()[:32]}.npy"
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        array = compute()
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp.npy")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(temporary, array, allow_pickle=False)
        os.replace(temporary, path)
    except OSError as error:
        _log.warning(
            "warning: the cache folder %s cannot be written (%s); computing goes on without it",
            path.parent,
            error.strerror,
        )
    return array
