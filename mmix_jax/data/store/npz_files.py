"""Arrays of a graph in an `.npz` file; nothing in it is executed."""

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from mmix_jax.data.store.matrices import adjacency_entries, dense, wide
from mmix_jax.data.store.unpickle import read_pickle
from mmix_jax.errors import InputError

_CSR_PARTS = ("data", "indices", "indptr", "shape")
_ADJACENCIES = {prefix: [prefix + part for part in _CSR_PARTS] for prefix in ("adj_", "")}

EDGE_KEYS = ("edge_index", "edge_weight", "format", *_ADJACENCIES["adj_"], *_ADJACENCIES[""])
SPARSE_FEATURE_KEYS = tuple("attr_" + part for part in _CSR_PARTS)

_PLAIN_TYPES = (str, bytes, int, float, bool, type(None))


class Edges(NamedTuple):
    """The edges of a file, not yet checked against its nodes.

    senders, receivers: [E].
    weight: [E] or None.
    num_nodes: rows of the adjacency; None where the file has `edge_index`.
    """

    senders: np.ndarray
    receivers: np.ndarray
    weight: np.ndarray | None
    num_nodes: int | None


def load_arrays(path: Path, wanted: Iterable[str]) -> dict[str, np.ndarray]:
    """Those arrays of the file whose keys are wanted.

    Raises:
      InputError: the file is damaged, or a wanted array holds pickled objects.
    """
    keys = set(wanted)
    with _opened(path) as archive:
        return {key: _plain(archive, key) for key in archive.files if key in keys}


def array_keys(path: Path) -> list[str]:
    """The keys of a file's arrays.

    Raises:
      InputError: the file is damaged.
    """
    with _opened(path) as archive:
        return list(archive.files)


def load_objects(path: Path, key: str) -> Any:
    """What an array of objects holds, as lists; without axes, as a dictionary is saved, its item.

    Its pickle may hold dictionaries, lists, tuples, strings, numbers and None, and is read by
    `unpickle.read_pickle`; NumPy's loading of pickles stays off. An array of numbers or strings
    is taken too. None where the file has no such key.

    Raises:
      InputError: the file is damaged, or the pickle is or holds anything else.
    """
    with _opened(path) as archive:
        if key not in archive.files:
            return None
        stream = io.BytesIO(archive.zip.read(f"{key}.npy"))  # all of it: its sum is checked
        if _read_dtype(stream).kind != "O":
            return _plain(archive, key).tolist()
        objects = read_pickle(stream, f"key {key!r}")
        if isinstance(objects, np.ndarray):
            objects = objects.tolist()
        _check_plain(objects, key)
        return objects


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """NumPy's view of the file; whatever reading it raises is told in one line."""
    try:
        # Opened here: NumPy leaves a file open that proves to be damaged.
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
            yield archive
    except InputError:
        raise
    except Exception as error:  # zipfile and NumPy raise a dozen kinds on damaged files
        reason = str(error).splitlines()[0] if str(error) else ""
        raise InputError(
            f"not a readable .npz file ({type(error).__name__}: {reason}); write it again by "
            "numpy.savez, or get it again from its source"
        ) from error


def _read_dtype(stream: io.BytesIO) -> np.dtype:
    """The dtype of an array in NumPy's format, whose header is read and left behind."""
    version = np.lib.format.read_magic(stream)
    # Later versions are for names of fields, which objects have none of.
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)[2]
    return np.lib.format.read_array_header_2_0(stream)[2]


def _check_plain(value: Any, key: str) -> None:
    # A list of things to do and not a recursion: lists may be deep, shared, or inside themselves.
    todo, seen = [value], set()
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if type(item) is dict:
            todo += [*item.keys(), *item.values()]
        elif type(item) in (list, tuple):
            todo += item
        elif type(item) not in _PLAIN_TYPES:
            raise InputError(
                f"key {key!r} must hold dictionaries, lists, strings and numbers, found "
                f"{type(item).__name__}; do not trust this file, get it again from its source"
            )


def _plain(archive, key: str) -> np.ndarray:
    try:
        array = archive[key]
        if not isinstance(array, np.ndarray):  # NumPy hands out members of another form as bytes
            raise InputError(
                f"key {key!r} must be an array in NumPy's format, found otherwise: damaged file; "
                "write it again by numpy.savez, or get it again from its source"
            )
        return array
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise InputError(
            f"key {key!r} must be an array of numbers or strings, found pickled objects, which "
            "are not loaded; convert it before saving"
        ) from error


def read_edges(arrays: Mapping[str, np.ndarray]) -> Edges:
    """Edges from whichever form the file has; see `graph_file.read_graph_file`.

    Raises:
      InputError: no form, several, or a badly formed one.
    """
    forms = [prefix for prefix, keys in _ADJACENCIES.items() if any(k in arrays for k in keys)]
    if len(forms) + ("edge_index" in arrays) != 1:
        raise InputError(
            "edges must be given once, as edge_index or as CSR parts data, indices, indptr, shape "
            f"(each may be prefixed by adj_), found {', '.join(arrays) or 'no known key'}; see the "
            "key names"
        )
    if not forms:
        return Edges(*edge_ends(arrays["edge_index"]), arrays.get("edge_weight"), None)
    if "edge_weight" in arrays:
        raise InputError(
            "edge_weight belongs to edge_index, found it beside a CSR adjacency, whose data are "
            "the weights; leave it out"
        )
    form = str(arrays.get("format", np.array("csr")).astype(str))
    if forms == [""] and form != "csr":
        raise InputError(f"a sparse adjacency must be CSR, found {form}; use .tocsr()")
    adjacency = _csr(arrays, forms[0])
    rows, columns = arrays[forms[0] + "shape"].tolist()
    if rows != columns:
        raise InputError(f"an adjacency must be square, found {rows} × {columns}; check its shape")
    return Edges(*adjacency_entries(adjacency), rows)


def read_features(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Features from `x` or from CSR parts prefixed by `attr_`; None where the file has neither.

    Raises:
      InputError: both, or CSR parts that form no matrix.
    """
    is_sparse = any(key in arrays for key in SPARSE_FEATURE_KEYS)
    if is_sparse and "x" in arrays:
        raise InputError(
            "node features must be given once, as x or as CSR parts attr_*, found both; "
            "give x with one row per node"
        )
    return dense(_csr(arrays, "attr_")) if is_sparse else arrays.get("x")


def edge_ends(edge_index: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Senders and receivers of an `edge_index` [2, E].

    Raises:
      ValueError: another shape.
    """
    edge_index = np.asarray(edge_index)
    if edge_index.ndim != 2 or edge_index.shape[0] != 2:
        raise ValueError(
            f"edge_index must have shape [2, E], sources above targets, found {edge_index.shape}; "
            "transpose it"
        )
    return edge_index[0], edge_index[1]


def _csr(arrays: Mapping[str, np.ndarray], prefix: str) -> sparse.csr_matrix:
    """The SciPy matrix of prefixed parts, its indices checked."""
    missing = [prefix + part for part in _CSR_PARTS if prefix + part not in arrays]
    if missing:
        raise InputError(f"key {missing[0]!r} is missing beside its CSR parts; add it")
    data, indices, indptr, shape = (arrays[prefix + part] for part in _CSR_PARTS)
    try:
        if data.dtype.kind not in "biuf" or {indices.dtype.kind, indptr.dtype.kind} - set("iu"):
            raise TypeError("data must be numbers, indices and indptr whole numbers")
        indices, indptr = (x.astype(np.int64) for x in (indices, indptr))
        matrix = sparse.csr_matrix((wide(data), indices, indptr), shape=tuple(shape.tolist()))
        matrix.check_format(full_check=True)
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"CSR parts {prefix or 'without prefix'} must form a matrix, found otherwise "
            f"({str(error).splitlines()[0]}); save the matrix again"
        ) from error
    return matrix
