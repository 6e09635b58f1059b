"""Parts of the data, order of the batches, static settings: what a config makes of its images."""

import dataclasses

import jax
import numpy as np
import pytest

from mmix_jax.data.types import make_image_dataset
from mmix_jax.errors import InputError
from mmix_jax.experiments import read
from mmix_jax.experiments.images import inputs as image_inputs
from mmix_jax.experiments.images.inputs import (
    check_scoring,
    chunk_of,
    image_settings,
    make_order,
    parts_of,
)
from tests.experiments.images import small_images


def numbered(sizes=(10, 20, 30), tested=(), *, labelled: bool = True):
    """Images of one pixel that say their own number, classes of these sizes in a mixed order."""
    draw = np.random.default_rng(3)

    def part(sizes, first):
        labels = draw.permutation(np.repeat(np.arange(len(sizes)), sizes))
        values = np.arange(first, first + labels.size, dtype=np.uint8)
        images = np.broadcast_to(values[:, None, None, None], (labels.size, 1, 1, 3)).copy()
        return images, labels if labelled else None

    train, train_labels = part(sizes, 0)
    test, test_labels = part(tested, 100) if tested else (None, None)
    names = [f"class {number}" for number in range(len(sizes) if labelled else 0)]
    return make_image_dataset("numbered", train, train_labels, test, test_labels, classes=names)


def ids(images) -> list[int]:
    return images[:, 0, 0, 0].tolist()


def config(**changes):
    return read(small_images.config(**({"batch_size": 4} | changes)))


# Parts


def test_nothing_is_changed_where_nothing_is_asked():
    for data in (numbered(tested=(3, 3, 3)), numbered(labelled=False)):
        assert parts_of(config(), data) is data


@pytest.mark.parametrize(
    ("wanted", "counts"),
    [(6, [1, 2, 3]), (12, [2, 4, 6]), (60, [10, 20, 30]), (7, [1, 2, 4]), (4, [1, 1, 2])],
)
def test_a_subset_has_of_each_class_its_share(wanted, counts):
    data = numbered(tested=(10, 20, 30))
    found = parts_of(config(num_train=wanted, num_test=wanted), data)
    for labels in (found.train_labels, found.test_labels):
        assert np.bincount(labels, minlength=3).tolist() == counts
    assert found.classes == data.classes


def test_images_keep_their_labels_and_their_order():
    data = numbered(tested=(10, 20, 30))
    found = parts_of(config(num_train=20, num_test=9), data)
    for images, labels, whole in [
        (found.train, found.train_labels, data.train_labels),
        (found.test, found.test_labels, data.test_labels),
    ]:
        rows = [number % 100 for number in ids(images)]
        assert rows == sorted(set(rows))
        np.testing.assert_array_equal(labels, whole[rows])


def test_a_share_becomes_the_test_part_where_there_is_none():
    data = numbered()
    found = parts_of(config(), data)
    assert np.bincount(found.test_labels).tolist() == [1, 2, 3]
    assert np.bincount(found.train_labels).tolist() == [9, 18, 27]
    assert sorted(ids(found.train) + ids(found.test)) == list(range(60))
    for images, labels in [(found.train, found.train_labels), (found.test, found.test_labels)]:
        np.testing.assert_array_equal(labels, data.train_labels[ids(images)])
    third = parts_of(config(test_share=1 / 3), data)
    assert (len(third.train), len(third.test)) == (40, 20)
    least = parts_of(config(test_share=0.001), data)
    assert (len(least.train), len(least.test)) == (59, 1)


def test_the_test_part_does_not_depend_on_what_is_trained_on():
    whole = parts_of(config(), numbered())
    for changes in ({"num_train": 30}, {"seed": 5}, {"batch_size": 8}):
        found = parts_of(config(**changes), numbered())
        np.testing.assert_array_equal(found.test, whole.test)
        assert set(ids(found.train)) <= set(ids(whole.train))
    few = parts_of(config(num_test=3), numbered())
    assert set(ids(few.test)) < set(ids(whole.test))


def test_a_given_test_part_stays():
    data = numbered(tested=(1, 1, 1))
    found = parts_of(config(num_train=12), data)
    np.testing.assert_array_equal(found.test, data.test)


def test_parts_are_the_same_each_time():
    wanted = config(num_train=20, num_test=3)
    first, again = (parts_of(wanted, numbered()) for _ in range(2))
    np.testing.assert_array_equal(first.train, again.train)
    np.testing.assert_array_equal(first.test, again.test)


def test_images_without_labels_are_parted_too_but_for_the_test():
    data = numbered(labelled=False)
    found = parts_of(config(num_train=15, num_test=9), data)
    assert len(set(ids(found.train))) == 15
    assert (found.train_labels, found.test, found.test_labels) == (None, None, None)
    both = parts_of(config(num_test=4), numbered(tested=(3, 3), labelled=False))
    assert (len(both.train), len(both.test), both.test_labels) == (60, 4, None)


def test_statistics_are_those_of_the_images_that_are_trained_on():
    found = parts_of(config(num_train=20), numbered())
    values = found.train / 255
    np.testing.assert_allclose(found.mean, values.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(found.std, values.std(axis=(0, 1, 2)), rtol=1e-12)
    settings = image_settings(config(num_train=20), found)
    assert (settings.augmentation.mean, settings.augmentation.std) == (found.mean, found.std)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_train": 55}, "num_train must be at most 54, found 55; 0 is all"),
        ({"num_test": 7}, "num_test must be at most 6, found 7; 0 is all"),
    ],
)
def test_more_images_than_there_are_is_told(changes, told):
    with pytest.raises(InputError, match=told):
        parts_of(config(**changes), numbered())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_neighbours": 5}, "num_neighbours must be at most the 4 training images, found 5"),
        ({"num_train": 3}, "must be more than the 3 classes, found 3; use more"),
        ({"probe_held_out": 2}, "probe_held_out must be 3 to 3, found 2; 0 takes a tenth"),
        ({"probe_held_out": 4}, "probe_held_out must be 3 to 3, found 4; 0 takes a tenth"),
        ({}, "of two classes or more, found 1 among 4; use more"),
    ],
)
def test_images_that_cannot_be_scored_are_told(changes, told):
    chosen = config(**({"num_train": 4, "num_neighbours": 3} | changes))
    few = parts_of(chosen, numbered((60, 1, 1), tested=(1, 1, 1)))
    with pytest.raises(InputError, match=told):
        check_scoring(chosen, few)
    check_scoring(chosen, few._replace(test_labels=None))  # never scored


def test_images_that_can_be_scored_are_not_told_otherwise():
    chosen = config(num_train=4, num_neighbours=4)
    check_scoring(chosen, parts_of(chosen, numbered((2, 1, 1), tested=(1, 1, 1))))


# Order


def order(num_images=19, seed=0, num_devices=1, **changes):
    # Not by a config: what it refuses of itself is tested there.
    typed = dataclasses.replace(config(), **changes)
    return make_order(typed, num_images, seed, num_devices)


def test_every_epoch_shows_each_image_once_in_an_order_of_its_own():
    batch = order()  # four batches of four, three images are left over
    epochs = [np.concatenate([batch(4 * e + step)[0] for step in range(4)]) for e in range(6)]
    for rows in epochs:
        assert rows.dtype == np.int32
        assert len(set(rows.tolist())) == 16
        assert rows.min() >= 0 and rows.max() < 19
    assert len({tuple(rows) for rows in epochs}) == 6
    assert set(np.concatenate(epochs).tolist()) == set(range(19))  # others are left out each time


def test_a_set_of_whole_batches_is_shown_whole():
    batch = order(16)
    rows = np.concatenate([batch(step)[0] for step in range(4)])
    assert sorted(rows.tolist()) == list(range(16))


def test_the_seed_gives_another_order():
    orders = {
        tuple(np.concatenate([order(seed=s)(step)[0] for step in range(4)])) for s in range(5)
    }
    assert len(orders) == 5


def test_a_batch_is_a_function_of_its_step_alone():
    steps = [0, 9, 3, 17, 4, 9, 0, 250]
    batch = order()
    asked = [batch(step) for step in steps]
    for step, rows in zip(steps, asked, strict=True):
        np.testing.assert_array_equal(rows, order()(step))


@pytest.mark.parametrize("num_devices", [2, 4])
def test_devices_share_the_batch_of_one(num_devices):
    for step in range(7):
        shards = order(num_devices=num_devices)(step)
        assert shards.shape == (num_devices, 4 // num_devices)
        np.testing.assert_array_equal(shards.reshape(1, 4), order()(step))


@pytest.mark.parametrize("chunk", [2, 3, 9])
@pytest.mark.parametrize("num_devices", [1, 2])
def test_a_chunk_holds_the_batches_of_its_steps(chunk, num_devices):
    several = order(num_devices=num_devices, chunk_steps=chunk)
    single = order(num_devices=num_devices)
    for step in (0, 2, 3, 5, 1):  # some chunks reach into the next epochs
        found = several(step)
        assert found.shape == (num_devices, chunk, 4 // num_devices)
        for number in range(chunk):
            np.testing.assert_array_equal(found[:, number], single(step + number))


@pytest.mark.parametrize(("size", "near"), [(30, 32), (33, 32), (5, 4), (2, 4), (1, 4)])
def test_devices_that_do_not_divide_the_batch_are_told(size, near):
    told = f"multiple of the 4 devices, found {size}; the nearest is {near}$"
    with pytest.raises(InputError, match=told):
        order(num_images=60, num_devices=4, batch_size=size)


@pytest.mark.parametrize(
    ("num_images", "size", "way_out"),
    [(15, 15, "the nearest is 12"), (3, 3, "3 images want num_devices=1")],
)
def test_the_way_out_fits_the_images(num_images, size, way_out):
    with pytest.raises(InputError, match=f"multiple of the 4 devices, found {size}; {way_out}$"):
        order(num_images=num_images, num_devices=4, batch_size=size)


def test_a_batch_of_more_images_than_there_are_is_told():
    with pytest.raises(InputError, match=r"at most the 19 training images, found 20; lower it$"):
        order(batch_size=20)


def test_steps_of_a_dispatch(monkeypatch):
    assert chunk_of(config(chunk_steps=7), 1000) == 7
    assert chunk_of(config(chunk_steps=0), 1000) == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert chunk_of(config(chunk_steps=0), 1003) == 250  # an epoch
    assert chunk_of(config(chunk_steps=0), 4) == 1
    assert chunk_of(config(chunk_steps=7), 1000) == 7


# Static settings


def settings_with(**changes):
    return image_settings(config(**changes), numbered())


def test_a_crop_of_everything_is_none():
    assert settings_with(crop_min=1.0).augmentation.crop_scale is None
    assert settings_with(crop_min=0.3).augmentation.crop_scale == (0.3, 1.0)


def test_the_augmentation_is_the_configs():
    names = ("brightness", "contrast", "saturation", "hue")
    changes = dict(zip(names, (0.1, 0.2, 0.3, 0.05), strict=True))
    changes |= {"flip": 0.25, "jitter": 0.7, "grayscale": 0.15}
    found = settings_with(**changes).augmentation
    assert found.jitter_strengths == (0.1, 0.2, 0.3, 0.05)
    assert (found.flip, found.jitter, found.grayscale) == (0.25, 0.7, 0.15)


@pytest.mark.parametrize(
    ("changes", "block"),
    [
        ({"batch_size": 4096}, None),
        ({"batch_size": 4097}, 2048),
        ({"batch_size": 8192, "block_size": 512}, 512),
        ({"block_size": 2}, 2),
    ],
)
def test_large_batches_are_streamed(changes, block):
    static = settings_with(**changes)
    assert static.contrast.options(static.num_contrasted)["block_size"] == block


@pytest.mark.parametrize(
    ("precision", "backend", "dtype"),
    [
        ("auto", "cpu", "float32"),
        ("auto", "gpu", "bfloat16"),
        ("auto", "tpu", "bfloat16"),
        ("float32", "gpu", "float32"),
        ("bfloat16", "cpu", "bfloat16"),
    ],
)
def test_precision(precision, backend, dtype, monkeypatch):
    monkeypatch.setattr(image_inputs.jax, "default_backend", lambda: backend)
    assert settings_with(precision=precision).dtype == dtype


def test_every_other_setting_is_the_configs():
    given = {
        "mixing": "mp",
        "candidates": "all",
        "symmetric": True,
        "negatives": "cross",
        "temperature": 0.3,
        "renormalise": False,
        "stages": (1, 2),
        "width": 6,
    }
    static = settings_with(**given, head_width=24, head_hidden_width=5)
    assert (static.mixing.rule, static.mixing.candidates) == ("mp", "all")
    assert (static.contrast.negatives, static.contrast.temperature) == ("cross", 0.3)
    assert (static.symmetric, static.renormalise) == (True, False)
    assert (static.stages, static.width, static.features, static.hidden) == ((1, 2), 6, 24, 5)
    assert isinstance(hash(static), int)  # static: part of a program's key


def test_one_image_leaves_none_to_train_on():
    """Its share for tests is all of them: bad input, not a traceback."""
    pixels = small_images.pixels(1)
    alone = make_image_dataset("alone", pixels, np.zeros(1, np.int32), classes=["a", "b"])
    with pytest.raises(InputError) as caught:
        parts_of(config(), alone)
    assert type(caught.value) is InputError and "\n" not in str(caught.value)
