"""Graph attention against loops: values, gradients, attention, padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
import naive_grace
from mmix_jax.encoders.gat import GAT, attention
from mmix_jax.frameworks import grace
from tests.frameworks import grace_problem as problem
from tests.frameworks.changes import changed

EDGES = list(zip(problem.GRAPH.senders.tolist(), problem.GRAPH.receivers.tolist(), strict=True))
X = problem.GRAPH.x.astype(np.float64)
HEADS = 2


def parameters(activation: str = "relu"):
    settings = changed(problem.BASE, encoder="gat", activation=activation)
    return problem.parameters(settings)["encoder"]


def encode(params, x, keep=None, activation: str = "relu", **sizes):
    """The module on the graph of nine nodes with other features, padding cut off."""
    tables = problem.tables(problem.GRAPH, **sizes)
    padded = jnp.zeros((tables.graph.nodes.shape[0], x.shape[1])).at[: problem.N].set(x)
    keep = grace.whole_view(tables).keep if keep is None else keep
    z = GAT((8, problem.D), HEADS, activation).apply(
        {"params": params}, padded, tables.graph, tables.pattern, keep
    )
    assert isinstance(z, jax.Array)
    return z[: problem.N]


def by_loops(params, x, edges=EDGES, activation: str = "relu"):
    named = problem.named(
        changed(problem.BASE, encoder="gat"),
        {"encoder": params, "head": {n: {"kernel": 0, "bias": 0} for n in ("hidden", "output")}},
    )
    for layer in (0, 1) if activation == "prelu" else ():
        named[f"slope_{layer + 1}"] = params[f"prelu_{layer}"]["negative_slope"]
    return naive_grace.gat_encoder(named, x, edges, activation)


@pytest.mark.parametrize("activation", ["relu", "prelu"])
def test_two_layers_and_their_gradients_against_loops(x64, activation):
    params = parameters(activation)
    np.testing.assert_allclose(
        encode(params, jnp.asarray(X), activation=activation),
        by_loops(params, X, activation=activation),
        rtol=1e-10,
        atol=1e-12,
    )
    cotangent = np.random.default_rng(1).normal(size=(problem.N, problem.D))
    compute = jax.grad(
        lambda p, x: jnp.sum(encode(p, x, activation=activation) * cotangent), argnums=(0, 1)
    )
    gradient, towards_x = jax.jit(compute)(params, jnp.asarray(X))
    wanted = naive.numerical_gradient(
        lambda x: float(np.sum(by_loops(params, x, activation=activation) * cotangent)), X
    )
    np.testing.assert_allclose(towards_x, wanted, rtol=1e-5, atol=1e-7)
    for name in ("to_receiver_0", "to_sender_1", "bias_0", "bias_1"):

        def loss(value, name=name):
            changed = by_loops({**params, name: value}, X, activation=activation)
            return float(np.sum(changed * cotangent))

        wanted = naive.numerical_gradient(loss, np.asarray(params[name]))
        np.testing.assert_allclose(gradient[name], wanted, rtol=1e-5, atol=1e-7)


def test_attention_is_that_of_the_loops_and_its_rows_sum_to_one_over_real_edges(x64):
    draw = np.random.default_rng(2)
    h, a_r, a_s = (draw.normal(size=shape) for shape in ((problem.N, 2, 3), (2, 3), (2, 3)))
    keep = draw.uniform(size=len(EDGES)) > 0.3
    spare = 5  # padding, and a loop that counts once
    senders = jnp.asarray([*problem.GRAPH.senders, 4, *[0] * spare])
    receivers = jnp.asarray([*problem.GRAPH.receivers, 4, *[1] * spare])
    mask = jnp.asarray([*keep, True, *[False] * spare])
    weights, own = attention(*map(jnp.asarray, (h, a_r, a_s)), senders, receivers, mask)
    kept = [edge for edge, stays in zip(EDGES, keep, strict=True) if stays]
    # With W = I per head, h is its own projection.
    for head in range(2):
        _, wanted = naive_grace.gat_layer(
            h[:, head], kept, np.eye(3)[:, None, :], a_r[None, head], a_s[None, head],
            np.zeros(3), concat=True,
        )  # fmt: skip
        for place, (j, i) in enumerate(EDGES):
            np.testing.assert_allclose(weights[place, head], wanted.get((0, i, j), 0.0), rtol=1e-10)
        np.testing.assert_allclose(own[:, head], [wanted[0, i, i] for i in range(problem.N)])
    np.testing.assert_array_equal(weights[len(EDGES) :], 0.0)
    rows = jax.ops.segment_sum(weights, receivers, problem.N) + own
    np.testing.assert_allclose(rows, 1.0, rtol=1e-12)
    assert own[problem.ISOLATED].tolist() == [1.0, 1.0]


def test_permuted_nodes_give_permuted_rows(x64):
    params = parameters()
    order = np.random.default_rng(3).permutation(problem.N)
    place = np.argsort(order)
    moved = [(int(place[j]), int(place[i])) for j, i in EDGES]
    np.testing.assert_allclose(
        by_loops(params, X[order], moved), encode(params, jnp.asarray(X))[order], rtol=1e-9
    )


def test_initial_parameters():
    shapes = {
        name: jax.tree.leaves(leaf)[0].shape
        for name, leaf in grace.init_params(
            changed(problem.BASE, encoder="gat"), problem.F, jax.random.key(0)
        )["encoder"].items()
    }
    assert shapes == {
        "dense_0": (problem.F, 8), "to_receiver_0": (2, 4), "to_sender_0": (2, 4), "bias_0": (8,),
        "dense_1": (8, 8), "to_receiver_1": (2, 4), "to_sender_1": (2, 4), "bias_1": (4,),
    }  # fmt: skip
