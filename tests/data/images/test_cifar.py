"""CIFAR's forms, written small and read again; the real archives are not needed."""

import io
import os
import pathlib
import pickle
import pickletools
import socket
import sys

import numpy as np
import pytest

from mmix_jax.data import statistics
from mmix_jax.data.images.cifar import LABELS, load_cifar, prepare_cifar, read_cifar
from mmix_jax.data.images.cifar_source import FORMS, find_source
from mmix_jax.data.store.checksums import sha256_of
from mmix_jax.data.store.unpickle import read_pickle
from mmix_jax.errors import InputError
from tests.data.images import cifar_files

BOTH = [(name, form) for name in ("cifar10", "cifar100") for form in ("binary", "python")]


@pytest.fixture(autouse=True)
def no_other_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("MMIX_DATA_DIR", "MMIX_CIFAR_URL"):
        monkeypatch.delenv(variable, raising=False)


def _expect_small(monkeypatch, name):
    num_train, num_test = cifar_files.SIZES[name.removesuffix("_coarse")]
    classes = LABELS[name].num_classes
    small = statistics.ImageStatistics(
        num_train=num_train,
        num_test=num_test,
        shape=(32, 32, 3),
        train_sizes=(num_train // classes,) * classes,
        test_sizes=(num_test // classes,) * classes,
    )
    monkeypatch.setitem(statistics.EXPECTED, name, small)


def _pin(monkeypatch, archive: pathlib.Path):
    pinned = statistics.PUBLISHED["cifar100" if "100" in archive.name else "cifar10"]["files"]
    new = {"sha256": sha256_of(archive), "size": archive.stat().st_size}
    monkeypatch.setitem(pinned, archive.name, new)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("name", "form"), BOTH)
def test_every_form_gives_the_same_images(tmp_path, name, form, packed):
    write = cifar_files.write_archive if packed else cifar_files.write_folder
    found = read_cifar(write(tmp_path, name, form), name)
    train, test = cifar_files.parts(name)
    np.testing.assert_array_equal(found.train, train.images, strict=True)
    np.testing.assert_array_equal(found.test, test.images, strict=True)
    np.testing.assert_array_equal(found.train_labels, train.labels.astype(np.int32), strict=True)
    np.testing.assert_array_equal(found.test_labels, test.labels.astype(np.int32), strict=True)
    assert found.classes == tuple(cifar_files.class_names(name))
    assert found.train.flags.c_contiguous
    pixels = train.images / 255.0
    np.testing.assert_allclose(found.mean, pixels.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(found.std, pixels.std((0, 1, 2)), rtol=1e-12)


@pytest.mark.parametrize("form", ["binary", "python"])
def test_coarse_labels_of_cifar100(tmp_path, form):
    found = read_cifar(cifar_files.write_folder(tmp_path, "cifar100", form), "cifar100_coarse")
    train, test = cifar_files.parts("cifar100")
    np.testing.assert_array_equal(found.train, train.images)
    np.testing.assert_array_equal(found.train_labels, train.coarse)
    np.testing.assert_array_equal(found.test_labels, test.coarse)
    assert found.classes == tuple(cifar_files.COARSE_NAMES)


def test_the_written_pickles_are_python_2_s():
    content = cifar_files.files("cifar10", "python")["data_batch_1"]
    assert content[:2] == b"\x80\x02"
    opcodes = {opcode.name for opcode, _, _ in pickletools.genops(content)}
    assert "SHORT_BINSTRING" in opcodes and "BINSTRING" in opcodes
    assert not opcodes & {"BINUNICODE", "BINBYTES", "SHORT_BINBYTES"}
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in content


# Found


@pytest.mark.parametrize("below", ["images", "cifar", "."])
@pytest.mark.parametrize(("name", "form"), BOTH)
def test_archives_and_folders_are_found(tmp_path, monkeypatch, below, name, form):
    _expect_small(monkeypatch, name)
    packed, unpacked = tmp_path / "packed", tmp_path / "unpacked"
    archive = cifar_files.write_archive(packed / below, name, form)
    _pin(monkeypatch, archive)
    folder = cifar_files.write_folder(unpacked / below, name, form)
    for data_dir, source in ((packed, archive), (unpacked, folder)):
        assert find_source(name, data_dir=data_dir) == source
        assert load_cifar(name, data_dir=data_dir).name == name


def test_an_archive_must_have_its_sum(tmp_path):
    archive = cifar_files.write_archive(tmp_path, "cifar100", "python")
    with pytest.raises(InputError, match=f"{archive.name} must have SHA-256 85cd44d02ba6"):
        load_cifar("cifar100", data_dir=tmp_path)


@pytest.mark.parametrize("name", FORMS)
def test_a_set_must_have_its_statistics(tmp_path, name):
    cifar_files.write_folder(tmp_path, name.removesuffix("_coarse"), "binary")
    with pytest.raises(InputError, match=f"{name} must have num_train 50000, found 20"):
        load_cifar(name, data_dir=tmp_path)


def test_statistics_count_every_class(tmp_path, monkeypatch):
    _expect_small(monkeypatch, "cifar10")
    content = bytearray(cifar_files.files("cifar10", "binary")["test_batch.bin"])
    content[0] = (content[0] + 1) % 10
    cifar_files.write_folder(tmp_path, "cifar10", "binary", {"test_batch.bin": bytes(content)})
    with pytest.raises(InputError, match="cifar10 must have test_sizes"):
        load_cifar("cifar10", data_dir=tmp_path)


def test_known_sets_are_pinned_and_have_statistics():
    for name in ("cifar10", "cifar100"):
        pinned = statistics.PUBLISHED[name]["files"]
        assert {form.archive for form in FORMS[name]} == set(pinned)
        assert {len(file["sha256"]) for file in pinned.values()} == {64}
    for name in FORMS:
        expected = statistics.EXPECTED[name]
        assert sum(expected.train_sizes) == expected.num_train == 50_000
        assert sum(expected.test_sizes) == expected.num_test == 10_000
        assert len(set(expected.train_sizes)) == 1
        assert len(expected.train_sizes) == LABELS[name].num_classes
    assert statistics.EXPECTED["cifar100"].test_sizes == (100,) * 100


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_a_missing_set_is_told_with_its_place_and_source(tmp_path, name):
    archive = cifar_files.ARCHIVES[name, "binary"]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(InputError, match="or name the folder") as caught:
            load_cifar(name, data_dir=tmp_path, base_url=base_url)
    line = str(caught.value)
    assert f"get the files from {base_url}{archive} or " in line
    assert f" and put them into {tmp_path}/images, " in line
    assert "\n" not in line


def test_unknown_names_are_told(tmp_path):
    for read in (
        load_cifar,
        find_source,
        lambda name: read_cifar(tmp_path, name),
        lambda name: prepare_cifar(name, tmp_path),
    ):
        with pytest.raises(InputError, match="unknown CIFAR set 'cifar11'; expected one of"):
            read("cifar11")


# Prepared


@pytest.mark.parametrize("below", ["images", "."])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_a_prepared_set_is_the_original(tmp_path, monkeypatch, below, name):
    names = [found for found in FORMS if found.removesuffix("_coarse") == name]
    for found in names:
        _expect_small(monkeypatch, found)
    cifar_files.write_folder(tmp_path / "original", name, "binary")
    place = tmp_path / "prepared" / below
    folder = prepare_cifar(name, place, data_dir=tmp_path / "original")
    assert folder.parent == place / name
    for found in names:
        original = load_cifar(found, data_dir=tmp_path / "original")
        again = load_cifar(found, data_dir=tmp_path / "prepared")
        assert again.name == found
        for value, wanted in zip(again, original, strict=True):
            np.testing.assert_array_equal(value, wanted, strict=isinstance(wanted, np.ndarray))
    assert "tensorflow" not in sys.modules


def test_a_prepared_set_must_have_its_statistics(tmp_path, monkeypatch):
    cifar_files.write_folder(tmp_path / "original", "cifar10", "python")
    with pytest.raises(InputError, match="cifar10 must have num_train 50000, found 20"):
        prepare_cifar("cifar10", tmp_path, data_dir=tmp_path / "original")
    with monkeypatch.context() as small:
        _expect_small(small, "cifar10")
        prepare_cifar("cifar10", tmp_path, data_dir=tmp_path / "original")
    with pytest.raises(InputError, match="cifar10 must have num_train 50000, found 20"):
        load_cifar("cifar10", data_dir=tmp_path)


def test_the_original_takes_precedence(tmp_path, monkeypatch):
    _expect_small(monkeypatch, "cifar10")
    info = tmp_path / "cifar10" / "3.0.2" / "dataset_info.json"
    info.parent.mkdir(parents=True)
    info.write_text('{"fileFormat": "tfrecord"}')
    with pytest.raises(InputError, match=r"cifar10/3\.0\.2: prepared images must be in array_rec"):
        load_cifar("cifar10", data_dir=tmp_path)
    monkeypatch.setenv("MMIX_DATA_DIR", str(tmp_path / "later"))
    cifar_files.write_folder(tmp_path / "later", "cifar10", "python")
    assert load_cifar("cifar10", data_dir=tmp_path).train.shape == (20, 32, 32, 3)


# Bad files


@pytest.mark.parametrize(
    ("name", "form", "file", "content", "told"),
    [
        ("cifar10", "binary", "data_batch_4.bin", None, "data_batch_4.bin of cifar10 must be in"),
        ("cifar10", "binary", "test_batch.bin", None, "test_batch.bin of cifar10 must be in it"),
        ("cifar10", "python", "batches.meta", None, "batches.meta of cifar10 must be in it once"),
        ("cifar100", "binary", "train.bin", b"", "train.bin in .* rows of 3074 bytes, found 0"),
        ("cifar10", "binary", "test_batch.bin", bytes(3072), "rows of 3073 bytes, found 3072"),
        ("cifar10", "binary", "test_batch.bin", b"\x0a" + bytes(3072), "labels 0 … 9, found 10"),
        ("cifar100", "binary", "test.bin", b"\x13\x64" + bytes(3072), "0 … 99, found 100"),
        ("cifar10", "binary", "batches.meta.txt", b"a\nb\n", "10 names of classes, found 2"),
    ],
)
def test_bad_files_are_told(tmp_path, name, form, file, content, told):
    folder = cifar_files.write_folder(tmp_path, name, form, {file: content})
    with pytest.raises(InputError, match=told) as caught:
        read_cifar(folder, name)
    assert "\n" not in str(caught.value)


ROWS = np.zeros((2, 3072), np.uint8)


@pytest.mark.parametrize(
    ("file", "value", "told"),
    [
        ("test_batch", [1], "must hold a dictionary, found list"),
        ("test_batch", {"labels": [0]}, "an array 'data', found NoneType"),
        ("test_batch", {"data": ROWS[:, :3000], "labels": [0, 0]}, r"uint8 \[2, 3000\]"),
        ("test_batch", {"data": ROWS.astype(np.int32), "labels": [0, 0]}, "found int32"),
        ("test_batch", {"data": ROWS[:0], "labels": []}, r"found uint8 \[0, 3072\]"),
        ("test_batch", {"data": ROWS, "labels": [0]}, "a label for each of 2 images, found 1"),
        ("test_batch", {"data": ROWS, "labels": [0, "1"]}, "a list of integers 'labels'"),
        ("test_batch", {"data": ROWS, "fine_labels": [0, 1]}, "a list of integers 'labels'"),
        ("test_batch", {"data": ROWS, "labels": [0, -1]}, "labels 0 … 9, found -1"),
        ("batches.meta", {"names": []}, "a list of names label_names, found otherwise"),
        ("batches.meta", {"label_names": ["a"] * 9}, "10 names of classes, found 9"),
    ],
)
def test_bad_pickles_are_told(tmp_path, file, value, told):
    changes = {file: cifar_files.pickled(value)}
    folder = cifar_files.write_folder(tmp_path, "cifar10", "python", changes)
    with pytest.raises(InputError, match=told) as caught:
        read_cifar(folder, "cifar10")
    assert "\n" not in str(caught.value)


class _Call:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_that_names_anything_else_is_refused_and_not_run(tmp_path):
    victim = tmp_path / "made"
    evil = pickle.dumps({"data": _Call(f"touch {victim}")}, protocol=2)
    folder = cifar_files.write_folder(tmp_path, "cifar10", "python", {"data_batch_2": evil})
    with pytest.raises(InputError, match=r"data_batch_2 in .* found the global '(posix|nt)"):
        read_cifar(folder, "cifar10")
    assert not victim.exists()


def test_truncated_files_are_told(tmp_path):
    whole = cifar_files.files("cifar10", "python")["test_batch"]
    assert read_pickle(io.BytesIO(whole), "whole")["batch_label"] == "batch 1"
    cut = {"test_batch": whole[:5000]}
    with pytest.raises(InputError, match=r"test_batch in .*not a readable pickle"):
        read_cifar(cifar_files.write_folder(tmp_path, "cifar10", "python", cut), "cifar10")
    archive = cifar_files.write_archive(tmp_path, "cifar10", "binary")
    archive.write_bytes(archive.read_bytes()[:20_000])
    with pytest.raises(InputError, match=r"binary.tar.gz: not a readable archive"):
        read_cifar(archive, "cifar10")


def test_another_set_s_files_are_told(tmp_path):
    folder = cifar_files.write_folder(tmp_path, "cifar100", "binary")
    with pytest.raises(InputError, match=r"data_batch_1.bin of cifar10 must be .*, found 0"):
        read_cifar(folder, "cifar10")
