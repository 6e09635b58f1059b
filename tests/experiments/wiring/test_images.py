"""The image task where the score of every seed and step is planted, on test images alone."""

import jax
import numpy as np
import pytest

from mmix_jax.experiments import run
from mmix_jax.experiments.images import scores
from mmix_jax.experiments.images.inputs import make_order
from mmix_jax.experiments.pretraining import pretrain
from mmix_jax.experiments.task import keys_of
from tests.experiments.wiring import planted
from tests.experiments.wiring import planted_images as data


@pytest.fixture(autouse=True)
def framework(monkeypatch):
    data.install(monkeypatch)


def values_of(results):
    """{(protocol, metric, trained): values by seed}."""
    return {(row.protocol, row.metric, row.trained): row.values for row in results}


def exactly(values):
    return pytest.approx(tuple(values), abs=1e-6)


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
def test_neighbours_and_probe_learn_from_training_images_and_are_asked_about_test_ones(
    tmp_path, on_disk
):
    task = run.task_of(data.config(), data.dataset())
    workdir = tmp_path if on_disk else None
    trained = [pretrain(task, seed, workdir=workdir).encoder for seed in (0, 1)]
    found = values_of(run.evaluate(task, trained))
    for is_trained, clock in ((True, 4), (False, 0)):
        shares = data.SHARES[:2, clock]
        assert found["knn k=6", "top1", is_trained] == exactly(shares)
        assert found["linear", "top1", is_trained] == exactly(shares)
        # All six neighbours name one class; behind it come the others by number, four of them.
        named = data.told()[:, :2, clock]
        behind = data.TEST_LABELS[:, None] - (named < data.TEST_LABELS[:, None])
        among_five = (named == data.TEST_LABELS[:, None]) | (behind < 4)
        assert found["knn k=6", "top5", is_trained] == exactly(among_five.mean(axis=0))


def test_probes_draw_by_the_key_of_their_seed(monkeypatch):
    keys, original = [], scores.linear_probe

    def spy(*arrays, key, **options):
        keys.append(jax.random.key_data(key).tolist())
        return original(*arrays, key=key, **options)

    monkeypatch.setattr(scores, "linear_probe", spy)
    task = run.task_of(data.config(num_steps=1), data.dataset())
    run.evaluate(task, [pretrain(task, seed).encoder for seed in (0, 1)])
    of_seeds = [jax.random.split(keys_of(seed)[2])[1] for seed in (0, 0, 1, 1)]
    assert keys == [jax.random.key_data(key).tolist() for key in of_seeds]


def test_a_workdir_is_evaluated_seed_by_seed(tmp_path, monkeypatch):
    config = data.config(num_seeds=2)
    monkeypatch.setattr(run, "load", lambda config, *_: run.task_of(config, data.dataset()))
    for results in (
        run.train(config, tmp_path),
        run.evaluate_checkpoints(config, tmp_path, None),
    ):
        found = values_of(results)
        for trained, clock in ((True, 4), (False, 0)):
            assert found["linear", "top1", trained] == exactly(data.SHARES[:2, clock])


@pytest.mark.parametrize(("selection", "num_steps", "chosen", "end"), [
    ("last", 8, 8, 8), ("loss", 5, 2, 4),
])  # fmt: skip
def test_the_selection_says_which_step_is_scored(selection, num_steps, chosen, end):
    config = data.config(selection=selection, num_steps=num_steps, patience=2)
    training = pretrain(run.task_of(config, data.dataset()))
    assert (training.encoder.progress["step"], int(training.state.step)) == (chosen, end)


@pytest.mark.parametrize("interrupted", [False, True], ids=["whole", "resumed"])
def test_batches_and_draws_are_those_of_the_seed_and_the_step(tmp_path, interrupted):
    task = run.task_of(data.config(num_steps=7), data.dataset())
    batches = {}
    for seed in (0, 1):
        order = make_order(task.config, data.NUM_TRAIN, seed, 1)
        batches[seed] = [float(planted.fingerprint(order(step)[0])) for step in range(7)]
        if interrupted:
            asked = iter([False] * 3 + [True])
            with pytest.raises(run.Interrupted):
                pretrain(task, seed, workdir=tmp_path, interrupted=lambda asked=asked: next(asked))
        history = pretrain(task, seed, workdir=tmp_path).history
        assert [row["batch"] for row in history] == batches[seed]
        drawn = [planted.drawn_at(seed, step) for step in range(7)]
        assert [row["drawn"] for row in history] == exactly(drawn)
    # Three steps an epoch, each epoch in an order of its own.
    assert len(set(batches[0]) | set(batches[1])) == 14


@pytest.mark.parametrize("changes", [{"num_train": 21}, {"num_train": 25, "num_test": 9}], ids=str)
def test_subsets_keep_the_labels_of_their_images(changes):
    of_test = np.broadcast_to(data.TEST_LABELS[:, None, None], (data.NUM_TEST, *data.SHAPE))
    whole = data.dataset()._replace(test=data.pixels(of_test))
    part = run.task_of(data.config(**changes), whole).dataset
    assert len(part.train_labels) == changes["num_train"]
    assert len(part.test_labels) == changes.get("num_test", data.NUM_TEST)
    np.testing.assert_array_equal(part.train_labels, data.named_in(part.train))
    np.testing.assert_array_equal(part.test_labels, data.named_in(part.test))


def test_a_share_becomes_the_test_part_with_its_labels():
    whole = data.dataset()._replace(test=None, test_labels=None)
    part = run.task_of(data.config(test_share=1 / 6), whole).dataset
    assert (len(part.train), len(part.test)) == (35, 7)
    np.testing.assert_array_equal(part.train_labels, data.named_in(part.train))
    np.testing.assert_array_equal(part.test_labels, data.named_in(part.test))
