"""The node task where scores of every part, seed, step and branch are planted, and all differ."""

import dataclasses

import jax
import numpy as np
import pytest

from mmix_jax.experiments import run
from mmix_jax.experiments.nodes import task as nodes
from mmix_jax.experiments.pretraining import pretrain
from mmix_jax.experiments.task import keys_of
from mmix_jax.graphs.samplers import NodeSampler
from tests.experiments.wiring import planted
from tests.experiments.wiring import planted_nodes as data

pytestmark = pytest.mark.slow

A, B, MEAN = range(3)


@pytest.fixture(autouse=True)
def framework(monkeypatch):
    monkeypatch.setattr(nodes, "node_framework", lambda name: data.FRAMEWORK)


def task_of(dataset=None, **changes):
    return run.task_of(data.config(**changes), data.dataset() if dataset is None else dataset)


def means_of(results, metric: str = "accuracy"):
    """{(representation, trained): values by seed}."""
    return {(r.representation, r.trained): r.values for r in results if r.metric == metric}


def exactly(values):
    return pytest.approx(tuple(values), abs=1e-6)


# Best step by validation and the last step before patience ends, by seed and headline.
CHOSEN = [({}, (2, 3), (4, 5)), ({"representation": "b"}, (4, 0), (6, 2))]


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
@pytest.mark.parametrize(("changes", "best", "last"), CHOSEN, ids=["mean", "b"])
def test_validation_stops_and_chooses_and_test_nodes_are_scored(
    tmp_path, changes, best, last, on_disk
):
    """By test accuracy the best step would be 5, of seed 1 step 4; by branch a step 1."""
    task = task_of(**changes)
    seeds = (0, 1) if best[1] else (0,)
    trained = [pretrain(task, seed, workdir=tmp_path if on_disk else None) for seed in seeds]
    for seed, training in zip(seeds, trained, strict=True):
        assert training.encoder.progress["step"] == best[seed]
        assert int(training.state.step) == last[seed]
        assert int(np.round(training.state.params["clock"])) == last[seed]
        place = (data.NAMES.index(task.config.representation), seed)
        logged = [row["validation_accuracy"] for row in training.history]
        assert [row["step"] for row in training.history] == list(range(1, last[seed] + 1))
        assert logged == exactly(data.VALID[place][1 : last[seed] + 1])
        assert [row["loss"] for row in training.history] == exactly(planted.LOSSES[: last[seed]])
    found = means_of(run.evaluate(task, [training.encoder for training in trained]))
    for place, name in enumerate(data.NAMES):
        assert found[name, True] == exactly(data.TEST[place, seed, best[seed]] for seed in seeds)
        assert found[name, False] == exactly(data.TEST[place, seed, 0] for seed in seeds)


def test_a_workdir_is_evaluated_seed_by_seed(tmp_path, monkeypatch):
    config = data.config(num_seeds=2)
    monkeypatch.setattr(nodes, "load_nodes", lambda name, **_: data.dataset())
    results = run.train(config, tmp_path)
    again = run.evaluate_checkpoints(config, tmp_path, None)
    for found in (results, again):
        values = means_of(found)
        assert values["mean", True] == exactly([0.65, 0.2])
        assert values["mean", False] == exactly([0.55, 0.0])
        (row,) = (r for r in found if r.representation == "mean" and r.trained)
        assert row.seeds == (0, 1) and row.n == 2
        assert row.mean == pytest.approx(0.425, abs=1e-6)
        assert row.std == pytest.approx(0.45 / 2**0.5, abs=1e-6)  # ddof 1


def test_embeddings_are_the_headlines_at_the_chosen_step():
    for name, place, best in (("a", A, 1), ("b", B, 4)):
        task = task_of(representation=name)
        z = task.embed(pretrain(task).encoder)["z"]
        np.testing.assert_array_equal(z[:, 0], data.embedded()[:, place, 0, best])


@pytest.mark.parametrize(("selection", "num_steps", "chosen", "end"), [
    ("last", 8, 8, 8), ("loss", 5, 2, 4), ("validation", 3, 2, 3),
])  # fmt: skip
def test_the_selection_says_which_step_is_scored(selection, num_steps, chosen, end):
    """The last one has no patience; the smoothed loss is best at step 2."""
    task = task_of(selection=selection, num_steps=num_steps)
    training = pretrain(task)
    assert (training.encoder.progress["step"], int(training.state.step)) == (chosen, end)
    values = means_of(run.evaluate(task, [training.encoder]))
    assert values["mean", True] == exactly([data.TEST[MEAN, 0, chosen]])
    course = planted.smoothed(planted.LOSSES[:num_steps])
    assert int(np.argmin(course)) + 1 == 2 or selection != "loss"


def test_the_reference_protocol_is_the_one_that_watches_the_test_part():
    task = task_of(protocol="reference")
    training = pretrain(task)
    assert training.encoder.progress["step"] == int(np.argmax(data.TEST[MEAN, 0])) == 5
    shares = data.VALID[MEAN, 0, 1:8], data.TEST[MEAN, 0, 1:8]
    for name, wanted in zip(("validation_accuracy", "test_accuracy"), shares, strict=True):
        assert [row[name] for row in training.history] == exactly(wanted)


@pytest.mark.parametrize("interrupted", [False, True], ids=["whole", "resumed"])
def test_batches_and_draws_are_those_of_the_seed_and_the_step(tmp_path, interrupted):
    task = task_of(selection="last", num_steps=4)
    wanted = {}
    for seed in (0, 1):
        sampler = NodeSampler(task.graph, sampler="nodes", batch_size=12, seed=seed)
        batches = [float(planted.fingerprint(sampler.batch(step).rows[0])) for step in range(4)]
        wanted[seed] = batches, [planted.drawn_at(seed, step) for step in range(4)]
        if interrupted:
            asked = iter([False, True])
            with pytest.raises(run.Interrupted):
                pretrain(task, seed, workdir=tmp_path, interrupted=lambda asked=asked: next(asked))
        history = pretrain(task, seed, workdir=tmp_path).history
        assert [row["batch"] for row in history] == batches
        assert [row["drawn"] for row in history] == exactly(wanted[seed][1])
    assert not set(wanted[0][0]) & set(wanted[1][0])
    assert not set(wanted[0][1]) & set(wanted[1][1])


def test_seeds_start_from_parameters_of_their_own_in_the_real_model(monkeypatch):
    monkeypatch.undo()
    task = task_of(width=4)
    leaves = [jax.tree.leaves(task.start(seed).params) for seed in (0, 1, 0)]
    assert any(not np.array_equal(*pair) for pair in zip(*leaves[:2], strict=True))
    for first, again in zip(leaves[0], leaves[2], strict=True):
        np.testing.assert_array_equal(first, again)


def test_evaluations_draw_by_the_key_of_their_seed(monkeypatch):
    """While training and after it, of trained encoders and of fresh ones."""
    keys, original = [], nodes.score_representations

    def spy(config, dataset, representations, seed, key, clustered=None):
        keys.append((seed, jax.random.key_data(key).tolist()))
        return original(config, dataset, representations, seed, key, clustered)

    task, asked = task_of(num_steps=1), []

    def represent(params, key, *args, **options):
        asked.append(jax.random.key_data(key).tolist())
        return task.represent(params, key, *args, **options)

    monkeypatch.setattr(nodes, "score_representations", spy)
    watched = dataclasses.replace(task, represent=represent)
    for seed in (0, 1):
        run.evaluate(watched, [pretrain(watched, seed).encoder])
    of_seeds = [jax.random.key_data(keys_of(seed)[2]).tolist() for seed in (0, 1)]
    assert keys == [(seed, of_seeds[seed]) for seed in (0, 0, 1, 1)]
    assert asked == [of_seeds[0]] * 3 + [of_seeds[1]] * 3  # once to judge, twice to score


# Other protocols


def test_over_splits_rows_are_pooled_and_keep_their_parts():
    """Seed 0 tells all classes from step 1 on, untrained none: its code is noise."""
    z = np.where(data.LABELS == 1, 1.0, -1.0)[:, None, None, None] * np.ones(data.SHAPE)
    noise = np.where(np.random.default_rng(0).random(z.shape) < 0.3, -1.0, 1.0)
    z[:, :, 0, 0] *= noise[:, :, 0, 0]
    z[:, :, 1] *= noise[:, :, 1]
    task = task_of(data.dataset(z), protocol="splits", selection="last", num_splits=3, num_steps=1)
    results = run.evaluate(task, [pretrain(task, seed).encoder for seed in (0, 1)])
    rows = {(row.representation, row.trained): row for row in results}
    for row in rows.values():
        parts = np.array(row.parts)
        assert parts.shape == (2, 3) and row.n == 6
        assert row.values == exactly(parts.mean(axis=1))
        assert row.mean == pytest.approx(parts.mean(), abs=1e-9)
        assert row.std == pytest.approx(parts.std(ddof=1), abs=1e-9)
    for name in data.NAMES:
        assert rows[name, True].parts[0] == (1.0, 1.0, 1.0)
        assert rows[name, True].values[1] < 0.9 and max(rows[name, False].values) < 0.9


def test_of_several_graphs_the_training_ones_are_trained_on_and_f1_of_validation_chooses():
    """A node has one of two labels and is said to have one: F1 is the share that is told right."""
    split = data.Split(*np.arange(data.NUM_NODES, dtype=np.int32).reshape(3, data.PART))
    x = data.dataset().graph.x[np.concatenate(data.SPLIT)]  # part by part, a graph each
    labels = data.LABELS[np.concatenate(data.SPLIT)]
    node = np.arange(data.NUM_NODES)
    dataset = data.dataset()._replace(
        graph=data.make_graph(x, node, node // data.PART * data.PART + (node + 1) % data.PART),
        labels=np.stack([labels, 1 - labels], axis=1).astype(np.uint8),
        split=split,
        node_graph=(node // data.PART).astype(np.int32),
    )
    task = task_of(dataset)
    np.testing.assert_array_equal(task.graph.x, x[: data.PART])
    training = pretrain(task)
    logged = [row["validation_micro_f1"] for row in training.history]
    assert logged == exactly(data.VALID[MEAN, 0, 1:5])
    values = means_of(run.evaluate(task, [training.encoder]), "micro_f1")
    assert values["mean", True] == exactly([data.TEST[MEAN, 0, 2]])
    assert values["a", True] == exactly([data.TEST[A, 0, 2]])
    assert values["mean", False] == exactly([data.TEST[MEAN, 0, 0]])


def test_k_means_looks_for_as_many_clusters_as_there_are_classes():
    """Classes as two points each, near each other: three clusters would part one."""
    z = np.where(data.LABELS == 1, 1.0, -1.0)[:, None, None, None] * np.ones(data.SHAPE)
    z += np.where(np.arange(data.NUM_NODES) % 4 < 2, 0.1, -0.1)[:, None, None, None]
    task = task_of(data.dataset(z), num_clusterings=2, selection="last", num_steps=1)
    results = run.evaluate(task, [pretrain(task).encoder])
    for metric in ("nmi", "ari"):
        assert set(means_of(results, metric).values()) == {(1.0,)}
