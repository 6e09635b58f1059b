"""Protocols of the node task: which splits, which metric, which name."""

import jax
import numpy as np

from mmix_jax.data.splits import random_split
from mmix_jax.data.types import make_dataset
from mmix_jax.evaluation.split_protocol import logistic_over_splits
from mmix_jax.experiments import node_scores
from mmix_jax.experiments.defaults import finish, node_config
from mmix_jax.graphs.types import make_graph
from mmix_jax.results import score

DRAW = np.random.default_rng(0)
LABELS = DRAW.integers(0, 3, 150)
Z = DRAW.normal(size=(150, 6)) + 1.5 * np.eye(3)[LABELS] @ DRAW.normal(size=(3, 6))
DATASET = make_dataset("blobs", make_graph(Z, [0], [1]), LABELS)
KEY = jax.random.key(0)


def config_with(**changes):
    config = finish(node_config("digits_graph"), None)
    config.update({"num_clusterings": 0, "num_classifiers": 2} | changes)
    return config


def test_splits_are_seeds_0_to_19_and_l2_is_tuned_on_100_to_104():
    config = config_with(protocol="splits", selection="last")
    found = node_scores.measure(config, DATASET, {"single": Z}, 0, KEY)
    assert list(found) == [("single", "accuracy")]
    reported, tuning = (
        [random_split(LABELS, seed=seed) for seed in seeds]
        for seeds in (range(20), range(100, 105))
    )
    wanted = logistic_over_splits(Z, LABELS, reported, tuning, num_classes=3).test
    assert found["single", "accuracy"] == wanted
    assert wanted.n == 20 and wanted.mean > 0.6
    assert node_scores.protocol_of(config, DATASET, "accuracy") == "splits"


def test_fewer_splits_are_the_first():
    of_three, of_five = (
        node_scores.measure(
            config_with(protocol="splits", selection="last", num_splits=number),
            DATASET, {"single": Z}, 0, KEY,
        )["single", "accuracy"].values
        for number in (3, 5)
    )  # fmt: skip
    assert of_three == of_five[:3]


def test_standard_and_clusters_have_their_names():
    config = config_with(num_clusterings=1)
    found = node_scores.measure(config, DATASET, {"a": Z}, 0, KEY)
    assert set(found) == {("a", "accuracy"), ("a", "nmi"), ("a", "ari")}
    names = [node_scores.protocol_of(config, DATASET, m) for m in ("accuracy", "nmi", "ari")]
    assert names == ["standard", "k-means", "k-means"]


def test_several_labels_are_judged_by_micro_f1():
    labels = np.stack([LABELS == 0, LABELS > 0, LABELS == 2], axis=1).astype(np.uint8)
    dataset = DATASET._replace(labels=labels, num_classes=3)
    config = config_with(num_clusterings=2)
    found = node_scores.measure(config, dataset, {"single": Z}, 0, KEY)
    assert list(found) == [("single", "micro_f1")]
    assert found["single", "micro_f1"] == score([found["single", "micro_f1"].mean])
    assert 0.6 < found["single", "micro_f1"].mean <= 1
    assert node_scores.protocol_of(config, dataset, "micro_f1") == "inductive"
