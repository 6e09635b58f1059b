"""Files of safetensors: tensors come back, and no place outside the data is read."""

import json

import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.interop.safetensors_files import looks_like_safetensors, read_safetensors
from mmix_jax.interop.torch_weights import read_state_dict


def packed(header, data=b"", size=None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def entry(begin, end, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
         "I8": "i1", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "?"}  # fmt: skip


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_is_read(dtype):
    values = np.array([[1, 0, 1], [0, 1, 1]], TYPES[dtype])
    content = packed({"a": entry(0, values.nbytes, (2, 3), dtype)}, values.tobytes())
    found = read_safetensors(content)["a"]
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype.newbyteorder("=") and found.flags.writeable


def test_several_tensors_metadata_and_scalars():
    header = {
        "__metadata__": {"format": "pt"},
        "b": entry(4, 8, (2,), "BF16"),
        "a": entry(0, 4, ()),
        "none": entry(4, 4, (0, 3)),
    }
    data = np.float32(7).tobytes() + np.array([0x3F80, 0xC040], "<u2").tobytes()
    found = read_safetensors(packed(header, data))
    assert {name: array.tolist() for name, array in found.items()} == {
        "a": 7.0, "b": [1.0, -3.0], "none": []
    }  # fmt: skip
    assert found["b"].dtype == np.float32 and found["none"].shape == (0, 3)


BAD = {
    "no json": packed(b"{no"),
    "a list": packed(b"[]     "),
    "deep": packed(b'{"a":' + b"[" * 100_000),
    "header too long": packed({"a": entry(0, 8)}, b"x" * 8, size=10_000),
    "outside": packed({"a": entry(0, 8)}, b"x" * 4),
    "more data": packed({"a": entry(0, 8)}, b"x" * 12),
    "a gap": packed({"a": entry(0, 8), "b": entry(12, 20)}, b"x" * 20),
    "overlap": packed({"a": entry(0, 8), "b": entry(4, 12)}, b"x" * 12),
    "backwards": packed({"a": entry(8, 0)}, b"x" * 8),
    "negative": packed({"a": entry(-8, 0)}, b"x" * 8),
    "shape": packed({"a": entry(0, 8, (3,))}, b"x" * 8),
    "negative shape": packed({"a": entry(0, 8, (-1, -2))}, b"x" * 8),
    "huge shape": packed({"a": entry(0, 8, (2**62, 4))}, b"x" * 8),
    "shape of floats": packed({"a": entry(0, 8, (2.0,))}, b"x" * 8),
    "places of words": packed({"a": entry("0", "8")}, b"x" * 8),
    "no places": packed({"a": {"dtype": "F32", "shape": [2]}}, b"x" * 8),
    "no entry": packed({"a": 3}),
    "type": packed({"a": entry(0, 8, (8,), "F8_E4M3")}, b"x" * 8),
    "type of a list": packed({"a": entry(0, 8, (8,), ["F32"])}, b"x" * 8),
    "twice": packed(b'{"a":%b,"a":%b}' % (2 * (json.dumps(entry(0, 8)).encode(),)), b"x" * 8),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_files_are_told_in_one_line(bad, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(BAD[bad])
    with pytest.raises(InputError) as told:
        read_state_dict(path)
    assert str(told.value).startswith(str(path)) and "\n" not in str(told.value)


def test_they_are_known_by_their_content(tmp_path):
    content = packed({"module.a": entry(0, 8)}, b"x" * 8)
    (tmp_path / "model.pth").write_bytes(content)
    assert list(read_state_dict(tmp_path / "model.pth")) == ["a"]
    assert not looks_like_safetensors(b"PK\x03\x04") and not looks_like_safetensors(b"")
