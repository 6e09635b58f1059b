"""Parts and classes from folders: every layout is read, or refused in words."""

import pytest

from mmix_jax.data.images.folder_layout import Barren, arrange, part_of
from mmix_jax.errors import InputError


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
        (["test/a/1.png", "train/a/1.png", "train/b/1.png"], "no image of 'b' in test"),
        (["test/a/1.png", "test/b/1.png", "train/b/1.png"], "no image of 'a' in train"),
    ],
)
def test_folders_that_do_not_fit_are_told(names, told):
    with pytest.raises(InputError, match=told):
        arrange(names)


PARTED = ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"]


def by_part(layout):
    return {part: rows.tolist() for part, rows in layout.rows.items()}


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        *dict.fromkeys(
            ["train", "TRAIN", "Training", "train_set", "training-set"], "train"
        ).items(),
        *dict.fromkeys(["Test", "testing", "test_images", "test set"], "test").items(),
        *dict.fromkeys(["val", "valid", "Validation", "dev", "val_set", "eval"], "val").items(),
        *dict.fromkeys(["train2017", "trainSet", "training data"], "train").items(),
        *dict.fromkeys(["unlabeled", "unlabelled_images"], "other").items(),
        *dict.fromkeys(
            ["trainer", "values", "testudo", "devices", "contest", "", "seg_train"], None
        ).items(),
    ],
)
def test_names_of_parts(folder, part):
    assert part_of(folder) == part


@pytest.mark.parametrize("train", ["train", "Train", "training", "TRAIN"])
@pytest.mark.parametrize("test", ["test", "Testing", "val", "validation", "dev"])
def test_two_parts_are_training_and_test_whatever_their_spelling(train, test):
    layout = arrange([f"{part}/{of}/1.png" for part in (train, test) for of in "ab"])
    assert by_part(layout) == {"train": [0, 1], "test": [2, 3]}
    assert (layout.classes, layout.warnings) == (("a", "b"), ())


def test_a_third_part_is_left_out_and_told():
    names = [f"{part}/{of}/1.png" for part in ("test", "train", "valid") for of in "ab"]
    layout = arrange([*names, "valid/c/1.png"])
    assert by_part(layout) == {"train": [2, 3], "test": [0, 1]}
    assert layout.classes == ("a", "b")
    assert layout.warnings[0].startswith("images that are not used: 3, in valid/; only train/")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["cat/1.png", "dog/1.png", "val/1.png"], "val/ must not stand beside .* cat/, dog/; move"),
        (["cat/1.png", "test/1.png"], "test/ must not stand beside other .* rename"),
        (["train/a/1.png", "test/a/1.png", "extra/a/1.png"], "test/, train/ must not stand beside"),
        (["val/a/1.png", "val/b/1.png"], "must be in train/, found val/ only"),
        (["test/a/1.png", "val/b/1.png"], "must be in train/, found test/, val/ only"),
        (["Train/a/1.png", "train/b/1.png"], "one train part, found Train/, train/; move"),
        (["train/a/1.png", "val/a/1.png", "dev/a/1.png"], "one val part, found dev/, val/"),
        (["test/1.png", "train/a/1.png", "train/b/1.png"], "test images must .* found test/1.png"),
        (["cat_train/1.png", "cat_test/1.png", "dog_train/1.png"], "both in the names of cat_te"),
        (["seg_train/a/1.png", "seg_test/a/1.png"], "two classes or more"),
        (["cat/train/1.png", "cat/test/1.png", "dog/train/1.png"], "must stand above the classes"),
        (["a/b/1.png", "a/c/1.png", "d/e/1.png"], "one folder per class, or all in none, found"),
        (["train/a/1.png", "train/b/1.png", "1.png"], "found train/a/1.png and 1.png; move"),
        (["test/Cat/1.png", "test/b/1.png", "train/cat/1.png", "train/b/1.png"], "but of 'cat'"),
    ],
)
def test_layouts_that_mean_two_things_are_refused(names, told):
    with pytest.raises(InputError, match=told):
        arrange(names)


@pytest.mark.parametrize(
    "folders",
    [
        ("seg_train", "seg_test"),
        ("train2017", "val2017"),
        ("TrainData", "TestData"),
        ("x-train", "x-dev"),
    ],
)
def test_parts_may_share_other_words(folders):
    """In flat sets they would be classes else."""
    flat = arrange([f"{folder}/{number}.png" for folder in folders for number in (1, 2)])
    assert (by_part(flat), flat.classes) == ({"train": [0, 1], "test": [2, 3]}, ())
    classed = arrange([f"{folder}/{of}/1.png" for folder in folders for of in "ab"])
    assert (by_part(classed), classed.classes) == ({"train": [0, 1], "test": [2, 3]}, ("a", "b"))


@pytest.mark.parametrize(
    "folders", [("test_tube", "beaker"), ("bullet_train", "bus"), ("unlabeled", "a")]
)
def test_classes_may_have_words_of_parts_in_their_names(folders):
    layout = arrange([f"{folder}/1.png" for folder in folders])
    assert (layout.classes, layout.warnings) == (tuple(sorted(folders)), ())


@pytest.mark.parametrize("name", ["unlabeled/1.png", "unlabeled/x/y/1.png", "predict/a/1.png"])
def test_parts_of_other_uses_are_left_out_and_told(name):
    layout = arrange([*PARTED, name])
    assert by_part(layout) == {"train": [0, 1], "test": [2, 3]}
    folder = name.partition("/")[0]
    assert layout.warnings[0].startswith(f"images that are not used: 1, in {folder}/; only train/")


def test_a_class_called_train_is_told():
    assert "train/ is read as a class" in arrange(["plane/1.png", "train/1.png"]).warnings[0]


@pytest.mark.parametrize(
    ("names", "barren"),
    [
        (["a/1.png", "b/1.png"], "c"),
        (["x/a/1.png", "x/b/1.png"], "x/c"),
        (["a/1.png"], "b"),  # else one folder, which is no class
        (PARTED, "train/c"),
        (PARTED, "test/c"),
        (PARTED[:2], "test"),
        (PARTED[:2], "val"),
        (["train/1.png", "test/1.png"], "train/c"),
    ],
)
def test_a_class_or_part_without_images_is_refused(names, barren):
    with pytest.raises(
        InputError, match=f"^{barren}/ must hold images that can be read, found non"
    ):
        arrange(names, barren={barren: Barren()})
    with pytest.raises(InputError, match=r"found 3 files .*; add some, or move the folder"):
        arrange(names, barren={barren: Barren("3 files (3 .heic)")})


def test_a_folder_of_text_beside_the_classes_is_no_class_and_told():
    text = {"annotations": Barren("2 files (2 .xml)", text=True)}
    layout = arrange(["a/1.png", "b/1.png"], barren=text)
    assert layout.classes == ("a", "b")
    assert layout.warnings == ("annotations/ is no class: it holds 2 files (2 .xml), no images",)
    with pytest.raises(InputError, match="test/ must hold images"):
        arrange(PARTED[:2], barren={"test": text["annotations"]})


@pytest.mark.parametrize(
    ("names", "barren"),
    [
        (PARTED, "annotations"),
        (PARTED, "val"),
        (["images/a/1.png", "images/b/1.png"], "annotations"),
        (["a/1.png", "b/1.png"], "a/notes"),
        (["1.png"], "notes"),
    ],
)
def test_folders_that_can_be_no_class_are_none(names, barren):
    assert arrange(names, barren={barren: Barren()}).classes == arrange(names).classes


def test_numbers_are_sorted_as_numbers_and_words_as_words():
    numbers = [f"{number}/1.png" for number in (0, 1, 10, 2, 11)]
    layout = arrange(numbers)
    assert layout.classes == ("0", "1", "2", "10", "11")
    assert layout.labels["train"].tolist() == [0, 1, 3, 2, 4]
    assert arrange(["a10/1.png", "a2/1.png"]).classes == ("a10", "a2")


def test_one_name_in_two_writings_is_one_class():
    names = ["train/é/1.png", "train/a/1.png", "test/e\u0301/1.png", "test/a/1.png"]
    assert arrange(names).classes == ("a", "é")


def test_classes_that_differ_by_capitals_alone_are_told():
    layout = arrange(["Cat/1.png", "cat/1.png", "dog/1.png"])
    assert layout.classes == ("Cat", "cat", "dog")
    assert "classes Cat/, cat/ differ by capitals alone" in layout.warnings[0]
