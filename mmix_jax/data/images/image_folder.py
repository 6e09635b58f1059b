"""Your own images: a folder or an archive with a sub-folder per class, or without classes.

Archives are read in place. What is decoded and resized is kept in the cache folder, under a key of
what is in the source, so that the next start reads one array.
"""

import hashlib
import io
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from mmix_jax.data.store.cache import cached_array
from mmix_jax.data.store.checksums import sha256_of
from mmix_jax.data.store.containers import ARCHIVES, open_container
from mmix_jax.data.store.files import reading
from mmix_jax.data.types import ImageDataset, make_image_dataset
from mmix_jax.errors import InputError

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
FORMATS = ("PNG", "JPEG", "WEBP")
PARTS = ("train", "test")

_log = logging.getLogger(__name__)


class Layout(NamedTuple):
    """Which image belongs where.

    rows: indices of each part's images, int64, by part; `"train"` is always there.
    labels: their classes, by part; empty without classes.
    classes: names, sorted; () without.
    """

    rows: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    classes: tuple[str, ...]


def read_image_folder(path: str | os.PathLike, *, size: int = 32) -> ImageDataset:
    """Images of your own as RGB of one size, in the order of their names.

    A class is a sub-folder, its number its place in sorted order; `train/` and `test/` may
    stand above the classes (without them all images are for training), and folders that all
    images share, like an archive's own, above those. Images without class folders have no labels.
    Read are files that end in `ENDINGS`; hidden ones, and those in hidden folders, are left out.

    An image is turned upright as its camera says, resized once so that its shorter side fits, and
    its middle is cut out. What is transparent becomes white.

    Args:
      path: of the folder, or of an archive that ends in one of `containers.ARCHIVES`.
      size: height and width.

    Raises:
      InputError: there is no image, one is damaged, or the folders do not fit each other.
    """
    source = Path(path).expanduser()
    if not isinstance(size, int) or size < 1:
        raise InputError(f"size of images must be 1 or more, found {size!r}; 32 is usual")
    settings: dict[str, object] = {"source": _fingerprint(source)}
    names = cached_array("images", settings, [], lambda: np.array(list_images(source))).tolist()
    if source.is_dir():
        _refuse_one_class(source, names)
    with reading(source):
        layout = arrange(names)
    pixels = cached_array(
        "images",
        settings | {"size": size, "pillow": _pillow_version()},
        [],
        lambda: _decode_all(source, names, size),
    )
    images = {part: pixels[rows] for part, rows in layout.rows.items()}
    ids = {part: np.array(names)[rows] for part, rows in layout.rows.items()}
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


def list_images(source: Path) -> list[str]:
    """Names of all images in a folder or an archive, sorted folder by folder.

    Raises:
      InputError: there is none, or the source cannot be read.
    """
    with open_container(source) as container:
        names = [name for name in container.members if _is_image(name)]
    if not names:
        raise InputError(
            f"{source}: must hold images ({', '.join(ENDINGS)}), found none; check the path"
        )
    return sorted(names, key=lambda name: PurePosixPath(name).parts)


def arrange(names: Sequence[str]) -> Layout:
    """Parts and classes as the folders in the names tell them; see `read_image_folder`.

    Raises:
      InputError: images lie at different depths, a part lacks a class, or there is no training
        part.
    """
    paths = _below_shared([PurePosixPath(name).parts for name in names])
    parted = all(len(path) > 1 and path[0].lower() in PARTS for path in paths)
    part_of = np.array([path[0].lower() if parted else "train" for path in paths])
    paths = [path[parted:] for path in paths]
    if "train" not in part_of:
        raise InputError("images to train on must be in train/, found test/ only; rename it")
    depth = len(paths[0])
    odd = next((name for name, p in zip(names, paths, strict=True) if len(p) != depth), None)
    if odd or depth > 2:
        raise InputError(
            "images must lie in one folder per class, or all in none, found "
            f"{names[0]}{f' and {odd}' if odd else ''}; move them (above the classes there may be "
            f"{' and '.join(PARTS)} only)"
        )
    rows = {part: np.flatnonzero(part_of == part) for part in PARTS if part in part_of}
    if depth == 1:
        return Layout(rows, {}, ())
    classes, codes = np.unique([path[0] for path in paths], return_inverse=True)
    if classes.size == 1:
        raise InputError(
            f"images must be of two classes or more, found class {str(classes[0])!r} only; move "
            "them out of its folder to train without classes"
        )
    labels = {part: codes[index] for part, index in rows.items()}
    for part, values in labels.items():
        missing = np.setdiff1d(np.arange(classes.size), values)
        if missing.size:
            raise InputError(
                f"train and test must have the same classes, found no image of "
                f"{str(classes[missing[0]])!r} in {part}; add some, or leave the class out of both"
            )
    return Layout(rows, labels, tuple(classes.tolist()))


def decode_image(content: bytes, where: str, size: int) -> np.ndarray:
    """An image file's content as uint8 [size, size, 3]; one of this very size is only decoded.

    Raises:
      InputError: it is no PNG, JPEG or WebP file, or damaged.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            rgb = _to_rgb(ImageOps.exif_transpose(image))
            fitted = ImageOps.fit(rgb, (size, size), method=Image.Resampling.BICUBIC)
            return np.asarray(fitted)
    except Exception as error:  # what a damaged file makes Pillow raise is not documented
        known = not isinstance(error, UnidentifiedImageError) and str(error)
        reason = str(error).splitlines()[0] if known else type(error).__name__
        raise InputError(
            f"{where}: must be a PNG, JPEG or WebP image, found otherwise ({reason}); replace it "
            "or leave it out"
        ) from error


def _to_rgb(image):
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits: Pillow would cut off what exceeds 255
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _decode_all(source: Path, names: Sequence[str], size: int) -> np.ndarray:
    """All images [N, size, size, 3], in the order of their names."""
    _log.info("decoding %d images of %s", len(names), source)
    row = {name: index for index, name in enumerate(names)}
    pixels = np.empty((len(names), size, size, 3), np.uint8)
    with open_container(source) as container:
        for name, content in container.read(row):
            pixels[row[name]] = decode_image(content, f"{name} in {source}", size)
    return pixels


def _is_image(name: str) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return name.lower().endswith(ENDINGS) and not hidden


def _refuse_one_class(source: Path, names: Sequence[str]) -> None:
    """Raise InputError where a folder holds one folder of images: is it a class, or all there is?

    An archive's own folder is no question.
    """
    folders = {path.parts[0] for path in map(PurePosixPath, names) if len(path.parts) == 2}
    if len(folders) == 1 and all(name.count("/") == 1 for name in names):
        (name,) = folders
        if name.lower() not in PARTS:
            raise InputError(
                f"images must be of two classes or more, found class {name!r} only in {source}; "
                f"to train without classes give the path {source / name}"
            )


def _below_shared(paths: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The paths without the leading folders that all share, down to a part's."""
    while all(len(path) > 1 for path in paths):
        first = {path[0] for path in paths}
        if len(first) > 1 or first.pop().lower() in PARTS:
            break
        paths = [path[1:] for path in paths]
    return paths


def _fingerprint(source: Path) -> str:
    """A digest that changes with the images: of an archive's bytes, or of a folder's times."""
    if source.is_file():
        return sha256_of(source)
    with open_container(source) as container:
        states = [(name, path.stat()) for name, path in container.members.items()]
    listed = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    return hashlib.sha256(json.dumps([str(source.resolve()), listed]).encode()).hexdigest()


def _pillow_version() -> str:
    import PIL

    return PIL.__version__


def _name(source: Path) -> str:
    name = source.resolve().name
    ending = next((end for end in ARCHIVES if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)] if source.is_file() else name
