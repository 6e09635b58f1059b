"""Defaults give way to small sets of images; values of one's own do not."""

import logging

import numpy as np
import pytest

from mmix_jax.data.types import make_image_dataset
from mmix_jax.errors import InputError
from mmix_jax.experiments import read, records, run
from mmix_jax.experiments.images import fitting
from mmix_jax.experiments.images.fitting import fit
from mmix_jax.experiments.images.inputs import optimization_of
from mmix_jax.training.step import Optimization
from tests.experiments import configs
from tests.experiments.images import small_images


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    monkeypatch.setattr(fitting.jax, "local_device_count", lambda: 1)


def dataset(num_train, num_test=0, num_classes=3):
    """Images of one pixel."""
    parts = []
    for count in (num_train, num_test):
        labels = np.arange(count) % max(num_classes, 1) if count and num_classes else None
        parts += [np.zeros((count, 1, 1, 3), np.uint8) if count else None, labels]
    classes = [f"class {number}" for number in range(num_classes)]
    return make_image_dataset("some", *parts, classes=classes)


def asked(variant="", name="image_folder", **changes):
    config = configs.load(name, variant)
    config.update(changes)
    return read(config)


NAMES = ("num_train", "num_test", "batch_size", "num_neighbours", "num_steps")


@pytest.mark.parametrize(
    ("variant", "num_images", "expected"),
    [  # a tenth is kept for tests
        ("", 60, (0, 0, 32, 18, 200)),
        ("", 200, (0, 0, 128, 60, 200)),
        ("", 600, (0, 0, 256, 200, 400)),
        ("", 3, (0, 0, 2, 1, 200)),
        ("", 10_000, (0, 0, 256, 200, 7000)),
        ("", 100_000, (0, 0, 256, 200, 70_200)),
        ("", 1_000_000, (0, 0, 256, 200, 97_500)),  # the most
        ("small", 60, (0, 0, 32, 18, 200)),
        ("small", 600, (0, 0, 128, 200, 800)),
        ("small", 9_000, (0, 0, 128, 200, 1170)),
        ("small", 60_000, (10_000, 2_000, 128, 200, 1170)),
        ("smoke", 30, (0, 0, 16, 20, 4)),
        ("smoke", 20, (0, 0, 16, 6, 4)),
    ],
)
def test_what_is_left_to_the_images(variant, num_images, expected):
    found = fit(asked(variant), dataset(num_images)).config
    assert tuple(getattr(found, name) for name in NAMES) == expected


@pytest.mark.parametrize("variant", ["", "paper", "small", "mp", "smoke"])
@pytest.mark.parametrize("name", ["cifar10", "cifar100", "digits"])
def test_cifars_numbers_stay(name, variant):
    config = asked(variant, name)
    sizes = (1438, 359) if name == "digits" else (50_000, 10_000)
    found = fit(config, dataset(*sizes, num_classes=10))
    if name != "digits" or variant != "small":
        assert found == (config, (), "")


def test_what_is_chosen_is_told():
    fitted = fit(asked("small"), dataset(60))
    assert fitted.notes == (
        "num_train all in place of 10000: there are 54 images to train on",
        "num_test all in place of 2000: there are 6 test images",
        "batch_size 32 in place of 128: there are 54 images to train on",
        "num_neighbours 18 in place of 200: there are 54 images to choose them from",
    )
    assert fitted.training == "200 steps: 200 epochs of 1 (--config.num_epochs)"
    many = fit(asked(), dataset(1_000_000))
    assert many.notes == ()
    assert many.training == "97500 steps: num_steps, before the end of 200 epochs of 3515"


@pytest.mark.parametrize(
    "changes",
    [{"num_train": 55}, {"num_test": 7}, {"batch_size": 55}, {"num_neighbours": 55}],
    ids=str,
)
def test_values_of_ones_own_stay_to_be_refused(changes):
    ((name, value),) = changes.items()
    assert getattr(fit(asked(**changes), dataset(60)).config, name) == value


def test_a_subset_of_ones_own_counts():
    found = fit(asked(num_train=30), dataset(600)).config
    assert (found.num_train, found.batch_size, found.num_neighbours) == (30, 16, 10)


def test_parts_and_images_without_labels():
    assert fit(asked(), dataset(60, 20)).config.num_neighbours == 20
    assert fit(asked(), dataset(60, num_classes=0)).config.batch_size == 32
    assert fit(asked("small"), dataset(60, num_classes=0)).config.num_test == 0


@pytest.mark.parametrize(("devices", "size"), [(1, 32), (2, 32), (3, 30), (8, 32), (33, 256)])
def test_all_devices_share_a_batch(devices, size, monkeypatch):
    """Where they cannot, the default stays, and is refused."""
    monkeypatch.setattr(fitting.jax, "local_device_count", lambda: devices)
    assert fit(asked(), dataset(60)).config.batch_size == size
    assert fit(asked(num_devices=2), dataset(60)).config.batch_size == 32


@pytest.mark.parametrize(
    ("num_images", "every"), [(60, (10, 20)), (10_000, (195, 700)), (3, (10, 20))]
)
def test_evaluations_and_checkpoints_divide_the_steps(num_images, every):
    found = fit(asked(), dataset(num_images)).config
    assert (found.eval_every, found.checkpoint_every) == every
    own = fit(asked(eval_every=7, checkpoint_every=0), dataset(num_images)).config
    assert (own.eval_every, own.checkpoint_every) == (7, 0)


def test_steps_are_the_most():
    assert fit(asked(num_steps=50), dataset(600)).config.num_steps == 50
    assert fit(asked(num_epochs=3), dataset(600)).config.num_steps == 6
    alone = fit(asked(num_epochs=0), dataset(600))
    assert (alone.config.num_steps, alone.training) == (97_500, "")


def test_a_long_warmup_is_told():
    told = "fewer than the steps, found 400 of 400 steps: 200 epochs of 2 .*; lower them"
    with pytest.raises(InputError, match=told):
        fit(asked(warmup_steps=400), dataset(600))


def test_warmup_in_epochs():
    found = fit(asked(warmup_epochs=3), dataset(600)).config  # epochs of 2 steps
    assert (found.warmup_steps, found.num_steps) == (6, 400)
    alone = fit(asked(warmup_epochs=3, num_epochs=0, num_steps=50), dataset(600)).config
    assert (alone.warmup_steps, alone.num_steps) == (6, 50)
    told = "found warmup_epochs 25 of 2 steps and 50 steps; lower it"
    with pytest.raises(InputError, match=told):
        fit(asked(warmup_epochs=25, num_epochs=0, num_steps=50), dataset(600))
    with pytest.raises(InputError, match="in steps or in epochs, found warmup_steps 1 and"):
        asked(warmup_epochs=1, warmup_steps=1)


def test_the_strong_recipe_counts_in_epochs():
    found = fit(asked("strong100", "cifar10"), dataset(50_000, 10_000, 10))
    assert found.training == "9700 steps: 100 epochs of 97 (--config.num_epochs)"
    recipe = optimization_of(found.config)
    assert recipe == Optimization(0.06, 5e-4, "sgd", cosine_steps=9700)
    whole = fit(asked("strong+none", "cifar10"), dataset(50_000, 10_000, 10)).config
    assert (whole.num_steps, whole.mixing.rule) == (97_000, "none")
    large = fit(asked("strong_lars", "cifar10"), dataset(50_000, 10_000, 10)).config
    assert optimization_of(large) == Optimization(1.2, 1e-6, "lars", 0.9, 480, 48_000)


# In a workdir

SIX = small_images.dataset(6)


def of_epochs(**changes):
    """Five steps an epoch, and a number of neighbours that gives way."""
    return small_images.config(num_steps=1000, **({"num_neighbours": 200} | changes))


@pytest.mark.slow
def test_a_workdir_knows_its_own_config_and_goes_on_for_more_epochs(tmp_path, caplog):
    def train(**changes):
        caplog.clear()
        config = of_epochs(**changes)
        records.check_record(read(config, any_dataset=True), tmp_path, mode="train")
        pretrained = run.pretrain(run.task_of(config, SIX), workdir=tmp_path)
        return pretrained, [record.getMessage() for record in caplog.records]

    with caplog.at_level(logging.INFO, "mmix_jax"):
        first, told = train(num_epochs=1)
        assert told == [
            "num_neighbours 6 in place of 200: there are 40 images to choose them from",
            "training for 5 steps: 1 epoch of 5 (--config.num_epochs)",
        ]
        assert (int(first.state.step), first.ran) == (5, True)
        again, _ = train(num_epochs=1)
        assert not again.ran
        longer, _ = train(num_epochs=2)
        assert (int(longer.state.step), longer.ran) == (10, True)
    with pytest.raises(InputError, match="num_epochs may only grow in a workdir, found 2 there"):
        train(num_epochs=1)
    at_once = run.pretrain(run.task_of(of_epochs(num_epochs=2), SIX))
    np.testing.assert_array_equal(
        *(pretrained.state.params["head"]["output"]["bias"] for pretrained in (longer, at_once))
    )
