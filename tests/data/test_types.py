"""Sets of graphs and of images are put together checked. (Sets of nodes: see their readers.)"""

import numpy as np
import pytest

from mmix_jax.data import make_graph_dataset, make_image_dataset
from mmix_jax.data.raw import make_graph_or_empty


def _graphs(*widths):
    return [make_graph_or_empty(np.ones((n, width)), [], []) for n, width in enumerate(widths)]


def test_parts_are_kept():
    graphs = _graphs(2, 2, 2)
    found = make_graph_dataset("mine", graphs, [2, 0, 2], features="degree", ids=["a", "b", "c"])
    assert (found.name, found.num_classes, found.features) == ("mine", 2, "degree")
    assert isinstance(found.graphs, tuple)
    assert all(graph is other for graph, other in zip(found.graphs, graphs, strict=True))
    np.testing.assert_array_equal(found.labels, np.array([1, 0, 1], np.int32), strict=True)
    assert found.classes.tolist() == [0, 2]
    assert found.ids.tolist() == ["a", "b", "c"]


def test_labels_and_ids_are_optional():
    found = make_graph_dataset("mine", iter(_graphs(1, 1)))
    assert (found.labels, found.num_classes, found.features, found.ids) == (None, 0, "given", None)


def test_labels_may_be_a_column_of_whole_floats():
    found = make_graph_dataset("mine", _graphs(1, 1), np.array([[1.0], [0.0]]))
    np.testing.assert_array_equal(found.labels, np.array([1, 0], np.int32), strict=True)


def test_all_unknown_labels_are_none():
    found = make_graph_dataset("mine", _graphs(1, 1), [-1, -1])
    assert (found.labels, found.num_classes) == (None, 0)


@pytest.mark.parametrize(
    ("widths", "options", "told"),
    [
        ((), {}, "must have one or more, found none"),
        ((2, 3, 2), {}, "same number of features, found 2 and 3"),
        ((1, 1), {"labels": [0]}, r"labels must have shape \(2,\), found \(1,\).* per graph"),
        ((1, 1), {"labels": [0.5, 1]}, "labels must be whole numbers or texts, .*found 0.5"),
        ((1, 1), {"labels": [0, -2]}, "found -2; number the classes from zero"),
        ((1, 1), {"labels": [1, 1]}, "two classes or more, found class 1 only"),
        ((1, 1, 1), {"labels": [0, 1, -1]}, "known for all or for none, found 1 unknown of 3"),
        ((1, 1), {"ids": ["a"]}, r"ids must have shape \(2,\), found \(1,\); give one per graph"),
    ],
)
def test_parts_that_do_not_fit_are_told(widths, options, told):
    with pytest.raises(ValueError, match=told) as caught:
        make_graph_dataset("mine", _graphs(*widths), **options)
    assert "\n" not in str(caught.value)


# Images


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 3), dtype=np.uint8)


def test_images_and_labels_are_kept():
    found = make_image_dataset(
        "mine", IMAGES, [0, 1, 2, 1, 0], IMAGES[:2], [2, 2], classes=["a", "b", "c"]
    )
    assert (found.name, found.classes) == ("mine", ("a", "b", "c"))
    assert found.train is IMAGES
    np.testing.assert_array_equal(found.test, IMAGES[:2])
    wanted = np.array([0, 1, 2, 1, 0], np.int32)
    np.testing.assert_array_equal(found.train_labels, wanted, strict=True)
    np.testing.assert_array_equal(found.test_labels, np.array([2, 2], np.int32), strict=True)


def test_labels_and_test_images_are_optional():
    found = make_image_dataset("mine", IMAGES)
    assert (found.train_labels, found.test, found.test_labels, found.classes) == (None,) * 3 + ((),)
    assert make_image_dataset("mine", IMAGES, test=IMAGES).test_labels is None
    labelled = make_image_dataset("mine", IMAGES, [0, 1, 0, 1, 0], classes=["a", "b"])
    assert (labelled.test, labelled.test_labels) == (None, None)


@pytest.mark.parametrize("shape", [(5, 3, 2, 3), (2500, 2, 1, 1)])
def test_mean_and_std_are_those_of_every_training_channel(shape):
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    found = make_image_dataset("mine", images, test=np.zeros_like(images))
    exact = images.astype(np.float64) / 255
    np.testing.assert_allclose(found.mean, exact.mean((0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(found.std, exact.std((0, 1, 2)), rtol=1e-13)


def test_a_channel_that_never_changes_has_std_one():
    images = IMAGES.copy()
    images[..., 1] = 51
    found = make_image_dataset("mine", images)
    assert (found.mean[1], found.std[1]) == (0.2, 1.0)
    assert found.std[0] < 1


LABELS = [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("arguments", "classes", "told"),
    [
        ((IMAGES.astype(np.float32),), (), "training images must be an array uint8 .*float32"),
        ((IMAGES[0],), (), r"C 1 or 3, found uint8 \[3, 2, 3\]"),
        ((IMAGES[..., :2],), (), r"found uint8 \[5, 3, 2, 2\]"),
        ((IMAGES[:0],), (), r"found uint8 \[0, 3, 2, 3\]"),
        ((IMAGES, None, IMAGES[:, :2]), (), r"same shape, found \(3, 2, 3\) and \(2, 2, 3\)"),
        ((IMAGES, None, [1]), (), "test images must be an array uint8"),
        ((IMAGES, LABELS), (), "found labels for training and no test images and 0 names"),
        ((IMAGES,), "ab", "found labels for no training and no test images and 2 names"),
        ((IMAGES, LABELS, IMAGES), "ab", "for training and no test images and 2 names"),
        ((IMAGES, LABELS, None, LABELS), "ab", "for training and test images and 2 names"),
        ((IMAGES, [0] * 5), "a", "two classes or more, found class 'a' only"),
        ((IMAGES, LABELS[:4]), "ab", r"integers of shape \(5,\), found int64 of shape \(4,\)"),
        ((IMAGES, [0.0] * 5), "ab", "found float64"),
        ((IMAGES, [0, 1, 2, 0, 0]), "ab", "must be in 0 … 1, one per name, found 2"),
        ((IMAGES, LABELS, IMAGES, [0, 1, -1, 0, 0]), "ab", "one per name, found -1"),
    ],
)
def test_images_that_do_not_fit_are_told(arguments, classes, told):
    with pytest.raises(ValueError, match=told) as caught:
        make_image_dataset("mine", *arguments, classes=tuple(classes))
    assert "\n" not in str(caught.value)
