"""Trainings that write their embeddings: what is on the clock, and what is written."""

import json
import pathlib
import time

import numpy as np
import pytest

from benchmarks import trainings
from benchmarks.trainings import Points, train_ours

pytestmark = pytest.mark.slow


def test_the_clock_stands_still_while_an_embedding_is_written(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(trainings.time, "monotonic", lambda: now[0])

    def slow_save(path, z, save=np.save):
        now[0] += 50.0
        save(path, z)

    monkeypatch.setattr(trainings.np, "save", slow_save)
    points = Points(str(tmp_path), begin=98.0)
    points.keep(0, np.zeros((3, 2)))
    now[0] += 4.0
    assert points.since_last() == 4.0
    points.keep(7, np.ones((3, 2)))
    told = points.told(steps=9, cut=True)
    assert [(p["step"], p["seconds"]) for p in told["points"]] == [(0, 2.0), (7, 6.0)]
    assert (told["steps"], told["cut"]) == (9, True)
    z = np.load(told["points"][1]["path"])
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, np.ones((3, 2)))


def test_embeddings_are_those_of_the_program_s_training(tmp_path):
    from benchmarks import tasks
    from mmix_jax.experiments import pretrain, run

    begin = time.monotonic()
    told = train_ours("cora", "none", 3, str(tmp_path), begin, 1e9, None, True)
    assert json.loads(json.dumps(told)) == told
    assert [point["step"] for point in told["points"]] == [0, 1, 2, 3, 4]
    seconds = [point["seconds"] for point in told["points"]]
    assert seconds == sorted(seconds)
    assert 0 < seconds[0] < seconds[-1] < time.monotonic() - begin
    assert (told["steps"], told["cut"]) == (4, False)

    config = tasks.config_of("configs/cora.py:none")
    config.update(selection="last", **trainings.QUICK)
    task = run.task_of(config, tasks.load_nodes("cora", None, trainings.QUICK_NODES))
    expected = task.embed(pretrain(task, 3, show=False).encoder)["z"]
    np.testing.assert_array_equal(np.load(told["points"][-1]["path"]), expected)
    first = np.load(told["points"][0]["path"])
    assert np.abs(first - expected).max() > 1e-4


def test_a_budget_ends_a_training(tmp_path):
    told = train_ours("cora", "grace", 0, str(tmp_path), time.monotonic(), 1e-3, None, True)
    assert told["cut"]
    assert told["steps"] == 1
    assert [point["step"] for point in told["points"]] == [0, 1]


def test_a_torch_training_writes_at_its_epochs_and_ends_with_its_budget(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="needs PyTorch, which is optional")
    graph = _graph_file(tmp_path)

    def train(budget_s: float) -> dict:
        which = ("cora", "cca_ssg", 0, str(tmp_path), time.monotonic(), budget_s)
        return trainings.train_torch(*which, graph, True)

    def steps(told: dict) -> list[int]:
        return [point["step"] for point in told["points"]]

    told = train(1e9)
    assert steps(told) == [0, 1, 2, 3, 4]
    assert np.load(told["points"][-1]["path"]).shape == (trainings.QUICK_NODES, 16)
    assert (told["steps"], told["cut"]) == (4, False)
    told = train(0.0)
    assert (steps(told), told["steps"], told["cut"]) == ([0], 0, True)

    monkeypatch.setattr(trainings, "NUM_POINTS", 1)
    assert steps(train(1e9)) == [0, 4]
    monkeypatch.setattr(trainings, "LONGEST_GAP", 0.0)  # as if epochs were long
    assert steps(train(1e9)) == [0, 1, 2, 3, 4]


def _graph_file(folder: pathlib.Path) -> str:
    from benchmarks import tasks

    graph = tasks.load_nodes("cora", None, trainings.QUICK_NODES).graph
    path = folder / "graph.npz"
    np.savez(path, x=graph.x, senders=graph.senders, receivers=graph.receivers)
    return str(path)
