"""Equation 11 on a set of small graphs against float64 loops, and its laws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax.frameworks.mvgrl_graphs import embed, make_loss
from mmix_jax.training.step import AXIS, init_state, make_optimizer, make_step, replicate
from tests.frameworks import graph_problem as graphs
from tests.frameworks import problem
from tests.frameworks.changes import changed
from tests.frameworks.test_mvgrl_nodes import flat, slope

pytestmark = pytest.mark.slow

RULES = {
    "none": {"mixing": "none"},
    "mo": {"mixing": "mo", "mixing_temperature": 0.5},
    "mo_op": {"mixing": "mo", "candidates": "op", "threshold": 0.3},
    "mp": {"mixing": "mp", "mixing_temperature": 0.3, "diversity_weight": 0.5},
    "mp_all": {"mixing": "mp", "candidates": "all", "diversity_margin": 0.0},
    "binary": {"mixing": "binary", "candidates": "all"},
    "neighbour_mean": {"mixing": "neighbour_mean"},
    "propagate": {"mixing": "propagate"},
}
OBJECTIVES = {
    "both": {},
    "symmetric": {"symmetric_graph": True, "graph_temperature": 0.5},
    "node": {"objective": "node"},
    "graph": {"objective": "graph"},
}


@functools.cache
def batch_of_all(dtype=np.float64):
    return graphs.one_device(graphs.sampler().batch(0), dtype)


def settings_for(rule: str, objective: str = "both", **changes):
    views = changed(graphs.VIEWS, **(RULES[rule] | changes))
    return graphs.settings_of(graphs.sampler(), views, **OBJECTIVES[objective])


def value_of(settings, params, tables=None, batch=None):
    loss_fn = make_loss(settings)
    batch = (tables or graphs.tables(), batch or batch_of_all())
    return jax.jit(lambda p: loss_fn(p, {}, batch, problem.KEY)[0])(params)


def value_and_gradient(settings, params, tables=None, batch=None):
    loss_fn = make_loss(settings)
    batch = (tables or graphs.tables(), batch or batch_of_all())
    compute = jax.jit(jax.value_and_grad(lambda p: loss_fn(p, {}, batch, problem.KEY)[0]))
    return compute(params)


@pytest.mark.parametrize("rule", RULES)
def test_loss_of_every_rule_against_loops(x64, rule):
    settings = settings_for(rule)
    params = problem.parameters(settings.views)
    np.testing.assert_allclose(value_of(settings, params), graphs.loss(settings, params), rtol=1e-9)


@pytest.mark.parametrize("rule", ["mp", "mo_op"])
def test_gradient_against_differences_of_the_loops(x64, rule):
    settings = settings_for(rule)
    params = problem.parameters(settings.views)
    _, gradient = value_and_gradient(settings, params)
    draw = np.random.default_rng(3)
    direction = jax.tree.map(lambda p: draw.normal(size=p.shape), params)
    expected = slope(lambda p: graphs.loss(settings, p), params, direction)
    np.testing.assert_allclose(flat(gradient) @ flat(direction), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("objective", "negatives"),
    [("symmetric", "full"), ("symmetric", "cross"), ("node", "cross"), ("graph", "full")],
)
def test_the_parts_against_loops(x64, objective, negatives):
    settings = settings_for("mp", objective, negatives=negatives)
    params = problem.parameters(settings.views)
    np.testing.assert_allclose(value_of(settings, params), graphs.loss(settings, params), rtol=1e-9)


@pytest.mark.parametrize("form", ["bce", "jsd"])
def test_mvgrls_own_objective_against_loops(x64, form):
    views = changed(graphs.VIEWS, mixing="none", discriminator=form)
    settings = graphs.settings_of(graphs.sampler(), views, objective="mvgrl")
    params = problem.parameters(views)
    value, gradient = value_and_gradient(settings, params)
    np.testing.assert_allclose(value, graphs.loss(settings, params), rtol=1e-9)
    draw = np.random.default_rng(3)
    direction = jax.tree.map(lambda p: draw.normal(size=p.shape), params)
    expected = slope(lambda p: graphs.loss(settings, p), params, direction)
    np.testing.assert_allclose(flat(gradient) @ flat(direction), expected, rtol=1e-5)


def test_nodes_of_the_whole_batch_may_be_contrasted(x64):
    """The authors' way, without their padding."""
    views = changed(graphs.VIEWS, mixing="mo")
    settings = graphs.settings_of(graphs.sampler(), views, objective="node", node_contrast="batch")
    params = problem.parameters(views)
    parts = [graphs.branches(settings, params, graph) for graph in graphs.GRAPHS]
    u, z_b = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    value = value_of(settings, params)
    np.testing.assert_allclose(value, naive.info_nce(u, z_b), rtol=1e-9)


def test_deeper_encoders_propagate_within_each_graph(x64):
    views = changed(graphs.VIEWS, mixing="mp", widths=(problem.D, problem.D))
    settings = graphs.settings_of(graphs.sampler(), views)
    params = problem.parameters(views)
    value = value_of(settings, params, graphs.tables(deep=True))
    np.testing.assert_allclose(value, graphs.loss(settings, params), rtol=1e-7)


@pytest.mark.parametrize("rule", ["mp", "mo_op"])
def test_a_batch_has_the_mean_of_its_graphs_losses(x64, rule):
    """J_node of a batch is the mean over graphs, each alone in a batch of otherwise empty slots."""
    settings = settings_for(rule, "node")
    params = problem.parameters(settings.views)
    loss_fn, tables, batch = make_loss(settings), graphs.tables(), batch_of_all()
    compute = jax.jit(jax.value_and_grad(lambda p, b: loss_fn(p, {}, (tables, b), problem.KEY)[0]))
    together, gradient = compute(params, batch)
    slots = np.repeat(np.arange(len(batch.n_node)), np.asarray(batch.n_node))
    found = []
    for slot in np.flatnonzero(batch.globals["mask"]):
        own = batch.nodes["mask"] & (slots == slot)
        edges = batch.edges["mask"] & own[batch.senders]
        alone = batch._replace(
            nodes=batch.nodes | {"mask": own},
            edges=batch.edges | {"mask": edges, "weight": batch.edges["weight"] * edges},
            globals=batch.globals | {"mask": jnp.arange(len(batch.n_node)) == slot},
        )
        value, slope_there = compute(params, alone)
        found.append((value, flat(slope_there)))
    assert len(found) == len(graphs.GRAPHS)
    values, gradients = zip(*found, strict=True)
    np.testing.assert_allclose(together, np.mean(values), rtol=1e-10)
    np.testing.assert_allclose(flat(gradient), np.mean(gradients, axis=0), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("rule", ["mp", "mp_all"])
def test_padding_changes_neither_loss_nor_gradient(x64, rule):
    settings = settings_for(rule)
    params = problem.parameters(settings.views)
    value, gradient = value_and_gradient(settings, params)
    tight = graphs.sampler(max_buckets=3)
    assert tight.padding < graphs.sampler().padding
    batch = graphs.one_device(tight.batch(0))
    found, slope_there = value_and_gradient(
        changed(settings, buckets=tight.buckets), params, batch=batch
    )
    np.testing.assert_allclose(found, value, rtol=1e-10)
    np.testing.assert_allclose(flat(slope_there), flat(gradient), rtol=1e-8, atol=1e-12)


def embeddings(settings, params, sets, sampled):
    batch = graphs.one_device(sampled.ordered(0))
    found, _ = embed(settings, params, graphs.tables(sets), batch, problem.KEY)
    place = np.asarray(batch.globals["graph"])[:-1]
    mask = np.asarray(batch.globals["mask"])[:-1]
    return {name: np.asarray(h)[mask][np.argsort(place[mask])] for name, h in found.items()}


@pytest.mark.parametrize("kind", ["mean", "sum"])
@pytest.mark.parametrize("rule", ["mp", "mo_op"])
def test_representations_are_readouts_of_both_branches(x64, rule, kind):
    settings = changed(settings_for(rule), readout=kind)
    params = problem.parameters(settings.views)
    found = embeddings(settings, params, graphs.GRAPHS, graphs.sampler())
    h_a, h_b = graphs.readouts(settings, params)
    if kind == "sum":
        sizes = np.array([[graph.num_nodes] for graph in graphs.GRAPHS])
        h_a, h_b = h_a * sizes, h_b * sizes
    for name, expected in (("a", h_a), ("b", h_b), ("mean", (h_a + h_b) / 2)):
        np.testing.assert_allclose(found[name], expected, atol=1e-10)


@pytest.mark.parametrize("objective", ["both", "mvgrl"])
def test_training_contrasts_means_whatever_is_read_out(x64, objective):
    settings = changed(settings_for("none"), objective=objective)
    params = problem.parameters(settings.views)
    batch = graphs.tables(), batch_of_all()
    values = {
        kind: value_of(changed(settings, readout=kind), params, *batch) for kind in ("mean", "sum")
    }
    assert values["sum"] == values["mean"]


def test_permuting_graphs_permutes_and_permuting_nodes_changes_nothing(x64):
    settings = settings_for("mp")
    params = problem.parameters(settings.views)
    expected = embeddings(settings, params, graphs.GRAPHS, graphs.sampler())["mean"]
    draw = np.random.default_rng(6)
    order = draw.permutation(len(graphs.GRAPHS))
    moved = []
    for i in order:
        graph = graphs.GRAPHS[i]
        place = draw.permutation(graph.num_nodes)
        x = np.empty_like(graph.x)
        x[place] = graph.x
        if graph.num_edges:
            graph = problem.make_graph(x, place[graph.senders], place[graph.receivers])
        else:
            graph = graph._replace(x=x)
        moved.append(graph)
    sampled = graphs.sampler(moved)
    found = embeddings(changed(settings, buckets=sampled.buckets), params, moved, sampled)["mean"]
    np.testing.assert_allclose(found, expected[order], atol=1e-10)


def test_a_limit_on_contrasted_nodes_is_no_limit_for_smaller_graphs(x64):
    settings = settings_for("mo", "node")
    params = problem.parameters(settings.views)
    batch = graphs.tables(), batch_of_all()

    def losses(limit: int):
        loss_fn = make_loss(changed(settings, contrast_nodes=limit))
        keys = jax.random.split(jax.random.key(0), 3)
        return np.asarray(jax.jit(jax.vmap(lambda key: loss_fn(params, {}, batch, key)[0]))(keys))

    np.testing.assert_allclose(losses(100), graphs.loss(settings, params), rtol=1e-9)
    drawn = losses(3)
    assert len(set(drawn)) == 3
    assert max(drawn) < losses(100)[0]  # fewer negatives, lower loss


def test_sampled_nodes_are_real_ones(x64):
    """With all nodes of a graph drawn, and padding behind them, the loss is the whole one."""
    only = [graph for graph in graphs.GRAPHS if graph.num_nodes in (6, 7)]
    sampled = graphs.sampler(only, max_buckets=1)
    views = changed(graphs.VIEWS, mixing="mo")
    settings = graphs.settings_of(sampled, views, objective="node")
    params = problem.parameters(views)
    inputs = graphs.tables(only), graphs.one_device(sampled.batch(0))
    value = value_of(settings, params, *inputs)
    found = value_of(changed(settings, contrast_nodes=7), params, *inputs)
    assert sampled.buckets.sizes == (8,)
    np.testing.assert_allclose(found, value, rtol=1e-12)


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("mp", {"symmetric_graph": True}),
        ("mo_op", {}),
        ("mo", {"node_contrast": "batch"}),
        ("none", {"objective": "mvgrl"}),
    ],
)
def test_four_devices_equal_one(x64, rule, options):
    params = problem.parameters(settings_for(rule).views)
    optimizer = make_optimizer(1e-2)
    losses, states = [], []
    for num_devices in (1, 4):
        devices = jax.devices()[:num_devices]
        sampled = graphs.sampler(num_devices=num_devices)
        settings = changed(settings_for(rule), buckets=sampled.buckets, **options)
        step = make_step(make_loss(settings, AXIS), optimizer, devices=devices)
        state = replicate(init_state(params, optimizer), devices)
        tables = replicate(graphs.tables(), devices)
        batch = problem.to_device(sampled.batch(0))
        state, metrics = step(state, tables, batch, jax.random.key(0))
        losses.append({name: float(value) for name, value in metrics.items()})
        states.append(flat(state.params))
    assert losses[0].keys() == losses[1].keys()
    for name, expected in losses[0].items():
        np.testing.assert_allclose(losses[1][name], expected, rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(states[1], states[0], rtol=1e-6, atol=1e-9)


def test_float32_is_close_and_finite(x64):
    settings = settings_for("mp")
    params = problem.parameters(settings.views)
    single = jax.tree.map(lambda p: jnp.asarray(p, jnp.float32), params)
    value, gradient = value_and_gradient(
        settings, single, graphs.tables(dtype=np.float32), batch_of_all(np.float32)
    )
    np.testing.assert_allclose(value, graphs.loss(settings, params), rtol=1e-4)
    assert np.isfinite(flat(gradient)).all()
