"""The authors' graph and node models put together from the library's functions.

The golden files hold inputs, outputs and gradients of the released PyTorch code. Where that code
departs from the paper (mixing before the activation, no bias on the node encoders, the sign of the
diversity loss) the departure is written out here and is no option of the library.
"""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax import losses, mixing
from mmix_jax.graphs import normalize
from mmix_jax.ops.similarity import normalise

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
# variant: (rule that mixes the values, bias, weights detached)
BLOCKS = {
    "graph": ("mp", True, True),
    "node_as_is": ("propagate", False, False),
    "node_attn_used": ("mp", False, False),
}
NODE_MODELS = {"as_is": BLOCKS["node_as_is"], "attn_used": BLOCKS["node_attn_used"]}
OUTPUT, GRADIENT = {"f64": 1e-10, "f32": 1e-5}, {"f64": 1e-10, "f32": 1e-4}


def load(name, precision):
    """The archive's inputs, in the given precision, and what is expected of it."""
    with np.load(GOLDEN / f"{name}.npz") as archive:
        arrays = {key: archive[key] for key in archive.files}
    dtype = {"f64": np.float64, "f32": np.float32}[precision]
    inputs = {key: a.astype(dtype) for key, a in arrays.items() if key[:4] not in ("f64_", "f32_")}
    return inputs, starting_with(arrays, f"{precision}_")


def starting_with(arrays, prefix):
    return {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}


def edges_of(adjacency):
    """All graphs of the batch as one disjoint graph, with the entries of its Â."""
    num_graphs, num_nodes, _ = adjacency.shape
    graph, receivers, senders = np.nonzero(adjacency)
    offset = graph * num_nodes
    senders, receivers = senders + offset, receivers + offset
    ones = np.ones(senders.shape, adjacency.dtype)
    return (senders, receivers), normalize.gcn_weights(
        senders, receivers, num_graphs * num_nodes, ones
    )


def prelu(x, slope):
    return jnp.where(x > 0, x, slope[0] * x)


def attention_block(parameters, x, edges, entries, variant):
    """The authors' GCN with attention: [N, F] -> (output [N, H], mixture, L_div)."""
    rule, biased, detached = variant
    hidden = normalize.propagate(x @ parameters["fc.weight"].T, *edges, *entries)
    q, k = hidden @ parameters["to_q.weight"].T, hidden @ parameters["to_k.weight"].T
    mixture = mixing.mix_edges(
        hidden,
        jnp.asarray(edges[0]),
        jnp.asarray(edges[1]),
        jnp.ones(edges[0].shape, bool),
        rule=rule,
        q=q,
        k=k,
        edge_weight=entries[0],
        self_edge_weight=entries[1],
        stop_gradient=detached,
    )
    inner = prelu(mixture.z_mixed @ parameters["to_v.0.weight"].T, parameters["to_v.1.weight"])
    out = inner @ parameters["to_v.2.weight"].T
    if biased:
        out = out + parameters["bias"][None, :]
    return prelu(out, parameters["act.weight"]), mixture, losses.diversity(q, k)


def plain_block(parameters, x, operator):
    """The authors' GCN without attention and bias, on dense operators [B, N, N]."""
    return prelu(operator @ (x @ parameters["fc.weight"].T), parameters["act.weight"])


def assert_close(actual, expected, tolerance):
    """Relative to the largest entry: single entries of a gradient may cancel to nothing."""
    assert actual.dtype == expected.dtype
    scale = max(float(np.abs(expected).max()), 1.0)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


def assert_gradients(gradients, expected, precision):
    """Every gradient that the authors' code has; where it has none, ours is zero."""
    reference = starting_with(expected, "grad_")
    assert reference.keys() <= gradients.keys()
    for name, gradient in gradients.items():
        golden = reference.get(name, np.zeros_like(gradient)).reshape(gradient.shape)
        assert_close(gradient, golden, GRADIENT[precision])


@functools.cache
def attention_blocks(precision):
    """By variant: ((L, outputs), gradients), from one compilation."""
    inputs, _ = load("gcn_attention_full", precision)
    edges, entries = edges_of(inputs["adj01"])

    def loss(parameters, variant):
        x = parameters["seq"].reshape(14, 5)
        out, mixture, diversity = attention_block(parameters, x, edges, entries, variant)
        weights = jnp.diag(mixture.self_weights).at[edges[1], edges[0]].set(mixture.weights)
        outputs = {
            "out": out.reshape(2, 7, 6),
            "div_loss": -diversity,
            "attention": jnp.stack([weights[:7, :7], weights[7:, 7:]]),
        }
        return jnp.sum(outputs["out"] * inputs["R"]) - diversity, outputs

    @jax.jit
    def run(parameters):
        step = jax.value_and_grad(loss, has_aux=True)
        return {name: step(parameters, variant) for name, variant in BLOCKS.items()}

    return run({"seq": inputs["seq"]} | starting_with(inputs, "w_"))


@pytest.mark.parametrize("name", BLOCKS)
def test_attention_block(precision, name):
    expected = starting_with(load("gcn_attention_full", precision)[1], f"{name}_")
    (value, outputs), gradients = attention_blocks(precision)[name]
    assert_close(value, expected["L"], OUTPUT[precision])
    if BLOCKS[name][0] == "propagate":
        del outputs["attention"]  # the released node code computes it and uses the adjacency
    for key, output in outputs.items():
        assert_close(output, expected[key], OUTPUT[precision])
    assert_gradients(gradients, expected, precision)


@functools.cache
def node_models(precision):
    """By variant: ((loss, outputs), gradients), from one compilation."""
    inputs, _ = load("node_model", precision)
    edges, entries = edges_of(inputs["adj01"])
    seq, diffusion = inputs["seq"], inputs["diff"]

    def loss(parameters, variant):
        first, second = (starting_with(parameters, f"gcn{branch}.") for branch in (1, 2))
        flat, _, diversity = attention_block(first, seq.reshape(18, 5), edges, entries, variant)
        h_1, h_2 = flat.reshape(2, 9, 6), plain_block(second, seq, diffusion)
        contrast = losses.info_nce(
            flat, h_2.reshape(18, 6), negatives="cross", segments=jnp.repeat(jnp.arange(2), 9)
        )
        logits = normalise(h_1) @ normalise(h_2).transpose(0, 2, 1)
        outputs = {"h_1": h_1, "h_2": h_2, "embed": h_1 + h_2, "logits": logits}
        return contrast + diversity, outputs | {"ce": contrast, "div_loss": -diversity}

    @jax.jit
    def run(parameters):
        step = jax.value_and_grad(loss, has_aux=True)
        return {name: step(parameters, variant) for name, variant in NODE_MODELS.items()}

    return run(starting_with(inputs, "w_"))


@pytest.mark.parametrize("name", NODE_MODELS)
def test_node_model(precision, name):
    expected = starting_with(load("node_model", precision)[1], f"{name}_")
    (value, outputs), gradients = node_models(precision)[name]
    assert_close(value, expected["loss"], OUTPUT[precision])
    for key, output in outputs.items():
        assert_close(output, expected[key], OUTPUT[precision])
    assert_gradients(gradients, expected, precision)
