"""Sets of images as tensorflow-datasets prepares them: shards of records in `<name>/<version>/`.

Ours are written and read in its array_record format, the one that needs no TensorFlow, with the
fields of its own builders: `image` (PNG), `label`, `id` and more labels. Theirs, prepared
in that format, are read the same way.
"""

import contextlib
import io
import json
import logging
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmix_jax.data.types import ImageDataset, make_image_dataset
from mmix_jax.errors import InputError

FORMAT = "array_record"
WRITTEN_VERSION = "1.0.0"  # below those of tensorflow-datasets' own builders, 3.0.2
PARTS = ("train", "test")

_log = logging.getLogger(__name__)


def find_prepared(name: str, folders: Iterable[Path]) -> Path | None:
    """`<name>/<version>` in the first folder that has one; None if none has.

    Of several versions the newest is taken, among those in array_record format if there is one.

    Raises:
      InputError: a `dataset_info.json` is damaged.
    """
    for folder in folders:
        versions = [
            info.parent
            for info in (folder / name).glob("*/dataset_info.json")
            if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)
        ]
        if versions:
            return max(versions, key=lambda path: (FORMAT in _formats(path), _version(path)))
    return None


def read_prepared(folder: Path, name: str, *, label: str = "label") -> ImageDataset:
    """Images in the order in which they are stored, with the labels of one field.

    Args:
      folder: that of a version.
      name: the data set's, for reports.
      label: a field of kind `ClassLabel`; its names become the classes.

    Raises:
      InputError: not in array_record format, or files are missing, damaged or of other fields.
    """
    formats = _formats(folder)
    if FORMAT not in formats:
        raise InputError(
            f"{folder}: prepared images must be in {FORMAT} format, found {', '.join(formats)}, "
            "which needs TensorFlow; put the original archive beside it, or convert it where "
            f"TensorFlow is (tfds convert_format --out_file_format={FORMAT})"
        )
    import tensorflow_datasets as tfds

    _log.info("reading prepared images from %s", folder)

    try:
        builder: Any = tfds.builder_from_directory(folder)
        classes = builder.info.features[label].names
        parts = [_read_part(builder, part, label) for part in PARTS]
        return make_image_dataset(name, *parts[0], *parts[1], classes=classes)
    except Exception as error:  # tfds, array_record, protobuf and Pillow raise a dozen kinds
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"{folder}: must hold {name} as tensorflow-datasets prepares it, found otherwise "
            f"({type(error).__name__}: {reason}); delete the folder and prepare it again"
        ) from error


def write_prepared(
    labelled: Mapping[str, ImageDataset], name: str, folder: Path, *, homepage: str
) -> Path:
    """Prepare a set by a builder of tensorflow-datasets, in array_record format.

    Args:
      labelled: by field, the labels to write and the names of their classes: `"label"` and
        others, all of the same images, which keep their order.
      name: of the folder in `folder`.
      folder: created where missing; nothing is done where it holds this set already.
      homepage: where the images are from.

    Returns:
      `folder/name/version`.

    Raises:
      InputError: the folder cannot be written, or holds a damaged one.
    """
    done = folder / name / WRITTEN_VERSION
    if done.exists():
        _formats(done)  # raises where it is none
        return done
    import tensorflow_datasets as tfds

    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        builder = _make_builder(labelled, name, folder, homepage)
        # Nothing is downloaded, yet a folder is made for it. What the builder prints is no result.
        with tempfile.TemporaryDirectory() as nothing, contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare(file_format=FORMAT, download_dir=nothing)
    except OSError as error:
        raise InputError(
            f"prepared images must go to a folder that can be written, found {str(folder)!r} "
            f"({error.strerror or error}); name another"
        ) from error
    return done


def _make_builder(
    labelled: Mapping[str, ImageDataset], set_name: str, folder: Path, homepage: str
) -> Any:
    """A builder of the images given; a class in a function, as its base must be imported late."""
    import tensorflow_datasets as tfds
    from PIL import Image

    images = labelled["label"]

    # Not registered: tensorflow-datasets has builders of its own by these names.
    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = set_name
        VERSION = tfds.core.Version(WRITTEN_VERSION)

        def _info(self):
            fields = {
                "id": tfds.features.Text(),
                "image": tfds.features.Image(shape=images.train.shape[1:], encoding_format="png"),
            }
            for key, dataset in labelled.items():
                fields[key] = tfds.features.ClassLabel(names=list(dataset.classes))
            return tfds.core.DatasetInfo(
                builder=self,
                description=f"{set_name}, from its original files in their order.",
                features=tfds.features.FeaturesDict(fields),
                supervised_keys=("image", "label"),
                homepage=homepage,
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager):
            return {part: self._generate_examples(part) for part in PARTS}

        def _generate_examples(self, part):
            labels = {key: getattr(of, f"{part}_labels") for key, of in labelled.items()}
            for row, pixels in enumerate(getattr(images, part)):
                # An array would be encoded by TensorFlow.
                example = {"id": f"{part}_{row:05d}", "image": Image.fromarray(pixels)}
                yield row, example | {key: int(values[row]) for key, values in labels.items()}

    return Builder(data_dir=str(folder))


def _read_part(builder: Any, part: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, H, W, C] and labels [n]."""
    import tensorflow_datasets as tfds
    from PIL import Image

    skip = {"image": tfds.decode.SkipDecoding()}  # its own decoding asks for OpenCV
    records = builder.as_data_source(split=part, decoders=skip, file_format=FORMAT)
    images = np.empty((len(records), *builder.info.features["image"].shape), np.uint8)
    labels = np.empty(len(records), np.int64)
    for row, record in enumerate(records):
        with Image.open(io.BytesIO(record["image"]), formats=("PNG",)) as image:
            images[row] = np.asarray(image)
        labels[row] = record[label]
    return images, labels


def _formats(folder: Path) -> list[str]:
    """The formats of the records in a folder; there may be several."""
    path = folder / "dataset_info.json"
    try:
        info = json.loads(path.read_text("utf-8"))
        return [info.get("fileFormat", "tfrecord"), *info.get("alternativeFileFormats", ())]
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: must hold what tensorflow-datasets writes, found otherwise "
            f"({type(error).__name__}); delete its folder and prepare it again"
        ) from error


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in folder.name.split("."))
