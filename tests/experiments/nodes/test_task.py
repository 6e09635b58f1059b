"""The node task on thirty nodes: resumption, what is reported, and every kind of training."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.experiments import run
from mmix_jax.experiments.pretraining import pretrain
from mmix_jax.results import RESULTS_FILE, write_results
from mmix_jax.training.checkpoint import Checkpointer
from mmix_jax.training.loop import Interrupted
from tests.experiments.nodes import small
from tests.metric_lines import SPEED, lines_of

pytestmark = pytest.mark.slow

# Everything that is drawn: nodes, masks of features, and initial parameters.
DRAWN = {
    "sampler": "nodes",
    "batch_size": 14,
    "feature_mask": 0.3,
    "learning_rate": 0.03,
    "num_steps": 6,
    "eval_every": 2,
    "checkpoint_every": 3,
}


@pytest.fixture(scope="module")
def graph_file(tmp_path_factory):
    return small.save(tmp_path_factory.mktemp("data") / "rings.npz")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, graph_file):
    """(workdir, results) of a training that nothing interrupts."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, train(small.config(graph_file, **DRAWN), workdir)


def train(config, workdir, interrupted=lambda: False):
    return run.train(config, workdir, interrupted)


def timeless(results):
    return [dataclasses.replace(result, seconds=0.0) for result in results]


def checkpoints(config, workdir, seed: int = 0):
    """The latest and the best state as bytes, with their progress but for the time it took."""
    template = run.load(config).start(seed)
    states = []
    with Checkpointer(workdir / "checkpoints" / f"seed_{seed}", read_only=True) as checkpointer:
        for best in (False, True):
            restored = checkpointer.restore(template, best=best)
            assert restored is not None
            state, progress = restored
            del progress["seconds"]
            states.append(([np.asarray(x).tobytes() for x in jax.tree.leaves(state)], progress))
    return states


# Resumption


@pytest.mark.parametrize("interruptions", [[1, 1, 1, 1, 1, 1], [4], [2, 3]], ids=str)
def test_interrupted_and_resumed_ends_bitwise_as_uninterrupted(
    tmp_path, graph_file, whole, interruptions
):
    config = small.config(graph_file, **DRAWN)
    done = 0
    for count in interruptions:
        asked = iter([False] * (count - 1) + [True])
        with pytest.raises(Interrupted) as stop:
            train(config, tmp_path, lambda asked=asked: next(asked))
        done += count
        assert stop.value.step == done
    results = train(config, tmp_path)
    assert checkpoints(config, tmp_path) == checkpoints(config, whole[0])
    assert timeless(results) == timeless(whole[1])
    assert lines_of(tmp_path) == lines_of(whole[0])


def test_interruption_while_evaluating_needs_no_new_training(tmp_path, graph_file, whole):
    asked = iter([False] * 6 + [True])
    config = small.config(graph_file, **DRAWN)
    with pytest.raises(Interrupted):
        train(config, tmp_path, lambda: next(asked))
    (folder,) = (tmp_path / "checkpoints").iterdir()
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert timeless(train(config, tmp_path)) == timeless(whole[1])
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == written


def test_more_steps_go_on_where_fewer_ended(tmp_path, graph_file, whole):
    train(small.config(graph_file, **(DRAWN | {"num_steps": 4})), tmp_path)
    config = small.config(graph_file, **DRAWN)
    results = train(config, tmp_path)
    assert checkpoints(config, tmp_path) == checkpoints(config, whole[0])
    assert timeless(results) == timeless(whole[1])


def test_results_of_fewer_steps_are_not_reported_for_more(tmp_path, graph_file, whole):
    short = train(small.config(graph_file, **(DRAWN | {"num_steps": 4})), tmp_path)
    write_results(tmp_path / RESULTS_FILE, short)
    asked = iter([False] * 2 + [True])  # two more steps, then while evaluating
    config = small.config(graph_file, **DRAWN)
    with pytest.raises(Interrupted):
        train(config, tmp_path, lambda: next(asked))
    assert timeless(train(config, tmp_path)) == timeless(whole[1])


def test_results_of_fewer_seeds_are_not_reported_for_more(tmp_path, graph_file):
    one, two = (small.config(graph_file, **DRAWN, num_seeds=n) for n in (1, 2))

    def report(results):
        write_results(tmp_path / RESULTS_FILE, results)

    short = run.train(one, tmp_path, report=report)
    trained = 0

    def during_evaluation():
        nonlocal trained
        trained = trained or len(list((tmp_path / "checkpoints").glob("seed_1/*"))) > 1
        return trained and not (tmp_path / RESULTS_FILE).exists()

    with pytest.raises(Interrupted):
        run.train(two, tmp_path, during_evaluation, report)
    assert {r.seeds for r in run.train(two, tmp_path, report=report)} == {(0, 1)}
    report(short)  # as where a process was killed between its last training and the evaluation
    assert {r.seeds for r in run.train(two, tmp_path, report=report)} == {(0, 1)}


def test_the_seed_decides(tmp_path, graph_file, whole):
    again, other = (small.config(graph_file, **DRAWN, seed=seed) for seed in (0, 1))
    assert timeless(train(again, tmp_path / "again")) == timeless(whole[1])
    train(other, tmp_path / "other")
    lines = [(path / "metrics.jsonl").read_text() for path in (tmp_path / "other", whole[0])]
    assert [json.loads(line.split("\n")[0])["seed"] for line in lines] == [1, 0]
    losses = [json.loads(line.split("\n")[0])["loss"] for line in lines]
    assert losses[0] != losses[1]


# What is reported


def test_results_hold_every_representation_trained_and_random(whole):
    _, results = whole
    rows = {(r.metric, r.trained, r.representation): r for r in results}
    assert len(rows) == len(results) == 3 * 2 * 3
    assert {metric for metric, _, _ in rows} == {"accuracy", "nmi", "ari"}
    for (metric, trained, _), row in rows.items():
        assert (row.dataset, row.framework, row.mixing) == ("graph_file", "mvgrl", "mp")
        assert (row.candidates, row.objective) == ("wp", "node")
        assert row.task == ("node" if metric == "accuracy" else "clustering")
        assert row.protocol == ("standard" if metric == "accuracy" else "k-means")
        assert row.selection == ("validation" if trained else "none")
        assert (row.n, row.seeds, row.seed, row.std) == (1, (0,), 0, 0.0)
        assert (row.steps > 0) == (row.seconds > 0) == trained
        assert "jax" in row.versions
        assert row.device.startswith("1 x ")


def test_the_step_that_is_evaluated_is_the_selected_one(tmp_path, graph_file, whole):
    workdir, results = whole
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 4, 6]
    best = max(records, key=lambda record: record["validation_accuracy"])  # the first of equals
    assert {row.steps for row in results if row.trained} == {best["step"]}
    last = small.config(graph_file, **DRAWN, selection="last")
    assert {row.steps for row in train(last, tmp_path) if row.trained} == {6}


def test_what_is_logged(whole):
    record = json.loads((whole[0] / "metrics.jsonl").read_text().splitlines()[0])
    mixing = {"partners", "unmixed", "entropy", "cosine", "rank_correlation", "agreement"}
    expected = {"seed", "step", "loss", "contrast", "diversity", "gradient_norm"}
    expected |= {"validation_accuracy"} | {f"mixing/{name}" for name in mixing} | {*SPEED}
    assert set(record) == expected


def test_several_seeds_are_one_row_with_their_spread(tmp_path, graph_file, whole):
    config = small.config(graph_file, **DRAWN, num_seeds=2)
    rows = {(r.metric, r.trained, r.representation): r for r in train(config, tmp_path)}
    for single in whole[1]:
        row = rows[single.metric, single.trained, single.representation]
        assert (row.n, row.seeds, len(row.values)) == (2, (0, 1), 2)
        assert row.values[0] == single.values[0]
        np.testing.assert_allclose(row.mean, np.mean(row.values))
        np.testing.assert_allclose(row.std, np.std(row.values, ddof=1), atol=1e-12)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["seed_0", "seed_1"]


def test_the_reference_protocol_says_that_it_watches_the_test_set(tmp_path, graph_file):
    config = small.config(graph_file, protocol="reference", num_classifiers=3, num_clusterings=0)
    results = train(config, tmp_path)
    assert {row.n for row in results} == {3}  # its deviation is over classifiers
    assert {row.selection for row in results} == {"test_watched", "none"}
    assert {row.protocol for row in results} == {"reference"}
    record = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert 0 <= record["test_accuracy"] <= 1


def test_a_standard_run_never_logs_the_test_set(whole):
    assert "test" not in (whole[0] / "metrics.jsonl").read_text()


# Evaluation and embedding of a trained encoder


def test_evaluating_again_gives_the_same_numbers(graph_file, whole):
    config = small.config(graph_file, **DRAWN)
    assert timeless(run.evaluate_checkpoints(config, whole[0], None)) == timeless(whole[1])
    folder = whole[0] / "checkpoints" / "seed_0"
    of_folder = run.evaluate_checkpoints(config, whole[0], str(folder))
    assert timeless(of_folder) == timeless(whole[1])


def test_embeddings_are_the_selected_encoders(graph_file, whole):
    embedded = {
        name: run.embed(small.config(graph_file, **DRAWN, representation=name), whole[0], None)
        for name in ("a", "b", "mean")
    }
    for arrays in embedded.values():
        assert set(arrays) == {"z", "labels"}
        assert arrays["z"].shape == (small.N, 8)
        np.testing.assert_array_equal(arrays["labels"], small.arrays()["y"])
    np.testing.assert_allclose(
        embedded["mean"]["z"], (embedded["a"]["z"] + embedded["b"]["z"]) / 2, atol=1e-6
    )
    assert not np.allclose(embedded["a"]["z"], embedded["b"]["z"])


def test_a_graph_without_labels_trains_and_embeds(tmp_path):
    without = dict.fromkeys(("y", "train_mask", "val_mask", "test_mask"))
    path = small.save(tmp_path / "bare.npz", **without, ids=np.array([f"n{i}" for i in range(30)]))
    config = small.config(path)
    assert train(config, tmp_path / "run") == []
    arrays = run.embed(config, tmp_path / "run", None)
    assert set(arrays) == {"z", "ids"}
    assert arrays["ids"][7] == "n7"
    with pytest.raises(InputError, match="evaluation needs labels, found none"):
        run.evaluate_checkpoints(config, tmp_path / "run", None)


def test_nodes_without_label_are_left_out_of_the_scores(tmp_path):
    known = small.arrays()["y"].copy()
    known[[2, 11]] = -1
    tested = np.arange(small.N) % 3 == 2
    tested[[2, 11]] = False
    path = small.save(tmp_path / "partly.npz", y=known, test_mask=tested)
    config = small.config(path)
    results = train(config, tmp_path / "run")
    assert all(np.isfinite(row.mean) for row in results)
    np.testing.assert_array_equal(run.embed(config, tmp_path / "run", None)["labels"], known)


# Data in memory


def test_without_a_workdir_a_training_ends_as_with_one_and_writes_nothing(
    tmp_path, graph_file, whole, monkeypatch
):
    """The data set is in memory; the config's `dataset` is a name for results alone."""
    config = small.config(graph_file, **DRAWN)
    on_disk = run.load(config)
    monkeypatch.chdir(tmp_path)
    task = run.task_of(config, on_disk.dataset)
    pretrained = pretrain(task)
    latest, best = checkpoints(config, whole[0])
    assert [np.asarray(x).tobytes() for x in jax.tree.leaves(pretrained.state)] == latest[0]
    params = [np.asarray(x).tobytes() for x in jax.tree.leaves(pretrained.encoder.state.params)]
    assert params == best[0][1 : 1 + len(params)]
    assert timeless(run.evaluate(task, [pretrained.encoder])) == timeless(whole[1])
    lines = [json.loads(line) for line in (whole[0] / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in pretrained.history] == [line["step"] for line in lines]
    assert [row["loss"] for row in pretrained.history] == [line["loss"] for line in lines]
    assert list(tmp_path.rglob("*")) == [tmp_path / "cache"] or not list(tmp_path.rglob("*"))


def test_pretrain_with_a_workdir_gives_what_the_workdir_holds(tmp_path, graph_file, whole):
    task = run.load(small.config(graph_file, **DRAWN))
    first, again = (pretrain(task, workdir=tmp_path) for _ in range(2))
    assert first.ran and not again.ran
    for one, other in zip(*(jax.tree.leaves(p.encoder) for p in (first, again)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [row["step"] for row in again.history] == [2, 4, 6]
    assert timeless(run.evaluate(task, [again.encoder])) == timeless(whole[1])


# Every kind of training


KINDS = {
    "two_layers": {"depth": 2, "mixing": "mo", "sampler": "nodes", "batch_size": 10},
    "i_mix": {"mixing": "i_mix"},
    "mvgrl": {"mixing": "none", "objective": "mvgrl", "embed_from": "z"},
    "windows": {"sampler": "window", "batch_size": 12, "num_windows": 2},
    "streamed_op": {"mixing": "mo", "candidates": "op", "threshold": 0.5, "block_size": 8},
    "loss": {"selection": "loss", "mixing": "random"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_training_runs(tmp_path, graph_file, kind):
    quick = {"num_steps": 2, "num_clusterings": 0, "num_classifiers": 1}
    config = small.config(graph_file, **(quick | KINDS[kind]))
    results = train(config, tmp_path)
    assert len(results) == 6
    assert {row.mixing for row in results} == {config.mixing}
    assert {row.objective for row in results} == {config.objective}


def test_more_devices_than_there_are_is_told(tmp_path, graph_file):
    with pytest.raises(InputError, match="num_devices asks for 99, found 4"):
        train(small.config(graph_file, num_devices=99), tmp_path)


def test_a_batch_larger_than_the_graph_is_told(tmp_path, graph_file):
    with pytest.raises(InputError, match="batch_size of sampler 'nodes' must lie in 2 … 30"):
        train(small.config(graph_file, sampler="nodes", batch_size=31), tmp_path)
