"""What lies on the device: propagated features in every form of diffusion, graph, batches."""

import jax
import numpy as np
import pytest

from mmix_jax.data.types import NodeDataset
from mmix_jax.errors import InputError
from mmix_jax.experiments import node_config, read
from mmix_jax.experiments.nodes.inputs import normalised_graph, scaling_of, settings_of
from mmix_jax.frameworks import base, mvgrl_nodes
from mmix_jax.graphs.neighbours import NeighbourTable
from mmix_jax.graphs.samplers import NodeSampler
from tests.frameworks import problem

pytestmark = pytest.mark.slow

X = problem.GRAPH.x


def config_with(**changes):
    config = node_config("digits_graph")
    config.update({"alpha": problem.ALPHA, "diffusion_time": 3.0, "mixing": "mo"} | changes)
    return read(config)


def tables_of(**changes):
    return mvgrl_nodes.make_tables(settings_of(config_with(**changes), problem.N), problem.GRAPH)


def sampler_of(config):
    return mvgrl_nodes.make_sampler(
        settings_of(config, problem.N),
        problem.GRAPH,
        sampler=config.sampler,
        batch_size=config.batch_size,
        num_windows=config.num_windows,
    )


def dataset(bag_of_words: bool) -> NodeDataset:
    return NodeDataset("ten", problem.GRAPH, None, 0, None, None, bag_of_words)


@pytest.mark.parametrize(
    ("wanted", "bag_of_words", "normalised"),
    [("auto", True, True), ("auto", False, False), ("rows", False, True), ("none", True, False)],
)
def test_features_are_row_normalised_where_wanted(wanted, bag_of_words, normalised):
    config = config_with(normalise_features=wanted)
    data = dataset(bag_of_words)
    graph = normalised_graph(config, data, scaling_of(config, data))
    expected = X / np.abs(X).sum(axis=1, keepdims=True) if normalised else X
    np.testing.assert_allclose(graph.x, expected, rtol=1e-6)
    np.testing.assert_array_equal(graph.senders, problem.GRAPH.senders)


def heat() -> np.ndarray:
    """exp(−t (I − Â)) by eigenvectors."""
    values, vectors = np.linalg.eigh(problem.adjacency())
    return vectors @ np.diag(np.exp(-3.0 * (1 - values))) @ vectors.T


def heat_elementwise() -> np.ndarray:
    graph = problem.GRAPH
    dense = np.eye(problem.N)
    dense[graph.receivers, graph.senders] += graph.edge_weight
    return np.exp(3.0 * (dense / dense.sum(axis=1)[None, :] - 1))


def columns_divided(matrix: np.ndarray) -> np.ndarray:
    return matrix / matrix.sum(axis=0)


def largest(matrix: np.ndarray, k: int) -> np.ndarray:
    return columns_divided(np.where(matrix >= np.sort(matrix, axis=0)[-k], matrix, 0.0))


DIFFUSIONS = {
    "ppr": ({}, problem.diffusion),
    "ppr_exact": ({"diffusion_form": "exact"}, problem.diffusion),
    "heat": ({"diffusion": "heat"}, heat),
    "heat_exact": ({"diffusion": "heat", "diffusion_form": "exact"}, heat),
    "elementwise": (
        {"diffusion": "heat_elementwise", "diffusion_form": "exact"},
        heat_elementwise,
    ),
    "top_k": (
        {"diffusion_form": "top_k", "top_k": 3},
        lambda: largest(problem.diffusion(), 3),
    ),
    "epsilon": (
        {"diffusion_form": "epsilon", "epsilon": 0.05},
        lambda: columns_divided(np.where(problem.diffusion() >= 0.05, problem.diffusion(), 0.0)),
    ),
}


@pytest.mark.parametrize("name", DIFFUSIONS)
def test_one_layer_gets_features_propagated_beforehand(name):
    options, expected = DIFFUSIONS[name]
    tables = tables_of(**options)
    np.testing.assert_allclose(tables.x_a, problem.adjacency() @ X, atol=1e-5)
    np.testing.assert_allclose(tables.x_b, expected() @ X, atol=1e-4)
    assert tables.graph is None
    assert tables.diffusion is None


@pytest.mark.parametrize(
    "changes",
    [{"depth": 2}, {"mixing": "i_mix"}, {"mixing": "none", "objective": "mvgrl"}],
    ids=["two_layers", "i_mix", "mvgrl"],
)
@pytest.mark.parametrize("name", ["ppr", "ppr_exact", "top_k"])
def test_the_graph_is_there_where_a_loss_propagates_itself(name, changes):
    options, expected = DIFFUSIONS[name]
    tables = tables_of(**changes, **options)
    np.testing.assert_array_equal(tables.graph.nodes[: problem.N], X)
    assert (tables.x_a is None) == (tables.x_b is None) == ("depth" in changes)
    if name == "ppr":
        assert tables.diffusion is None
        return
    dense = np.zeros((tables.graph.nodes.shape[0],) * 2)
    if name == "top_k":
        senders, receivers, weights = tables.diffusion
        dense[receivers, senders] = weights
    else:
        dense[:] = tables.diffusion
    np.testing.assert_allclose(dense[: problem.N, : problem.N], expected(), atol=1e-5)
    assert not dense[problem.N :].any()
    assert not dense[:, problem.N :].any()


def test_an_exact_matrix_of_a_large_graph_is_refused(monkeypatch):
    monkeypatch.setattr(mvgrl_nodes, "_EXACT_NODES", problem.N - 1)
    with pytest.raises(InputError, match="'exact' needs at most 9 nodes, found 10; use features"):
        tables_of(diffusion_form="exact")


def test_the_whole_graph_is_one_batch_without_padding():
    batch = base.whole_graph(problem.GRAPH)
    np.testing.assert_array_equal(batch.rows, np.arange(problem.N))
    assert batch.anchor_mask.all()
    assert batch.edge_mask.all()
    dense = np.diag(np.asarray(batch.self_edge_weight, np.float64))
    dense[batch.receivers, batch.senders] += batch.edge_weight
    np.testing.assert_allclose(dense, problem.adjacency(), atol=1e-6)


def test_windows_get_the_diffusion_of_the_config():
    config = config_with(sampler="window", batch_size=problem.N, num_windows=1, diffusion="heat")
    sampler = sampler_of(config)
    np.testing.assert_allclose(sampler.batch(0).x_b[0], heat() @ X, atol=1e-4)


@pytest.mark.parametrize("many", [False, True])
def test_steps_on_many_nodes_have_one_shape(many, monkeypatch):
    monkeypatch.setattr(base, "MANY_NODES", problem.N + (not many))
    config = config_with(sampler="nodes", batch_size=4)
    batch = sampler_of(config).batch(0)
    plain = NodeSampler(problem.GRAPH, sampler="nodes", batch_size=4, one_shape=many).batch(0)
    for one, other in zip(batch, plain, strict=True):
        np.testing.assert_array_equal(one, other)
    least = NeighbourTable(problem.GRAPH).usual_sizes(4)
    assert (len(batch.rows[0]) >= least[0]) or not many


def loss_of_a_step(config) -> float:
    """By the batch of `make_sampler`."""
    sampler = sampler_of(config)
    batch = jax.tree.map(lambda x: x[0], sampler.batch(0))
    settings = settings_of(config, problem.N)
    params = mvgrl_nodes.init_params(settings, X.shape[1], problem.KEY)
    loss_fn = mvgrl_nodes.make_loss(settings, None)
    tables = mvgrl_nodes.make_tables(settings, problem.GRAPH)
    return float(loss_fn(params, {}, (tables, batch), problem.KEY)[0])


@pytest.mark.parametrize(
    ("changes", "reads"),
    [
        ({"mixing": "none"}, False),
        ({"mixing": "mp", "candidates": "all"}, False),
        ({"mixing": "mo", "candidates": "op", "threshold": 0.1}, False),
        ({"mixing": "none", "objective": "mvgrl", "embed_from": "z"}, False),
        ({"mixing": "mp"}, True),
        ({"mixing": "propagate"}, True),
        ({"mixing": "i_mix"}, True),
        ({"mixing": "none", "depth": 2}, True),
    ],
    ids=str,
)
def test_steps_on_many_nodes_read_neighbours_where_the_loss_does(changes, reads, monkeypatch):
    config = config_with(sampler="nodes", batch_size=4, **changes)
    few = loss_of_a_step(config)
    monkeypatch.setattr(base, "MANY_NODES", 1)
    sampler = sampler_of(config)
    assert sampler.batch(0).edge_mask.any() == reads
    np.testing.assert_allclose(loss_of_a_step(config), few, rtol=1e-5)


@pytest.mark.parametrize("name", ["top_k", "epsilon"])
def test_windows_have_no_sparse_diffusion(name):
    """A window is cut from the exact matrix: another form would be passed over in silence."""
    options, _ = DIFFUSIONS[name]
    with pytest.raises(InputError, match="window"):
        config_with(sampler="window", **options)
