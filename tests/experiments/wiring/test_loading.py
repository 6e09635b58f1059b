"""What a config says of its data reaches the loader, field by field."""

import dataclasses

import numpy as np
import pytest

from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph
from mmix_jax.data.splits import random_split
from mmix_jax.experiments import run
from mmix_jax.experiments.graphs import task as graphs
from mmix_jax.experiments.images import task as images
from mmix_jax.experiments.nodes import task as nodes
from tests.experiments.nodes import small
from tests.experiments.wiring import planted_graphs, planted_images, planted_nodes


def told(monkeypatch, room, loader: str, config, dataset) -> dict:
    """The arguments that a loader is called with when a task is loaded."""
    calls = []

    def load(name, **arguments):
        calls.append({"name": name} | arguments)
        return dataset

    monkeypatch.setattr(room, loader, load)
    run.load(config)
    (call,) = calls
    return call


def test_of_nodes(monkeypatch):
    monkeypatch.setattr(nodes, "node_framework", lambda name: planted_nodes.FRAMEWORK)
    config = planted_nodes.config(
        data_dir="folder", data_path="file.npz", split="random", split_seed=7, graph_seed=3,
        structure="roles", missing="mean", skip_columns="a,b", num_nodes=500, mean_degree=4.0,
        num_features=9, num_classes=5, homophily=-0.5, signal=0.3, labels_per_class=4,
    )  # fmt: skip
    assert told(monkeypatch, nodes, "load_nodes", config, planted_nodes.dataset()) == {
        "name": "graph_file",
        "data_dir": "folder",
        "path": "file.npz",
        "split": "random",
        "split_seed": 7,
        "synthetic": SyntheticGraph(500, 4.0, 9, 5, 3, -0.5, 0.3, 4),
        "structure": "roles",
        "missing": "mean",
        "skip_columns": "a,b",
    }


def test_of_graphs(monkeypatch):
    planted_graphs.install(monkeypatch)
    config = planted_graphs.config(data_path="set", features="degree", max_degree=11)
    assert told(monkeypatch, graphs, "load_graphs", config, planted_graphs.dataset()) == {
        "name": "graph_folder",
        "data_dir": None,
        "path": "set",
        "features": "degree",
        "max_degree": 11,
    }


def test_of_images(monkeypatch):
    planted_images.install(monkeypatch)
    config = dataclasses.replace(planted_images.config(data_dir="folder"), image_size=16)
    assert told(monkeypatch, images, "load_images", config, planted_images.dataset()) == {
        "name": "generated",
        "data_dir": "folder",
        "path": None,
        "size": 16,
    }


@pytest.mark.parametrize("seed", [0, 4])
def test_a_random_split_is_that_of_its_seed(tmp_path, seed):
    path = small.save(tmp_path / "rings.npz")
    task = run.load(small.config(path, split="random", split_seed=seed, mixing="none"))
    wanted = random_split(small.arrays()["y"], seed=seed)
    for part, expected in zip(task.dataset.split, wanted, strict=True):
        np.testing.assert_array_equal(part, expected)
