"""CIFAR-10 and CIFAR-100 from their original archives, in binary or in Python form.

A file in binary form is rows of 1 + 3,072 bytes, CIFAR-100's 2 + 3,072: the label (the coarse one,
then the fine one) and the red, the green and the blue pixels, each 32 × 32 row by row. In Python
form the same rows are an array in a dictionary, pickled by Python 2.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009;
https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from mmix_jax.data.checksums import CIFAR, RemoteFile, check_sha256
from mmix_jax.data.containers import open_container
from mmix_jax.data.files import require_files, search_folders
from mmix_jax.data.statistics import check_statistics, measure_images
from mmix_jax.data.types import ImageDataset, make_image_dataset
from mmix_jax.data.unpickle import read_pickle
from mmix_jax.errors import InputError

BASE_URL = "https://www.cs.toronto.edu/~kriz/"
PLACES = ("images", "cifar", ".")
SHAPE = (3, 32, 32)
NUM_PIXELS = 3 * 32 * 32


class Form(NamedTuple):
    """One of the forms in which a set is published.

    Fields:
      archive: file name.
      folder: what it unpacks to.
      train: files of training images in it, in order.
      test: the file of test images.
      pickled: whether it is the Python form.
    """

    archive: str
    folder: str
    train: tuple[str, ...]
    test: str
    pickled: bool


class Labels(NamedTuple):
    """Where a set's labels and their names are.

    Fields:
      num_classes: labels are 0 … num_classes − 1.
      num_columns: bytes before a row's pixels, binary form.
      column: the label among them.
      key: of the labels, Python form.
      names_text: the file of the classes' names, binary form.
      names_pickle: the same, Python form.
      names_key: of the names therein.
    """

    num_classes: int
    num_columns: int
    column: int
    key: str
    names_text: str
    names_pickle: str
    names_key: str


BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
# The first is downloaded where none is found: it needs no pickle to be read.
FORMS_10 = (
    Form(
        archive="cifar-10-binary.tar.gz",
        folder="cifar-10-batches-bin",
        train=tuple(f"{batch}.bin" for batch in BATCHES),
        test="test_batch.bin",
        pickled=False,
    ),
    Form("cifar-10-python.tar.gz", "cifar-10-batches-py", BATCHES, "test_batch", pickled=True),
)
FORMS_100 = (
    Form("cifar-100-binary.tar.gz", "cifar-100-binary", ("train.bin",), "test.bin", pickled=False),
    Form("cifar-100-python.tar.gz", "cifar-100-python", ("train",), "test", pickled=True),
)
FORMS = {"cifar10": FORMS_10, "cifar100": FORMS_100, "cifar100_coarse": FORMS_100}
LABELS = {
    "cifar10": Labels(10, 1, 0, "labels", "batches.meta.txt", "batches.meta", "label_names"),
    "cifar100": Labels(
        100, 2, 1, "fine_labels", "fine_label_names.txt", "meta", "fine_label_names"
    ),
    "cifar100_coarse": Labels(
        20, 2, 0, "coarse_labels", "coarse_label_names.txt", "meta", "coarse_label_names"
    ),
}
NAMES = tuple(FORMS)


class Files(NamedTuple):
    """The files of a set in one form.

    Fields:
      source: the archive or folder they are from.
      form: theirs.
      labels: those wanted.
      contents: by file name, without folders.
    """

    source: Path
    form: Form
    labels: Labels
    contents: Mapping[str, bytes]

    def fault(self, file: str, rule: str, found: object) -> InputError:
        """The error for a file that does not keep a rule."""
        return InputError(
            f"{file} in {self.source}: must hold {rule}, found {found}; damaged or another set's "
            "file, get it again from its source"
        )


def load_cifar(
    name: str, *, data_dir: str | os.PathLike | None = None, base_url: str = BASE_URL
) -> ImageDataset:
    """50,000 training and 10,000 test images of 32 × 32, from disk or downloaded.

    Args:
      name: ``"cifar10"``, ``"cifar100"``, or ``"cifar100_coarse"``: the same images in 20 classes.
      data_dir: holds an original archive, of binary or Python form, or the folder it unpacks to,
        in ``images/``, ``cifar/`` or directly; see ``files.search_folders``.
      base_url: where the archive is downloaded from if missing.

    Raises:
      InputError: unknown name, or the set is missing, damaged or another one.
    """
    _check_name(name)
    dataset = read_cifar(find_source(name, data_dir=data_dir, base_url=base_url), name)
    check_statistics(name, measure_images(dataset))
    return dataset


def find_source(
    name: str, *, data_dir: str | os.PathLike | None = None, base_url: str = BASE_URL
) -> Path:
    """The archive, its sum checked, or unpacked folder first found; else downloaded.

    Raises:
      InputError: an archive is damaged, or there is none and it cannot be downloaded.
    """
    _check_name(name)
    files = [
        RemoteFile(f"images/{form.archive}", base_url + form.archive, *CIFAR[form.archive])
        for form in FORMS[name]
    ]
    for folder in search_folders(data_dir):
        for place in (folder / below for below in PLACES):
            for form, file in zip(FORMS[name], files, strict=True):
                if (place / form.archive).is_file():
                    check_sha256(place / form.archive, file)
                    return place / form.archive
                if (place / form.folder / form.test).is_file():
                    return place / form.folder
    return require_files(files[:1], data_dir=data_dir)[0]


def read_cifar(source: str | os.PathLike, name: str) -> ImageDataset:
    """Reads an archive or unpacked folder of either form: no sums, no statistics.

    Raises:
      InputError: a file is missing, damaged or another set's.
    """
    _check_name(name)
    files = _read_files(Path(source), name)
    train = _read_images(files, files.form.train)
    test = _read_images(files, (files.form.test,))
    return make_image_dataset(name, *train, *test, classes=_class_names(files))


def _check_name(name: str) -> None:
    if name not in NAMES:
        raise InputError(f"unknown CIFAR set {name!r}; expected one of: {', '.join(NAMES)}")


def _read_files(source: Path, name: str) -> Files:
    """The files of one form, each found by its name in whatever folder it lies."""
    labels = LABELS[name]
    with open_container(source) as container:
        places: dict[str, list[str]] = {}
        for member in container.members:
            places.setdefault(PurePosixPath(member).name, []).append(member)
        # The form that most files are of; the first if there are none, so that an error names it.
        form = max(FORMS[name], key=lambda form: len(places.keys() & {*form.train, form.test}))
        needed = (*form.train, form.test, _names_file(form, labels))
        for file in needed:
            count = len(places.get(file, ()))
            if count != 1:
                raise InputError(
                    f"{source}: {file} of {name} must be in it once, found {count} of that name; "
                    "get the set again from its source"
                )
        wanted = {places[file][0]: file for file in needed}
        contents = {wanted[member]: content for member, content in container.read(wanted)}
    return Files(source, form, labels, contents)


def _names_file(form: Form, labels: Labels) -> str:
    return labels.names_pickle if form.pickled else labels.names_text


def _class_names(files: Files) -> tuple[str, ...]:
    labels, file = files.labels, _names_file(files.form, files.labels)
    if files.form.pickled:
        names = _load_dictionary(files, file).get(labels.names_key)
    else:
        names = files.contents[file].decode("latin1").split()  # some end in empty lines
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise files.fault(file, f"a list of names {labels.names_key}", "otherwise")
    if len(names) != labels.num_classes:
        raise files.fault(file, f"{labels.num_classes} names of classes", len(names))
    return tuple(names)


def _read_images(files: Files, parts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 32, 32, 3] and labels [n] of all parts, one after the other."""
    read_part = _read_pickled if files.form.pickled else _read_binary
    rows, labels = zip(*(read_part(files, file) for file in parts), strict=True)
    for file, values in zip(parts, labels, strict=True):
        wrong = (values < 0) | (values >= files.labels.num_classes)
        if wrong.any():
            rule = f"labels 0 … {files.labels.num_classes - 1}"
            raise files.fault(file, rule, values[wrong][0])
    channels_first = np.concatenate(rows).reshape(-1, *SHAPE)
    images = np.ascontiguousarray(channels_first.transpose(0, 2, 3, 1))
    return images, np.concatenate(labels)


def _read_binary(files: Files, file: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of pixels [n, 3072] and labels [n]."""
    content, before = files.contents[file], files.labels.num_columns
    width = before + NUM_PIXELS
    if not content or len(content) % width:
        raise files.fault(file, f"rows of {width} bytes", f"{len(content)} bytes")
    rows = np.frombuffer(content, np.uint8).reshape(-1, width)
    return rows[:, before:], rows[:, files.labels.column].astype(np.int64)


def _read_pickled(files: Files, file: str) -> tuple[np.ndarray, np.ndarray]:
    """The same from a pickled dictionary."""
    batch, key = _load_dictionary(files, file), files.labels.key
    rows, labels = batch.get("data"), batch.get(key)
    if not isinstance(rows, np.ndarray):
        raise files.fault(file, "an array 'data'", type(rows).__name__)
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != NUM_PIXELS or not rows.size:
        rule = f"'data' as uint8 [n, {NUM_PIXELS}]"
        raise files.fault(file, rule, f"{rows.dtype} {list(rows.shape)}")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise files.fault(file, f"a list of integers {key!r}", "otherwise")
    if len(labels) != len(rows):
        raise files.fault(file, f"a label for each of {len(rows)} images", len(labels))
    return rows, np.array(labels)


def _load_dictionary(files: Files, file: str) -> dict[str, Any]:
    loaded = read_pickle(io.BytesIO(files.contents[file]), f"{file} in {files.source}")
    if not isinstance(loaded, dict):
        raise files.fault(file, "a dictionary", type(loaded).__name__)
    return loaded
