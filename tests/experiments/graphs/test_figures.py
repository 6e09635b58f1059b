"""What a run on a set of graphs shows: mixtures within graphs, and points."""

import io

import numpy as np
import pandas as pd
import pytest

from mmix_jax.experiments import run
from mmix_jax.experiments.graphs import figures
from mmix_jax.experiments.pretraining import fresh_encoder
from tests.experiments.graphs import small_graphs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_graphs.save(tmp_path_factory.mktemp("data") / "set")


def task_with(folder, **changes):
    settings = {"mixing": "mo", "embed_from": "z", "batch_size": 18}
    return run.load(small_graphs.config(folder, **settings | changes))


def table_of(files) -> pd.DataFrame:
    assert set(files) == {"mixtures.csv", "mixtures.txt"}
    return pd.read_csv(io.StringIO(files["mixtures.csv"]))


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


@pytest.mark.parametrize("candidates", ["wp", "all"])
def test_nodes_are_mixed_within_their_graph_by_the_rule(folder, candidates):
    task = task_with(folder, candidates=candidates)
    table = table_of(task.mixtures(fresh_encoder(task, 0)))
    ids = list(task.dataset.ids)
    several = [ids[n] for n, graph in enumerate(task.dataset.graphs) if graph.num_nodes > 1]
    assert set(table["graph"]) == set(several)
    for (name, anchor), rows in table.groupby(["graph", "anchor"]):
        graph = task.dataset.graphs[ids.index(name)]
        if candidates == "wp":
            allowed = set(graph.senders[graph.receivers == anchor].tolist()) - {anchor}
        else:
            allowed = set(range(graph.num_nodes)) - {anchor}
        assert set(rows["partner"]) == allowed
        expected = 0.8 * softmax(rows["cosine"].to_numpy())
        np.testing.assert_allclose(rows["weight"], expected, rtol=1e-3)
        np.testing.assert_allclose(rows["own_weight"], 0.2, rtol=1e-5)
        assert (rows["graph_class"] == task.dataset.labels[ids.index(name)]).all()


def test_graphs_are_drawn_by_seed_up_to_a_number_of_nodes(folder, monkeypatch):
    monkeypatch.setattr(figures, "MAX_POINTS", 20)
    task = task_with(folder)
    shown = [set(table_of(task.mixtures(fresh_encoder(task, s)))["graph"]) for s in (0, 1)]
    sizes = dict(
        zip(task.dataset.ids, (graph.num_nodes for graph in task.dataset.graphs), strict=True)
    )
    assert all(0 < sum(sizes[name] for name in names) <= 20 for names in shown)
    assert shown[0] != shown[1]


@pytest.mark.parametrize(
    "changes",
    [{"mixing": "none"}, {"candidates": "op", "threshold": 1.0, "mixing": "mp"}],
    ids=["none", "threshold"],
)
def test_where_nothing_is_mixed_words_say_so(folder, changes):
    task = task_with(folder, **changes)
    told = task.mixtures(fresh_encoder(task, 0))
    assert isinstance(told, str)
    assert "embeddings was mixed with another (mixing '" + changes["mixing"] in told


def test_points_are_the_headline_of_all_graphs(folder):
    task = task_with(folder)
    encoder = fresh_encoder(task, 0)
    points = task.points(encoder)
    np.testing.assert_allclose(points.z, task.embed(encoder)["z"], rtol=1e-5)
    np.testing.assert_array_equal(points.labels, task.dataset.labels)
    assert points.names == ["0", "1"]


def test_without_labels_there_are_mixtures_and_no_points(tmp_path):
    task = task_with(small_graphs.save(tmp_path / "bare", labelled=False))
    encoder = fresh_encoder(task, 0)
    assert task.points(encoder) == "found no labels"
    assert "graph_class" not in table_of(task.mixtures(encoder))
