"""Writes small sets in CIFAR's published forms, as Python 2 and cuda-convnet wrote them."""

import functools
import io
import pathlib
import pickle
import struct
import tarfile
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import numpy as np

SIZES = {"cifar10": (20, 10), "cifar100": (200, 100)}  # in all training files, and in the test file
FOLDERS = {
    ("cifar10", "binary"): "cifar-10-batches-bin",
    ("cifar10", "python"): "cifar-10-batches-py",
    ("cifar100", "binary"): "cifar-100-binary",
    ("cifar100", "python"): "cifar-100-python",
}
ARCHIVES = {(name, form): f"cifar-{name[5:]}-{form}.tar.gz" for name, form in FOLDERS}


class Part(NamedTuple):
    """Images of a part with labels of both kinds, what a reader must find again."""

    images: np.ndarray
    labels: np.ndarray
    coarse: np.ndarray

    def cut(self, start: int, stop: int) -> "Part":
        return Part(*(values[start:stop] for values in self))

    def rows(self) -> list[list[int]]:
        """Pixels as the files have them, by a plain loop over channel, row and column."""
        return [
            [int(image[y, x, c]) for c in range(3) for y in range(32) for x in range(32)]
            for image in self.images
        ]


@functools.cache
def parts(name: str) -> tuple[Part, Part]:
    """Training and test images."""
    train, test = SIZES[name]
    return _part(name, train, seed=0), _part(name, test, seed=1)


def _part(name: str, number: int, *, seed: int) -> Part:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (number, 32, 32, 3), dtype=np.uint8)
    labels = rng.permutation(np.arange(number) % int(name[5:]))
    return Part(images, labels, labels // 5)


def class_names(name: str) -> list[str]:
    return [f"class_{number}" for number in range(int(name[5:]))]


COARSE_NAMES = [f"group_{number}" for number in range(20)]


@functools.cache
def files(name: str, form: str) -> dict[str, bytes]:
    """Contents of all files of a set, by name."""
    train, test = parts(name)
    ten = name == "cifar10"
    if ten:
        split = {f"data_batch_{i + 1}": train.cut(4 * i, 4 * i + 4) for i in range(5)}
        split["test_batch"] = test
    else:
        split = {"train": train, "test": test}
    if form == "binary":
        found = {f"{file}.bin": binary(part, ten) for file, part in split.items()}
        names = {"batches.meta.txt" if ten else "fine_label_names.txt": class_names(name)}
        if not ten:
            names["coarse_label_names.txt"] = COARSE_NAMES
        return found | {f: ("\n".join(lines) + "\n\n").encode() for f, lines in names.items()}
    found = {file: pickled(batch(part, ten)) for file, part in split.items()}
    if ten:
        meta = {"num_cases_per_batch": 4, "label_names": class_names(name), "num_vis": 3072}
        return found | {"batches.meta": pickled(meta)}
    meta = {"fine_label_names": class_names(name), "coarse_label_names": COARSE_NAMES}
    return found | {"meta": pickled(meta)}


def binary(part: Part, ten: bool) -> bytes:
    heads = np.stack([part.labels] if ten else [part.coarse, part.labels], axis=1)
    rows = zip(heads.tolist(), part.rows(), strict=True)
    return b"".join(bytes([*head, *row]) for head, row in rows)


def batch(part: Part, ten: bool) -> dict[str, object]:
    """What a file in Python form holds."""
    found: dict[str, object] = {"data": np.array(part.rows(), np.uint8), "batch_label": "batch 1"}
    if ten:
        return found | {"labels": part.labels.tolist()}
    return found | {"coarse_labels": part.coarse.tolist(), "fine_labels": part.labels.tolist()}


class _Python2Pickler(pickle._Pickler):
    """Writes strings and bytes as Python 2 did, which had one kind."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def _save_string(self, value):
        content = value if isinstance(value, bytes) else value.encode("latin1")
        short = len(content) < 256
        head = b"U" + bytes([len(content)]) if short else b"T" + struct.pack("<i", len(content))
        self.write(head + content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = _save_string


def pickled(value: object) -> bytes:
    """Protocol 2 with the names of Python 2's NumPy."""
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol=2).dump(value)
    return stream.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def write_folder(
    place: pathlib.Path,
    name: str,
    form: str,
    changes: Mapping[str, bytes | None] = MappingProxyType({}),
) -> pathlib.Path:
    """The unpacked set in a folder; a change to None leaves a file out."""
    folder = place / FOLDERS[name, form]
    folder.mkdir(parents=True)
    for file, content in (files(name, form) | dict(changes)).items():
        if content is not None:
            (folder / file).write_bytes(content)
    return folder


def write_archive(place: pathlib.Path, name: str, form: str) -> pathlib.Path:
    """The set's archive in a folder, its folder's entry included."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / ARCHIVES[name, form]
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        entry = tarfile.TarInfo(FOLDERS[name, form])
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
        for file, content in (files(name, form) | {"readme.html": b"<p>"}).items():
            member = tarfile.TarInfo(f"{FOLDERS[name, form]}/{file}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
