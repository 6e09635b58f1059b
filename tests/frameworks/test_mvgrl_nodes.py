"""The framework's losses against float64 loops over a graph of ten nodes, and their laws."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax.frameworks import mvgrl_nodes
from mmix_jax.frameworks.mvgrl_nodes import MVGRLSettings, NodeTables, make_loss
from mmix_jax.graphs.diffusion import sparse_diffusion
from mmix_jax.graphs.neighbours import NeighbourTable
from mmix_jax.graphs.types import make_graph
from tests.frameworks import problem
from tests.frameworks.changes import changed

pytestmark = pytest.mark.slow

every_case = pytest.mark.parametrize("case", problem.CASES)


def value_of(settings: MVGRLSettings, params, tables: NodeTables, batch) -> float:
    return float(make_loss(settings)(params, {}, (tables, batch), problem.KEY)[0])


def gradient_of(settings: MVGRLSettings, params, tables: NodeTables, batch):
    loss_fn = make_loss(settings)
    return jax.grad(lambda p: loss_fn(p, {}, (tables, batch), problem.KEY)[0])(params)


def flat(tree) -> np.ndarray:
    return np.concatenate([np.asarray(leaf).reshape(-1) for leaf in jax.tree.leaves(tree)])


def slope(f, params, direction, step: float = 1e-6) -> float:
    """Central difference of f along a direction in parameter space."""
    ahead, behind = (
        jax.tree.map(lambda p, d, s=sign: p + s * step * d, params, direction) for sign in (1, -1)
    )
    return (f(ahead) - f(behind)) / (2 * step)


# Values and gradients


@pytest.mark.parametrize("negatives", ["full", "cross"])
@every_case
def test_loss_against_loops(x64, case, negatives):
    settings = changed(problem.BASE, negatives=negatives, **problem.CASES[case])
    params = problem.parameters(settings)
    found = value_of(settings, params, problem.propagated(), problem.everything())
    np.testing.assert_allclose(found, problem.loss(settings, params), rtol=1e-6)


@every_case
def test_gradient_against_differences_of_the_loops(x64, case):
    settings = changed(problem.BASE, **problem.CASES[case])
    params = problem.parameters(settings)
    gradient = gradient_of(settings, params, problem.propagated(), problem.everything())
    draw = np.random.default_rng(3)
    direction = jax.tree.map(lambda p: draw.normal(size=p.shape), params)
    expected = slope(lambda p: problem.loss(settings, p), params, direction)
    np.testing.assert_allclose(flat(gradient) @ flat(direction), expected, rtol=1e-5)


def test_metrics_hold_the_parts_of_the_loss(x64):
    settings = changed(problem.BASE, mixing="mp", diversity_weight=0.5)
    params = problem.parameters(settings)
    batch = (problem.propagated(), problem.everything())
    value, aux = make_loss(settings)(params, {"mean": 3.0}, batch, problem.KEY)
    assert set(aux.metrics) == {"contrast", "diversity"}
    expected = aux.metrics["contrast"] + 0.5 * aux.metrics["diversity"]
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert aux.batch_stats == {"mean": 3.0}


def test_stop_gradient_leaves_the_projections_to_the_diversity_loss(x64):
    settings = changed(problem.BASE, mixing="mp", stop_gradient=True, diversity_weight=0.0)
    params = problem.parameters(settings)
    inputs = problem.propagated(), problem.everything()
    gradient = gradient_of(settings, params, *inputs)
    assert not flat(gradient["projections"]).any()
    flowing = gradient_of(changed(settings, stop_gradient=False), params, *inputs)
    assert flat(flowing["projections"]).any()
    np.testing.assert_allclose(
        value_of(settings, params, *inputs), problem.loss(settings, params), rtol=1e-6
    )


def test_random_mixing_is_drawn_anew_by_key_alone(x64):
    settings = changed(problem.BASE, mixing="random")
    params = problem.parameters(settings)
    batch = (problem.propagated(), problem.everything())
    loss_fn = make_loss(settings)
    first, again, other = (
        float(loss_fn(params, {}, batch, jax.random.key(seed))[0]) for seed in (0, 0, 1)
    )
    assert first == again != other


def test_i_mix_against_loops(x64, monkeypatch):
    draw = np.random.default_rng(4)
    lam, partners = draw.uniform(size=problem.N), draw.permutation(problem.N)
    drawn = jnp.asarray(lam), jnp.asarray(partners)
    monkeypatch.setattr(mvgrl_nodes, "draw_partners", lambda *_: drawn)
    settings = changed(problem.BASE, mixing="i_mix", temperature=0.8)
    params = problem.parameters(settings)
    tables = problem.propagated()._replace(graph=problem.padded().graph)

    def naive_loss(p):
        x = naive.i_mix_inputs(problem.GRAPH.x.astype(np.float64), lam, partners)
        z_a = problem.encode(p["encoder_a"], x, problem.adjacency())
        u, z_b = problem.predict(p["predictor"], z_a), problem.views(p)[1]
        return naive.virtual_labels(u, z_b, lam, partners, temperature=0.8)

    found = value_of(settings, params, tables, problem.everything())
    np.testing.assert_allclose(found, naive_loss(params), rtol=1e-6)
    gradient = gradient_of(settings, params, tables, problem.everything())
    direction = jax.tree.map(lambda p: draw.normal(size=p.shape), params)
    expected = slope(naive_loss, params, direction)
    np.testing.assert_allclose(flat(gradient) @ flat(direction), expected, rtol=1e-5)


@pytest.mark.parametrize("form", ["bce", "jsd"])
def test_mvgrl_objective_is_that_of_some_shuffle(x64, form):
    edges = [0, 1, 2, 0], [1, 2, 3, 3], [0.7, 1.1, 1.6, 0.9]  # node 4 is isolated
    graph = make_graph(problem.GRAPH.x[:5], *edges)
    settings = changed(problem.BASE, mixing="none", objective="mvgrl", discriminator=form)
    params = problem.parameters(settings)
    tables = problem.propagated(graph)._replace(graph=problem.padded(graph).graph)
    loss_fn = make_loss(settings)
    batch = (tables, problem.everything(graph))
    found = [float(loss_fn(params, {}, batch, jax.random.key(seed))[0]) for seed in range(3)]

    z_a, z_b = problem.views(params, graph)
    summaries = [1 / (1 + np.exp(-z.mean(axis=0))) for z in (z_a, z_b)]
    bilinear = np.asarray(params["bilinear"])

    def scores(a, b):
        return naive.node_graph_scores(b, summaries[0], bilinear) + naive.node_graph_scores(
            a, summaries[1], bilinear
        )

    losses = []
    for order in itertools.permutations(range(5)):
        shuffled = graph._replace(x=graph.x[list(order)])
        negative = scores(*problem.views(params, shuffled))
        losses.append(naive.discriminator_loss(scores(z_a, z_b), negative, form))
    nearest = [np.abs(np.array(losses) - value).min() for value in found]
    np.testing.assert_allclose(nearest, 0.0, atol=1e-7)
    assert len(set(found)) > 1  # shuffled anew by key
    assert np.unique(np.round(losses, 6)).size > 60  # shuffles can be told apart


# The two ways to encode, and feature masking


@every_case
def test_propagating_beforehand_equals_propagating_inside(x64, case):
    settings = changed(problem.BASE, feature_mask=0.5, **problem.CASES[case])
    params = problem.parameters(settings)
    batch = problem.everything()
    beforehand = value_of(settings, params, problem.propagated(), batch)
    inside = value_of(settings, params, problem.padded(), batch)
    np.testing.assert_allclose(beforehand, inside, rtol=1e-9)
    assert beforehand != value_of(
        changed(settings, feature_mask=0.0), params, problem.propagated(), batch
    )


def test_gradients_of_both_ways_agree(x64):
    settings = changed(problem.BASE, mixing="mp", feature_mask=0.3)
    params = problem.parameters(settings)
    beforehand, inside = (
        flat(gradient_of(settings, params, tables, problem.everything()))
        for tables in (problem.propagated(), problem.padded())
    )
    np.testing.assert_allclose(beforehand, inside, rtol=1e-7, atol=1e-10)


def test_i_mix_of_some_nodes_is_the_same_either_way(x64, monkeypatch):
    """Six anchors and two padding ones; the anchors' other neighbours stay unmixed."""
    draw = np.random.default_rng(5)
    lam = np.append(draw.uniform(size=6), [1.0, 1.0])
    partners = np.append(draw.permutation(6), [6, 7])
    drawn = jnp.asarray(lam), jnp.asarray(partners)
    monkeypatch.setattr(mvgrl_nodes, "draw_partners", lambda *_: drawn)
    settings = changed(problem.BASE, mixing="i_mix")
    params = problem.parameters(settings)
    anchors = np.array([1, 3, 4, 6, 8, 9])
    batch = problem.to_device(NeighbourTable(problem.GRAPH).cut(anchors, 8))
    beforehand = problem.propagated()._replace(graph=problem.padded().graph)
    losses = [value_of(settings, params, t, batch) for t in (beforehand, problem.padded())]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)

    x = problem.GRAPH.x.astype(np.float64)
    x[anchors] = naive.i_mix_inputs(x[anchors], lam[:6], partners[:6])
    z_a = problem.encode(params["encoder_a"], x, problem.adjacency())
    u, z_b = problem.predict(params["predictor"], z_a), problem.views(params)[1]
    expected = naive.virtual_labels(u[anchors], z_b[anchors], lam[:6], partners[:6])
    np.testing.assert_allclose(losses[0], expected, rtol=1e-6)


@pytest.mark.parametrize("form", ["chebyshev", "dense", "edges"])
def test_two_layers_against_loops(x64, form):
    settings = changed(problem.BASE, widths=(6, problem.D), mixing="mo")
    params = problem.parameters(settings)
    tables = problem.padded()
    if form == "dense":
        missing = tables.graph.nodes.shape[0] - problem.N
        dense = np.pad(problem.diffusion(), ((0, missing), (0, missing)))
        tables = tables._replace(diffusion=jnp.asarray(dense))
    if form == "edges":  # with all entries kept, columns are divided by their sums
        edges = (problem.GRAPH.senders, problem.GRAPH.receivers, problem.N)
        weight = problem.GRAPH.edge_weight.astype(np.float64)
        options = {"edge_weight": weight, "alpha": problem.ALPHA, "top_k": problem.N}
        sparse = sparse_diffusion(*edges, tol=1e-12, **options)
        tables = tables._replace(diffusion=problem.to_device(sparse))
        operator = problem.diffusion() / problem.diffusion().sum(axis=0)
    else:
        operator = problem.diffusion()
    x = problem.GRAPH.x.astype(np.float64)
    z_a = problem.encode(params["encoder_a"], x, problem.adjacency())
    z_b = problem.encode(params["encoder_b"], x, operator)
    u = problem.predict(params["predictor"], problem.mixture(settings, params, z_a))
    found = value_of(settings, params, tables, problem.everything())
    np.testing.assert_allclose(found, naive.info_nce(u, z_b), rtol=1e-6)


# Laws


PADDED = {name: problem.CASES[name] for name in ("none", "mo", "mp", "mo_op", "mp_op", "binary")}
PADDED |= {
    "mvgrl": {"mixing": "none", "objective": "mvgrl"},
    "streamed": {"mixing": "mp", "block_size": 3},
}


@pytest.mark.parametrize("case", PADDED)
def test_padding_changes_neither_loss_nor_gradient(x64, case):
    """Padding anchors, rows and edges in the batch; padding nodes and edges in the graph."""
    settings = changed(problem.BASE, **PADDED[case])
    params = problem.parameters(settings)
    table, nodes = NeighbourTable(problem.GRAPH), np.arange(problem.N)
    batch = problem.to_device(table.cut(nodes, 13, (18, 41)))
    tables, padded = problem.propagated(), problem.padded(num_nodes=23, num_edges=50)
    if case == "mvgrl":  # its shuffle is drawn for the padded size
        tables = tables._replace(graph=padded.graph)

    @jax.jit
    def value_and_gradient(tables, batch):
        loss_fn = make_loss(settings)
        return jax.value_and_grad(lambda p: loss_fn(p, {}, (tables, batch), problem.KEY)[0])(params)

    expected, expected_gradient = value_and_gradient(tables, problem.everything())
    found, gradient = value_and_gradient(padded, batch)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(flat(gradient), flat(expected_gradient), rtol=1e-6, atol=1e-9)
