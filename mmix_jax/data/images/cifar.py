"""CIFAR-10 and CIFAR-100 from their original archives, or as tensorflow-datasets prepared them.

A file in binary form is rows of 1 + 3,072 bytes, CIFAR-100's 2 + 3,072: the label (the coarse one,
then the fine one) and the red, the green and the blue pixels, each 32 × 32 row by row. In Python
form the same rows are an array in a dictionary, pickled by Python 2. For prepared ones see
`prepared_images`.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009;
https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from mmix_jax.data.images.cifar_source import (
    BASE_URL,
    FORMS,
    Form,
    check_name,
    find_original,
    find_source,
    search_places,
)
from mmix_jax.data.images.prepared_images import find_prepared, read_prepared, write_prepared
from mmix_jax.data.statistics import check_statistics, image_statistics
from mmix_jax.data.store.containers import open_container
from mmix_jax.data.store.unpickle import read_pickle
from mmix_jax.data.types import ImageDataset, make_image_dataset
from mmix_jax.errors import InputError
from mmix_jax.surroundings import user_path

SHAPE = (3, 32, 32)
NUM_PIXELS = 3 * 32 * 32


class Labels(NamedTuple):
    """Where a set's labels and their names are.

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


LABELS = {
    "cifar10": Labels(10, 1, 0, "labels", "batches.meta.txt", "batches.meta", "label_names"),
    "cifar100": Labels(
        100, 2, 1, "fine_labels", "fine_label_names.txt", "meta", "fine_label_names"
    ),
    "cifar100_coarse": Labels(
        20, 2, 0, "coarse_labels", "coarse_label_names.txt", "meta", "coarse_label_names"
    ),
}


class Files(NamedTuple):
    """The files of a set in one form.

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
    name: str, *, data_dir: str | os.PathLike | None = None, base_url: str | None = None
) -> ImageDataset:
    """50,000 training and 10,000 test images of 32 × 32, from disk or downloaded.

    Args:
      name: `"cifar10"`, `"cifar100"`, or `"cifar100_coarse"`: the same images in 20 classes.
      data_dir: holds an original archive, of binary or Python form, the folder it unpacks to, or
        `cifar10/<version>/` as tensorflow-datasets prepares it in array_record format, in
        `images/`, `cifar/` or directly; see `files.search_folders`. Originals come first.
      base_url: where the archive is downloaded from if missing, in either form; by default
        `$MMIX_CIFAR_URL`, or else the source and then its mirror.

    Raises:
      InputError: unknown name, or the set is missing, damaged or another one.
    """
    source = find_original(name, data_dir)
    set_name, coarse, _ = name.partition("_coarse")
    prepared = None if source else find_prepared(set_name, search_places(data_dir))
    if prepared:
        dataset = read_prepared(prepared, name, label="coarse_label" if coarse else "label")
    else:
        source = source or find_source(name, data_dir=data_dir, base_url=base_url)
        dataset = read_cifar(source, name)
    check_statistics(name, image_statistics(dataset))
    return dataset


def prepare_cifar(
    name: str,
    folder: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    base_url: str | None = None,
) -> Path:
    """Prepare a set as `folder/name/version`, which tensorflow-datasets reads; returns that.

    Args:
      name: `"cifar10"`, or `"cifar100"` with the labels of both kinds.
      folder: created where missing.
      data_dir: where the original is found, as in `load_cifar`.
      base_url: where it is downloaded from, the same.

    Raises:
      InputError: as `load_cifar`, or the folder cannot be written.
    """
    source = find_source(name, data_dir=data_dir, base_url=base_url)
    name = name.removesuffix("_coarse")
    names = {"label": name} | ({"coarse_label": "cifar100_coarse"} if name == "cifar100" else {})
    labelled = {kind: read_cifar(source, of) for kind, of in names.items()}
    for dataset in labelled.values():
        check_statistics(dataset.name, image_statistics(dataset))
    homepage = f"{BASE_URL}cifar.html"
    return write_prepared(labelled, name, user_path(folder, "folder"), homepage=homepage)


def read_cifar(source: str | os.PathLike, name: str) -> ImageDataset:
    """Read an archive or unpacked folder of either form: no sums, no statistics.

    Raises:
      InputError: a file is missing, damaged or another set's.
    """
    check_name(name)
    files = _read_files(user_path(source, "source"), name)
    train = _read_images(files, files.form.train)
    test = _read_images(files, (files.form.test,))
    return make_image_dataset(name, *train, *test, classes=_class_names(files))


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
