"""`.npy` files written piece by piece, whole or not at all, and read without being held."""

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np

from mmix_jax.ops.arrays import release

_HEADER = 128  # bytes that NumPy gives the header of a vector or a table
PIECE = 2**24  # values that are read at a time


def write_pieces(path: Path, pieces: Iterable[np.ndarray]) -> tuple[int, ...]:
    """One array of pieces one below the other, all of one type and width; returns its shape.

    Raises:
      OSError: the disk is full, or the file cannot be written; nothing is left of it.
      ValueError: pieces do not fit together.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    rows, kind = 0, None
    try:
        with temporary.open("wb") as file:
            file.write(bytes(_HEADER))
            for piece in pieces:
                found = piece.dtype, piece.shape[1:]
                kind = found if kind is None else kind
                if found != kind:
                    raise ValueError(
                        f"pieces of one array must be alike, found {kind[0]} {list(kind[1])} and "
                        f"{found[0]} {list(found[1])}; make them so"
                    )
                file.write(np.ascontiguousarray(piece).data)
                rows += len(piece)
            dtype, width = kind or (np.dtype(np.float32), ())
            header = io.BytesIO()
            shape = (rows, *width)
            about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
            np.lib.format.write_array_header_1_0(header, about | {"shape": shape})
            assert len(header.getvalue()) == _HEADER
            file.seek(0)
            file.write(header.getvalue())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return shape


def pieces_of(array: np.ndarray, *, rows: int = 0) -> Iterator[np.ndarray]:
    """Stretches of so many rows, 0: of 2^24 values; pages of a mapped array are let go behind."""
    step = rows or max(PIECE // max(array[:1].size, 1), 1)
    for low in range(0, len(array), step):
        yield np.asarray(array[low : low + step])
        release(array)


def digest_of(path: Path, check: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of a file; `check` is called meanwhile."""
    total = sha256()
    with path.open("rb") as file:
        while part := file.read(4 * PIECE):
            check()
            total.update(part)
    return total.hexdigest()
