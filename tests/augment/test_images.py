"""Views of images: crops against loops over pixels, distributions, rates, and one key per image."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from mmix_jax.augment import CIFAR, DIGITS, ImageAugmentation, augment, normalise_images
from mmix_jax.augment.images import Box, crop_and_resize, random_box

pytestmark = pytest.mark.slow

OFF = ImageAugmentation(crop_scale=None, flip=0.0, jitter=0.0, grayscale=0.0)
# All that is random, and little to compile.
SIMPLE = CIFAR._replace(jitter_strengths=(0.4, 0.0, 0.0, 0.0))
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
compiled = jax.jit(augment, static_argnums=(2, 3))


def some_images(count, height=6, width=5, channels=3, seed=0) -> np.ndarray:
    shape = (count, height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


# Crops


def naive_crop(image, top, left, height, width) -> np.ndarray:
    """The box alone, stretched: its own edge pixels go on beyond its edge."""
    box = np.asarray(image, np.float64)[top : top + height, left : left + width] / 255
    out = np.zeros(image.shape)
    for row, column in np.ndindex(image.shape[:2]):
        y = (row + 0.5) * height / image.shape[0] - 0.5
        x = (column + 0.5) * width / image.shape[1] - 0.5
        for i in (math.floor(y), math.floor(y) + 1):
            for j in (math.floor(x), math.floor(x) + 1):
                pixel = box[min(max(i, 0), height - 1), min(max(j, 0), width - 1)]
                out[row, column] += (1 - abs(y - i)) * (1 - abs(x - j)) * pixel
    return out


def crop(image, box, flip=False) -> np.ndarray:
    found = crop_and_resize(
        jnp.asarray(image), Box(*(jnp.int32(v) for v in box)), jnp.asarray(flip)
    )
    return np.moveaxis(np.asarray(found), 1, -1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "box", [(0, 0, 8, 6), (0, 0, 3, 2), (5, 4, 3, 2), (2, 1, 5, 4), (7, 5, 1, 1), (0, 3, 8, 3)]
)
def test_a_crop_is_the_box_stretched_bilinearly(box, channels):
    image = some_images(1, 8, 6, channels)[0]
    expected = naive_crop(image, *box)
    np.testing.assert_allclose(crop(image, box), expected, atol=1e-6)
    np.testing.assert_allclose(crop(image, box, flip=True), expected[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (7, 13)])
def test_the_whole_image_is_its_own_crop_exactly(size):
    image = some_images(1, *size)[0]
    expected = np.asarray(normalise_images(image[None], OFF))[0]
    np.testing.assert_array_equal(crop(image, (0, 0, *size)), expected)
    np.testing.assert_array_equal(crop(image, (0, 0, *size), flip=True), expected[:, ::-1])


# Boxes


def simulated_box(rng, size, scale, ratio):
    """RandomResizedCrop as torchvision writes it: up to ten tries, then the central box."""
    height, width = size
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return rng.integers(0, height - h + 1), rng.integers(0, width - w + 1), h, w
    w, h = width, height
    if width / height < ratio[0]:
        h = round(w / ratio[0])
    elif width / height > ratio[1]:
        w = round(h * ratio[1])
    return (height - h) // 2, (width - w) // 2, h, w


def boxes(count, size, settings=CIFAR) -> np.ndarray:
    """[count, 4]: top, left, height, width."""
    keys = jax.random.split(jax.random.key(7), count)
    draws = jax.jit(jax.vmap(lambda key: random_box(key, size[0], size[1], settings)))(keys)
    return np.stack(draws, axis=1)


@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_boxes_are_distributed_as_torchvision_draws_them(size):
    found = boxes(4000, size)
    rng = np.random.default_rng(0)
    expected = np.array(
        [simulated_box(rng, size, CIFAR.crop_scale, CIFAR.crop_ratio) for _ in range(4000)]
    )
    areas, ratios = (
        [function(sample[:, 2], sample[:, 3]) for sample in (found, expected)]
        for function in (lambda h, w: h * w, lambda h, w: np.log(w / h))
    )
    corners = [(found[:, side], expected[:, side]) for side in (0, 1)]
    for first, second in (areas, ratios, *corners):
        assert stats.kstest(first, second).pvalue > 1e-3


@pytest.mark.parametrize("size", [(32, 32), (5, 40)])
def test_boxes_lie_in_the_image_and_reach_its_edges(size):
    top, left, height, width = boxes(2000, size).T
    assert (height > 0).all() and (width > 0).all()
    assert top.min() == 0 and left.min() == 0
    assert (top + height).max() == size[0]
    assert (left + width).max() == size[1]


@pytest.mark.parametrize(("size", "box"), [((4, 40), (0, 17, 4, 5)), ((40, 4), (17, 0, 5, 4))])
def test_where_no_candidate_fits_the_central_box_is_taken(size, box):
    whole = CIFAR._replace(crop_scale=(1.0, 1.0))
    assert simulated_box(np.random.default_rng(0), size, (1.0, 1.0), CIFAR.crop_ratio) == box
    assert {tuple(row) for row in boxes(20, size, whole).tolist()} == {box}


def test_ratios_that_leave_out_the_square_crop_a_square():
    narrow = CIFAR._replace(crop_scale=(1.0, 1.0), crop_ratio=(0.9, 0.95))
    assert {tuple(row) for row in boxes(20, (32, 32), narrow).tolist()} == {(0, 1, 32, 30)}


def test_without_a_scale_the_box_is_the_whole_image():
    whole = CIFAR._replace(crop_scale=None)
    assert {tuple(row) for row in boxes(20, (30, 31), whole).tolist()} == {(0, 0, 30, 31)}


# The whole pipeline


def test_with_everything_off_a_view_is_the_normalised_image():
    images = some_images(3)
    settings = OFF._replace(mean=MEAN, std=STD)
    expected = (images / 255.0 - MEAN) / STD
    np.testing.assert_allclose(normalise_images(images, settings), expected, atol=1e-5)
    views = compiled(jax.random.key(0), images, settings)
    np.testing.assert_allclose(views, normalise_images(images, settings), atol=1e-6)


def test_values_lie_in_0_1_before_normalisation():
    images = some_images(8)
    views = np.stack([compiled(jax.random.key(seed), images, CIFAR) for seed in range(8)])
    assert views.shape == (8, 8, 6, 5, 3)
    assert views.min() == 0.0 and views.max() == 1.0


def test_normalisation_is_the_last_step():
    images = some_images(8)
    plain = compiled(jax.random.key(1), images, SIMPLE)
    found = compiled(jax.random.key(1), images, SIMPLE._replace(mean=MEAN, std=STD))
    np.testing.assert_allclose(found, (np.asarray(plain) - MEAN) / STD, atol=1e-5)


def test_flips_happen_at_their_rate():
    images = np.zeros((3000, 1, 2, 1), np.uint8)
    images[:, :, 1] = 255
    views = np.asarray(compiled(jax.random.key(2), images, OFF._replace(flip=0.5)))
    assert set(np.unique(views)) == {0.0, 1.0}
    assert abs(views[:, 0, 0, 0].mean() - 0.5) < 4 * math.sqrt(0.25 / 3000)


def test_jitter_happens_at_its_rate():
    images = np.full((3000, 1, 1, 3), 100, np.uint8)
    settings = OFF._replace(jitter=0.8, jitter_strengths=(0.4, 0.0, 0.0, 0.0))
    views = np.asarray(compiled(jax.random.key(3), images, settings))
    changed = (abs(views - normalise_images(images, OFF)) > 1e-6).any(axis=(1, 2, 3))
    assert abs(changed.mean() - 0.8) < 4 * math.sqrt(0.8 * 0.2 / 3000)


def test_grayscale_happens_at_its_rate_and_is_the_luma():
    images = np.tile(np.array([200, 100, 50], np.uint8), (3000, 1, 1, 1))
    views = np.asarray(compiled(jax.random.key(4), images, OFF._replace(grayscale=0.2)))[:, 0, 0]
    gray = views[:, 0] == views[:, 1]
    level = (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255
    np.testing.assert_allclose(views[gray], np.full((gray.sum(), 3), level), atol=1e-6)
    plain = normalise_images(images, OFF)[~gray, 0, 0]
    np.testing.assert_allclose(views[~gray], plain, atol=1e-6)
    assert abs(gray.mean() - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 3000)


def test_what_happens_to_an_image_is_drawn_apart():
    """Flip, jitter and grayscale are independent of each other."""
    images = np.zeros((3000, 1, 2, 3), np.uint8)
    images[:, :, 1] = (200, 100, 50)
    settings = OFF._replace(
        flip=0.5, jitter=0.5, jitter_strengths=(0.4, 0.0, 0.0, 0.0), grayscale=0.5
    )
    views = np.asarray(compiled(jax.random.key(5), images, settings))[:, 0]
    flipped = views[:, 0, 0] > 0
    pixel = np.where(flipped[:, None], views[:, 0], views[:, 1])
    gray = pixel[:, 0] == pixel[:, 2]
    luma = np.where(gray, pixel[:, 0], pixel @ (0.299, 0.587, 0.114))
    jittered = abs(luma - (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255) > 1e-5
    correlation = np.corrcoef([flipped, gray, jittered])
    assert abs(correlation - np.eye(3)).max() < 4 / math.sqrt(3000)


@pytest.mark.parametrize("settings", [CIFAR, DIGITS])
def test_one_channel(settings):
    images = some_images(16, 8, 8, channels=1)
    settings = settings._replace(mean=(0.5,), std=(0.25,))
    views = np.asarray(compiled(jax.random.key(0), images, settings))
    assert views.shape == (16, 8, 8, 1)
    assert views.min() >= -2.0 and views.max() <= 2.0
    assert len(np.unique(views)) > 500


def test_digits_are_never_mirrored():
    images = np.zeros((200, 1, 2, 1), np.uint8)
    images[:, :, 1] = 255
    views = np.asarray(compiled(jax.random.key(2), images, DIGITS._replace(crop_scale=None)))
    assert (views[:, 0, 0] < views[:, 0, 1]).all()


# One key per image


def test_a_view_does_not_depend_on_the_other_images():
    images = some_images(8)
    others = some_images(8, seed=1)
    others[3] = images[3]
    key = jax.random.key(0)
    views, mixed = compiled(key, images, CIFAR), compiled(key, others, CIFAR)
    np.testing.assert_array_equal(views[3], mixed[3])


def test_equal_images_get_different_views_by_place_and_by_key():
    images = np.repeat(some_images(1), 8, axis=0)
    views = np.asarray(compiled(jax.random.key(0), images, CIFAR))
    other = np.asarray(compiled(jax.random.key(1), images, CIFAR))
    pairs = [(views[0], views[1]), (views[1], views[2]), (views[0], other[0])]
    assert all(abs(a - b).max() > 0.05 for a, b in pairs)


def test_parts_of_a_batch_that_know_their_place_give_the_whole():
    images = some_images(8)
    key = jax.random.key(0)
    halves = [compiled(key, images[start : start + 4], CIFAR, first=start) for start in (0, 4)]
    np.testing.assert_allclose(np.concatenate(halves), compiled(key, images, CIFAR), atol=1e-5)


def test_compiled_mapped_and_plain_calls_agree():
    images = some_images(8)
    keys = jax.random.split(jax.random.key(0), 2)
    views = jax.jit(jax.vmap(lambda key: augment(key, images, SIMPLE)))(keys)
    for key, view in zip(keys, views, strict=True):
        np.testing.assert_allclose(view, compiled(key, images, SIMPLE), atol=1e-5)
    crops = SIMPLE._replace(jitter=0.0, grayscale=0.0)  # compiling step by step takes long
    plain = augment(keys[0], images, crops)
    np.testing.assert_allclose(plain, compiled(keys[0], images, crops), atol=1e-5)


def test_bfloat16_is_the_float32_result_rounded():
    images = some_images(8)
    key = jax.random.key(0)
    short = compiled(key, images, SIMPLE, jnp.bfloat16)
    assert short.dtype == normalise_images(images, SIMPLE, jnp.bfloat16).dtype == jnp.bfloat16
    full = np.asarray(compiled(key, images, SIMPLE))
    np.testing.assert_allclose(np.asarray(short, np.float32), full, rtol=2**-8)


# Errors


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((2, 3, 4, 4), np.uint8),
    ],
)
def test_other_arrays_are_refused(images):
    with pytest.raises(ValueError, match=r"images must be uint8 \[B, H, W, 1 or 3\], found"):
        normalise_images(images, CIFAR)
    with pytest.raises(ValueError, match="put channels last"):
        augment(jax.random.key(0), images, CIFAR)


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.2,)), (MEAN, ()), ((), STD)])
def test_statistics_must_fit_the_channels(mean, std):
    with pytest.raises(ValueError, match="a value for each of 3 channels"):
        normalise_images(some_images(1), CIFAR._replace(mean=mean, std=std))
