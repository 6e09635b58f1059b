"""The authors' model of whole graphs put together from the library's functions.

Its defects are written out here and are no options of the library: padded rows attend to every
position alike, readouts and contrast count them, the diversity loss is added with the other sign.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mmix_jax import losses, mixing
from mmix_jax.graphs import normalize
from mmix_jax.ops.similarity import normalise
from tests.mixing.test_golden import (
    OUTPUT,
    assert_close,
    assert_gradients,
    edges_of,
    load,
    prelu,
    starting_with,
)

GRAPHS, N = 3, 8


def attention(hidden, q, k, edges, real):
    """Weights of each graph [3, 8, 8], without gradient; uniform on padded rows."""
    senders, receivers = (jnp.asarray(e) for e in edges)
    mixture = mixing.mix_edges(hidden, senders, receivers, rule="mp", q=q, k=k)
    whole = jnp.diag(mixture.self_weights).at[receivers, senders].set(mixture.weights)
    blocks = jnp.stack([whole[g * N : (g + 1) * N, g * N : (g + 1) * N] for g in range(GRAPHS)])
    uniform = jnp.full((N,), 1 / N, hidden.dtype)
    return jax.lax.stop_gradient(jnp.where(real[..., None], blocks, uniform[None, None, :]))


def make_loss(inputs, dropped: bool):
    """`loss(parameters) -> (total, outputs)`; `dropped`: with the stored dropout mask."""
    edges, entries = edges_of(inputs["adj01"])
    num_nodes = inputs["num_nodes"].astype(int)
    real = jnp.asarray(np.arange(N)[None, :] < num_nodes[:, None])
    x = jnp.asarray(inputs["seq"].reshape(GRAPHS * N, -1))

    def loss(parameters):
        first, second = (starting_with(parameters, f"gcn{branch}.") for branch in (1, 2))
        hidden = normalize.propagate(x @ first["fc.weight"].T, *edges, *entries)
        q, k = (hidden @ first[f"to_{name}.weight"].T for name in "qk")
        weights = attention(hidden, q, k, edges, real)
        if dropped:
            weights = weights * inputs["drop_mask"] / 0.9
        mixed = (weights @ hidden.reshape(GRAPHS, N, -1)).reshape(GRAPHS * N, -1)
        inner = prelu(mixed @ first["to_v.0.weight"].T, first["to_v.1.weight"])
        out = inner @ first["to_v.2.weight"].T + first["bias"][None, :]
        h_1 = prelu(out, first["act.weight"])
        diffused = inputs["diff"] @ (x @ second["fc.weight"].T).reshape(GRAPHS, N, -1)
        h_2 = prelu(diffused + second["bias"][None, None, :], second["act.weight"])
        h_2 = h_2.reshape(GRAPHS * N, -1)
        c_1, c_2 = (h.reshape(GRAPHS, N, -1).mean(axis=1) for h in (h_1, h_2))
        share = num_nodes.sum() / (GRAPHS * N)  # padded rows count in the mean, with 0
        distance = -losses.diversity(q, k, mask=real.reshape(-1)) * share
        ce_node = losses.anchor_info_nce(h_1, h_2, negatives="cross")
        ce_graph = losses.anchor_info_nce(c_1, c_2, negatives="cross")
        outputs = {
            "node_logits": normalise(h_1) @ normalise(h_2).T,
            "graph_logits": normalise(c_1) @ normalise(c_2).T,
            "div_loss": distance,
            "ce_node": ce_node,
            "ce_graph": ce_graph,
            "total_sign_fixed": ce_node + ce_graph - distance,
        }
        if not dropped:
            outputs["embed"] = c_1 + c_2
        return ce_node + ce_graph + distance, outputs

    return loss


@functools.cache
def results(kind: str):
    """((total, outputs), gradients) without and with dropout, and four losses under Adam."""
    inputs, _ = load("graph_model", kind)
    parameters = {name: jnp.asarray(a) for name, a in starting_with(inputs, "w_").items()}
    steps = {
        mode: jax.jit(jax.value_and_grad(make_loss(inputs, mode == "mask"), has_aux=True))
        for mode in ("nodrop", "mask")
    }
    found = {mode: step(parameters) for mode, step in steps.items()}
    optimizer = optax.adam(3e-4)
    state, values = optimizer.init(parameters), []
    for _ in range(4):
        (value, _), gradients = steps["nodrop"](parameters)
        values.append(value)
        updates, state = optimizer.update(gradients, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
    return found, jnp.stack(values)


@pytest.mark.parametrize("mode", ["nodrop", "mask"])
def test_graph_model(precision, mode):
    expected = starting_with(load("graph_model", precision)[1], f"{mode}_")
    (value, outputs), gradients = results(precision)[0][mode]
    assert_close(value, expected["total_as_is"], OUTPUT[precision])
    for name, output in outputs.items():
        assert_close(output, expected[name], OUTPUT[precision])
    assert_gradients(gradients, expected, precision)


def test_four_steps_of_adam(precision):
    expected = load("graph_model", precision)[1]["nodrop_adam_losses"]
    np.testing.assert_allclose(results(precision)[1], expected, rtol=OUTPUT[precision])
