"""Your own images: a folder or an archive with a sub-folder per class, or without classes.

Archives are read in place. What is decoded and resized is kept in the cache folder, under a key of
what is in the source, so that the next start reads one array. What is skipped is told.
"""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from mmix_jax.data.images.folder_layout import Layout, arrange, part_of
from mmix_jax.data.images.folder_listing import (
    Listing,
    barren_folders,
    count,
    list_images,
    names_in,
    told_kinds,
)
from mmix_jax.data.images.image_files import OTHER_IMAGES, decode_image
from mmix_jax.data.store.cache import cached_array
from mmix_jax.data.store.checksums import sha256_of
from mmix_jax.data.store.containers import ARCHIVES, open_container
from mmix_jax.data.store.files import reading
from mmix_jax.data.types import ImageDataset, make_image_dataset
from mmix_jax.errors import InputError
from mmix_jax.surroundings import user_path

_LABEL_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".xml", ".txt", ".mat", ".parquet", ".xlsx")
_NO_LABELS = ("readme", "license", "licence", "copying", "notice", "changelog", "requirements")

_log = logging.getLogger(__name__)


def read_image_folder(path: str | os.PathLike, *, size: int = 32) -> ImageDataset:
    """Images of your own as RGB of one size, in the order of their names.

    A class is a sub-folder, its number its place in sorted order (of numbers where all names are);
    `train/`, `test/` and `val/` may stand above the classes (without them all images are for
    training; `val/` is the test part where there is no other), and folders that all images share,
    like an archive's own, above those. Images without class folders have no labels. Read are files
    that end in `image_files.ENDINGS`; hidden ones, and those in hidden folders, are left out. A
    line in the log says what was found and what was skipped.

    An image is turned upright as its camera says, resized once so that its shorter side fits, and
    its middle is cut out. What is transparent becomes white; of several frames the first is taken.

    Args:
      path: of the folder, or of an archive that ends in one of `containers.ARCHIVES`.
      size: height and width.

    Raises:
      InputError: there is no image, some are damaged, a class is empty, or the folders do not fit
        each other.

    Example:
      >>> import os
      >>> import pathlib
      >>> import tempfile
      >>> from PIL import Image
      >>> from mmix_jax.data import read_image_folder
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     os.environ["XDG_CACHE_HOME"] = folder  # resized images stay there
      ...     for name in ("cat", "dog"):
      ...         path = pathlib.Path(folder) / "pets" / name / "1.png"
      ...         path.parent.mkdir(parents=True)
      ...         Image.new("RGB", (40, 30)).save(path)
      ...     read_image_folder(pathlib.Path(folder) / "pets").classes
      ('cat', 'dog')
    """
    source = user_path(path, "data_path")
    if not isinstance(size, int) or size < 1:
        raise InputError(f"size of images must be 1 or more, found {size!r}; 32 is usual")
    state = _fingerprint(source)
    # Names of folders end in a slash. In a compressed archive listing takes as long as reading.
    listed = cached_array(
        "images", {"source": state, "listing": 2}, [], lambda: np.array(names_in(source), np.str_)
    )
    found = list_images(source, listed.tolist())
    layout = _arranged(source, found)
    names = found.images
    settings = {"source": state, "size": size, "pillow": _pillow_version(), "decoder": 2}
    chosen = np.array(names)  # which files are images may change with the program
    pixels = cached_array("images", settings, [chosen], lambda: _decode_all(source, names, size))
    digests = cached_array("images", settings | {"digests": 1}, [chosen], lambda: _digests(pixels))
    _tell(source, found, layout, digests)
    images = {part: pixels[rows] for part, rows in layout.rows.items()}
    ids = {part: chosen[rows] for part, rows in layout.rows.items()}
    return make_image_dataset(
        _name(source),
        images["train"],
        layout.labels.get("train"),
        images.get("test"),
        layout.labels.get("test"),
        classes=layout.classes,
        train_ids=ids["train"],
        test_ids=ids.get("test"),
    )


def _arranged(source: Path, found: Listing) -> Layout:
    """The layout of what was found; a folder that holds no image is told with what it holds."""
    barren = barren_folders(found)
    with reading(source):
        layout = arrange(found.images, barren=barren)
    if source.is_dir() and not layout.classes:
        _refuse_one_class(source, found.images)
    return layout


def _refuse_one_class(source: Path, names: Sequence[str]) -> None:
    """Raise InputError where a folder holds one folder of images: is it a class, or all there is?

    An archive's own folder is no question.
    """
    folders = {PurePosixPath(name).parent for name in names}
    if len(folders) == 1 and (folder := folders.pop()).parts and part_of(folder.name) is None:
        raise InputError(
            f"images must be of two classes or more, found class {folder.name!r} only in {source}; "
            f"to train without classes give the path {source / folder}"
        )


def _tell(source: Path, found: Listing, layout: Layout, digests: np.ndarray) -> None:
    """Log what was found, what was skipped, and what may not be as it was meant."""
    classes = "no classes"
    if layout.classes:
        shown = ", ".join(layout.classes[:6]) + (", …" if len(layout.classes) > 6 else "")
        classes = f"{len(layout.classes)} classes in this order ({shown})"
    parts = " and ".join(f"{len(rows)} in {part}" for part, rows in layout.rows.items())
    skipped = f"; skipped {told_kinds(found.skipped.values())}" if found.skipped else ""
    _log.info("%s: %d images (%s), %s%s", source, len(found.images), parts, classes, skipped)
    warnings = list(layout.warnings)
    kinds = found.skipped.values()
    if unread := [kind for kind in kinds if kind in OTHER_IMAGES]:
        warnings.append(
            f"images of these kinds are not read: {told_kinds(unread)}; convert them to PNG"
        )
    if lost := [name for name, kind in found.skipped.items() if "link" in kind]:
        told = f"{lost[0]} is {found.skipped[lost[0]]}"
        warnings.append(f"{told}; {count(len(lost), 'link is', 'links are')} left out")
    if not layout.classes and (tables := [n for n in found.skipped if _may_hold_labels(n)]):
        warnings.append(
            f"{tables[0]} is not read, and the images have no labels: these come from folders, one "
            "per class"
        )
    warnings += _repeats(layout, digests)
    for warning in warnings:
        _log.warning("warning: %s: %s", source, warning)


def _may_hold_labels(name: str) -> bool:
    path = PurePosixPath(name.lower())
    return path.suffix in _LABEL_ENDINGS and not path.stem.startswith(_NO_LABELS)


def _repeats(layout: Layout, digests: np.ndarray) -> list[str]:
    """What there is to say of images that are the same, pixel for pixel."""
    rows = np.concatenate(list(layout.rows.values()))
    seen, counts = np.unique(digests[rows], return_counts=True)
    repeats = seen[counts > 1]
    if not repeats.size:
        return []
    copies = int(counts[counts > 1].sum()) - len(repeats)
    told = count(copies, "image is a copy of another", "images are copies of others")
    if "test" in layout.rows:
        both = np.isin(digests[layout.rows["test"]], digests[layout.rows["train"]]).sum()
        told += (
            f", {count(both, 'test image stands', 'test images stand')} in train, too"
            if both
            else ""
        )
    if layout.classes:
        labels = np.concatenate([layout.labels[part] for part in layout.rows])
        pairs = np.unique(np.stack([digests[rows], labels.astype(np.uint64)]), axis=1)
        several = (np.unique(pairs[0], return_counts=True)[1] > 1).sum()
        told += f", {count(several, 'is', 'are')} in several classes" if several else ""
    return [f"{told}; scores may be better or worse than they should"]


def _decode_all(source: Path, names: Sequence[str], size: int) -> np.ndarray:
    """All images [N, size, size, 3], in the order of their names.

    Raises:
      InputError: some cannot be decoded; all are counted.
    """
    _log.info("decoding %d images of %s", len(names), source)
    row = {name: index for index, name in enumerate(names)}
    pixels = np.empty((len(names), size, size, 3), np.uint8)
    damaged: list[InputError] = []
    several: list[str] = []
    with open_container(source) as container:
        for name, content in container.read(row):
            try:
                image = decode_image(content, f"{name} in {source}", size)
            except InputError as error:
                damaged.append(error)
                continue
            pixels[row[name]] = image.pixels
            several += [name] * (image.frames > 1)
    if damaged:
        others = count(len(damaged) - 1, "more image", "more images")
        more = f" (and so for {others})" if len(damaged) > 1 else ""
        raise InputError(f"{damaged[0]}{more}") from damaged[0]
    if several:
        _log.info(
            "%s: of %s with several frames or pages, like %s, the first is taken",
            source,
            count(len(several), "file", "files"),
            several[0],
        )
    return pixels


def _digests(pixels: np.ndarray) -> np.ndarray:
    """A number for each image that tells it from others, uint64 [N]."""
    digests = (hashlib.blake2b(image, digest_size=8).digest() for image in pixels)
    return np.frombuffer(b"".join(digests), np.uint64)


def _fingerprint(source: Path) -> str:
    """A digest that changes with the images: of an archive's bytes, or of a folder's times."""
    if source.is_file():
        return sha256_of(source)
    with open_container(source) as container:
        states = [(name, path.stat()) for name, path in container.members.items()]
        others = [container.folders, sorted(container.left_out.items())]
    listed = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    return hashlib.sha256(json.dumps([str(source.resolve()), listed, others]).encode()).hexdigest()


def _pillow_version() -> str:
    import PIL

    return PIL.__version__


def _name(source: Path) -> str:
    name = source.resolve().name
    ending = next((end for end in ARCHIVES if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)] if source.is_file() else name
