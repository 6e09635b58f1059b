"""Graph edit distance with embeddings that order all triplets right, wrong, or not at all."""

import jax
import numpy as np
import pytest

from mmix_jax.data.types import make_graph_dataset
from mmix_jax.evaluation.edit_distance import cosine_similarities
from mmix_jax.experiments import edit_distance_config, read, run
from mmix_jax.experiments.graphs import edit_distance
from mmix_jax.experiments.graphs import task as graphs
from mmix_jax.experiments.pretraining import pretrain
from mmix_jax.experiments.task import keys_of
from mmix_jax.graphs.types import make_graph
from tests.experiments.wiring import planted, planted_graphs

SIZE, MOST = 6, 8
NAMES = planted_graphs.NAMES
# What each branch does, by lane, untrained and trained.
RIGHT, WRONG, NOTHING = "right", "wrong", "nothing"
FRESH = {"a": (RIGHT, WRONG), "b": (WRONG, NOTHING), "mean": (NOTHING, NOTHING)}
TRAINED = {"a": (WRONG, NOTHING), "b": (NOTHING, RIGHT), "mean": (RIGHT, WRONG)}
ACCURACY = {RIGHT: 1.0, WRONG: 0.0, NOTHING: 0.5}
STRICT = {RIGHT: 1.0, WRONG: 0.0, NOTHING: 0.0}
CORRELATION = {RIGHT: -1.0, WRONG: 1.0, NOTHING: 0.0}


def told(graph) -> np.ndarray:
    """Which pairs of nodes an edge joins: an edit changes its share of it, two change two."""
    edges = np.zeros((MOST, MOST))
    edges[graph.senders, graph.receivers] = 1.0
    return edges.reshape(-1)


def _represent(task, params, key):
    """Anchors come first; with their sign turned, the farther graph is the more similar one."""
    lane, clock = (int(place) for place in planted.place_of(params))
    edges = np.stack([told(graph) for graph in task.dataset.graphs])
    signs = np.where(np.arange(len(edges)) < len(edges) // 2, -1.0, 1.0)[:, None]
    does = {RIGHT: edges, WRONG: signs * edges, NOTHING: np.ones_like(edges)}
    table = TRAINED if clock else FRESH
    return {name: does[table[name][lane]] for name in NAMES}


def similarity(first, second) -> np.ndarray:
    return cosine_similarities(*(np.stack([told(g) for g in part]) for part in (first, second)))


@pytest.fixture
def task(monkeypatch):
    planted_graphs.install(monkeypatch)
    monkeypatch.setattr(graphs.GraphTask, "represent", _represent)
    # Of pairs nothing is computed: they are as far as their edges differ.
    monkeypatch.setattr(
        edit_distance,
        "exact_edit_distances",
        lambda pairs: 1.0 - similarity(*zip(*pairs, strict=True)),
    )
    draw = np.random.default_rng(0)
    made = []
    for _ in range(12):
        ring = np.arange(MOST)
        ends = np.concatenate([np.stack([ring, (ring + 1) % MOST]), draw.integers(0, 8, (2, 4))], 1)
        x = np.ones((MOST, int(np.prod(planted_graphs.SHAPE))))
        made.append(make_graph(x, *ends))
    flat = edit_distance_config("graph_folder")
    settings = {"sizes": (SIZE,), "num_triplets": 12, "num_pairs": 6, "max_pair_nodes": 6}
    flat.update(planted_graphs.SETTINGS | settings | {"num_seeds": 2})
    return run.task_of(read(flat, any_dataset=True), make_graph_dataset("planted", made))


def test_every_row_is_of_its_branch_its_seed_and_its_encoder(task, monkeypatch):
    monkeypatch.setattr(type(task), "baselines", None)
    results = run.evaluate(task, [pretrain(task, seed).encoder for seed in (0, 1)])
    found = {(row.representation, row.metric, row.trained): row.values for row in results}
    assert len(found) == len(results) == 3 * 4 * 2
    metrics = {
        f"triplet_accuracy_n{SIZE}": ACCURACY,
        f"triplet_strict_n{SIZE}": STRICT,
        "ged_rank_correlation": CORRELATION,
    }
    for trained, table in ((True, TRAINED), (False, FRESH)):
        for name in NAMES:
            for metric, wanted in metrics.items():
                expected = tuple(wanted[does] for does in table[name])
                assert found[name, metric, trained] == pytest.approx(expected, abs=1e-9)
            for auc, does in zip(
                found[name, f"pair_auc_n{SIZE}", trained], table[name], strict=True
            ):
                assert auc == 0.5 if does is NOTHING else (auc > 0.8) == (does is RIGHT)


def test_baselines_are_asked_too_and_supervised_ones_start_from_their_seed(task, monkeypatch):
    """Here kernels know edges or nothing, and the supervised model turns a seed's answers round."""
    keys = []

    def train(triplets, *, key):
        for anchor, near, far in triplets:
            shares = similarity([anchor, anchor], [near, far])
            assert shares[0] > shares[1]
        keys.append(jax.random.key_data(key).tolist())
        return len(keys) - 1

    monkeypatch.setattr(edit_distance.supervised, "train_triplets", train)
    monkeypatch.setattr(
        edit_distance.supervised,
        "embed_graphs",
        lambda model, asked: np.stack([told(graph) for graph in asked]),
    )
    monkeypatch.setattr(edit_distance, "weisfeiler_lehman_similarity", similarity)
    monkeypatch.setattr(
        edit_distance, "histogram_kernel_similarity", lambda first, second: np.ones(len(first))
    )
    rows = {
        (row.method, row.metric): ([score.mean for score in scores], seeds)
        for row, scores, seeds, _ in task.baselines(lambda: False)
    }
    accuracy = f"triplet_accuracy_n{SIZE}"
    assert rows["histogram kernel", accuracy] == ([0.5], [0])
    assert rows["weisfeiler-lehman kernel", accuracy] == ([1.0], [0])
    assert rows["weisfeiler-lehman kernel", "ged_rank_correlation"][0] == pytest.approx([-1.0])
    assert rows["supervised", accuracy] == ([1.0, 1.0], [0, 1])
    # Two halves a seed, from the seed's own parameters.
    of_seeds = [jax.random.key_data(keys_of(seed)[0]).tolist() for seed in (0, 0, 1, 1)]
    assert keys == of_seeds
