"""Graph convolutions against loops, and the ways to propagate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.encoders.gcn import GCN, along_edges, identity
from mmix_jax.graphs.padding import pad_graph
from mmix_jax.ops.sparse import sparse_pattern
from tests.frameworks import problem

X = problem.GRAPH.x.astype(np.float64)


def init(widths, key: int = 0):
    return GCN(widths).init(jax.random.key(key), jnp.zeros((1, problem.F)))["params"]


def moved(params, seed: int = 0):
    """Away from zero biases and equal slopes."""
    draw = np.random.default_rng(seed)
    return jax.tree.map(lambda p: jnp.asarray(p + 0.2 * draw.normal(size=p.shape)), params)


def apply(params, widths, *args):
    return GCN(widths).apply({"params": params}, *args)


def test_initial_parameters():
    params = init((32, 16))
    assert set(params) == {
        *("dense_0", "bias_0", "prelu_0", "dense_1", "bias_1", "prelu_1"),
    }
    for layer, (fan_in, fan_out) in enumerate([(problem.F, 32), (32, 16)]):
        kernel = np.asarray(params[f"dense_{layer}"]["kernel"])
        bound = np.sqrt(6 / (fan_in + fan_out))  # Xavier-uniform
        assert kernel.shape == (fan_in, fan_out)
        assert 0.9 * bound < np.abs(kernel).max() <= bound
        np.testing.assert_array_equal(params[f"bias_{layer}"], np.zeros(fan_out))
        np.testing.assert_array_equal(params[f"prelu_{layer}"]["negative_slope"], 0.25)


@pytest.mark.parametrize("widths", [(4,), (6, 4)])
def test_layers_against_loops(x64, widths):
    params = moved(init(widths))
    tables = problem.padded()
    found = apply(params, widths, tables.graph.nodes, along_edges(tables.graph))
    expected = problem.encode(params, X, problem.adjacency())
    np.testing.assert_allclose(found[: problem.N], expected, atol=1e-12)


def test_features_propagated_beforehand_give_the_same(x64):
    params = moved(init((4,)))
    found = apply(params, (4,), problem.propagated().x_a, identity)
    np.testing.assert_allclose(found, problem.encode(params, X, problem.adjacency()), atol=1e-12)


def test_padding_changes_neither_value_nor_gradient(x64):
    params = moved(init((6, 4)))
    cotangent = np.random.default_rng(1).normal(size=(problem.N, 4))

    def run(num_nodes, num_edges):
        padded = pad_graph(problem.GRAPH, num_nodes=num_nodes, num_edges=num_edges)
        graph = problem.to_device(padded)

        def value(p, x):
            z = apply(p, (6, 4), x, along_edges(graph))[: problem.N]
            return jnp.sum(z * cotangent), z

        gradient_of = jax.jit(jax.grad(value, argnums=(0, 1), has_aux=True))
        gradient, z = gradient_of(params, graph.nodes)
        return z, gradient[0], gradient[1][: problem.N]

    tight, loose = run(problem.N + 1, problem.GRAPH.num_edges), run(16, 40)
    for found, expected in zip(jax.tree.leaves(loose), jax.tree.leaves(tight), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_an_isolated_node_sees_itself_alone(x64):
    params = moved(init((4,)))
    graph = problem.padded().graph
    z = apply(params, (4,), graph.nodes, along_edges(graph))
    alone = problem.encode(params, X[problem.ISOLATED][None, :], np.eye(1))
    np.testing.assert_allclose(z[problem.ISOLATED], alone[0], atol=1e-12)


def test_mixing_before_the_propagation_is_mixing_the_features(x64):
    """`mix` acts on x W of the first layer only, where whatever is linear in x may be done."""
    params = moved(init((6, 4)))
    graph = problem.padded().graph
    mixing = np.random.default_rng(2).normal(size=(len(graph.nodes),) * 2)
    along = along_edges(graph)
    late = apply(params, (6, 4), graph.nodes, along, lambda h: mixing @ h)
    early = apply(params, (6, 4), mixing @ graph.nodes, along)
    np.testing.assert_allclose(late, early, atol=1e-10)


def test_float32_stays_float32():
    graph = problem.padded(dtype=np.float32).graph
    z = apply(init((4,)), (4,), graph.nodes, along_edges(graph))
    assert z.dtype == jnp.float32


def test_left_out_edges_are_those_of_a_smaller_graph(x64):
    """Both ways to propagate, and Â normalised without what is left out; padding counts nowhere."""
    graph = problem.GRAPH
    kept = np.random.default_rng(5).uniform(size=graph.num_edges) > 0.4
    tables = problem.padded(num_nodes=16, num_edges=40)
    keep = jnp.zeros(40, bool).at[: graph.num_edges].set(kept)
    pattern = sparse_pattern(graph.receivers, graph.senders, 16, 16)
    smaller = graph._replace(
        senders=graph.senders[kept],
        receivers=graph.receivers[kept],
        edge_weight=graph.edge_weight[kept],
    )
    x = np.random.default_rng(6).normal(size=(16, 3))
    wanted = problem.adjacency(smaller) @ x[: problem.N]
    for options in ({}, {"pattern": pattern, "num_nodes": 16}):
        found = along_edges(tables.graph, keep=keep, **options)(jnp.asarray(x))
        np.testing.assert_allclose(found[: problem.N], wanted, rtol=1e-10, atol=1e-12)


def test_relu_and_masked_features(x64):
    params = init((6, 4))
    tables, mask = problem.padded(), jnp.asarray([1.0, 0.0, 1.0, 1.0, 0.0])
    plain = {name: leaf for name, leaf in params.items() if "prelu" not in name}
    model = GCN((6, 4), "relu")
    assert jax.tree.structure(
        model.init(jax.random.key(0), jnp.zeros((1, problem.F)))["params"]
    ) == jax.tree.structure(plain)
    along = along_edges(tables.graph)
    found = model.apply({"params": plain}, tables.graph.nodes, along, mask=mask)
    h = X * np.asarray(mask)[None, :]
    for layer in (0, 1):
        h = problem.adjacency() @ h @ np.asarray(plain[f"dense_{layer}"]["kernel"])
        h = np.maximum(h + np.asarray(plain[f"bias_{layer}"])[None, :], 0)
    np.testing.assert_allclose(np.asarray(found)[: problem.N], h, rtol=1e-6, atol=1e-8)
