"""Colour operations against loops over pixels, and jitter's orders, values and rates."""

import colorsys
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from mmix_jax.augment import colours

STRENGTHS = (0.4, 0.4, 0.4, 0.1)
RED, GREEN, BLUE, CYAN = (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)

# References: an image is a float64 array [H, W, 3]


def naive_luma(pixel) -> float:
    return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]


def each_pixel(image, change) -> np.ndarray:
    out = np.zeros(image.shape)
    for row, column in np.ndindex(image.shape[:2]):
        changed = change(image[row, column])
        out[row, column] = [min(max(value, 0.0), 1.0) for value in changed]
    return out


def naive_brightness(image, factor):
    return each_pixel(image, lambda pixel: [factor * value for value in pixel])


def naive_contrast(image, factor):
    height, width, _ = image.shape
    total = sum(naive_luma(image[index]) for index in np.ndindex(height, width))
    mean = total / (height * width)
    return each_pixel(image, lambda pixel: [factor * v + (1 - factor) * mean for v in pixel])


def naive_saturation(image, factor):
    return each_pixel(
        image, lambda pixel: [factor * v + (1 - factor) * naive_luma(pixel) for v in pixel]
    )


def naive_hue(image, shift):
    def turn(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        return colorsys.hsv_to_rgb((hue + shift) % 1.0, saturation, value)

    return each_pixel(image, turn)


OPERATIONS = {
    "brightness": (colours.adjust_brightness, naive_brightness),
    "contrast": (colours.adjust_contrast, naive_contrast),
    "saturation": (colours.adjust_saturation, naive_saturation),
    "hue": (colours.adjust_hue, naive_hue),
}


def some_image(height=5, width=4, seed=0) -> np.ndarray:
    """Random pixels, with black, white, a grey, and colours whose channels tie."""
    image = np.random.default_rng(seed).random((height, width, 3))
    image[0, :3] = [(0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5)]
    image[1, :3] = [(0.7, 0.7, 0.2), (0.2, 0.7, 0.7), (0.7, 0.2, 0.7)]
    return image


def to_planes(image) -> colours.Planes:
    return tuple(jnp.asarray(image[..., c], jnp.float32) for c in range(image.shape[-1]))


def to_image(planes) -> np.ndarray:
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("strength", [-0.5, -0.1, 0.0, 0.1, 0.4])
def test_operations_are_their_definitions(name, strength):
    operation, naive = OPERATIONS[name]
    value = colours.NEUTRAL[name] + strength
    image = some_image()
    found = to_image(operation(to_planes(image), jnp.float32(value)))
    np.testing.assert_allclose(found, naive(image, value), atol=2e-6)


@pytest.mark.parametrize("name", OPERATIONS)
def test_neutral_values_change_nothing_at_all(name):
    planes = to_planes(some_image())
    found = OPERATIONS[name][0](planes, jnp.float32(colours.NEUTRAL[name]))
    np.testing.assert_array_equal(to_image(found), to_image(planes))


@pytest.mark.parametrize(
    ("colour", "shift", "expected"),
    [
        (RED, 1 / 3, GREEN),
        (RED, -1 / 3, BLUE),
        (RED, 1 / 2, CYAN),
        (RED, 1 / 6, (1, 1, 0)),
        (GREEN, 1 / 3, BLUE),
        (BLUE, 1 / 3, RED),
        ((0.6, 0.2, 0.2), -1 / 2, (0.2, 0.6, 0.6)),
        ((0.4, 0.4, 0.4), 1 / 3, (0.4, 0.4, 0.4)),
    ],
)
def test_hue_at_known_angles(colour, shift, expected):
    turned = colours.adjust_hue(to_planes(np.full((1, 1, 3), colour)), jnp.float32(shift))
    np.testing.assert_allclose(to_image(turned)[0, 0], expected, atol=2e-6)


def test_one_plane_has_brightness_and_contrast_only():
    plane = some_image()[..., :1]
    for name in ("saturation", "hue"):
        found = OPERATIONS[name][0](to_planes(plane), jnp.float32(0.3))
        np.testing.assert_array_equal(to_image(found), plane.astype(np.float32))
    bright = colours.adjust_brightness(to_planes(plane), jnp.float32(1.4))
    np.testing.assert_allclose(to_image(bright), np.minimum(1.4 * plane, 1), atol=1e-6)
    flat = colours.adjust_contrast(to_planes(plane), jnp.float32(0.0))
    np.testing.assert_allclose(to_image(flat), np.full(plane.shape, plane.mean()), atol=1e-6)


@pytest.mark.parametrize("size", range(5))
def test_the_program_holds_every_order_once(size):
    for names in itertools.combinations(colours.OPERATIONS, size):
        program, used = colours.jitter_program(names)
        assert len(program) == 2**size - 1
        orders = {tuple(name for name, on in zip(program, row, strict=True) if on) for row in used}
        assert len(used) == math.factorial(size)
        assert orders == set(itertools.permutations(names))


def test_the_costly_operations_stand_there_once_and_twice():
    program, _ = colours.jitter_program(colours.OPERATIONS)
    assert [program.count(name) for name in ("contrast", "hue")] == [1, 2]


def test_jitter_is_the_operations_in_each_order():
    program, used = colours.jitter_program(colours.OPERATIONS)
    image = some_image()
    value = {"brightness": 1.3, "contrast": 0.7, "saturation": 1.4, "hue": -0.1}
    neutral = np.array([colours.NEUTRAL[name] for name in program])
    values = np.where(used, [value[name] for name in program], neutral).astype(np.float32)
    # The older emitters compute a channel anew before it is compared with the largest of the three.
    jitter = jax.jit(
        jax.vmap(lambda v: colours.apply_jitter(to_planes(image), v, STRENGTHS)),
        compiler_options={"xla_cpu_use_fusion_emitters": True},
    )
    found = to_image(jitter(values))
    for row, result in zip(used, found, strict=True):
        expected = image
        for name in (name for name, on in zip(program, row, strict=True) if on):
            expected = OPERATIONS[name][1](expected, value[name])
        np.testing.assert_allclose(result, expected, atol=1e-5)


def draw(count, strengths=STRENGTHS, probability=1.0) -> np.ndarray:
    keys = jax.random.split(jax.random.key(3), count)
    draws = jax.jit(jax.vmap(lambda key: colours.draw_jitter(key, strengths, probability)))
    return np.asarray(draws(keys))


def test_draws_use_all_orders_equally():
    program, used = colours.jitter_program(colours.OPERATIONS)
    on = draw(4800) != [colours.NEUTRAL[name] for name in program]
    codes = on @ 2 ** np.arange(len(program))
    known = used @ 2 ** np.arange(len(program))
    counts = np.array([(codes == code).sum() for code in known])
    assert counts.sum() == 4800  # nothing but the 24 orders
    assert counts.min() > 0
    assert stats.chisquare(counts).pvalue > 1e-3


def test_draws_are_uniform_around_the_neutral_value():
    program, _ = colours.jitter_program(colours.OPERATIONS)
    values = draw(4800)
    for name, strength in zip(colours.OPERATIONS, STRENGTHS, strict=True):
        columns = [slot for slot, other in enumerate(program) if other == name]
        shifts = values[:, columns] - np.float32(colours.NEUTRAL[name])
        drawn = shifts[shifts != 0]
        assert len(drawn) == 4800
        uniform = stats.uniform(-strength, 2 * strength)
        assert stats.kstest(drawn, uniform.cdf).pvalue > 1e-3


def test_strong_jitter_never_darkens_below_black():
    values = draw(500, (1.5, 0.0, 0.0, 0.0))
    assert values.shape == (500, 1)
    assert 0.0 <= values.min() < 0.1 and 2.4 < values.max() <= 2.5


def test_draws_apply_at_the_rate():
    program, _ = colours.jitter_program(colours.OPERATIONS)
    changed = (draw(4800, probability=0.8) != [colours.NEUTRAL[n] for n in program]).any(axis=1)
    assert abs(changed.mean() - 0.8) < 4 * math.sqrt(0.8 * 0.2 / 4800)
