"""The image task on forty images of 8 × 8: resumption, what is reported, which step and data."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from mmix_jax.data.splits import stratified_test
from mmix_jax.data.types import make_image_dataset
from mmix_jax.errors import InputError
from mmix_jax.experiments import run
from mmix_jax.experiments.images import task as images
from mmix_jax.experiments.images.scores import (
    features_of,
    make_monitor,
    probe_features,
    score_features,
    variables_of,
)
from mmix_jax.experiments.pretraining import (
    checkpoint_folder,
    fresh_encoder,
    pretrain,
    restored_encoder,
)
from mmix_jax.training.checkpoint import Checkpointer
from mmix_jax.training.loop import Interrupted, new_progress
from tests.experiments.images import small_images
from tests.metric_lines import SPEED, lines_of

pytestmark = pytest.mark.slow

PIXELS, TWO = small_images.pixels(), np.arange(4) % 2
# Pixels are the same in all, so that one program serves them; one class more or less is data.
SETS = {
    "six": small_images.dataset(6),
    "two": small_images.dataset(2),
    "bare": small_images.dataset(0),
    "bare without test": small_images.dataset(0, tested=False),
    "four": make_image_dataset(
        "four", PIXELS[:4], TWO, PIXELS[4:8], TWO, classes=["class 0", "class 1"]
    ),
}


@pytest.fixture(scope="module", autouse=True)
def by_name():
    """Data sets that lie in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "load_images", lambda name, data_dir, path, size: SETS[name])
        yield


def config(dataset: str = "six", **changes):
    return small_images.config(dataset=dataset, **changes)


def train(config, workdir, interrupted=lambda: False):
    return run.train(config, workdir, interrupted)


def stopping_after(count: int):
    """An `interrupted` that says so when asked for the count-th time."""
    asked = iter([False] * (count - 1) + [True])
    return lambda: next(asked)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(workdir, results) of a training that nothing interrupts."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, train(config(), workdir)


def timeless(results):
    return [dataclasses.replace(result, seconds=0.0) for result in results]


def rows_of(results):
    return {(row.protocol, row.metric, row.trained): row for row in results}


def state_of(workdir, config, seed: int = 0, *, best: bool = False):
    task = run.load(config)
    with Checkpointer(checkpoint_folder(workdir, seed), read_only=True) as checkpointer:
        restored = checkpointer.restore(task.start(seed), best=best)
    assert restored is not None
    return restored


def variables_at(config, folder):
    """Variables of the encoder that a config selects in a folder of checkpoints."""
    return variables_of(restored_encoder(run.load(config), 0, folder, None).state)


def assert_same(left, right, **tolerance):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        if tolerance:
            np.testing.assert_allclose(a, b, **tolerance)
        else:
            np.testing.assert_array_equal(a, b)


# What is reported


def test_results_have_every_row_of_the_protocol(whole):
    found = rows_of(whole[1])
    assert len(whole[1]) == len(found)
    assert set(found) == {
        (protocol, metric, trained)
        for protocol in ("knn k=5", "linear")
        for metric in ("top1", "top5")
        for trained in (True, False)
    }
    for (_, _, trained), row in found.items():
        assert (row.task, row.dataset, row.framework) == ("image", "six", "simclr")
        assert (row.mixing, row.candidates, row.objective) == ("mo", "op", "nt_xent")
        assert (row.representation, row.n, row.seeds, row.std) == ("single", 1, (0,), 0.0)
        assert row.selection == ("last" if trained else "none")
        assert row.steps == (6 if trained else 0)
        assert (row.seconds > 0) == trained
        assert row.device.startswith("1 x ")
    for protocol in ("knn k=5", "linear"):
        for trained in (True, False):
            top1, top5 = (found[protocol, metric, trained].mean for metric in ("top1", "top5"))
            assert 0 <= top1 <= top5 <= 1


def test_few_classes_have_no_top5(tmp_path):
    results = train(config("two", num_steps=1), tmp_path)
    assert {row.metric for row in results} == {"top1"}
    assert len(results) == 4


def test_what_is_logged(whole):
    lines = [json.loads(line) for line in (whole[0] / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    mixing = {"partners", "unmixed", "entropy", "cosine", "rank_correlation", "agreement"}
    expected = {"seed", "step", "loss", "contrast", "gradient_norm", "validation_knn", *SPEED}
    for line in lines:
        assert set(line) == expected | {f"mixing/{name}" for name in mixing}
        assert line["mixing/partners"] > 0  # or the next tests would say nothing
        assert 0 <= line["host_share"] <= 1 and line["samples_per_second"] > 0


def test_agreement_follows_the_labels_and_training_does_not(tmp_path, whole):
    """All of one class agree wholly; parameters are the same."""
    alike = SETS["six"]._replace(train_labels=np.zeros(small_images.NUM_TRAIN, np.int32))
    pretrain(run.task_of(config("alike"), alike), workdir=tmp_path)
    assert_same(state_of(tmp_path, config())[0], state_of(whole[0], config())[0])
    found = {"six": lines_of(whole[0]), "alike": lines_of(tmp_path)}
    assert all(line.pop("validation_knn") == 1.0 for line in found["alike"])
    assert all(line.pop("validation_knn") < 1.0 for line in found["six"])
    agreement = {name: [line.pop("mixing/agreement") for line in found[name]] for name in found}
    assert found["six"] == found["alike"]
    np.testing.assert_allclose(agreement["alike"], 1.0, rtol=1e-6)
    assert all(0 < value < 1 for value in agreement["six"])


@pytest.mark.parametrize(("num", "neighbours", "k"), [(1000, 5, 5), (3, 40, 2), (3, 1, 1)])
def test_classes_are_told_from_other_training_images(whole, num, neighbours, k):
    """By loops: of a fifth of the images, at most those asked for, of each class its share; told by
    k votes of four times as many others, k at most a class's share of these."""
    inputs = run.load(config(num_monitored=num, num_neighbours=neighbours)).inputs
    state = state_of(whole[0], config())[0]
    z = np.asarray(features_of(inputs, variables_of(state), inputs.dataset.train), np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    labels = inputs.dataset.train_labels
    chosen = stratified_test(labels, min(num, 8), seed=0)
    rest = np.array([i for i in range(len(z)) if i not in set(chosen)])
    others = rest[stratified_test(labels[rest], 4 * len(chosen), seed=0)]
    right = 0
    for i in chosen:
        votes = np.zeros(6)
        for j in sorted(others, key=lambda j: -z[i] @ z[j])[:k]:
            votes[labels[j]] += np.exp(z[i] @ z[j] / 0.4)
        right += votes.argmax() == labels[i]
    found = make_monitor(inputs)(state)
    assert found == {"validation_knn": pytest.approx(right / len(chosen))}
    if num == 1000:  # as the training was watched
        assert lines_of(whole[0])[-1]["validation_knn"] == found["validation_knn"]


def test_training_reads_no_label_of_a_test_image(tmp_path, whole):
    """Permuted test labels give the same training, bit for bit, and the same lines."""
    six = SETS["six"]
    permuted = six._replace(test_labels=np.roll(six.test_labels, 1))
    pretrain(run.task_of(config(), permuted), workdir=tmp_path)
    assert_same(state_of(tmp_path, config())[0], state_of(whole[0], config())[0])
    assert lines_of(tmp_path) == lines_of(whole[0])


def test_nothing_is_told_where_nothing_is_asked_or_known(tmp_path, whole):
    pretrained = pretrain(run.task_of(config(num_monitored=0), SETS["six"]), show=False)
    assert_same(pretrained.state, state_of(whole[0], config())[0])
    assert not any("validation_knn" in row for row in pretrained.history)
    for name in ("bare", "four"):  # no classes; a fifth of four images is none
        inputs = run.load(config(name, batch_size=4)).inputs
        assert make_monitor(inputs)(None) == {}


def test_the_random_encoder_has_nothing_to_do_with_training(tmp_path, whole):
    untrained = [row for row in timeless(whole[1]) if not row.trained]
    shorter = train(config(num_steps=1), tmp_path)
    assert [row for row in timeless(shorter) if not row.trained] == untrained
    task = run.load(config())
    scores = score_features(task.inputs, variables_of(fresh_encoder(task, 0).state), 0)
    means = {(row.protocol, row.metric): value.mean for row, value in scores.items()}
    assert {(row.protocol, row.metric): row.mean for row in untrained} == means


def test_without_a_workdir_a_training_ends_as_with_one(tmp_path, whole, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = run.task_of(config(), SETS["six"])
    pretrained = pretrain(task)
    assert_same(pretrained.state, state_of(whole[0], config())[0])
    assert timeless(run.evaluate(task, [pretrained.encoder])) == timeless(whole[1])
    assert [row["step"] for row in pretrained.history] == [2, 4, 6]
    assert not list(tmp_path.glob("*checkpoint*")) and not list(tmp_path.glob("*.json*"))


# Resumption


@pytest.mark.parametrize("interruptions", [[1, 1, 1, 1, 1, 1], [3], [2, 3], [6]], ids=str)
def test_interrupted_and_resumed_ends_bitwise_as_uninterrupted(tmp_path, whole, interruptions):
    done = 0
    for count in interruptions:
        with pytest.raises(Interrupted) as stop:
            train(config(), tmp_path, stopping_after(count))
        done += count
        assert stop.value.step == done
    results = train(config(), tmp_path)
    assert timeless(results) == timeless(whole[1])
    assert lines_of(tmp_path) == lines_of(whole[0])
    for best in (False, True):
        found, expected = (state_of(path, config(), best=best) for path in (tmp_path, whole[0]))
        assert_same(found[0], expected[0])
        assert {**found[1], "seconds": 0} == {**expected[1], "seconds": 0}


def test_interruption_while_evaluating_needs_no_new_training(tmp_path, whole):
    shutil.copytree(whole[0] / "checkpoints", tmp_path / "checkpoints")
    with pytest.raises(Interrupted):
        train(config(), tmp_path, stopping_after(1))
    assert timeless(train(config(), tmp_path)) == timeless(whole[1])
    assert not (tmp_path / "metrics.jsonl").exists()


def test_more_steps_go_on_where_fewer_ended(tmp_path, whole):
    train(config(num_steps=4), tmp_path)
    results = train(config(), tmp_path)
    assert timeless(results) == timeless(whole[1])
    assert_same(state_of(tmp_path, config())[0], state_of(whole[0], config())[0])


def test_several_steps_a_dispatch_train_as_single_ones(tmp_path, whole):
    """Of three at most, cut where an evaluation or a checkpoint is due, and resumed."""
    chunked = config(chunk_steps=3, eval_every=5, checkpoint_every=4)
    train(chunked, tmp_path / "whole")
    found = state_of(tmp_path / "whole", chunked)[0]
    expected = state_of(whole[0], config())[0]
    assert_same(found, expected, rtol=1e-4, atol=1e-5)
    assert [line["step"] for line in lines_of(tmp_path / "whole")] == [5, 6]
    steps = []
    for _ in range(3):
        with pytest.raises(Interrupted) as stop:
            train(chunked, tmp_path / "cut", stopping_after(1))
        steps.append(stop.value.step)
    assert steps == [3, 4, 5]
    train(chunked, tmp_path / "cut")
    assert_same(state_of(tmp_path / "cut", chunked)[0], found)
    assert lines_of(tmp_path / "cut") == lines_of(tmp_path / "whole")


def test_four_devices_train_as_one(tmp_path, whole):
    task = run.load(config(num_devices=0))
    assert len(task.devices) == 4
    pretrain(task, workdir=tmp_path)
    found, expected = (state_of(path, config())[0] for path in (tmp_path, whole[0]))
    # Adam divides by what is nearly zero in biases before a batch norm
    assert_same(found.params, expected.params, atol=2e-3)
    assert_same(found.batch_stats, expected.batch_stats, rtol=1e-3, atol=1e-4)
    for ours, theirs in zip(lines_of(tmp_path), lines_of(whole[0]), strict=True):
        assert set(ours) == set(theirs)
        # Ratios are means over devices, and differ.
        for name in ours.keys() - {"mixing/agreement", "mixing/rank_correlation"}:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-4)


# Seeds, and which step is evaluated


def test_several_seeds_are_one_row_with_their_spread(tmp_path, whole):
    shutil.copytree(whole[0] / "checkpoints", tmp_path / "checkpoints")
    results = train(config(num_seeds=2), tmp_path)  # seed 0 is there already
    alone = rows_of(train(config(seed=1), tmp_path))
    first = rows_of(whole[1])
    assert len(results) == len(first)
    for key, row in rows_of(results).items():
        assert (row.n, row.seeds, row.seed) == (2, (0, 1), 0)
        assert row.values == (first[key].mean, alone[key].mean)
        np.testing.assert_allclose(row.mean, np.mean(row.values))
        np.testing.assert_allclose(row.std, np.std(row.values, ddof=1), atol=1e-12)
    states = [state_of(tmp_path, config(), seed)[0].params for seed in (0, 1)]
    assert not np.allclose(*(jax.tree.leaves(params)[-1] for params in states))


@pytest.fixture(scope="module")
def best_first(tmp_path_factory, whole):
    """A folder of two checkpoints, of which the earlier had the better loss; they tell no mean."""
    folder = tmp_path_factory.mktemp("best") / "checkpoints" / "seed_0"
    last, _ = state_of(whole[0], config())
    with Checkpointer(folder) as checkpointer:
        for step, score in ((2, -1.0), (4, None)):
            scaled = jax.tree.map(lambda x, step=step: step * x, last.params)
            state = last._replace(step=np.int32(step), params=scaled)
            progress = new_progress() | {"best_step": 2, "best_score": -1.0, "seconds": 10.0 * step}
            checkpointer.save(step, state, progress, score=score)
    return folder, last.params


@pytest.mark.parametrize(("selection", "step"), [("loss", 2), ("last", 4)])
def test_the_selected_step_is_evaluated(best_first, selection, step):
    folder, params = best_first
    chosen = config(selection=selection)
    encoder = restored_encoder(run.load(chosen), 0, folder, None)
    assert (encoder.progress["step"], encoder.progress["seconds"]) == (step, 40.0)  # of the whole
    assert_same(encoder.state.params, jax.tree.map(lambda x: step * x, params))
    for row in run.evaluate_checkpoints(chosen, folder.parents[1], None):
        assert row.selection == (selection if row.trained else "none")
        assert row.steps == (step if row.trained else 0)


def test_the_best_step_by_loss_is_kept_while_training(tmp_path):
    """With a rate that ruins what was learnt, the best is not the last; patience ends it."""
    worse = config(selection="loss", learning_rate=1.0, eval_every=1, num_steps=12, patience=2)
    results = train(worse, tmp_path)
    smoothed, losses = None, [line["loss"] for line in lines_of(tmp_path)]
    course = []
    for loss in losses:
        smoothed = loss if smoothed is None else 0.9 * smoothed + 0.1 * loss
        course.append(smoothed)
    best = int(np.argmin(course)) + 1
    assert {row.steps for row in results if row.trained} == {best}
    assert len(losses) == min(best + 2, 12)


# Features


@pytest.fixture(scope="module")
def encoder(whole):
    """(inputs, variables) of the training that nothing interrupts."""
    return run.load(config()).inputs, variables_at(config(), checkpoint_folder(whole[0], 0))


def with_passes_of(inputs, size: int):
    return inputs._replace(config=dataclasses.replace(inputs.config, eval_batch_size=size))


def test_features_do_not_depend_on_passes_or_company(encoder):
    inputs, variables = encoder
    rows = inputs.dataset.train
    expected = np.asarray(features_of(inputs, variables, rows))
    assert expected.shape == (40, 4) and expected.dtype == np.float32
    assert np.unique(expected, axis=0).shape == expected.shape
    for size in (7, 40, 500):
        found = features_of(with_passes_of(inputs, size), variables, rows)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    order = np.random.default_rng(0).permutation(40)
    found = features_of(inputs, variables, rows[order])
    np.testing.assert_allclose(found, expected[order], rtol=1e-5, atol=1e-6)
    few = features_of(inputs, variables, rows[:3])
    np.testing.assert_allclose(few, expected[:3], rtol=1e-5, atol=1e-6)


def test_cropped_features_are_those_of_crops(encoder):
    inputs, variables = encoder
    rows = inputs.dataset.train
    clean = np.asarray(features_of(inputs, variables, rows))
    keys = jax.random.split(jax.random.key(0))
    one, same, other = (
        np.asarray(features_of(inputs, variables, rows, key)) for key in (*keys[:1], *keys)
    )
    np.testing.assert_array_equal(one, same)
    assert (np.abs(one - other).max(axis=1) > 1e-4).mean() > 0.9
    assert (np.abs(one - clean).max(axis=1) > 1e-4).mean() > 0.9
    still = inputs.settings.augmentation._replace(crop_scale=None, flip=0.0)
    inputs = inputs._replace(settings=dataclasses.replace(inputs.settings, augmentation=still))
    np.testing.assert_allclose(
        features_of(inputs, variables, rows, keys[0]), clean, rtol=1e-5, atol=1e-6
    )  # colours are those of the image, and mean and deviation are taken once


def test_crops_do_not_depend_on_passes(encoder):
    inputs, variables = encoder
    rows, key = inputs.dataset.train, jax.random.key(0)
    few, many = (
        features_of(with_passes_of(inputs, size), variables, rows, key) for size in (16, 500)
    )
    np.testing.assert_allclose(few, many, rtol=1e-5, atol=1e-6)


def test_a_probe_on_copies_says_so(whole):
    copied = config(probe_copies=2)
    inputs = run.load(copied).inputs
    variables = variables_at(copied, checkpoint_folder(whole[0], 0))
    clean = features_of(inputs, variables, inputs.tables.images)
    copies = probe_features(inputs, variables, clean, jax.random.key(1))
    assert copies.shape == (2 * small_images.NUM_TRAIN, 4)
    assert not np.allclose(copies[: small_images.NUM_TRAIN], copies[small_images.NUM_TRAIN :])
    found = rows_of(run.evaluate_checkpoints(copied, whole[0], None))
    assert {protocol for protocol, _, _ in found} == {"knn k=5", "linear, 2 crops"}
    for key, row in rows_of(whole[1]).items():
        if key[0] == "knn k=5":
            assert found[key].mean == row.mean


def test_a_finished_run_is_evaluated_again_with_the_same_scores(whole):
    assert timeless(run.evaluate_checkpoints(config(), whole[0], None)) == timeless(whole[1])
    folder = checkpoint_folder(whole[0], 0)
    assert timeless(run.evaluate_checkpoints(config(), whole[0], str(folder))) == timeless(whole[1])


def test_embeddings_are_of_training_images_and_then_of_test_images(whole, encoder):
    arrays = run.embed(config(), whole[0], None)
    assert set(arrays) == {"z", "labels"}
    labels = np.arange(small_images.NUM_TRAIN + small_images.NUM_TEST) % 6
    np.testing.assert_array_equal(arrays["labels"], labels)
    both = np.concatenate([SETS["six"].train, SETS["six"].test])
    np.testing.assert_allclose(arrays["z"], features_of(*encoder, both), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "count"), [("bare", 52), ("bare without test", 40)])
def test_images_without_labels_are_embedded_and_not_scored(tmp_path, whole, name, count):
    shutil.copytree(whole[0] / "checkpoints", tmp_path / "checkpoints")
    assert train(config(name), tmp_path) == []
    arrays = run.embed(config(name), tmp_path, None)
    assert set(arrays) == {"z"}
    assert arrays["z"].shape == (count, 4)
    with pytest.raises(InputError, match="evaluation needs labels, found none in 'bare"):
        run.evaluate_checkpoints(config(name), tmp_path, None)


def test_a_few_other_images_are_embedded_as_those_of_the_training(tmp_path, whole, encoder):
    """Fewer than a batch or the neighbours, and normalised by statistics that are not theirs."""
    folder = str(checkpoint_folder(whole[0], 0))
    arrays = run.embed(config("four"), tmp_path, folder)
    expected = features_of(*encoder, PIXELS[:8])
    np.testing.assert_allclose(arrays["z"], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="num_neighbours must be at most the 4 training images"):
        run.evaluate_checkpoints(config("four"), tmp_path, folder)


def test_without_a_record_of_the_statistics_a_line_says_whose_are_used(best_first, caplog):
    folder, chosen = best_first[0], config(dataset="four", selection="last")
    inputs, variables = run.load(chosen).inputs, variables_at(chosen, folder)
    with caplog.at_level("WARNING", logger="mmix_jax"):
        arrays = run.embed(chosen, folder.parents[1], str(folder))
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("warning: the checkpoint does not tell mean and deviation")
    expected = features_of(inputs, variables, PIXELS[:8])
    np.testing.assert_allclose(arrays["z"], expected, rtol=1e-5)


OTHERS = {"no decay": {"weight_decay": 0.0}, "sgd": {"optimizer": "sgd"}}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
def test_an_encoder_is_read_whatever_the_optimizer_and_a_training_is_not(
    tmp_path, whole, encoder, changes
):
    folder, other = checkpoint_folder(whole[0], 0), config(**changes)
    assert_same(variables_at(other, folder), encoder[1])
    shutil.copytree(folder, checkpoint_folder(tmp_path, 0))
    with pytest.raises(InputError, match=r"must be of this optimizer, .* trained with$"):
        train(other, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


# Bad values


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_neighbours": 41}, "num_neighbours must be at most the 40 training .*, found 41"),
        ({"num_neighbours": 21, "num_train": 20}, "at most the 20 training images, found 21"),
        ({"batch_size": 41}, "batch_size must be at most the 40 training images, found 41"),
        ({"num_devices": 5}, "num_devices asks for 5, found 4; 0 is all"),
        ({"num_devices": 3}, "multiple of the 3 devices, found 8; the nearest is 9"),
        ({"num_train": 6, "batch_size": 4}, "more than the 6 classes, found 6; use more"),
    ],
)
def test_values_that_do_not_fit_the_data_are_told_before_training(tmp_path, changes, told):
    with pytest.raises(InputError, match=told):
        train(config(**changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


KINDS = {
    "mp": {"mixing": "mp", "threshold": 0.0, "optimizer": "sgd", "schedule": "cosine"},
    "i_mix": {"mixing": "i_mix", "warmup_steps": 1, "weight_decay": 0.0, "optimizer": "lars"},
    "streamed": {"candidates": "all", "symmetric": True, "block_size": 4, "crop_min": 1.0},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_training_runs(tmp_path, kind):
    kind = config(num_steps=2, eval_every=1, **KINDS[kind])
    task = run.load(kind)
    assert pretrain(task, workdir=tmp_path).ran
    lines = lines_of(tmp_path)
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    assert ("diversity" in lines[0]) == (kind.mixing == "mp")
    assert not pretrain(task, workdir=tmp_path).ran
