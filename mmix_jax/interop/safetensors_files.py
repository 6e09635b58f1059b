"""Tensors of a .safetensors file: a length, a JSON header of that length, then raw data.

Nothing in such a file can run. Every place that the header names is checked before it is read.

Source: https://huggingface.co/docs/safetensors, "Format".
"""

import json
import math
from typing import Any

import numpy as np

MAX_HEADER = 100_000_000  # bytes, as the format says
_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def looks_like_safetensors(start: bytes) -> bool:
    """Whether a file that begins so may be one: a small number of eight bytes, then a brace."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= MAX_HEADER


def read_safetensors(content: bytes) -> dict[str, np.ndarray]:
    """The tensors by name, in the order of their data; bfloat16 becomes float32 without loss.

    Raises:
      ValueError: the header is no JSON of tensors, or places lie outside the data, overlap, leave
        gaps or do not fit the shape.
    """
    size = int.from_bytes(content[:8], "little")
    if size > min(MAX_HEADER, len(content) - 8):
        raise ValueError(f"a header of {size} bytes in a file of {len(content)}")
    header = json.loads(content[8 : 8 + size], object_pairs_hook=_once)
    if not isinstance(header, dict):
        raise ValueError("a header that is no JSON object")
    header.pop("__metadata__", None)
    data, end = memoryview(content)[8 + size :], 0
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: _places(*item)):
        begin, stop = _places(name, entry)
        if begin != end:
            raise ValueError(f"data of {name} at {begin}, where {end} is next")
        end = stop
        tensors[name] = _tensor(name, entry, data[begin:stop])
    if end != len(data):
        raise ValueError(f"{len(data)} bytes of data, where the header tells of {end}")
    return tensors


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name twice in the header")
    return dict(pairs)


def _places(name: str, entry: Any) -> tuple[int, int]:
    places = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(places, list) or len(places) != 2 or not _counts(places):
        raise ValueError(f"{name} without its place")
    return places[0], places[1]


def _counts(numbers: Any) -> bool:
    """Whether it is a list of plain numbers that are not negative."""
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)


def _tensor(name: str, entry: dict[str, Any], data: memoryview) -> np.ndarray:
    kind, shape = entry.get("dtype"), entry.get("shape")
    if kind not in _TYPES:
        raise ValueError(f"{name} of type {kind}, not one of {', '.join(_TYPES)}")
    dtype = np.dtype(_TYPES[kind])
    if not isinstance(shape, list) or not _counts(shape):
        raise ValueError(f"{name} of shape {shape}")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{name} of shape {shape} and type {kind} in {len(data)} bytes")
    array = np.frombuffer(data, dtype).reshape(shape)
    if kind == "BF16":  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(dtype.newbyteorder("="))
