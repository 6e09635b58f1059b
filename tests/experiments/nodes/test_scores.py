"""Protocols of the node task: which splits, which metric, which name."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from mmix_jax.data.splits import random_split
from mmix_jax.data.types import make_dataset
from mmix_jax.errors import InputError
from mmix_jax.evaluation.clustering import clustering
from mmix_jax.evaluation.split_protocol import logistic_over_splits
from mmix_jax.experiments import node_config, read
from mmix_jax.experiments.nodes import scores as node_scores
from mmix_jax.experiments.nodes.inputs import settings_of
from mmix_jax.graphs.types import Split, make_graph
from mmix_jax.results import score

DRAW = np.random.default_rng(0)
LABELS = DRAW.integers(0, 3, 150)
Z = DRAW.normal(size=(150, 6)) + 1.5 * np.eye(3)[LABELS] @ DRAW.normal(size=(3, 6))
DATASET = make_dataset("blobs", make_graph(Z, [0], [1]), LABELS)
KEY = jax.random.key(0)


def config_with(**changes):
    config = node_config("digits_graph")
    config.update({"num_clusterings": 0, "num_classifiers": 2} | changes)
    return read(config)


def scores_of(config, dataset, representations, clustered=None):
    """By representation and metric, and the rows' protocols by metric."""
    scores = node_scores.score_representations(config, dataset, representations, 0, KEY, clustered)
    by_name = {(row.representation, row.metric): value for row, value in scores.items()}
    return by_name, {row.metric: row.protocol for row in scores}


def test_splits_are_seeds_0_to_19_and_l2_is_tuned_on_100_to_104():
    config = config_with(protocol="splits", selection="last")
    scores, protocols = scores_of(config, DATASET, {"single": Z})
    assert list(scores) == [("single", "accuracy")]
    reported, tuning = (
        [random_split(LABELS, seed=seed) for seed in seeds]
        for seeds in (range(20), range(100, 105))
    )
    wanted = logistic_over_splits(Z, LABELS, reported, tuning, num_classes=3).test
    assert scores["single", "accuracy"] == wanted
    assert wanted.n == 20 and wanted.mean > 0.6
    assert protocols == {"accuracy": "splits"}


def test_fewer_splits_are_the_first():
    of_three, of_five = (
        scores_of(
            config_with(protocol="splits", selection="last", num_splits=number),
            DATASET,
            {"single": Z},
        )[0]["single", "accuracy"].values
        for number in (3, 5)
    )
    assert of_three == of_five[:3]


def test_standard_and_clusters_have_their_names():
    config = config_with(num_clusterings=1)
    scores, protocols = scores_of(config, DATASET, {"a": Z})
    assert set(scores) == {("a", "accuracy"), ("a", "nmi"), ("a", "ari")}
    assert protocols == {"accuracy": "standard", "nmi": "k-means", "ari": "k-means"}


def test_vectors_of_grace_are_judged_by_direction_alone():
    """On the split and while training; elsewhere length counts."""
    split = Split(*np.split(DRAW.permutation(150).astype(np.int32), [30, 60]))
    dataset = DATASET._replace(split=split)
    longer = (Z.T * np.exp(DRAW.normal(scale=2.0, size=150))).T
    state = SimpleNamespace(params=None)

    def accuracies(z, **changes):
        config = config_with(**changes)
        representation = config.representation

        def represent(params, key, nodes, names=None):
            return {representation: z}, SimpleNamespace(stats={})

        judge = node_scores.validation_judge(config, dataset, represent, KEY)
        scores, _ = scores_of(config, dataset, {representation: z})
        return scores[representation, "accuracy"].mean, next(iter(judge(state)[1].values()))

    grace = {"framework": "grace", "representation": "single"}
    assert accuracies(Z, **grace) == accuracies(longer, **grace)
    unit = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    assert accuracies(Z, **grace) == accuracies(unit)
    for other in ({}, grace | {"protocol": "reference"}):
        assert accuracies(Z, **other)[0] != accuracies(longer, **other)[0]


def test_layers_before_the_last_may_be_wider():
    grace = {"framework": "grace", "representation": "single", "depth": 3, "width": 8}
    assert config_with(**grace).grace_widths == (8, 8, 8)
    config = config_with(**grace, hidden_width=16)
    assert settings_of(config, 10).widths == (16, 16, 8)
    with pytest.raises(InputError, match="multiple of the 4 heads, found 18"):
        config_with(**grace, encoder="gat", hidden_width=18)


def test_several_labels_are_judged_by_micro_f1():
    labels = np.stack([LABELS == 0, LABELS > 0, LABELS == 2], axis=1).astype(np.uint8)
    dataset = DATASET._replace(labels=labels, num_classes=3)
    config = config_with(num_clusterings=2)
    scores, protocols = scores_of(config, dataset, {"single": Z})
    assert list(scores) == [("single", "micro_f1")]
    assert scores["single", "micro_f1"] == score([scores["single", "micro_f1"].mean])
    assert 0.6 < scores["single", "micro_f1"].mean <= 1
    assert protocols == {"micro_f1": "inductive"}


# Of a large graph a part is scored


@pytest.fixture
def many_nodes(monkeypatch):
    monkeypatch.setattr(node_scores, "_MANY_NODES", 40)


FEW = DATASET._replace(split=Split(np.arange(0, 30, 3), np.array([100, 7]), np.arange(31, 50, 2)))


def test_a_small_graph_is_scored_whole():
    part = node_scores.part_to_score(config_with(num_clusterings=1), FEW)
    assert part.nodes is None and part.clustered is None
    assert part.dataset is FEW


def test_of_a_large_graph_the_split_and_a_sample_are_scored(many_nodes):
    config = config_with(num_clusterings=1)
    part = node_scores.part_to_score(config, FEW)
    assert part.nodes is not None and part.clustered is not None
    for places, wanted in zip(part.dataset.split, FEW.split, strict=True):
        np.testing.assert_array_equal(part.nodes[places], wanted)
    np.testing.assert_array_equal(part.dataset.labels, LABELS[part.nodes])
    sample = part.nodes[part.clustered]
    assert sample.size == np.unique(sample).size == 40
    assert set(part.nodes) == set(sample) | set(np.concatenate(FEW.split))
    without = node_scores.part_to_score(config, FEW, clusters=False)
    np.testing.assert_array_equal(without.nodes, np.unique(np.concatenate(FEW.split)))
    assert without.clustered is None


def test_accuracy_of_the_part_is_that_of_the_whole(many_nodes):
    config = config_with(num_clusterings=2)
    part = node_scores.part_to_score(config, FEW)
    scores, protocols = scores_of(config, part.dataset, {"a": Z[part.nodes]}, part.clustered)
    whole, _ = scores_of(config, FEW, {"a": Z})
    assert scores["a", "accuracy"] == whole["a", "accuracy"]
    assert protocols == {"accuracy": "standard"} | dict.fromkeys(("nmi", "ari"), "k-means 40 nodes")
    sample = part.nodes[part.clustered]
    wanted = clustering(Z[sample], LABELS[sample], num_clusters=3, seed=0, num_repeats=2)
    assert scores["a", "nmi"] == wanted["nmi"]


def test_clusters_of_a_sample_leave_unknown_labels_out(many_nodes):
    config = config_with(num_clusterings=1)
    labels = np.where(np.arange(150) < 60, LABELS, -1).astype(np.int32)
    part = node_scores.part_to_score(config, FEW._replace(labels=labels, split=None))
    assert part.nodes is None
    assert part.clustered.size == 40 and part.clustered.max() < 60


def test_the_judge_wants_the_splits_nodes_alone(many_nodes):
    asked = []

    def represent(params, key, nodes, names=None):
        asked.append(nodes)
        return {"mean": Z[nodes]}, SimpleNamespace(stats={"unmixed": 0.5})

    state = SimpleNamespace(params=None)
    values = {}
    for selection in ("validation", "last"):
        config = config_with(selection=selection, num_probes=1)
        values[selection] = node_scores.validation_judge(config, FEW, represent, KEY)(state)
    np.testing.assert_array_equal(asked[0], np.unique(np.concatenate(FEW.split)))
    assert len(asked[1]) == 0
    name, metrics = values["validation"]
    assert name == "validation_accuracy" and 0.0 <= metrics[name] <= 1.0
    assert values["last"] == (None, {"mixing/unmixed": 0.5})


def test_the_protocol_of_splits_reads_all_nodes(many_nodes):
    config = config_with(protocol="splits", selection="last", num_clusterings=1)
    part = node_scores.part_to_score(config, FEW)
    assert part.nodes is None and part.dataset is FEW
    assert part.clustered.size == 40
