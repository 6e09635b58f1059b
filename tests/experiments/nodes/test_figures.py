"""What a node run shows: mixtures against the rule on the encoder's own output, and points."""

import io

import numpy as np
import pandas as pd
import pytest

from mmix_jax.experiments import node_config, run
from mmix_jax.experiments.nodes import figures
from mmix_jax.experiments.pretraining import fresh_encoder
from tests.experiments.nodes import small

pytestmark = pytest.mark.slow

IDS = np.array([f"node {number}" for number in range(small.N)])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = small.save(tmp_path_factory.mktemp("data") / "rings.npz")
    return run.load(small.config(path)).dataset._replace(ids=IDS)


def task_with(dataset, **changes):
    config = node_config("mine")
    settings = {"width": 8, "num_devices": 1, "mixing": "mo", "embed_from": "z"}
    config.update(settings | {"representation": "a"} | changes)
    return run.task_of(config, dataset)


def table_of(files) -> pd.DataFrame:
    assert set(files) == {"mixtures.csv", "mixtures.txt"}
    return pd.read_csv(io.StringIO(files["mixtures.csv"]))


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def neighbours(dataset, node: int) -> set[int]:
    graph = dataset.graph
    return set(graph.senders[graph.receivers == node].tolist()) - {node}


GRACE = {"framework": "grace", "representation": "single", "depth": 2}


@pytest.mark.parametrize("changes", [{}, {"depth": 2}, GRACE], ids=["mvgrl", "two layers", "grace"])
def test_partners_are_neighbours_by_the_rule_on_what_is_encoded(dataset, changes):
    task = task_with(dataset, **changes)
    encoder = fresh_encoder(task, 0)
    table = table_of(task.mixtures(encoder))
    z = np.asarray(task.embed(encoder)["z"], np.float64)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    names = list(IDS)
    assert set(table["anchor"]) == {IDS[n] for n in range(small.N) if neighbours(dataset, n)}
    for name, rows in table.groupby("anchor"):
        anchor = names.index(name)
        partners = [names.index(partner) for partner in rows["partner"]]
        assert set(partners) == neighbours(dataset, anchor)
        cosines = unit[partners] @ unit[anchor]
        np.testing.assert_allclose(rows["cosine"], cosines, atol=1e-4)
        np.testing.assert_allclose(rows["own_weight"], 0.2, rtol=1e-5)
        np.testing.assert_allclose(rows["weight"], 0.8 * softmax(cosines), rtol=1e-3)
        assert (rows["anchor_class"] == dataset.labels[anchor]).all()
        assert rows["partner_class"].tolist() == dataset.labels[partners].tolist()


@pytest.mark.parametrize("batch", [0, 12], ids=["full", "nodes"])
def test_candidates_of_pairs_are_the_batch(dataset, batch):
    drawn = {"sampler": "nodes", "batch_size": batch} if batch else {}
    task = task_with(dataset, candidates="all", **drawn)
    encoder = fresh_encoder(task, 0)
    table = table_of(task.mixtures(encoder))
    size = batch or small.N
    assert table["anchor"].nunique() == size
    assert (table["partners"] == size - 1).all()
    z = np.asarray(task.embed(encoder)["z"], np.float64)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    place = {name: number for number, name in enumerate(IDS)}
    anchors, partners = (unit[table[x].map(place)] for x in ("anchor", "partner"))
    np.testing.assert_allclose(table["cosine"], np.sum(anchors * partners, axis=1), atol=1e-4)
    assert (table["anchor"] != table["partner"]).all()


def test_anchors_are_drawn_by_seed(dataset, monkeypatch):
    monkeypatch.setattr(figures, "MAX_POINTS", 6)
    task = task_with(dataset)
    anchors = [set(table_of(task.mixtures(fresh_encoder(task, s)))["anchor"]) for s in (0, 1)]
    assert all(0 < len(found) <= 6 for found in anchors)
    assert anchors[0] != anchors[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"mixing": "none"},
        {"mixing": "i_mix", "candidates": "op"},
        {"candidates": "op", "threshold": 1.0},
    ],
    ids=["none", "inputs", "threshold"],
)
def test_where_nothing_is_mixed_words_say_so(dataset, changes):
    task = task_with(dataset, **changes)
    told = task.mixtures(fresh_encoder(task, 0))
    assert isinstance(told, str)
    rule = changes.get("mixing", "mo")
    assert told.startswith(f"none of 30 embeddings was mixed with another (mixing '{rule}'")


def test_of_several_graphs_those_of_the_training_are_shown(dataset):
    """Numbers are those of the whole data set, not of the part that trains."""
    graph_of = (np.arange(small.N) >= small.N // 2).astype(np.int32)
    graph = dataset.graph
    inside = graph_of[graph.senders] == graph_of[graph.receivers]
    graph = graph._replace(
        senders=graph.senders[inside],
        receivers=graph.receivers[inside],
        edge_weight=graph.edge_weight[inside],
    )
    later = np.arange(small.N // 2, small.N, dtype=np.int32)
    split = type(dataset.split)(later[:5], np.arange(7, dtype=np.int32), np.arange(7, 15))
    several = dataset._replace(graph=graph, node_graph=graph_of, split=split, ids=None)
    task = task_with(several, num_clusterings=0)
    table = table_of(task.mixtures(fresh_encoder(task, 0)))
    assert set(table["anchor"]) | set(table["partner"]) <= set(later.tolist())
    for anchor, rows in table.groupby("anchor"):
        assert set(rows["partner"]) == neighbours(several, anchor)


def test_points_are_the_headline_of_labelled_nodes(dataset):
    labels = dataset.labels.copy()
    labels[:5] = -1
    task = task_with(dataset._replace(labels=labels, split=None, classes=np.array(["x", "y"])))
    encoder = fresh_encoder(task, 0)
    points = task.points(encoder)
    np.testing.assert_allclose(points.z, np.asarray(task.embed(encoder)["z"])[5:], rtol=1e-5)
    np.testing.assert_array_equal(points.labels, labels[5:])
    assert points.names == ["x", "y"]


@pytest.mark.parametrize(
    ("labels", "told"),
    [(None, "found no labels"), (np.ones((small.N, 3), np.uint8), "nodes have several labels")],
    ids=["none", "several"],
)
def test_without_one_class_a_node_there_are_no_points_and_no_classes(dataset, labels, told):
    task = task_with(dataset._replace(labels=labels, split=None, classes=None, num_classes=0))
    encoder = fresh_encoder(task, 0)
    assert str(task.points(encoder)).startswith(told)
    assert "anchor_class" not in table_of(task.mixtures(encoder))
