"""Graph edit distance on small graphs: the rows that a run has, and who is asked what."""

import numpy as np
import pytest

from mmix_jax.data.store.files import cache_folder
from mmix_jax.experiments import (
    EDIT_DISTANCE_VARIANTS,
    edit_distance_config,
    finish,
    read,
    run,
)
from mmix_jax.experiments.graphs import edit_distance
from mmix_jax.experiments.task import keys_of
from mmix_jax.graphs.types import make_graph

SIZES = (5, 6)
METRICS = {f"{name}_n{n}" for n in SIZES for name in ("triplet_accuracy", "triplet_strict")}
METRICS |= {f"pair_auc_n{n}" for n in SIZES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten random graphs of eight nodes: room for substitutions."""
    path = tmp_path_factory.mktemp("data") / "set"
    path.mkdir()
    draw = np.random.default_rng(1)
    for number in range(10):
        ring = np.stack([np.arange(8), (np.arange(8) + 1) % 8])
        chords = draw.integers(0, 8, size=(2, 4))
        edges = np.concatenate([ring, chords], axis=1)
        np.savez(path / f"{number}.npz", x=draw.normal(size=(8, 3)), edge_index=edges)
    return path


def config_for(folder, **changes):
    config = edit_distance_config("graph_folder")
    config.update({"data_path": str(folder), "num_devices": 1, "batch_size": 20})
    config = finish(config, "smoke", EDIT_DISTANCE_VARIANTS)
    config.update(changes)
    return read(config)


def test_a_run_has_every_row(tmp_path, folder, monkeypatch):
    pytest.importorskip("grakel")
    trained = []
    original = edit_distance.supervised.train_triplets

    def few_steps(triplets, *, key):
        trained.append(triplets)
        return original(triplets, key=key, num_steps=2, width=4, batch_size=4)

    monkeypatch.setattr(edit_distance.supervised, "train_triplets", few_steps)
    config = config_for(folder, baselines=True)
    results = run.train(config, tmp_path, lambda: False)
    own = {(r.representation, r.metric, r.trained) for r in results if r.framework == "mvgrl"}
    wanted = METRICS | {"ged_rank_correlation"}
    assert own == {
        (name, metric, flag)
        for name in ("a", "b", "mean")
        for metric in wanted
        for flag in (True, False)
    }
    others = {(r.framework, r.metric) for r in results if r.framework != "mvgrl"}
    kernels = ("histogram kernel", "weisfeiler-lehman kernel")
    assert others == {(k, m) for k in kernels for m in wanted} | {
        ("supervised", m) for m in METRICS
    }
    assert all(r.representation == "single" for r in results if r.framework != "mvgrl")
    for result in results:
        low = -1 if result.metric == "ged_rank_correlation" else 0
        assert low <= result.mean <= 1
    assert len(trained) == 2 * len(SIZES)
    again = run.evaluate_checkpoints(config_for(folder), tmp_path, None)
    ours = [r for r in results if r.framework == "mvgrl"]
    assert [(r.metric, r.values) for r in again] == [(r.metric, r.values) for r in ours]


def test_every_method_is_asked_the_same(folder):
    config = config_for(folder)
    task = run.load(config)
    one, other = (edit_distance.ask(config, task.dataset.graphs, "given") for _ in range(2))
    np.testing.assert_array_equal(one.distances, other.distances)
    for size in SIZES:
        assert len(one.triplets[size].triplets) == config.num_triplets
        for left, right in zip(
            one.triplets[size].triplets, other.triplets[size].triplets, strict=True
        ):
            for a, b in zip(left, right, strict=True):
                np.testing.assert_array_equal(a.senders, b.senders)


@pytest.mark.parametrize("features", ["degree", "attributes+degree"])
def test_degrees_are_those_of_the_edited_graph(folder, features):
    """Other features stay those of the nodes."""
    config = config_for(folder, features="degree", max_degree=6)
    of = run.load(config).dataset.graphs
    if features != "degree":
        of = tuple(g._replace(x=np.concatenate([np.ones((8, 2)), g.x], axis=1)) for g in of)
    questions = edit_distance.ask(config, of, features)
    asked = [graph for pair in questions.pairs for graph in pair]
    for of_size in questions.triplets.values():
        asked += [graph for triplet in of_size.triplets for graph in triplet]
    for graph in asked:
        degrees = np.bincount(graph.receivers, minlength=graph.num_nodes)
        np.testing.assert_array_equal(graph.x[:, -7:], np.eye(7)[np.minimum(degrees, 6)])
        np.testing.assert_array_equal(graph.x[:, :-7], 1.0)


def test_the_supervised_model_never_saw_the_graph_it_is_asked_about(folder, monkeypatch):
    config = config_for(folder, sizes=(5,), num_triplets=12)
    of = run.load(config).dataset.graphs
    # Each node of a graph carries its number, so that a subgraph tells where it comes from.
    of = tuple(g._replace(x=np.full_like(g.x, number + 1.0)) for number, g in enumerate(of))
    questions = edit_distance.ask(config, of, "given")
    seen, asked = [], []

    def train(triplets, *, key):
        seen.append({float(graph.x[0, 0]) for triplet in triplets for graph in triplet})
        return len(seen) - 1

    def embed(model, graphs_asked):
        asked.append((model, {float(graph.x[0, 0]) for graph in graphs_asked}))
        return np.ones((len(graphs_asked), 2))

    monkeypatch.setattr(edit_distance.supervised, "train_triplets", train)
    monkeypatch.setattr(edit_distance.supervised, "embed_graphs", embed)
    scores = edit_distance._supervised_scores(config, of, "given", questions, 0)
    assert scores["single", "triplet_accuracy_n5"] == 0.5  # all alike: ties count half
    assert scores["single", "triplet_strict_n5"] == 0.0
    assert len(seen) == 2 and len(asked) == 6
    for model, sources in asked:
        assert sources.isdisjoint(seen[model])


def test_isomorphic_graphs_are_as_similar_as_can_be(folder):
    """An encoder's similarity of a graph with its own renumbering is 1, with another's below."""
    config = config_for(folder)
    task = run.load(config)
    params = task.start(0).params
    first, second = task.dataset.graphs[:2]
    order = np.random.default_rng(0).permutation(8)
    x = np.empty_like(first.x)
    x[order] = first.x
    moved = make_graph(x, order[first.senders], order[first.receivers])
    similarity = edit_distance.encoder_similarity(config, params, keys_of(0)[2])
    kept = sorted(cache_folder().rglob("*"))
    cosines = similarity([first, first], [moved, second])
    assert sorted(cache_folder().rglob("*")) == kept
    for values in cosines.values():
        np.testing.assert_allclose(values[0], 1.0, atol=1e-5)
        assert values[1] < 0.999
