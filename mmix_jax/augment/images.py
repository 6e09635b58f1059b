"""SimCLR augmentation of uint8 images in a compiled step: crop, flip, colours, normalisation."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.augment.colours import Planes, apply_jitter, draw_jitter, luma

_CANDIDATES = 10  # boxes drawn before the fallback
# A product: compilers make one of a division by 255, so that jit would change the last bit.
_PER_LEVEL = np.float32(1 / 255)


class ImageAugmentation(NamedTuple):
    """Static settings of `augment`; the defaults are SimCLR's for CIFAR. Hashable.

    Switched off by: `crop_scale=None`, or a probability or strength of 0.
    """

    # Share of the image's area that a crop covers, uniform; None: the whole image.
    crop_scale: tuple[float, float] | None = (0.08, 1.0)
    # Width over height of a crop, log-uniform.
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    # Probability of a horizontal flip.
    flip: float = 0.5
    # Probability of colour jitter.
    jitter: float = 0.8
    # Strengths of brightness, contrast, saturation (factors 1 ± s) and hue (± s of the circle).
    jitter_strengths: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    # Probability that all channels become the luma.
    grayscale: float = 0.2
    # Per channel, of the training set, in [0, 1]; both () leaves the values in [0, 1].
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


# Give them a data set's statistics: CIFAR._replace(mean=data.mean, std=data.std).
CIFAR = ImageAugmentation()
# A mirrored digit is no digit; one channel has neither saturation nor hue.
DIGITS = ImageAugmentation(flip=0.0, jitter_strengths=(0.4, 0.4, 0.0, 0.0), grayscale=0.0)


class Box(NamedTuple):
    """A crop in whole pixels: int32 scalars."""

    top: jax.Array
    left: jax.Array
    height: jax.Array
    width: jax.Array


def _check(images: jax.Array | np.ndarray, settings: ImageAugmentation) -> None:
    if images.ndim != 4 or images.dtype != jnp.uint8 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images must be uint8 [B, H, W, 1 or 3], found {images.dtype} {images.shape}; "
            "stack them and put channels last"
        )
    channels = images.shape[-1]
    if {len(settings.mean), len(settings.std)} not in ({0}, {channels}):
        raise ValueError(
            f"mean and std must have a value for each of {channels} channels, found "
            f"{settings.mean} and {settings.std}; give the data set's own, or () for neither"
        )


def _fallback_box(height: int, width: int, ratio: tuple[float, float]) -> Box:
    """The largest central box whose ratio is allowed."""
    if width / height < ratio[0]:
        size = round(width / ratio[0]), width
    elif width / height > ratio[1]:
        size = height, round(height * ratio[1])
    else:
        size = height, width
    corner = (height - size[0]) // 2, (width - size[1]) // 2
    return Box(*(jnp.int32(value) for value in (*corner, *size)))


def random_box(key: jax.Array, height: int, width: int, settings: ImageAugmentation) -> Box:
    """The box of a random resized crop, in whole pixels.

    As torchvision's RandomResizedCrop: up to ten candidates with area uniform in `crop_scale` and
    log-ratio uniform in `crop_ratio`, sides rounded; the first that fits into the image is placed
    uniformly; if none fits, the largest central box whose ratio is allowed. `crop_scale=None` is
    the whole image. Differences: all ten candidates are drawn at once, and the place once for the
    one that is taken; the distribution is the same.
    """
    if settings.crop_scale is None:
        return Box(*(jnp.int32(value) for value in (0, 0, height, width)))
    # One draw: each call of the generator is a kernel, and seconds of compiling.
    uniform = jax.random.uniform(key, (2 * _CANDIDATES + 2,))
    low, high = settings.crop_scale
    area = (low + (high - low) * uniform[:_CANDIDATES]) * (height * width)
    low, high = (math.log(ratio) for ratio in settings.crop_ratio)
    ratio = jnp.exp(low + (high - low) * uniform[_CANDIDATES:-2])
    heights = jnp.round(jnp.sqrt(area / ratio)).astype(jnp.int32)
    widths = jnp.round(jnp.sqrt(area * ratio)).astype(jnp.int32)
    fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
    first = jnp.argmax(fits)
    free = jnp.stack([height - heights[first], width - widths[first]])
    place = jnp.floor(uniform[-2:] * (free + 1)).astype(jnp.int32)
    drawn = Box(place[0], place[1], heights[first], widths[first])
    fallback = _fallback_box(height, width, settings.crop_ratio)
    return jax.tree.map(lambda a, b: jnp.where(fits.any(), a, b), drawn, fallback)


def _axis_weights(start: jax.Array, length: jax.Array, size: int) -> jax.Array:
    """Bilinear weights [size, size] that stretch `length` pixels from `start` over the axis."""
    pixels = jnp.arange(size, dtype=jnp.float32)
    # Half-pixel centres: (p + ½) length / size − ½, written so that length = size is exact.
    centres = pixels + (pixels + 0.5) * (length - size) / size
    centres = start + jnp.clip(centres, 0.0, length - 1.0)
    return jnp.maximum(1.0 - jnp.abs(centres[:, None] - pixels[None, :]), 0.0)


def crop_and_resize(image: jax.Array, box: Box, flip: jax.Array) -> jax.Array:
    """The box stretched to the whole image's size [H, C, W], float32 in [0, 1].

    Bilinear with half-pixel centres (align_corners=False); pixels outside the box have no part in
    it. A crop is never larger than the image, so nothing shrinks and no antialiasing is needed.
    The whole image as the box gives the image, exactly.

    Bilinear resampling is separable, so it is two small matrix products per image, rows and
    columns, with [H, H] and [W, W] weights that are mostly zeros. That is 2·H·W·C·(H + W) / 2
    multiply-adds, 0.2 million for 32 × 32 × 3, which a batched matrix product does in no time; a
    gather of four pixels for each output pixel would read memory at addresses that differ from
    image to image and run many times slower on a GPU, and on a TPU more so.

    Args:
      image: [H, W, C] uint8.
      box: the crop.
      flip: bool; mirrors the columns, free of cost since only the weights change.
    """
    height, width, _ = image.shape
    rows = _axis_weights(box.top, box.height, height)
    columns = _axis_weights(box.left, box.width, width)
    columns = jnp.where(flip, columns[::-1], columns)
    # Without `highest`, accelerators would round the products to bfloat16 or TF32.
    source = jnp.moveaxis(image, -1, 1).astype(jnp.float32)
    wide = jnp.einsum("hcw,pw->hcp", source, columns, precision="highest")
    out = jnp.einsum("oh,hcp->ocp", rows, wide, precision="highest")
    return jnp.clip(out * _PER_LEVEL, 0.0, 1.0)


def _standardise(x: jax.Array, settings: ImageAugmentation) -> jax.Array:
    """(x − mean) / std over the last axis; x itself where the settings have neither."""
    if not settings.mean:
        return x
    shape = (1,) * (x.ndim - 1) + (-1,)
    mean = np.array(settings.mean, np.float32).reshape(shape)
    per_std = (1.0 / np.array(settings.std)).astype(np.float32).reshape(shape)
    return (x - mean) * per_std


def _interleave(planes: Planes) -> jax.Array:
    """The planes as [H, W, C].

    Not `jnp.stack`: fused with a concatenation, the chain of operations that made the planes is
    computed anew for each plane at each step, 3ⁿ times (jax 0.10 on CPUs: seconds for a batch).
    """
    channel = np.arange(len(planes))[None, None, :]
    out = planes[0][:, :, None]
    for index, plane in enumerate(planes[1:], start=1):
        out = jnp.where(channel == index, plane[:, :, None], out)
    return out


def _augment_one(key: jax.Array, image: jax.Array, settings: ImageAugmentation) -> jax.Array:
    height, width, channels = image.shape
    crop_key, flip_key, jitter_key, gray_key = jax.random.split(key, 4)
    box = random_box(crop_key, height, width, settings)
    flip = jax.random.bernoulli(flip_key, settings.flip)
    cropped = crop_and_resize(image, box, flip)
    planes = tuple(cropped[:, channel] for channel in range(channels))
    strengths = settings.jitter_strengths
    if settings.jitter > 0 and any(strengths):
        planes = apply_jitter(
            planes, draw_jitter(jitter_key, strengths, settings.jitter), strengths
        )
    if settings.grayscale > 0 and channels > 1:
        gray = jax.random.bernoulli(gray_key, settings.grayscale)
        level = luma(planes)
        planes = tuple(jnp.where(gray, level, plane) for plane in planes)
    return _standardise(_interleave(planes), settings)


def augment(
    key: jax.Array,
    images: jax.Array | np.ndarray,
    settings: ImageAugmentation = CIFAR,
    dtype=jnp.float32,
    *,
    first: int | jax.Array = 0,
) -> jax.Array:
    """One random view of every image [B, H, W, C], normalised: SimCLR's crop, flip and colours.

    In this order: random resized crop, horizontal flip, colour jitter in random order, grayscale,
    normalisation. An image's view is a function of the key and its place in the batch alone. One
    channel has no saturation, hue or grayscale: they leave it as it is. Computed in float32.

    Differences from torchvision on 8-bit images: nothing is rounded to 8 bits between operations,
    and contrast blends with the exact mean.

    Args:
      key: PRNG key of this view; another key for the other view.
      images: [B, H, W, C] uint8, C = 1 or 3.
      settings: static, as a whole.
      dtype: of the result.
      first: place of the first image in the whole batch: on device d of several with B images
        each, d · B gives what one device gives for all of them.

    Raises:
      ValueError: images of another type or shape, or mean and std that do not fit the channels.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmix_jax.augment.images import augment
      >>> images = jnp.zeros((2, 32, 32, 3), jnp.uint8)
      >>> augment(jax.random.key(0), images).shape
      (2, 32, 32, 3)
    """
    _check(images, settings)
    places = first + jnp.arange(images.shape[0])
    keys = jax.vmap(lambda place: jax.random.fold_in(key, place))(places)
    views = jax.vmap(lambda key, image: _augment_one(key, image, settings))(keys, images)
    return views.astype(dtype)


def normalise_images(
    images: jax.Array | np.ndarray, settings: ImageAugmentation, dtype=jnp.float32
) -> jax.Array:
    """(x / 255 − mean) / std [B, H, W, C]: what evaluation sees; nothing is augmented.

    Settings without mean and std give x / 255.

    Raises:
      ValueError: images of another type or shape, or mean and std that do not fit the channels.
    """
    _check(images, settings)
    return _standardise(jnp.asarray(images, jnp.float32) * _PER_LEVEL, settings).astype(dtype)
