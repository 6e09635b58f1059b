"""One image file as RGB pixels of one size, whatever its kind."""

import io
import warnings
from typing import NamedTuple

import numpy as np

from mmix_jax.errors import InputError

# Endings of what is read; a file's content, not its ending, says which of `FORMATS` it is.
ENDINGS = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff",
    ".gif", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM")
KINDS = "PNG, JPEG, WebP, BMP, TIFF, GIF or PPM"
# Endings of images that are not read.
OTHER_IMAGES = (
    ".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".tga", ".ico", ".psd", ".eps", ".exr",
    ".hdr", ".dng", ".raw", ".cr2", ".nef", ".arw", ".dcm", ".npy", ".nii", ".pcx", ".xcf", ".pfm",
)  # fmt: skip


class Decoded(NamedTuple):
    """pixels: uint8 [size, size, 3]. frames: how many the file has; the first is taken."""

    pixels: np.ndarray
    frames: int


def decode_image(content: bytes, where: str, size: int) -> Decoded:
    """An image file's content; an image of this very size is only decoded.

    Of 16 bits the upper 8 are kept. Floating-point numbers lie in [0, 1] or [0, 255], and 32-bit
    integers in [0, 65535].

    Raises:
      InputError: it is none of `FORMATS`, damaged, too large, or its numbers lie elsewhere.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd metadata, in two lines each
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                # Photographs of phones have a second, small picture in them.
                frames = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
                image.seek(0)  # counting may have moved on
                rgb = _to_rgb(ImageOps.exif_transpose(image))
                fitted = ImageOps.fit(rgb, (size, size), method=Image.Resampling.BICUBIC)
                return Decoded(np.asarray(fitted), frames)
    except Exception as error:  # what a damaged file makes Pillow raise is not documented
        known = not isinstance(error, UnidentifiedImageError) and str(error)
        reason = str(error).splitlines()[0] if known else type(error).__name__
        reason = "an empty file" if not content else reason
        raise InputError(
            f"{where}: must be a {KINDS} image, found otherwise ({reason}); replace it or leave it "
            "out"
        ) from error


def _to_rgb(image):
    from PIL import Image

    if image.mode.startswith("I"):  # Pillow would cut off what exceeds 255
        image = Image.fromarray(_upper_bits(np.asarray(image)))
    elif image.mode == "F":  # and what exceeds 255 or lies below 1
        image = Image.fromarray(_from_floats(np.asarray(image)))
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _upper_bits(values: np.ndarray) -> np.ndarray:
    """Integers of 16 bits, or of 32 where only 16 are used."""
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"integers must lie in 0 … 65535, found {values.min()} … {values.max()}")
    return (values // 257).astype(np.uint8)


def _from_floats(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= 255:  # NaN does not compare
        raise ValueError(f"floating-point numbers must lie in [0, 1] or [0, 255], found {low:g} "
                         f"… {high:g}")  # fmt: skip
    return np.round(values * 255 if high <= 1 else values).astype(np.uint8)
