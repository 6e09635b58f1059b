"""Images in whatever form people have them, as an `ImageDataset`."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from mmix_jax.data.images.image_folder import read_image_folder
from mmix_jax.data.libraries import array_of
from mmix_jax.data.types import ImageDataset, make_image_dataset


def image_dataset(images: Any, *, size: int = 32, name: str = "images") -> ImageDataset:
    """A set of images, from any form; those of arrays have no labels.

    Args:
      images: uint8 [N, H, W, C] or, in grey, [N, H, W], of any library; a list of such arrays or of
        PIL images, of one size; an `ImageDataset`, which stays as it is; or the path of a folder or
        an archive, see `image_folder.read_image_folder`.
      size: height and width of images that are read from a path.
      name: of the data set.

    Raises:
      ValueError: they are no such images.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.data import image_dataset
      >>> image_dataset(np.zeros((5, 8, 8), np.uint8)).train.shape
      (5, 8, 8, 1)
    """
    if isinstance(images, ImageDataset):
        return images
    if isinstance(images, (str, os.PathLike)):
        return read_image_folder(images, size=size)
    return make_image_dataset(name, _pixels(images))


def _pixels(images: Any) -> np.ndarray:
    """uint8 [N, H, W, C]."""
    if hasattr(images, "convert") or (hasattr(images, "shape") and np.ndim(images) == 2):
        raise ValueError("images must be many, found one; put it in a list: [image]")
    if isinstance(images, (list, tuple)):
        many = [array_of(_in_colours(image), "images") for image in images]
        shapes = {image.shape for image in many}
        if len(shapes) != 1:
            raise ValueError(
                f"images must have one size, found {len(shapes)} "
                f"({', '.join(map(str, sorted(shapes)[:3]))}); resize them, or name their folder"
            )
        pixels = np.stack(many)
    else:
        pixels = array_of(images, "images")
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.dtype.kind in "iub" and pixels.dtype != np.uint8 and pixels.size:
        low, high = int(pixels.min()), int(pixels.max())
        if pixels.dtype.kind != "b" and low >= 0 and 1 < high <= 255:
            return pixels.astype(np.uint8)  # whole numbers of the same meaning
    if pixels.dtype != np.uint8:
        raise ValueError(
            f"images must be uint8, 0 to 255, found {pixels.dtype} from "
            f"{_end(pixels, np.min)} to {_end(pixels, np.max)}; convert them: "
            "(255 * x).round().astype('uint8') where 1 is white"
        )
    if pixels.ndim == 4 and pixels.shape[3] not in (1, 3) and pixels.shape[1] in (1, 3):
        raise ValueError(
            f"images must have their channels last, [N, H, W, C], found {pixels.shape}; use "
            "x.transpose(0, 2, 3, 1)"
        )
    return pixels


def _in_colours(image: Any) -> Any:
    """A PIL image in grey or RGB, whatever its mode; anything else as it is."""
    if not hasattr(image, "convert") or getattr(image, "mode", "L") in ("L", "RGB"):
        return image
    return image.convert("RGB")


def _end(pixels: np.ndarray, of: Callable) -> str:
    return f"{of(pixels):.4g}" if pixels.size and pixels.dtype.kind in "iufb" else "?"
