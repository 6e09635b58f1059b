"""Images of one's own, in folders and archives of every form."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

from mmix_jax.data.images import image_folder
from mmix_jax.data.images.image_folder import arrange, decode_image, read_image_folder
from mmix_jax.errors import InputError
from tests.data.store.test_containers import ENDINGS, pack


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mmix_jax" / "images"


def _file(image, kind="PNG", **options) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _pixels(seed, height=4, width=4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


NAMES = (
    "train/dog/1.png",
    "test/cat/0.png",
    "train/cat/9.PNG",
    "train/cat/10.png",
    "test/dog/2.png",
)


def _set(prefix=""):
    return [(prefix + name, _file(_pixels(seed))) for seed, name in enumerate(NAMES)]


@pytest.mark.parametrize("prefix", ["", "mine/", "./a/b/"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_parts_and_classes_come_from_folders(tmp_path, ending, prefix):
    extra = [(f"{prefix}README.md", b"#"), (f"{prefix}train/cat/.x.png", b"")]
    extra += [("__MACOSX/train/cat/9.png", b""), (f"{prefix}.git/1.png", b"")]
    found = read_image_folder(pack(tmp_path, ending, extra + _set(prefix)), size=4)
    np.testing.assert_array_equal(found.train, [_pixels(seed) for seed in (3, 2, 0)])
    np.testing.assert_array_equal(found.test, [_pixels(seed) for seed in (1, 4)])
    np.testing.assert_array_equal(found.train_labels, np.array([0, 0, 1], np.int32), strict=True)
    np.testing.assert_array_equal(found.test_labels, np.array([0, 1], np.int32), strict=True)
    assert (found.name, found.classes) == ("packed", ("cat", "dog"))


def test_without_parts_all_images_are_for_training(tmp_path):
    members = [("b/1.png", _file(_pixels(0))), ("a/1.png", _file(_pixels(1)))]
    found = read_image_folder(pack(tmp_path, ".zip", members), size=4)
    np.testing.assert_array_equal(found.train, [_pixels(1), _pixels(0)])
    assert found.train_labels.tolist() == [0, 1]
    assert (found.test, found.test_labels, found.classes) == (None, None, ("a", "b"))


@pytest.mark.parametrize("prefix", ["", "mine/"])
def test_without_classes_there_are_no_labels(tmp_path, prefix):
    members = [(f"{prefix}{seed}.png", _file(_pixels(seed))) for seed in (2, 1)]
    found = read_image_folder(pack(tmp_path, ".tar", members), size=4)
    np.testing.assert_array_equal(found.train, [_pixels(1), _pixels(2)])
    assert (found.train_labels, found.test, found.test_labels) == (None, None, None)
    assert found.classes == ()


def test_parts_without_classes():
    layout = arrange(["test/1.png", "train/1.png", "train/2.png"])
    assert {part: rows.tolist() for part, rows in layout.rows.items()} == {
        "train": [1, 2],
        "test": [0],
    }
    assert (layout.labels, layout.classes) == ({}, ())


def test_a_class_may_be_called_train():
    assert arrange(["plane/1.png", "train/1.png"]).classes == ("plane", "train")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["test/a/1.png", "test/b/1.png"], "must be in train/, found test/ only"),
        (["1.png", "a/1.png"], "found 1.png and a/1.png; move them"),
        (["a/1.png", "b/c/1.png"], "found a/1.png and b/c/1.png"),
        (
            ["test/a/1.png", "train/a/1.png", "val/a/1.png"],
            "found test/a/1.png; move them .*train and test only",
        ),
        (["test/a/1.png", "train/a/1.png", "train/b/1.png"], "no image of 'b' in test"),
        (["test/a/1.png", "test/b/1.png", "train/b/1.png"], "no image of 'a' in train"),
    ],
)
def test_folders_that_do_not_fit_are_told(names, told):
    with pytest.raises(InputError, match=told):
        arrange(names)


def test_sources_without_images_are_told(tmp_path):
    path = pack(tmp_path, "folder", [("a/1.txt", b""), ("a/.1.png", b"")])
    with pytest.raises(InputError, match=r"must hold images \(.png, .jpg, .jpeg, .webp\), found"):
        read_image_folder(path)
    with pytest.raises(InputError, match="nothing there; check the path"):
        read_image_folder(tmp_path / "none")
    for size in (0, 2.5):
        with pytest.raises(InputError, match="size of images must be 1 or more, found"):
            read_image_folder(path, size=size)


def test_one_class_is_told(tmp_path):
    members = [("train/a/1.png", _file(_pixels(0))), ("test/a/1.png", _file(_pixels(0)))]
    with pytest.raises(InputError, match="two classes or more, found class 'a' only"):
        read_image_folder(pack(tmp_path, ".zip", members))


def test_a_folder_in_a_folder_is_one_class_and_alone_has_none(tmp_path):
    path = pack(tmp_path, "folder", [(f"cat/{n}.png", _file(_pixels(n))) for n in (0, 1)])
    with pytest.raises(InputError, match=r"found class 'cat' only in .*give the path .*cat$"):
        read_image_folder(path, size=4)
    assert read_image_folder(path / "cat", size=4).train_labels is None


@pytest.mark.parametrize("ending", ["folder", ".zip", ".tar.gz"])
@pytest.mark.parametrize(
    "content", [b"", b"no image", _file(_pixels(0, 40, 40))[:2000], _file(_pixels(0), "BMP")]
)
def test_a_damaged_image_is_told_with_its_name(tmp_path, ending, content, cache):
    path = pack(tmp_path, ending, [*_set(), ("train/cat/bad.png", content)])
    with pytest.raises(
        InputError, match=r"^train/cat/bad.png in .*packed.*: must be a PNG"
    ) as told:
        read_image_folder(path)
    assert "\n" not in str(told.value)


def test_unsafe_names_are_refused(tmp_path):
    path = pack(tmp_path, ".tar.gz", [*_set(), ("../train/cat/1.png", _file(_pixels(0)))])
    with pytest.raises(InputError, match="do not unpack it"):
        read_image_folder(path)


# Pixels


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


# Kept


@pytest.fixture
def decoded(monkeypatch):
    """Names of the images that are decoded."""
    names, decode = [], image_folder.decode_image

    def counting(content, where, size):
        names.append(where)
        return decode(content, where, size)

    monkeypatch.setattr(image_folder, "decode_image", counting)
    return names


@pytest.mark.parametrize("ending", ["folder", ".tar.xz"])
def test_images_are_decoded_once_for_a_source_and_size(tmp_path, ending, decoded, caplog):
    path = pack(tmp_path, ending, _set())
    with caplog.at_level(logging.INFO, "mmix_jax"):
        first, again = (read_image_folder(path, size=3) for _ in range(2))
    assert len(decoded) == len(NAMES)
    assert [record.message for record in caplog.records] == [f"decoding 5 images of {path}"]
    np.testing.assert_array_equal(first.train, again.train)
    np.testing.assert_array_equal(first.test, again.test)
    assert (first.classes, first.mean, first.std) == (again.classes, again.mean, again.std)
    assert read_image_folder(path, size=2).train.shape == (3, 2, 2, 3)
    assert len(decoded) == 2 * len(NAMES)


@pytest.mark.parametrize("ending", ["folder", ".zip"])
def test_a_changed_source_is_decoded_anew(tmp_path, ending, decoded):
    read_image_folder(pack(tmp_path, ending, _set()), size=4)
    changed = [*_set(), ("train/cat/5.png", _file(_pixels(9)))]
    found = read_image_folder(pack(tmp_path, ending, changed), size=4)
    assert len(decoded) == 2 * len(NAMES) + 1
    np.testing.assert_array_equal(found.train[1], _pixels(9))
