"""One image file of every kind as RGB of one size."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from mmix_jax.data.images import image_files
from mmix_jax.errors import InputError


def decode_image(content, where, size):
    return image_files.decode_image(content, where, size).pixels


def _file(image, kind="PNG", **options) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _pixels(seed, height=4, width=4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_middle_of_the_shorter_side_is_kept():
    wide = np.zeros((6, 18, 3), np.uint8)
    wide[:, :6, 0] = wide[:, 12:, 1] = 255
    wide[:, 6:12, 2] = 255
    for image in (wide, wide.transpose(1, 0, 2)):
        found = decode_image(_file(image), "image", 6)
        np.testing.assert_array_equal(found, np.broadcast_to([0, 0, 255], (6, 6, 3)))


def test_resizing_averages_and_enlarges():
    checks = np.zeros((64, 64, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 254
    np.testing.assert_allclose(decode_image(_file(checks), "image", 8), 127, atol=1)
    one = np.full((1, 1, 3), 77, np.uint8)
    np.testing.assert_array_equal(decode_image(_file(one), "image", 5), np.full((5, 5, 3), 77))


def test_an_image_is_resized_and_then_cropped():
    tall = _pixels(0, 50, 20)
    whole = Image.fromarray(tall).resize((8, 20), Image.Resampling.BICUBIC)
    wanted = whole.crop((0, 6, 8, 14))
    np.testing.assert_array_equal(decode_image(_file(tall), "image", 8), np.asarray(wanted))


GREY = np.arange(0, 256, 16, dtype=np.uint8).reshape(4, 4)


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (Image.fromarray(GREY), {"kind": "PNG"}),
        (Image.fromarray(GREY).convert("P"), {"kind": "PNG"}),
        (Image.fromarray(GREY).convert("RGBA"), {"kind": "PNG"}),
        (Image.fromarray(GREY).convert("LA"), {"kind": "PNG"}),
        (Image.fromarray(GREY.astype(np.uint16) * 257), {"kind": "PNG"}),
        (Image.fromarray(GREY).convert("RGB"), {"kind": "WEBP", "lossless": True}),
    ],
    ids=["grey", "palette", "rgba", "grey and alpha", "16 bits", "webp"],
)
def test_every_kind_becomes_rgb(image, options):
    found = decode_image(_file(image, **options), "image", 4)
    np.testing.assert_array_equal(found, np.repeat(GREY[..., None], 3, axis=2), strict=True)


def test_jpeg_is_read():
    found = decode_image(_file(np.full((9, 9, 3), 200, np.uint8), "JPEG"), "image", 9)
    np.testing.assert_allclose(found, 200, atol=2)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_what_is_transparent_becomes_white(mode):
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    image.paste((10, 20, 30, 255), (0, 0, 4, 2))
    content = _file(image.quantize(4) if mode == "P" else image)
    found = decode_image(content, "image", 4)
    np.testing.assert_array_equal(found[2:], 255)
    np.testing.assert_allclose(found[:2], np.broadcast_to([10, 20, 30], (2, 4, 3)), atol=1)


def test_photographs_are_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    found = decode_image(_file(_pixels(0), exif=exif), "image", 4)
    np.testing.assert_array_equal(found, _pixels(0)[::-1, ::-1])


KINDS = {
    "BMP": {},
    "DIB": {},
    "TIFF": {},
    "GIF": {},
    "PPM": {},
    "PNG": {},
    "WEBP": {"lossless": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_read(kind):
    image = Image.fromarray(GREY).convert("RGB")
    found = decode_image(_file(image, kind, **KINDS[kind]), "image", 4)
    np.testing.assert_array_equal(found, np.repeat(GREY[..., None], 3, axis=2))


MODES = {
    "1": (Image.fromarray(GREY > 100), "TIFF", (GREY > 100) * 255),
    "1 in pbm": (Image.fromarray(GREY > 100), "PPM", (GREY > 100) * 255),
    "CMYK": (Image.fromarray(np.stack([0 * GREY] * 3 + [255 - GREY], -1), "CMYK"), "TIFF", GREY),
    "16 bits": (Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF", GREY),
    "32 bits": (Image.fromarray(GREY.astype(np.int32) * 257), "TIFF", GREY),
    "floats to 1": (Image.fromarray(GREY.astype(np.float32) / 255), "TIFF", GREY),
    "floats to 255": (Image.fromarray(GREY.astype(np.float32)), "TIFF", GREY),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_keeps_its_brightness(mode):
    image, kind, expected = MODES[mode]
    found = decode_image(_file(image, kind), "image", 4)
    np.testing.assert_array_equal(found, np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (GREY.astype(np.float32) - 1, r"must lie in \[0, 1\] or \[0, 255\], found -1"),
        (GREY.astype(np.float32) * 100, "found 0 … 24000"),
        (np.full((4, 4), np.nan, np.float32), "found nan"),
        (GREY.astype(np.int32) * 1000, "must lie in 0 … 65535, found 0 … 240000"),
    ],
)
def test_numbers_of_unknown_scale_are_told(values, told):
    with pytest.raises(InputError, match=told):
        decode_image(_file(Image.fromarray(values), "TIFF"), "image", 4)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_of_several_frames_is_taken_and_counted(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = _file(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    found = image_files.decode_image(content, "image", 4)
    np.testing.assert_array_equal(found.pixels, np.broadcast_to([255, 0, 0], (4, 4, 3)))
    assert found.frames == 3


def test_the_small_picture_in_a_photograph_is_no_frame():
    frames = [Image.new("RGB", (8, 8), "red"), Image.new("RGB", (2, 2), "red")]
    content = _file(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert image_files.decode_image(content, "image", 4).frames == 1


def test_an_image_too_large_is_told_and_a_large_one_not_warned_of(monkeypatch):
    content = _file(_pixels(0, 10, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
        decode_image(content, "image", 4)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(InputError, match=r"^image: must be a .* bomb"):
        decode_image(content, "image", 4)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "GIF", "PPM", "WEBP"])
def test_a_cut_file_is_told(kind):
    content = _file(_pixels(0, 64, 64), kind)
    with pytest.raises(InputError, match=r"^image: must be a PNG"):
        decode_image(content[: len(content) // 2], "image", 4)
    with pytest.raises(InputError, match="an empty file"):
        decode_image(b"", "image", 4)
