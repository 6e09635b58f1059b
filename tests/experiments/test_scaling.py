"""Raw columns of one's own: standardised by what trained, kept with the model, in every task."""

import numpy as np
import pytest

from mmix_jax.data.libraries import from_scipy
from mmix_jax.data.networkx_graphs import from_networkx_graphs
from mmix_jax.errors import InputError
from mmix_jax.experiments import graph_config, node_config, run
from mmix_jax.experiments.pretraining import pretrain
from tests.experiments.graphs import small_graphs
from tests.experiments.nodes import small

networkx = pytest.importorskip("networkx")

SMOKE = {"width": 8, "num_steps": 4, "eval_every": 2, "checkpoint_every": 2, "num_devices": 1}
FEW = {"num_classifiers": 2, "num_probes": 1, "num_clusterings": 0}


def _columns(num_nodes: int, labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Age, spend and year, of very different scales, and a one-hot column."""
    age = 40 + 8 * labels + draw.normal(size=num_nodes) * 4
    spend = 1e5 * np.exp(draw.normal(size=num_nodes))
    year = 2000 + draw.integers(0, 20, num_nodes)
    return np.column_stack([age, spend, year, draw.random(num_nodes) < 0.5])


def _raw_graph(seed: int = 0, num_nodes: int = 120, **changes):
    draw = np.random.default_rng(seed)
    labels = np.arange(num_nodes) % 3
    ends = draw.integers(0, num_nodes, (2, 10 * num_nodes))
    ends = ends[:, labels[ends[0]] == labels[ends[1]]]
    from scipy import sparse

    adjacency = sparse.coo_array((np.ones(ends.shape[1]), ends), shape=(num_nodes, num_nodes))
    return from_scipy(adjacency, _columns(num_nodes, labels, draw), labels, **changes)


def _config(**changes):
    config = node_config("graph_file")
    config.update(SMOKE | FEW | changes)
    return config


def test_raw_columns_are_learnt_from():
    """Ages tell the classes; by far the larger columns do not, and drown them as they are."""
    accuracy = {}
    for how in ("auto", "none"):
        task = run.task_of(_config(normalise_features=how, num_steps=30), _raw_graph())
        results = run.evaluate(task, [pretrain(task).encoder])
        accuracy[how] = next(
            r.mean
            for r in results
            if (r.metric, r.representation, r.trained) == ("accuracy", "a", True)
        )
    assert accuracy["auto"] > 0.85  # 0.94 measured, 0.33 as they are
    assert accuracy["none"] < 0.6


def test_other_nodes_are_scaled_as_those_that_trained(tmp_path):
    """Embedding some of the nodes alone by a checkpoint: their own statistics are others."""
    files = []
    for name, rows in (("all", slice(None)), ("old", slice(0, 20))):
        arrays = small.arrays(
            train_mask=None, val_mask=None, test_mask=None, edge_index=np.zeros((2, 0), int)
        )
        arrays["x"] = np.round(1000 * (1 + np.arange(30))[:, None] + 10 * arrays["x"])
        arrays |= {"x": arrays["x"][rows], "y": np.arange(30)[rows] % 2}
        np.savez(tmp_path / f"{name}.npz", **arrays)
        files.append(tmp_path / f"{name}.npz")
    whole, part = (small.config(path, num_clusterings=0) for path in files)
    run.train(whole, tmp_path / "run")
    z = run.embed(whole, tmp_path / "run", None)["z"]
    checkpoint = str(tmp_path / "run" / "checkpoints" / "seed_0")
    z_part = run.embed(part, tmp_path / "elsewhere", checkpoint)["z"]
    # Without edges an embedding is a function of the node's own features alone.
    np.testing.assert_allclose(z_part, z[:20], rtol=1e-4, atol=1e-5)
    fresh = run.embed(part, tmp_path / "other", checkpoint)["z"]
    np.testing.assert_array_equal(fresh, z_part)
    assert np.ptp(z[:20], axis=0).max() > 1e-3


def test_a_training_does_not_go_on_with_other_data(tmp_path):
    path = small.save(tmp_path / "mine.npz", x=1000 * small.arrays()["x"])
    run.train(small.config(path, num_clusterings=0), tmp_path / "run")
    small.save(path, x=2000 * small.arrays()["x"])
    longer = small.config(path, num_clusterings=0, num_steps=8)
    with pytest.raises(InputError, match="goes on with the data it began with, found other feat"):
        run.train(longer, tmp_path / "run")
    small.save(path, x=1000 * small.arrays()["x"])
    run.train(longer, tmp_path / "run")


def _graphs(scale: float):
    draw = np.random.default_rng(0)
    graphs = []
    for i in range(20):
        graph = networkx.path_graph(5)
        for node in graph:
            graph.nodes[node]["x"] = scale * (draw.normal(size=2) + np.array([5, i % 2]))
        graphs.append(graph)
    return from_networkx_graphs(graphs, np.arange(20) % 2)


def test_sets_of_graphs_are_scaled_too():
    config = graph_config("graph_folder")
    config.update(SMOKE | {"num_clusterings": 0, "batch_size": 10, "num_folds": 2, "num_seeds": 1})
    tasks = [run.task_of(config, _graphs(scale)) for scale in (50.0, 200.0)]
    first, second = (task.dataset.graphs[3].x for task in tasks)
    np.testing.assert_allclose(first, second, atol=1e-4)
    assert abs(np.concatenate([g.x for g in tasks[0].dataset.graphs]).std() - 1) < 1e-3
    # An encoder of other statistics embeds with these.
    encoder = pretrain(tasks[0]).encoder
    own = tasks[0].embed(encoder)["z"]
    np.testing.assert_allclose(tasks[0].embed(encoder)["z"], own)
    assert np.abs(tasks[1].embed(encoder)["z"] - own).max() > 1e-2
    config.normalise_features = "none"
    assert run.task_of(config, _graphs(50.0)).dataset.graphs[3].x.max() > 100


def test_binarised_graphs_are_binarised(tmp_path):
    folder = small_graphs.save(tmp_path / "mine")
    task = run.load(small_graphs.config(folder, binarise_features=True))
    assert set(np.unique(np.concatenate([g.x for g in task.dataset.graphs]))) == {0.0, 1.0}
