"""Weights saved by torch.save, read without torch and without running their code.

The file is a zip of a pickle, which lays out the tensors, and a raw blob for each storage. The
pickle may name plain dictionaries, types of storages, and the functions that make a tensor of a
storage or wrap it; any other name ends the reading. Strides and offsets are checked before they are
used. A file of safetensors is read as well, known by its content.
"""

import math
import os
import pickle
import zipfile
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.interop.safetensors_files import looks_like_safetensors, read_safetensors
from mmix_jax.interop.torch_names import some
from mmix_jax.surroundings import user_path

# How torch before 1.6 began every file: its magic number, pickled.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# Where training scripts put the weights beside an optimizer's state and the like, by preference.
_STATE_KEYS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "module",
    "online_network_state_dict", "encoder", "backbone", "student", "weights", "params",
)  # fmt: skip
_WAY_OUT = "save model.state_dict() alone by torch.save"


class Weights(NamedTuple):
    """state: tensors by name, in the file's order. notes: what was left out, a line each."""

    state: dict[str, np.ndarray]
    notes: tuple[str, ...]


class _Kind(NamedTuple):
    """A storage type: the code of its elements, and whether they are bfloat16's bits."""

    code: str
    brain: bool = False


class _Storage(NamedTuple):
    """A storage's elements, in the file's byte order."""

    elements: np.ndarray
    brain: bool


_KINDS = {
    "DoubleStorage": _Kind("f8"),
    "FloatStorage": _Kind("f4"),
    "HalfStorage": _Kind("f2"),
    "BFloat16Storage": _Kind("u2", brain=True),
    "LongStorage": _Kind("i8"),
    "IntStorage": _Kind("i4"),
    "ShortStorage": _Kind("i2"),
    "CharStorage": _Kind("i1"),
    "ByteStorage": _Kind("u1"),
    "BoolStorage": _Kind("?"),
}
# What torch 2 writes for types without a storage of their own: bytes, and the type at the tensor.
_UNTYPED = _Kind("u1")
_DTYPES = {
    "float64": "f8", "float32": "f4", "float16": "f2", "int64": "i8", "int32": "i4", "int16": "i2",
    "int8": "i1", "uint8": "u1", "bool": "?", "uint16": "u2", "uint32": "u4", "uint64": "u8",
}  # fmt: skip


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """`read_weights(path).state`."""
    return read_weights(path).state


def read_weights(path: str | os.PathLike) -> Weights:
    """The tensors of a state_dict that torch.save wrote, or of a file of safetensors.

    The file holds the state_dict itself, or a dictionary with it under one of `_STATE_KEYS`, or as
    its only dictionary of tensors. The prefix "module." (of DataParallel) is dropped where all
    names have it. Types stay; bfloat16, unknown to NumPy, becomes float32 without loss.

    Raises:
      InputError: no such file; the format of torch before 1.6; a pickle that names anything but
        tensors; a damaged file; no state_dict in it, or several.
    """
    path = user_path(path, "weights")
    name = str(path)
    try:
        with open(path, "rb") as stream:
            start = stream.read(len(_LEGACY))
            stream.seek(0)
            if looks_like_safetensors(start):
                loaded = read_safetensors(stream.read())
            else:
                _refuse_other_formats(stream, name)
                with zipfile.ZipFile(stream) as archive:
                    loaded = _load(archive, name)
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"weights must be a readable file, found {name}: {error.strerror or error}; "
            "check the path"
        ) from error
    except Exception as error:  # a damaged zip or pickle may raise anything
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{name}: not a readable file of tensors ({type(error).__name__}: {reason}); damaged, "
            f"get it again or {_WAY_OUT}"
        ) from error
    return _named_tensors(loaded, name)


def _refuse_other_formats(stream: IO[bytes], name: str) -> None:
    start = stream.read(len(_LEGACY))
    if start == _LEGACY:
        raise InputError(
            f"{name}: weights must be in the zip format of torch 1.6 and later, found the older "
            "one; load it in torch and save it again by torch.save"
        )
    if not zipfile.is_zipfile(stream):
        raise InputError(
            f"{name}: weights must be a zip as torch.save writes it, or safetensors, found another "
            f"kind of file; {_WAY_OUT}"
        )
    stream.seek(0)


def _load(archive: zipfile.ZipFile, name: str) -> Any:
    """What the archive's pickle describes."""
    pickles = [member for member in archive.namelist() if member.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise InputError(
            f"{name}: weights must be a zip with one data.pkl, found {len(pickles)}; {_WAY_OUT}"
        )
    folder = pickles[0].removesuffix("data.pkl")
    big = folder + "byteorder" in archive.namelist() and (
        archive.read(folder + "byteorder").strip() == b"big"
    )
    with archive.open(pickles[0]) as stream:
        return _Unpickler(stream, name, archive, folder + "data/", ">" if big else "<").load()


class _Unpickler(pickle.Unpickler):
    """Resolves only the names in its own table, and storages in its own archive."""

    def __init__(
        self, stream: IO[bytes], name: str, archive: zipfile.ZipFile, folder: str, order: str
    ):
        super().__init__(stream)
        self._name, self._archive, self._folder, self._order = name, archive, folder, order
        self._blobs: dict[str, bytes] = {}
        self._admitted: dict[tuple[str, str], Callable | type | _Kind] = {
            ("torch", storage): kind for storage, kind in _KINDS.items()
        }
        for module in ("torch", "torch.storage"):
            self._admitted[module, "UntypedStorage"] = _UNTYPED
        for dtype, code in _DTYPES.items():
            self._admitted["torch", dtype] = _Kind(code)
        self._admitted["torch", "bfloat16"] = _Kind("u2", brain=True)
        self._admitted["torch", "Size"] = tuple
        self._admitted["torch", "device"] = _device
        for plain in ("OrderedDict", "Counter"):
            self._admitted["collections", plain] = _Ordered
        self._admitted["torch._utils", "_rebuild_tensor_v2"] = _tensor
        self._admitted["torch._utils", "_rebuild_tensor_v3"] = _tensor_of_type
        self._admitted["torch._utils", "_rebuild_parameter"] = _parameter
        self._admitted["torch._utils", "_rebuild_parameter_with_state"] = _parameter

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._admitted:
            raise InputError(
                f"{self._name}: weights may hold tensors of plain numbers only, "
                f"found the global {f'{module}.{name}'!r}; {_WAY_OUT}"
            )
        return self._admitted[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        """The storage of ("storage", type, key, device, number of elements)."""
        tag, kind, key, _device, count = pid
        if tag != "storage" or not isinstance(kind, _Kind) or not isinstance(key, str):
            raise ValueError("a reference that is no storage")
        dtype = np.dtype(self._order + kind.code)
        if key not in self._blobs:
            member = self._archive.getinfo(self._folder + key)
            # Stored, not compressed: no file grows while it is read.
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError("a compressed storage")
            self._blobs[key] = self._archive.read(member)
        elements = np.frombuffer(self._blobs[key], dtype)
        if len(elements) != count:
            raise ValueError(f"a storage of {len(elements)} elements, not {count}")
        return _Storage(elements, kind.brain)


class _Ordered(dict):
    """Stands in for OrderedDict."""

    def __setstate__(self, _state: Any) -> None:
        """Versions of the modules (`_metadata`), which nothing here reads."""


def _tensor(
    storage: Any, offset: Any, size: Any, stride: Any, _requires_grad: Any, _hooks: Any, *_: Any
) -> np.ndarray:
    """torch's `_rebuild_tensor_v2`: a copy of the elements at `offset` + index · `stride`."""
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError(f"a tensor of size {size}, strides {stride}, offset {offset}")
    elements = storage.elements
    # Outside the storage lies foreign memory; a stride of 0 would make much of little.
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count = math.prod(size)
    if count and (last >= len(elements) or count > len(elements)):
        raise ValueError(f"a tensor of size {size} outside its {len(elements)} elements")
    if not count:
        flat = np.zeros(size, elements.dtype)
    else:
        steps = [step * elements.itemsize for step in stride]
        flat = np.lib.stride_tricks.as_strided(elements[offset:], size, steps)
    if storage.brain:  # the upper half of a float32
        return np.asarray(flat.astype(np.uint32) << 16).view(np.float32)
    return flat.astype(elements.dtype.newbyteorder("="))


def _tensor_of_type(
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, kind: Any, *_: Any
) -> np.ndarray:
    """torch's `_rebuild_tensor_v3`: the storage's bytes are elements of this type."""
    if not isinstance(storage, _Storage) or not isinstance(kind, _Kind):
        raise ValueError("a tensor without a storage or type")
    elements = storage.elements
    dtype = np.dtype(elements.dtype.byteorder.replace("|", "=") + kind.code)
    typed = _Storage(np.frombuffer(elements.tobytes(), dtype), kind.brain)
    return _tensor(typed, offset, size, stride, grad, hooks)


def _parameter(data: Any, *_: Any) -> Any:
    """torch's `_rebuild_parameter`: the tensor in it."""
    return data


def _device(*words: Any) -> str:
    return ":".join(map(str, words))


def _named_tensors(loaded: Any, name: str) -> Weights:
    """The state_dict in what was loaded."""
    if not isinstance(loaded, dict) or not loaded:
        raise InputError(
            f"{name}: weights must be a dictionary of tensors, found "
            f"{'an empty one' if isinstance(loaded, dict) else type(loaded).__name__}; {_WAY_OUT}"
        )
    state, place = _inner(loaded, name)
    notes = []
    if place:
        others = [str(key) for key in loaded if str(key) != place[0]]
        notes.append(f"read the weights under {'.'.join(place)!r}"
                     f"{f', not {some(others)}' if others else ''}")  # fmt: skip
    odd = next((key for key in state if not isinstance(key, str)), None)
    others = [key for key, value in state.items() if not isinstance(value, np.ndarray)]
    if odd is not None or len(others) == len(state):
        key = odd if odd is not None else others[0]
        raise InputError(
            f"{name}: every entry of a state_dict must be a tensor, found "
            f"{type(state[key]).__name__} at {key!r}; {_WAY_OUT}, or put it under 'state_dict'"
        )
    if others:
        notes.append(f"left out what is no tensor: {some(others)}")
        state = {key: value for key, value in state.items() if key not in others}
    wrapped = all(key.startswith("module.") for key in state)
    state = {key.removeprefix("module.") if wrapped else key: state[key] for key in state}
    return Weights(state, tuple(notes))


def _inner(loaded: dict, name: str) -> tuple[dict, tuple[str, ...]]:
    """The dictionary of tensors in a checkpoint, and the keys that lead there."""
    inside = {key: value for key, value in loaded.items() if isinstance(value, dict) and value}
    known = next((key for key in _STATE_KEYS if key in inside), None)
    if known is None and not any(isinstance(value, np.ndarray) for value in loaded.values()):
        of_tensors = [
            key
            for key, value in inside.items()
            if all(isinstance(tensor, np.ndarray) for tensor in value.values())
        ]
        if len(of_tensors) > 1:
            raise InputError(
                f"{name}: weights must be one dictionary of tensors, found several: "
                f"{some([str(key) for key in of_tensors])}; {_WAY_OUT}"
            )
        known = of_tensors[0] if of_tensors else None
    if known is None:
        return loaded, ()
    state, place = _inner(inside[known], name)
    return state, (str(known), *place)
