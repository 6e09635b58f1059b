"""Weights saved by torch.save, read without torch and without running their code.

The file is a zip of a pickle, which lays out the tensors, and a raw blob for each storage. The
pickle may name `OrderedDict`, four storage types and the function that makes a tensor of a
storage; any other name ends the reading. Strides and offsets are checked before they are used.
"""

import math
import os
import pickle
import zipfile
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import numpy as np

from mmix_jax.errors import InputError

# How torch before 1.6 began every file: its magic number, pickled.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# Where training scripts put the weights beside an optimizer's state and the like.
_STATE_KEYS = ("state_dict", "model")
_WAY_OUT = "save model.state_dict() alone by torch.save"


class _Kind(NamedTuple):
    """A storage type: the code of its elements, and whether they are bfloat16's bits."""

    code: str
    brain: bool = False


class _Storage(NamedTuple):
    """A storage's elements, in the file's byte order."""

    elements: np.ndarray
    brain: bool


_KINDS = {
    "FloatStorage": _Kind("f4"),
    "HalfStorage": _Kind("f2"),
    "BFloat16Storage": _Kind("u2", brain=True),
    "LongStorage": _Kind("i8"),
}


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The tensors of a state_dict that torch.save wrote, by name, in their order.

    The file holds the state_dict itself, or a dictionary with it under "state_dict" or "model".
    The prefix "module." (of DataParallel) is dropped where all names have it. float16 and int64
    stay; bfloat16, unknown to NumPy, becomes float32 without loss.

    Raises:
      InputError: no such file; the format of torch before 1.6; a pickle that names anything but
        tensors; a damaged file; no state_dict in it.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as stream:
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
            f"{name}: weights must be a zip as torch.save writes it, found another kind of file; "
            f"{_WAY_OUT}"
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
        self._admitted["collections", "OrderedDict"] = _Ordered
        self._admitted["torch._utils", "_rebuild_tensor_v2"] = _tensor

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._admitted:
            raise InputError(
                f"{self._name}: weights may hold tensors of float32, float16, bfloat16 and int64 "
                f"only, found the global {f'{module}.{name}'!r}; {_WAY_OUT}"
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


def _named_tensors(loaded: Any, name: str) -> dict[str, np.ndarray]:
    """The state_dict in what was loaded."""
    if isinstance(loaded, dict):
        inner = [loaded[key] for key in _STATE_KEYS if isinstance(loaded.get(key), dict)]
        loaded = inner[0] if inner else loaded
    if not isinstance(loaded, dict) or not loaded:
        raise InputError(
            f"{name}: weights must be a dictionary of tensors, found "
            f"{'an empty one' if isinstance(loaded, dict) else type(loaded).__name__}; {_WAY_OUT}"
        )
    for key, value in loaded.items():
        if not isinstance(key, str) or not isinstance(value, np.ndarray):
            raise InputError(
                f"{name}: every entry of a state_dict must be a tensor, found "
                f"{type(value).__name__} at {key!r}; {_WAY_OUT}, or put it under 'state_dict'"
            )
    wrapped = all(key.startswith("module.") for key in loaded)
    return {key.removeprefix("module.") if wrapped else key: loaded[key] for key in loaded}
