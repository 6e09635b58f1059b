"""Pickles of others, read without running their code: NumPy arrays and SciPy matrices only.

A pickle is a program that may call anything it can name. The original Planetoid files, and those
of CIFAR, are pickles by Python 2. Of all names they could use, this reader knows the few that an
array, a number or string of NumPy's, a sparse matrix or a dictionary of lists needs, and gives its
own harmless functions for them; every other name ends the reading.
"""

import collections
import os
import pickle
from typing import Any, BinaryIO

import numpy as np
from scipy import sparse

from mmix_jax.errors import InputError

# SciPy and NumPy moved these modules; all their names, old and new, are in use.
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_SPARSE_MODULES = ("scipy.sparse.{0}", "scipy.sparse._{0}", "scipy.sparse._matrix", "scipy.sparse")
_SPARSE_FORMATS = ("csr", "csc")


def load_pickle(path: str | os.PathLike) -> Any:
    """The object in a pickle file; see `read_pickle`."""
    with open(path, "rb") as stream:
        return read_pickle(stream, os.fspath(path))


def read_pickle(stream: BinaryIO, name: str) -> Any:
    """The object in a pickle of plain values, arrays, or one sparse matrix.

    Lists, tuples, dictionaries, numbers and strings are part of the format; beyond them it may
    hold NumPy arrays, numbers and strings of NumPy's (read as Python's) and `defaultdict(list)`,
    and as a whole be a SciPy CSR or CSC matrix, whose indices are checked.

    Args:
      stream: opened in binary mode.
      name: of the file, for errors.

    Raises:
      InputError: the pickle names anything else, or is damaged.
    """
    unpickler = _Unpickler(stream, name)
    try:
        loaded = unpickler.load()
        return _bare(unpickler.sparse_matrix(loaded))
    except InputError:
        raise
    except Exception as error:  # a damaged pickle may raise anything, its documentation says
        raise InputError(
            f"{name}: not a readable pickle of arrays ({type(error).__name__}); "
            "damaged or another kind of file, get it again from its source"
        ) from error


class _Unpickler(pickle.Unpickler):
    """Resolves only the names in its own table."""

    def __init__(self, stream: BinaryIO, name: str):
        super().__init__(stream, encoding="latin1")  # of Python 2's strings
        self._name = name
        self._admitted, self._sparse_types = _admitted()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._admitted:
            raise InputError(
                f"{self._name}: a data file's pickle may hold arrays only, found the global "
                f"{f'{module}.{name}'!r}; do not trust this file, get it again from its source"
            )
        return self._admitted[module, name]

    def sparse_matrix(self, loaded: Any) -> Any:
        """The matrix that a pickled one's attributes describe; anything else as it is."""
        if type(loaded) not in self._sparse_types:
            return loaded
        form = self._sparse_types[type(loaded)]
        build = sparse.csr_matrix if form == "csr" else sparse.csc_matrix
        state = vars(loaded)
        shape = state["_shape"] if "_shape" in state else state["shape"]
        parts = (state["data"], state["indices"], state["indptr"])
        matrix = build(parts, shape=shape)
        # Indices out of range would make SciPy's compiled code read foreign memory.
        matrix.check_format(full_check=True)
        return matrix


def _admitted() -> tuple[dict[tuple[str, str], Any], dict[type, str]]:
    """The names a pickle may use, and the stand-ins for sparse matrices among them.

    The stand-ins are bare classes made anew for each reading: whatever a pickle sets on them,
    SciPy's own classes and the next reading stay untouched.
    """
    table: dict[tuple[str, str], Any] = {
        # An argument of _reconstruct; never called, so its name will do.
        ("numpy", "ndarray"): "numpy.ndarray",
        ("numpy", "dtype"): _PickledDtype,
        ("_codecs", "encode"): _latin1,
    }
    for module in _ARRAY_MODULES:
        table[module, "_reconstruct"] = _empty_array
        table[module, "scalar"] = _scalar
    for builtins in ("__builtin__", "builtins"):
        table[builtins, "list"] = list
        table[builtins, "bytes"] = _no_bytes
    table["collections", "defaultdict"] = collections.defaultdict
    sparse_types: dict[type, str] = {}
    for form in _SPARSE_FORMATS:
        stand_in = type(f"pickled_{form}", (), {})
        sparse_types[stand_in] = form
        for module in _SPARSE_MODULES:
            table[module.format(form), f"{form}_matrix"] = stand_in
    return table, sparse_types


class _PickledDtype:
    """`numpy.dtype`, of whose state the byte order alone is believed.

    NumPy's own takes its flags from the pickle too: an array of objects whose flags say that it is
    none would be filled with bytes of the file, as addresses of objects.
    """

    __slots__ = ("dtype",)

    def __init__(self, spec: str, _align: bool = False, _copy: bool = True):
        if not isinstance(spec, str):
            raise TypeError(f"a dtype is named by a string, found {type(spec).__name__}")
        self.dtype = np.dtype(spec)
        if self.dtype.kind not in "biufcSUO":
            raise TypeError(f"arrays are of numbers, strings or objects, found {spec:.40}")

    def __setstate__(self, state: tuple) -> None:
        _, order, subarray, names, fields, *_ = state
        if (subarray, names, fields) != (None, None, None):
            raise TypeError("arrays are of numbers, strings or objects, found records")
        self.dtype = self.dtype.newbyteorder(order)


class _PickledArray(np.ndarray):
    """An array whose state names its dtype by a `_PickledDtype`."""

    __slots__ = ()

    def __setstate__(self, state: tuple, /) -> None:
        version, shape, dtype, fortran_order, content = state
        super().__setstate__((version, shape, _real(dtype), fortran_order, content))


def _empty_array(_subtype: Any, _shape: Any, _typecode: Any) -> _PickledArray:
    """NumPy's `_reconstruct`; the state that follows gives shape, dtype and content."""
    return _PickledArray(0, np.int8)


def _real(dtype: Any) -> np.dtype:
    if type(dtype) is not _PickledDtype:
        raise TypeError(f"a dtype must follow an array's shape, found {type(dtype).__name__}")
    return dtype.dtype


def _bare(loaded: Any) -> Any:
    """Arrays, and those that are values of a dictionary, as plain ones."""
    if isinstance(loaded, _PickledArray):
        return loaded.view(np.ndarray)
    if type(loaded) is dict:
        arrays = {k: _bare(v) for k, v in loaded.items() if isinstance(v, _PickledArray)}
        loaded.update(arrays)
    return loaded


def _scalar(dtype: _PickledDtype, content: bytes | str) -> Any:
    """NumPy's `scalar`, for numbers and strings alone: the Python value."""
    kind = _real(dtype)
    if kind.kind == "O":
        raise TypeError("a scalar is a number or a string, found an object")
    if isinstance(content, str):  # by Python 2
        content = content.encode("latin1")
    if len(content) != kind.itemsize:
        raise ValueError(f"{kind.itemsize} bytes make a scalar, found {len(content)}")
    return np.ndarray((), kind, content).item()


def _no_bytes() -> bytes:
    """How Python 3 writes empty bytes into a pickle for Python 2."""
    return b""


def _latin1(text: str, _encoding: str = "latin1") -> bytes:
    """How Python 3 writes bytes into a pickle for Python 2."""
    return text.encode("latin1")
