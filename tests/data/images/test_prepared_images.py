"""What tensorflow-datasets prepares is read without TensorFlow: our files and its builders'."""

import io
import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from mmix_jax.data.images.prepared_images import find_prepared, read_prepared, write_prepared
from mmix_jax.data.types import make_image_dataset
from mmix_jax.errors import InputError

NAMES = ("cat", "dog", "frog")
COARSE = ("pet", "wild")
SHARD = "animals-train.array_record-00000-of-00001"


def _animals():
    """40 and 9 images by two sets of labels."""
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8) for n in (40, 9))
    labels, test_labels = np.arange(40) * 7 % 3, np.arange(9) % 3
    return {
        "label": make_image_dataset("animals", train, labels, test, test_labels, classes=NAMES),
        "coarse_label": make_image_dataset(
            "animals_coarse", train, labels // 2, test, test_labels // 2, classes=COARSE
        ),
    }


def _assert_same(found, expected):
    for value, wanted in zip(found, expected, strict=True):
        if isinstance(wanted, np.ndarray):
            np.testing.assert_array_equal(value, wanted, strict=True)
        else:
            assert value == wanted


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The folder that the builder wrote."""
    folder = tmp_path_factory.mktemp("prepared")
    return write_prepared(_animals(), "animals", folder, homepage="https://example.org/")


@pytest.fixture
def copied(prepared, tmp_path):
    """A copy to damage."""
    return shutil.copytree(prepared, tmp_path / "animals" / "1.0.0")


def _edit_info(folder, **changes):
    path = folder / "dataset_info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_was_written_is_read_in_its_order(prepared):
    for label, expected in _animals().items():
        _assert_same(read_prepared(prepared, expected.name, label=label), expected)
    assert "tensorflow" not in sys.modules


def test_written_files_are_those_of_tensorflow_datasets(tmp_path, capfd):
    folder = write_prepared(_animals(), "animals", tmp_path, homepage="https://example.org/")
    assert folder == tmp_path / "animals" / "1.0.0"
    assert [path.name for path in tmp_path.iterdir()] == ["animals"]
    features = json.loads((folder / "features.json").read_text())["featuresDict"]["features"]
    assert set(features) == {"id", "image", "label", "coarse_label"}
    assert features["image"]["image"]["encodingFormat"] == "png"
    assert capfd.readouterr().out == ""
    before = (folder / SHARD).stat().st_mtime_ns
    assert write_prepared(_animals(), "animals", tmp_path, homepage="") == folder
    assert (folder / SHARD).stat().st_mtime_ns == before


def test_the_official_builder_s_files_are_read(tmp_path):
    """Its own features, shuffled and in two shards; only its parsing needs TensorFlow."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.image_classification import cifar

    written = {}

    class Official(cifar.Cifar100, skip_registration=True):
        name = "cifar100"

        def _split_generators(self, dl_manager):
            self.info.features["label"].names = [f"class_{i}" for i in range(100)]
            self.info.features["coarse_label"].names = [f"group_{i}" for i in range(20)]
            return {part: self._generate_examples(part) for part in ("train", "test")}

        def _generate_examples(self, part):
            rng = np.random.default_rng(len(part))
            for row in range(100):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                content = io.BytesIO()
                Image.fromarray(pixels).save(content, format="PNG")
                content.seek(0)
                written[part, pixels.tobytes()] = row
                yield (
                    row,
                    {
                        "id": f"{part}_{row:05d}",
                        "image": content,
                        "label": row,
                        "coarse_label": row // 5,
                    },
                )

    config = tfds.download.DownloadConfig(num_shards=2)
    builder = Official(data_dir=str(tmp_path))
    builder.download_and_prepare(file_format="array_record", download_config=config)
    folder = find_prepared("cifar100", [tmp_path])
    assert folder is not None and folder.name == str(builder.version)
    assert len(list(folder.glob("*.array_record-*-of-00002"))) == 4
    fine = read_prepared(folder, "cifar100")
    coarse = read_prepared(folder, "cifar100_coarse", label="coarse_label")
    for part, images, labels, groups in (
        ("train", fine.train, fine.train_labels, coarse.train_labels),
        ("test", fine.test, fine.test_labels, coarse.test_labels),
    ):
        rows = np.array([written[part, pixels.tobytes()] for pixels in images])
        assert sorted(rows) == list(range(100)) != rows.tolist()
        np.testing.assert_array_equal(labels, rows)
        np.testing.assert_array_equal(groups, rows // 5)
    assert fine.classes[99] == "class_99" and coarse.classes[19] == "group_19"
    assert "tensorflow" not in sys.modules


# Found


def test_the_newest_that_can_be_read_is_found(prepared, tmp_path):
    def put(version, **changes):
        _edit_info(shutil.copytree(prepared, tmp_path / "b" / "animals" / version), **changes)
        return find_prepared("animals", [tmp_path / "a", tmp_path / "b"])

    assert find_prepared("animals", [tmp_path / "a"]) is None
    assert put("1.0.0.incomplete") is None
    assert put("2.0.0", fileFormat="tfrecord").name == "2.0.0"
    assert put("1.9.0").name == "1.9.0"
    assert put("1.10.0").name == "1.10.0"
    assert put("3.0.0", fileFormat="tfrecord").name == "1.10.0"
    assert put("4.0.0", fileFormat="tfrecord", alternativeFileFormats=["array_record"]) == (
        tmp_path / "b" / "animals" / "4.0.0"
    )
    assert find_prepared("animals", [prepared.parents[1], tmp_path / "b"]) == prepared


def test_one_of_several_formats_is_enough(copied):
    _edit_info(copied, fileFormat="tfrecord", alternativeFileFormats=["array_record"])
    _assert_same(read_prepared(copied, "animals"), _animals()["label"])


def test_tfrecord_is_told_with_the_ways_out(copied):
    told = "array_record format, found tfrecord, which needs TensorFlow; put the original archive"
    for changes in ({"fileFormat": "tfrecord"}, {"fileFormat": "riegeli"}):
        _edit_info(copied, **changes)
        with pytest.raises(InputError, match=told.replace("tfrecord", changes["fileFormat"])):
            read_prepared(copied, "animals")


# Bad files


def _cut(path):
    path.write_bytes(path.read_bytes()[:-70_000])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[70_000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / SHARD).unlink(), "No such file"),
        (lambda folder: (folder / SHARD).write_bytes(b""), "RuntimeError"),
        (lambda folder: _cut(folder / SHARD), "RuntimeError"),
        (lambda folder: _flip(folder / SHARD), "hash mismatch"),
        (lambda folder: (folder / "features.json").unlink(), "Cannot restore animals"),
        (lambda folder: (folder / "features.json").write_text("{"), "JSONDecodeError"),
        (lambda folder: (folder / "label.labels.txt").write_text("cat\ndog\n"), "ValueError"),
        (lambda folder: _edit_info(folder, splits=[]), "KeyError"),
    ],
)
def test_damaged_folders_are_told(copied, damage, told):
    damage(copied)
    with pytest.raises(InputError, match=told) as caught:
        read_prepared(copied, "animals")
    line = str(caught.value)
    assert line.startswith(f"{copied}: must hold animals as tensorflow-datasets prepares it, found")
    assert line.endswith("delete the folder and prepare it again")
    assert "\n" not in line


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_damaged_description_is_told(copied, content):
    (copied / "dataset_info.json").write_text(content, encoding="latin1")
    told = f"{copied}/dataset_info.json: must hold what tensorflow-datasets writes, found otherwise"
    for read in (
        lambda: read_prepared(copied, "animals"),
        lambda: find_prepared("animals", [copied.parents[1]]),
    ):
        with pytest.raises(InputError, match=told):
            read()


def test_other_labels_are_told(prepared):
    with pytest.raises(InputError, match="KeyError: 'colour'"):
        read_prepared(prepared, "animals", label="colour")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a folder that can be written, found") as caught:
        write_prepared(_animals(), "animals", tmp_path / "file", homepage="https://example.org/")
    assert "\n" not in str(caught.value)


def test_a_damaged_folder_is_not_taken_for_prepared(copied):
    (copied / "dataset_info.json").unlink()
    with pytest.raises(InputError, match=r"FileNotFoundError\); delete its folder"):
        write_prepared(_animals(), "animals", copied.parents[1], homepage="https://example.org/")
