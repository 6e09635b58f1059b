"""Colour operations on one image, and colour jitter that applies them in a random order.

An image is a tuple of planes, one [H, W] float32 array in [0, 1] per channel: (r, g, b) or one. On
planes every operation is elementwise at one index, so a compiler can fuse a chain of them; slices
of a channel axis would make it compute the chain anew for each channel at each step.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

Planes = tuple[jax.Array, ...]

# Order of the strengths in the settings, and the value that leaves an image as it is.
OPERATIONS = ("brightness", "contrast", "saturation", "hue")
NEUTRAL = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}
_BY_COST = ("brightness", "saturation", "hue", "contrast")
_LUMA = (0.299, 0.587, 0.114)


def luma(planes: Planes) -> jax.Array:
    """0.299 r + 0.587 g + 0.114 b [H, W], at most 1; one plane is its own luma."""
    if len(planes) == 1:
        return planes[0]
    weighted = [weight * plane for weight, plane in zip(_LUMA, planes, strict=True)]
    return jnp.minimum(weighted[0] + weighted[1] + weighted[2], 1.0)


def _blend(planes: Planes, base: jax.Array, factor: jax.Array) -> Planes:
    return tuple(jnp.clip(factor * plane + (1.0 - factor) * base, 0.0, 1.0) for plane in planes)


def adjust_brightness(planes: Planes, factor: jax.Array) -> Planes:
    """Blend with black: f x, clamped to [0, 1]; 0 is black, 1 changes nothing, exactly."""
    return tuple(jnp.clip(factor * plane, 0.0, 1.0) for plane in planes)


def adjust_contrast(planes: Planes, factor: jax.Array) -> Planes:
    """Blend with the image's mean luma m: f x + (1 − f) m, clamped; 1 changes nothing, exactly."""
    return _blend(planes, jnp.mean(luma(planes)), factor)


def adjust_saturation(planes: Planes, factor: jax.Array) -> Planes:
    """Blend with each pixel's luma: f x + (1 − f) luma, clamped; 1 changes nothing, exactly.

    One plane stays as it is.
    """
    return planes if len(planes) == 1 else _blend(planes, luma(planes), factor)


def adjust_hue(planes: Planes, shift: jax.Array) -> Planes:
    """Turn the hue by `shift` of a full circle: red by 1/3 is green; 0 changes nothing, exactly.

    Greys have no hue and stay as they are, and so does one plane. RGB to HSV and back in one
    formula without branches: with v the largest channel, c = v − smallest and the hue H' in sixths
    of the circle, the channels are v − c · clip(min(k, 4 − k), 0, 1) for k = (n + H') mod 6 and
    n = 5, 3, 1.
    """
    if len(planes) == 1:
        return planes
    r, g, b = planes
    value = jnp.maximum(jnp.maximum(r, g), b)
    chroma = value - jnp.minimum(jnp.minimum(r, g), b)
    per_chroma = 1.0 / jnp.where(chroma > 0.0, chroma, 1.0)
    sixths = jnp.where(
        (r >= g) & (r >= b),
        (g - b) * per_chroma,
        jnp.where(g >= b, 2.0 + (b - r) * per_chroma, 4.0 + (r - g) * per_chroma),
    )
    sixths += 6.0 * shift
    turned = []
    for plane, n in zip(planes, (5.0, 3.0, 1.0), strict=True):
        k = (n + sixths) - 6.0 * jnp.floor((n + sixths) / 6.0)
        channel = value - chroma * jnp.clip(jnp.minimum(k, 4.0 - k), 0.0, 1.0)
        turned.append(jnp.where(shift == 0.0, plane, jnp.clip(channel, 0.0, 1.0)))
    return tuple(turned)


_FUNCTIONS = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}


@functools.cache
def jitter_program(operations: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """One fixed sequence of operations that holds every order, and the slots each order uses.

    The sequence is a ruler: the costliest operation once in the middle, the others the same way
    before and after it. With b, s, h, c it reads b s b h b s b · c · b s b h b s b. Every order of
    the operations is a subsequence of it; slots that an image's order leaves out get the value
    that changes nothing.

    Why: orders differ from image to image, so each image must pass code for all of them. Four
    rounds that compute all four operations and select one cost 16 evaluations, four of them hue
    and four of them contrast, whose mean over the image ends a fused kernel each time. Here the
    mean is taken once and hue twice; all else is a few multiplications per pixel, and only the
    mean stands between a compiler and one kernel for everything.

    Args:
      operations: names from `OPERATIONS` without repetition, in any order.

    Returns:
      The names of the 2^k − 1 slots, and bool [k!, 2^k − 1], one row per order.
    """
    ordered = [name for name in _BY_COST if name in operations]
    program: tuple[str, ...] = ()
    for name in ordered:
        program = (*program, name, *program)
    used = np.array([_embed(order, program) for order in itertools.permutations(ordered)], bool)
    return program, used


def _embed(order: tuple[str, ...], program: tuple[str, ...]) -> list[bool]:
    """The first slots of `program` whose names read `order`."""
    left = list(order)
    return [bool(left) and left[0] == name and bool(left.pop(0)) for name in program]


def _active(strengths: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(name for name, s in zip(OPERATIONS, strengths, strict=True) if s > 0)


def draw_jitter(
    key: jax.Array, strengths: tuple[float, ...], probability: float = 1.0
) -> jax.Array:
    """One image's value for each slot of the program [2^k − 1], k operations of strength > 0.

    With `probability`, an order uniform among k! and values uniform in [max(0, 1 − s), 1 + s], or
    in [−s, s] for hue; otherwise the values that change nothing.

    Args:
      key: PRNG key of this image's jitter.
      strengths: of brightness, contrast, saturation and hue; 0 leaves an operation out.
      probability: that the image is changed at all.
    """
    program, used = jitter_program(_active(strengths))
    named = list(zip(OPERATIONS, strengths, strict=True))
    low = np.array([-s if n == "hue" else max(0.0, 1.0 - s) for n, s in named], np.float32)
    high = np.array([s if n == "hue" else 1.0 + s for n, s in named], np.float32)
    uniform = jax.random.uniform(key, (len(named) + 2,))
    values = low + (high - low) * uniform[2:]
    drawn = jnp.stack([values[OPERATIONS.index(name)] for name in program])
    neutral = np.array([NEUTRAL[name] for name in program], np.float32)
    slots = jnp.asarray(used)[jnp.floor(uniform[0] * len(used)).astype(jnp.int32)]
    return jnp.where(slots & (uniform[1] < probability), drawn, neutral)


def apply_jitter(planes: Planes, values: jax.Array, strengths: tuple[float, ...]) -> Planes:
    """The program with the values of `draw_jitter` for the same strengths, on one image."""
    program, _ = jitter_program(_active(strengths))
    for slot, name in enumerate(program):
        planes = _FUNCTIONS[name](planes, values[slot])
    return planes
