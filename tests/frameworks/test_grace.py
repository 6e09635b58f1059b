"""The GRACE-style framework against loops, and its laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive_grace
from mmix_jax.frameworks import grace
from mmix_jax.graphs.samplers import NodeSampler
from mmix_jax.mixing import draw_partners
from mmix_jax.training.step import AXIS, init_state, make_optimizer, make_step, replicate
from tests.frameworks import grace_problem as problem
from tests.frameworks.changes import changed
from tests.frameworks.problem import to_device

pytestmark = pytest.mark.slow

ANCHORS = [7, 2, 0, 8, 4]
RULES = {
    "none": {"mixing": "none"},
    "mo": {"mixing": "mo"},
    "mp": {"mixing": "mp"},
    "symmetric": {"mixing": "mp", "symmetric": True, "diversity_weight": 0.5},
    "cross": {"mixing": "mo", "negatives": "cross", "block_size": 2},
    "gat": {"mixing": "mo", "encoder": "gat"},
}
ALL = {"all": {"mixing": "random", "candidates": "all"}}


def value_and_gradient(settings, params, tables, batch, key=problem.KEY):
    loss_fn = grace.make_loss(settings)
    compute = jax.value_and_grad(lambda p: loss_fn(p, {}, (tables, batch), key)[0])
    return jax.jit(compute)(params)


def views_of(settings, key=problem.KEY):
    """The views that the loss draws from this key, as loops."""
    drawn = grace.draw_views(settings, problem.tables(), jax.random.split(key, 4)[0])
    view_a, view_b = (problem.as_loops(view) for view in drawn)
    return view_a, view_b


def loss_by_loops(settings, params) -> float:
    return naive_grace.grace_loss(
        problem.encode_by_loops(settings),
        problem.named(settings, params),
        problem.GRAPH.x.astype(np.float64),
        views_of(settings),
        ANCHORS,
        rule=settings.mixing.rule,
        symmetric=settings.symmetric,
        temperature=settings.contrast.temperature,
        negatives=settings.contrast.negatives,
        diversity_weight=settings.contrast.diversity_weight,
    )


def directional(loss, params, direction, step=1e-6) -> float:
    ends = [
        loss(jax.tree.map(lambda p, d: p + sign * step * d, params, direction))  # noqa: B023
        for sign in (1.0, -1.0)
    ]
    return (ends[0] - ends[1]) / (2 * step)


def direction_like(params):
    leaves, structure = jax.tree.flatten(params)
    draw = np.random.default_rng(9)
    return jax.tree.unflatten(structure, [draw.normal(size=leaf.shape) for leaf in leaves])


def along(gradient, direction) -> float:
    products = jax.tree.map(lambda g, d: float(jnp.sum(g * d)), gradient, direction)
    return sum(jax.tree.leaves(products))


@pytest.mark.parametrize("case", RULES)
def test_loss_and_gradient_against_loops(x64, case):
    settings = changed(problem.BASE, **RULES[case])
    params = problem.parameters(settings)
    found, gradient = value_and_gradient(
        settings, params, problem.tables(), problem.batch(ANCHORS, num_anchors=7)
    )
    np.testing.assert_allclose(found, loss_by_loops(settings, params), rtol=1e-10)
    direction = direction_like(params)
    wanted = directional(lambda p: loss_by_loops(settings, p), params, direction)
    np.testing.assert_allclose(along(gradient, direction), wanted, rtol=1e-6)


def test_i_mix_against_loops(x64):
    settings = changed(problem.BASE, mixing="i_mix")
    params, batch = problem.parameters(settings), problem.batch(ANCHORS)
    partner_key = jax.random.split(problem.KEY, 4)[3]
    coefficients, partners = draw_partners(partner_key, len(ANCHORS), batch.anchor_mask)
    found, gradient = value_and_gradient(settings, params, problem.tables(), batch)

    def by_loops(params):
        return naive_grace.grace_i_mix_loss(
            naive_grace.gcn_encoder,
            problem.named(settings, params),
            problem.GRAPH.x.astype(np.float64),
            views_of(settings),
            ANCHORS,
            np.asarray(coefficients, np.float64),
            np.asarray(partners),
            temperature=settings.contrast.temperature,
        )

    np.testing.assert_allclose(found, by_loops(params), rtol=1e-10)
    direction = direction_like(params)
    wanted = directional(by_loops, params, direction)
    np.testing.assert_allclose(along(gradient, direction), wanted, rtol=1e-6)


@pytest.mark.parametrize("encoder", ["gcn", "gat"])
def test_sparse_features_and_padding_change_nothing(x64, encoder):
    settings = changed(problem.BASE, mixing="mp", encoder=encoder)
    settings = changed(settings, drop_edge=(0.0, 0.0))  # draws depend on the padded number of edges
    params = problem.parameters(settings)
    plain = value_and_gradient(settings, params, problem.tables(), problem.batch(ANCHORS))
    found = value_and_gradient(
        settings,
        params,
        problem.tables(sparse=True, num_nodes=23, num_edges=41),
        problem.batch(ANCHORS, num_anchors=9),
    )
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_the_embedding_is_the_encoder_on_the_whole_graph_before_the_head(x64):
    settings = changed(problem.BASE, mixing="mo")
    params, batch = problem.parameters(settings), problem.batch(range(problem.N))
    labels = jnp.arange(problem.N) % 2
    found, mixture = grace.embed(
        settings, params, problem.tables(), batch, problem.KEY, labels=labels
    )
    whole = problem.as_loops(grace.whole_view(problem.tables()))
    assert len(whole.edges) == problem.GRAPH.num_edges and set(whole.kept_features) == {1.0}
    wanted = naive_grace.gcn_encoder(
        problem.named(settings, params), problem.GRAPH.x.astype(np.float64), whole.edges
    )
    np.testing.assert_allclose(found["single"][: problem.N], wanted, rtol=1e-10, atol=1e-12)
    mixed = naive_grace.mixed({}, wanted, whole.edges, "mo", 0.2, 1.0)
    np.testing.assert_allclose(mixture.z_mixed, mixed, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(mixture.stats["unmixed"], 1 / problem.N)
    assert 0 < float(mixture.stats["agreement"]) < 1


def test_dropped_edges_lead_nowhere(x64):
    """With every edge of view a dropped its nodes are alone: nothing is mixed, or collected."""
    settings = changed(problem.BASE, mixing="mo")
    params, tables = problem.parameters(settings), problem.tables()
    nothing = grace.View(jnp.zeros(tables.pairs.shape, bool), jnp.ones(problem.F))
    z = grace.GRACE(settings).apply({"params": params}, tables, nothing, method="encode")
    wanted = naive_grace.gcn_encoder(
        problem.named(settings, params), problem.GRAPH.x.astype(np.float64), []
    )
    np.testing.assert_allclose(z[: problem.N], wanted, rtol=1e-10, atol=1e-12)
    mixture, _ = grace.mix_anchors(
        settings, params, tables, z, nothing, problem.batch(ANCHORS), problem.KEY
    )
    np.testing.assert_array_equal(mixture.z_mixed, z[jnp.asarray(ANCHORS)])
    assert mixture.stats["unmixed"] == 1.0


def test_propagate_uses_the_views_own_adjacency(x64):
    settings = changed(problem.BASE, mixing="propagate")
    params, tables = problem.parameters(settings), problem.tables()
    view, _ = grace.draw_views(settings, tables, problem.KEY)
    z = jnp.asarray(np.random.default_rng(0).normal(size=(tables.graph.nodes.shape[0], problem.D)))
    mixture, _ = grace.mix_anchors(
        settings, params, tables, z, view, problem.batch(ANCHORS), problem.KEY
    )
    wanted = naive_grace.gcn_layer(
        np.asarray(z[: problem.N]), problem.as_loops(view).edges, None,
        np.eye(problem.D), np.zeros(problem.D),
    )  # fmt: skip
    np.testing.assert_allclose(mixture.z_mixed, wanted[ANCHORS], rtol=1e-10, atol=1e-12)


def test_views_differ_and_draw_at_their_rates(x64):
    settings = changed(problem.BASE, drop_edge=(0.1, 0.4), drop_feature=(0.2, 0.0))
    tables = problem.tables()
    draw = jax.jit(jax.vmap(lambda key: grace.draw_views(settings, tables, key)))
    view_a, view_b = draw(jax.random.split(jax.random.key(0), 2000))
    edges = problem.GRAPH.num_edges
    first = np.unique(np.asarray(tables.pairs)[:edges], return_index=True)[1]
    kept = [np.asarray(view.keep)[:, first] for view in (view_a, view_b)]
    for found, rate in zip(kept, settings.drop_edge, strict=True):
        deviation = np.sqrt(rate * (1 - rate) / found.size)
        assert abs((1 - found.mean()) - rate) < 4 * deviation
    together = (~kept[0] & ~kept[1]).mean()
    assert abs(together - 0.04) < 4 * np.sqrt(0.04 * 0.96 / kept[0].size)
    assert not np.asarray(view_a.keep)[:, edges:].any()  # padding
    features = np.asarray(view_a.features)
    assert abs((1 - features.mean()) - 0.2) < 4 * np.sqrt(0.16 / features.size)
    np.testing.assert_array_equal(view_b.features, 1.0)


def steps_on(num_devices: int, settings, num_steps: int = 2, batch_size: int = 6):
    """State and metrics after some steps, and how many programs they took."""
    traces = []
    loss_fn = grace.make_loss(settings, AXIS)

    def counted(*args):
        traces.append(args)
        return loss_fn(*args)

    devices = jax.devices()[:num_devices]
    optimizer = make_optimizer(1e-2)
    step = make_step(counted, optimizer, devices=devices)
    sampler = NodeSampler(
        problem.GRAPH, sampler="nodes", batch_size=batch_size, num_devices=num_devices,
        seed=1, one_shape=True,
    )  # fmt: skip
    state = replicate(init_state(problem.parameters(settings), optimizer), devices)
    tables, metrics = replicate(problem.tables(), devices), {}
    for number in range(num_steps):
        batch = to_device(sampler.batch(number))
        state, metrics = step(state, tables, batch, jax.random.key(0))
    return state, {name: float(value) for name, value in metrics.items()}, len(traces)


@pytest.mark.parametrize("rule", ["gat", "mp", "symmetric", "all"])
def test_four_devices_equal_one(x64, rule):
    settings = changed(problem.BASE, **(RULES | ALL)[rule])
    one, metrics, _ = steps_on(1, settings)
    four, metrics_of_four, _ = steps_on(4, settings)
    assert metrics_of_four == pytest.approx(metrics, rel=1e-9)
    for mine, theirs in zip(jax.tree.leaves(four.params), jax.tree.leaves(one.params), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10)


def test_a_hundred_steps_are_one_program(x64):
    state, metrics, num_programs = steps_on(1, changed(problem.BASE, mixing="mp"), num_steps=100)
    assert num_programs == 1
    assert int(state.step) == 100 and np.isfinite(metrics["loss"])
