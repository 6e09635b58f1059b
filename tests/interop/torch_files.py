"""Files as torch.save writes them, made without torch, and with whatever content a test needs."""

import collections
import io
import operator
import pickle
import zipfile

import numpy as np

# Python's own names stand where torch's are put afterwards.
NAMES = {
    b"c_operator\nadd\n": b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"c__builtin__\nfloat\n": b"ctorch\nFloatStorage\n",
    b"c__builtin__\ncomplex\n": b"ctorch\nHalfStorage\n",
    b"c__builtin__\nbool\n": b"ctorch\nBFloat16Storage\n",
    b"c__builtin__\nlong\n": b"ctorch\nLongStorage\n",
    b"c__builtin__\nbytearray\n": b"ctorch.storage\nUntypedStorage\n",
    b"c_operator\nsub\n": b"ctorch._utils\n_rebuild_parameter\n",
    b"c_operator\nmul\n": b"ctorch._utils\n_rebuild_tensor_v3\n",
}
FLOAT, HALF, BRAIN, LONG, UNTYPED = float, complex, bool, int, bytearray
# What further storages and types of elements are called, by Python's own names in their place.
OTHERS = {"Double": set, "Int": list, "Short": dict, "Char": tuple, "Byte": frozenset, "Bool": str}
NAMES |= {
    f"c__builtin__\n{'unicode' if own is str else own.__name__}\n".encode(): (
        f"ctorch\n{name}Storage\n".encode()
    )
    for name, own in OTHERS.items()
}


class Storage:
    """A reference to blob `key` of `count` elements."""

    def __init__(self, kind, key: str, count: int):
        self.pid = ("storage", kind, key, "cpu", count)


class Calls:
    """Pickles into a call of any function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Storage) else None


def tensor(storage, size, stride, offset=0) -> Calls:
    hooks = collections.OrderedDict()
    return Calls(operator.add, storage, offset, size, stride, False, hooks)


def tensor_of_type(storage, size, stride, kind, offset=0) -> Calls:
    hooks = collections.OrderedDict()
    return Calls(operator.mul, storage, offset, size, stride, False, hooks, kind)


def parameter(data) -> Calls:
    return Calls(operator.sub, data, True, collections.OrderedDict())


def save(path, content, blobs=None, *, byteorder="little", compression=zipfile.ZIP_STORED):
    """The zip that torch.save would write."""
    stream = io.BytesIO()
    _Pickler(stream, protocol=2).dump(content)
    pickled = stream.getvalue()
    for own, name in NAMES.items():
        pickled = pickled.replace(own, name)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("model/data.pkl", pickled)
        archive.writestr("model/byteorder", byteorder)
        for key, blob in (blobs or {}).items():
            archive.writestr(f"model/data/{key}", blob)
    return path


def save_state(path, state: dict[str, np.ndarray], *, under: str = ""):
    """A state_dict of float32 tensors, in a checkpoint under a key if one is given."""
    content, blobs = collections.OrderedDict(), {}
    for number, (name, array) in enumerate(state.items()):
        array = np.ascontiguousarray(array, "<f4")
        stride = tuple(step // 4 for step in array.strides)
        storage = Storage(FLOAT, str(number), array.size)
        content[name] = tensor(storage, array.shape, stride)
        blobs[str(number)] = array.tobytes()
    return save(path, {"epoch": 3, under: content} if under else content, blobs)
