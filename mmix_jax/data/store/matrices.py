"""Matrices of other libraries and files, in types whose sums are right."""

import copy
from typing import Any

import numpy as np
from scipy import sparse


def wide(values: np.ndarray) -> np.ndarray:
    """Numbers in this machine's byte order, in a type in which they may be summed.

    float16 is unknown to SciPy, and sums of bytes, 16-bit integers and booleans wrap around: all
    but floats of 32 bits and more become float64 (integers beyond 2**53 are rounded there).

    Example:
      >>> import numpy as np
      >>> from mmix_jax.data.store.matrices import wide
      >>> wide(np.array([1, 2], ">f2")).dtype, wide(np.array([True])).dtype
      (dtype('float64'), dtype('float64'))
    """
    if values.dtype.kind not in "biuf":
        return values
    narrow = values.dtype.kind in "biu" or values.dtype.itemsize < 4
    return values.astype(np.float64 if narrow else values.dtype.newbyteorder("="))


def widened(matrix: Any) -> Any:
    """A SciPy sparse matrix in coordinates, with `wide` entries; repeats are not summed yet.

    Its own conversions fail on float16 and on foreign byte orders.
    """
    if matrix.dtype.kind not in "biuf":
        raise ValueError(
            f"a sparse matrix must hold real numbers, found dtype {matrix.dtype}; convert it"
        )
    if matrix.format in ("csr", "csc", "coo", "bsr", "dia"):
        matrix = copy.copy(matrix)  # shares the arrays; its own copy() refuses what it calls odd
        matrix.data = wide(matrix.data)
        return sparse.coo_array(matrix)
    return sparse.coo_array(matrix.astype(np.float64))  # lists and dictionaries of rows


def adjacency_entries(matrix: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and weights of the entries that are not zero; repeats are summed."""
    entries = widened(matrix)
    entries.sum_duplicates()
    entries.eliminate_zeros()
    return entries.row, entries.col, entries.data


def dense(matrix: Any) -> np.ndarray:
    """A SciPy sparse matrix as an array; repeats are summed."""
    return widened(matrix).toarray()
