"""Pickles of arrays are read, all others are refused before anything runs."""

import collections
import io
import os
import pathlib
import pickle

import numpy as np
import pytest
from scipy import sparse

from mmix_jax.data.store import unpickle
from mmix_jax.errors import InputError


def _read(content: bytes):
    return unpickle.read_pickle(io.BytesIO(content), "file")


class _Calls:
    """Pickles into a call of any function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.array([[0.5, -1.0]], np.float32),
        np.array([True, False]),
        np.array(["ab", "c"]),
        np.array([None, [1, "a"]], object),
        np.zeros((0, 3)),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_come_back(array, protocol):
    found = _read(pickle.dumps(array, protocol=protocol))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == pickle.loads(pickle.dumps(array)).dtype


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("old_names", [False, True])
def test_sparse_matrices_come_back(form, old_names):
    matrix = form(np.array([[0, 2.0, 0], [1.0, 0, 0]]))
    content = pickle.dumps(matrix, protocol=2)
    if old_names:
        content = content.replace(b"scipy.sparse._c", b"scipy.sparse.c")
        content = content.replace(b"numpy._core", b"numpy.core")
    found = _read(content)
    assert type(found) is form
    np.testing.assert_array_equal(found.toarray(), matrix.toarray())


def test_python_2_dictionaries_and_strings_come_back():
    graph = collections.defaultdict(list, {0: [1, 2], 1: []})
    assert _read(pickle.dumps(graph, protocol=2)) == graph
    by_python_2 = b"\x80\x02}q\x00U\x04data\x55\x02\xe9!s."  # {b"data": b"\xe9!"}
    assert _read(by_python_2) == {"data": "é!"}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_call_of_the_shell_is_refused_and_not_made(tmp_path, protocol):
    victim = tmp_path / "made"
    content = pickle.dumps(_Calls(os.system, f"touch {victim}"), protocol=protocol)
    with pytest.raises(InputError, match=r"found the global '(posix|nt)\.system'"):
        _read(content)
    assert not victim.exists()


@pytest.mark.parametrize(
    "bad",
    [
        _Calls(eval, "1"),
        _Calls(getattr, "text", "encode"),
        _Calls(np.load, "x"),
        _Calls(np.fromfile, "x"),
        pathlib.PurePosixPath("x"),
        InputError("x"),
    ],
    ids=["eval", "getattr", "load", "fromfile", "path", "error"],  # no addresses
)
def test_any_other_name_is_refused(bad):
    with pytest.raises(InputError, match="found the global"):
        _read(pickle.dumps([bad]))


_BYTE_ORDER = (3, "<", None, None, None, -1, -1, 0)


class _Pickled:
    """Pickles into a call whose result is then given a state."""

    def __init__(self, function, arguments, state):
        self.call = (function, arguments, state)

    def __reduce__(self):
        return self.call


def _array(dtype, content):
    reconstruct = np.zeros(0).__reduce__()[0]
    return _Pickled(reconstruct, (np.ndarray, (0,), b"b"), (1, (1,), dtype, False, content))


def _dtype(spec, state):
    return _Pickled(np.dtype, (spec, False, True), state)


@pytest.mark.parametrize("flags", [0, 1, 63])
def test_bytes_of_a_file_never_become_addresses_of_objects(flags):
    """NumPy believes a pickled dtype's flags; 0 says that objects are no objects."""
    address = b"\x08" + bytes(7)
    objects = _dtype("O8", (3, "|", None, None, None, -1, -1, flags))
    records = _dtype("V8", (3, "|", None, ("a",), {"a": (objects, 0)}, 8, 1, flags))
    scalar = np.float64(1).__reduce__()[0]
    for bad in (
        _array(objects, address),
        _Calls(list, _array(objects, address)),
        _array(records, address),
        _array(_dtype("S8", records.call[2]), address),
        _Calls(scalar, objects, address),
        _array(None, address),
    ):
        with pytest.raises(InputError, match="not a readable pickle of arrays"):
            _read(pickle.dumps(bad))


def test_flags_of_numbers_are_not_believed():
    found = _read(pickle.dumps(_array(_dtype("i8", (*_BYTE_ORDER[:-1], 63)), bytes(8))))
    assert (found.dtype.flags, found.tolist()) == (np.dtype("i8").flags, [0])


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(-3), -3),
        (np.bool_(True), True),
        (np.str_("né"), "né"),
        (np.str_(""), ""),
        (np.bytes_(b"\xe9"), b"\xe9"),
    ],
    ids=["float", "int", "bool", "text", "empty", "bytes"],
)
def test_scalars_come_back_as_python_values(value, wanted, protocol):
    ((key, found),) = _read(pickle.dumps({value: [value]}, protocol=protocol)).items()
    assert (key, found) == (wanted, [wanted])
    assert type(key) is type(wanted)


def test_scalars_of_another_length_are_refused():
    scalar = np.float64(1).__reduce__()[0]
    for content in (bytes(7), bytes(9), b""):
        with pytest.raises(InputError, match="not a readable pickle"):
            _read(pickle.dumps(_Calls(scalar, _dtype("f8", _BYTE_ORDER), content)))


def test_arrays_are_plain_ones_also_in_a_dictionary():
    found = _read(pickle.dumps({"a": np.arange(3), "b": [1]}))
    assert (type(found["a"]), found["a"].tolist(), found["b"]) == (np.ndarray, [0, 1, 2], [1])
    assert type(_read(pickle.dumps(np.arange(3)))) is np.ndarray


def test_a_name_below_an_admitted_module_is_refused():
    with pytest.raises(InputError, match="found the global"):
        _read(b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.")


def test_a_sparse_matrix_with_indices_out_of_range_is_refused():
    matrix = sparse.csr_matrix(np.eye(3))
    matrix.indices[1] = 1_000_000
    with pytest.raises(InputError, match="not a readable pickle"):
        _read(pickle.dumps(matrix, protocol=2))


def test_what_a_pickle_sets_on_a_matrix_class_does_not_last():
    # c…: the class itself; (None, {"toarray": 1}) as its slot state, set by BUILD.
    content = b"\x80\x02cscipy.sparse._csr\ncsr_matrix\nN}X\x07\x00\x00\x00toarrayK\x01s\x86b."
    _read(content)
    matrix = sparse.csr_matrix(np.eye(2))
    np.testing.assert_array_equal(matrix.toarray(), np.eye(2))
    np.testing.assert_array_equal(_read(pickle.dumps(matrix)).toarray(), np.eye(2))


def test_damaged_files_are_told_in_one_line(tmp_path):
    whole = pickle.dumps(np.arange(1000), protocol=2)
    damaged = {
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "text": b"<html>404: Not Found</html>",
        "persistent": b"\x80\x02X\x01\x00\x00\x00aQ.",
        "not_a_dtype": whole.replace(b"i8", b"zz"),
    }
    for name, content in damaged.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: not a readable pickle") as caught:
            unpickle.load_pickle(path)
        assert "\n" not in str(caught.value)
