"""Images of one's own, in folders and archives of every form."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

from mmix_jax.data.images import folder_listing, image_folder
from mmix_jax.data.images.image_folder import read_image_folder
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


def messages(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


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


def test_sources_without_images_are_told(tmp_path):
    path = pack(tmp_path, "folder", [("a/1.txt", b""), ("a/.1.png", b"")])
    with pytest.raises(InputError, match=r"images \(.png, .*.pnm\), found none but 2 files \(1"):
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
    "content", [b"", b"no image", _file(_pixels(0, 40, 40))[:2000], _file(_pixels(0), "TGA")]
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
    told = f"{path}: 5 images (3 in train and 2 in test), 2 classes in this order (cat, dog)"
    assert messages(caplog) == [f"decoding 5 images of {path}", told, told]
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


def test_a_class_folder_made_empty_is_seen_though_all_is_cached(tmp_path):
    path = pack(tmp_path, "folder", _set())
    read_image_folder(path, size=4)
    for part in ("train", "test"):
        (path / part / "owl").mkdir()
    with pytest.raises(InputError, match="test/owl/ must hold images that can be read, found none"):
        read_image_folder(path, size=4)


def test_the_cache_of_a_program_that_read_fewer_kinds_is_not_used(tmp_path, monkeypatch):
    """The archive's bytes are the same; which row is whose is not."""
    members = [*_set(), ("train/cat/11.bmp", _file(_pixels(9), "BMP"))]
    path = pack(tmp_path, ".zip", members)
    with monkeypatch.context() as patch:
        patch.setattr(folder_listing, "ENDINGS", (".png",))
        assert len(read_image_folder(path, size=4).train) == 3
    found = read_image_folder(path, size=4)
    np.testing.assert_array_equal(found.train, [_pixels(seed) for seed in (3, 9, 2, 0)])


# Told


def read(place, members, caplog, ending="folder"):
    """What was read, and the lines that told of it."""
    path = pack(place, ending, members)
    with caplog.at_level(logging.INFO, "mmix_jax"):
        found = read_image_folder(path, size=4)
    return found, [line.replace(str(path), "set") for line in messages(caplog)]


LITTER = [".DS_Store", "Thumbs.db", "train/cat/desktop.ini", "train/.ipynb_checkpoints/1.png"]
OTHERS = ["README.txt", "annotations/1.xml", "annotations/2.xml", "train/dog/notes", "__MACOSX/x"]


@pytest.mark.parametrize("ending", ["folder", ".zip", ".tar.gz"])
def test_one_line_tells_what_is_read_and_what_is_skipped(tmp_path, ending, caplog):
    members = [*_set(), *((name, b"x") for name in (*LITTER, *OTHERS))]
    found, lines = read(tmp_path, members, caplog, ending)
    assert found.classes == ("cat", "dog")
    assert lines[1:] == [
        "set: 5 images (3 in train and 2 in test), 2 classes in this order (cat, dog); skipped "
        "9 files (5 hidden, 2 .xml, 1 .txt, 1 without an ending)"
    ]


def test_kinds_of_images_that_are_not_read_are_warned_of(tmp_path, caplog):
    members = [*_set(), ("train/cat/a.HEIC", b"x"), ("train/cat/b.heic", b"x")]
    _, lines = read(tmp_path, members, caplog)
    assert lines[2:] == [
        "warning: set: images of these kinds are not read: 2 files (2 .heic); convert them to PNG"
    ]


@pytest.mark.parametrize("suffix", ["BMP", "tif", "TIFF", "gif", "jpe", "jfif", "ppm", "PGM"])
def test_kinds_of_files_are_read_by_content(tmp_path, suffix, caplog):
    members = [(f"{of}/{n}.{suffix}", _file(_pixels(n))) for n, of in enumerate("aabb")]
    found, lines = read(tmp_path, members, caplog)
    np.testing.assert_array_equal(found.train, [_pixels(n) for n in range(4)])
    assert len(lines) == 2


@pytest.mark.parametrize("ending", ["folder", ".zip", ".tar"])
@pytest.mark.parametrize(
    ("name", "found"),
    [("train/owl/1.heic", "1 file (1 .heic)"), ("test/owl/1", "1 file (1 without an ending)")],
)
def test_a_class_of_other_kinds_alone_is_refused(tmp_path, ending, name, found):
    with pytest.raises(InputError) as told:
        read_image_folder(pack(tmp_path, ending, [*_set(), (name, b"x")]))
    folder = name.rpartition("/")[0]
    assert f": {folder}/ must hold images that can be read, found {found}; add" in str(told.value)


@pytest.mark.parametrize("table", ["labels.csv", "annotations.json", "labels/0.txt", "train.TSV"])
def test_labels_that_are_not_read_are_warned_of(tmp_path, table, caplog):
    members = [(f"{n}.png", _file(_pixels(n))) for n in (0, 1)]
    found, lines = read(tmp_path, [*members, (table, b""), ("README.txt", b"")], caplog)
    assert found.train_labels is None
    assert len(lines) == 3
    assert lines[2].startswith(f"warning: set: {table} is not read, and the images have no labels")


def test_images_in_one_folder_of_an_archive_with_a_table_are_warned_of(tmp_path, caplog):
    members = [(f"mine/images/{n}.png", _file(_pixels(n))) for n in (0, 1)]
    found, lines = read(tmp_path, [*members, ("mine/labels.csv", b"")], caplog, ".zip")
    assert found.train_labels is None
    assert "mine/labels.csv is not read" in lines[2]


def test_a_class_in_a_folder_in_a_folder_is_one_class(tmp_path):
    path = pack(tmp_path, "folder", [(f"all/cat/{n}.png", _file(_pixels(n))) for n in (0, 1)])
    with pytest.raises(InputError, match=r"found class 'cat' only in .*give the path .*all/cat$"):
        read_image_folder(path, size=4)


def test_copies_are_warned_of(tmp_path, caplog):
    same = _file(_pixels(0))
    members = [("train/a/0.png", same), ("train/a/1.png", same), ("test/b/0.png", same)]
    members += [(f"{of}/9.png", _file(_pixels(n))) for n, of in enumerate(["train/b", "test/a"], 1)]
    for _ in range(2):  # the second time from the cache
        _, lines = read(tmp_path, members, caplog)
        assert lines[-1] == (
            "warning: set: 2 images are copies of others, 1 test image stands in train, too, 1 "
            "is in several classes; scores may be better or worse than they should"
        )


def test_several_frames_are_told(tmp_path, caplog):
    frames = [Image.fromarray(_pixels(n)) for n in (0, 1)]
    content = _file(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    members = [("a/1.tif", content), ("b/1.png", _file(_pixels(2)))]
    found, lines = read(tmp_path, members, caplog)
    np.testing.assert_array_equal(found.train[0], _pixels(0))
    assert lines[1] == (
        "set: of 1 file with several frames or pages, like a/1.tif, the first is taken"
    )


def test_all_damaged_images_are_counted(tmp_path):
    bad = [(f"train/cat/bad{n}.png", b"no") for n in range(3)]
    with pytest.raises(InputError, match=r"bad0.png in .*out \(and so for 2 more images\)$"):
        read_image_folder(pack(tmp_path, "folder", [*_set(), *bad]))


def test_linked_class_folders_are_read_and_dead_links_told(tmp_path, caplog):
    far = pack(tmp_path / "far", "folder", [("owl/1.png", _file(_pixels(7)))])
    path = pack(tmp_path, "folder", [(f"{n}/1.png", _file(_pixels(n))) for n in (1, 2)])
    (path / "3").symlink_to(far / "owl")
    (path / "1" / "gone.png").symlink_to(tmp_path / "gone.png")
    with caplog.at_level(logging.INFO, "mmix_jax"):
        found = read_image_folder(path, size=4)
    assert found.classes == ("1", "2", "3")
    np.testing.assert_array_equal(found.train[2], _pixels(7))
    assert messages(caplog)[-1].endswith("1/gone.png is a link to nothing; 1 link is left out")


def test_a_linked_class_that_is_gone_is_told(tmp_path, caplog):
    path = pack(tmp_path, "folder", [(f"{n}/1.png", _file(_pixels(n))) for n in (1, 2)])
    (path / "3").symlink_to(tmp_path / "gone")
    with caplog.at_level(logging.INFO, "mmix_jax"):
        read_image_folder(path, size=4)
    assert "3 is a link to nothing" in messages(caplog)[-1]
