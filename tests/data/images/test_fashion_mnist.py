"""Fashion-MNIST's idx files: what they hold, and files that are damaged or another set's."""

import gzip
import hashlib
import os

import numpy as np
import pytest

from mmix_jax.data.images import fashion_mnist
from mmix_jax.data.images.fashion_mnist import FILES, FOLDER, load_fashion_mnist, read_idx
from mmix_jax.data.statistics import EXPECTED, PUBLISHED, image_statistics
from mmix_jax.errors import InputError, MissingData

DRAW = np.random.default_rng(0)
ARRAYS = [
    DRAW.integers(0, 256, shape, np.uint8) % most
    for count in (30, 20)
    for shape, most in (((count, 4, 5), 255), ((count,), 10))
]


def packed(array: np.ndarray) -> bytes:
    """The idx file of an array of bytes."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.tobytes()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder with small files, which are taken for the published ones."""
    monkeypatch.setattr(fashion_mnist, "check_statistics", lambda name, statistics: None)
    place = tmp_path / FOLDER
    place.mkdir()
    for name, array in zip(FILES, ARRAYS, strict=True):
        content = packed(array)
        (place / name).write_bytes(gzip.compress(content))
        sums = PUBLISHED[fashion_mnist.NAME]["contents"]
        monkeypatch.setitem(sums, name, hashlib.sha256(content).hexdigest())
    return tmp_path


def test_images_and_classes_are_those_of_the_files(folder):
    found = load_fashion_mnist(data_dir=folder)
    train, train_labels, test, test_labels = ARRAYS
    np.testing.assert_array_equal(found.train[..., 0], train)
    np.testing.assert_array_equal(found.test[..., 0], test)
    assert found.train_labels.tolist() == train_labels.tolist()
    assert found.test_labels.tolist() == test_labels.tolist()
    assert len(found.classes) == 10


def test_files_of_other_content_are_told(folder):
    first, second = (folder / FOLDER / name for name in (FILES[0], FILES[2]))
    first.write_bytes(second.read_bytes())
    with pytest.raises(InputError, match=r"must unpack to SHA-256 .*: swapped or damaged file"):
        load_fashion_mnist(data_dir=folder)
    first.write_bytes(first.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"must be packed by gzip, found .*: damaged file"):
        load_fashion_mnist(data_dir=folder)


def test_missing_files_are_told(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    (folder / FOLDER / FILES[1]).unlink()
    with pytest.raises(MissingData, match=f"data file {FOLDER}/{FILES[1]} must be in a data"):
        load_fashion_mnist(data_dir=folder, base_url="http://127.0.0.1:9/")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x0d\1" + bytes(8),  # floats
        b"\0\0\x08\0",  # no dimension
        b"\0\0\x08\2\0\0\0\1",  # one of two dimensions
        b"\0\0\x08\4" + 4 * b"\0\1\0\0",  # 2^64 bytes, which 64 bits count as none
        b"\0\0\x08\x46" + 70 * b"\0\0\0\1" + b"\0",
        packed(np.zeros((2, 3), np.uint8))[:-1],
        packed(np.zeros((2, 3), np.uint8)) + b"\0",
    ],
)
def test_what_is_no_idx_file_is_told(content):
    with pytest.raises(InputError, match="an idx file must begin with two zeros, 8"):
        read_idx(content)


def test_the_published_files():
    try:
        found = load_fashion_mnist(base_url="http://127.0.0.1:9/")
    except MissingData:
        pytest.skip(f"no {FOLDER}/ in MMIX_DATA_DIR ({os.environ.get('MMIX_DATA_DIR', 'not set')})")
    assert image_statistics(found) == EXPECTED[fashion_mnist.NAME]
    assert found.train_labels[:8].tolist() == [9, 0, 0, 3, 0, 2, 7, 2]
