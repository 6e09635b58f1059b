"""The authors' graph and node models put together from the library's functions.

The golden files hold inputs, outputs and gradients of the released PyTorch code. Where that code
departs from the paper (mixing before the activation, no bias on the node encoders, the sign of the
diversity loss) the departure is written out here and is no option of the library.
"""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax import losses, mixing
from mmix_jax.graphs import normalize
from mmix_jax.ops.similarity import normalise

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
# variant: (values mixed by attention or by the plain adjacency, bias, weights detached)
BLOCKS = {"graph": ("mp", True, True), "node_as_is": ("propagate", False, False)}
BLOCKS |= {"node_attn_used": ("mp", False, False)}
NODE_MODELS = {"as_is": BLOCKS["node_as_is"], "attn_used": BLOCKS["node_attn_used"]}
ROWS = slice(0, 9), slice(9, 18)  # of the two graphs
OUTPUT, GRADIENT = {"f64": 1e-10, "f32": 1e-5}, {"f64": 1e-10, "f32": 1e-4}


@pytest.fixture(params=["f64", "f32"])
def precision(request):
    with jax.enable_x64(request.param == "f64"):
        yield request.param


def load(name, precision):
    """The archive's arrays by name, all inputs in the given precision."""
    with np.load(GOLDEN / f"{name}.npz") as archive:
        arrays = {key: archive[key] for key in archive.files}
    dtype = {"f64": np.float64, "f32": np.float32}[precision]
    inputs = {key: jnp.asarray(a, dtype) for key, a in arrays.items() if not key.startswith("f")}
    expected = {key[4:]: a for key, a in arrays.items() if key.startswith(precision)}
    return inputs, expected


def edges_of(adjacency):
    """All graphs of the batch as one disjoint graph, with the entries of its Â."""
    num_graphs, num_nodes, _ = adjacency.shape
    graph, receivers, senders = np.nonzero(np.asarray(adjacency))
    offset = graph * num_nodes
    senders, receivers = jnp.asarray(senders + offset), jnp.asarray(receivers + offset)
    ones = jnp.ones(senders.shape, adjacency.dtype)
    size = num_graphs * num_nodes
    return (senders, receivers), normalize.gcn_weights(senders, receivers, size, ones)


def prelu(x, slope):
    return jnp.where(x > 0, x, slope[0] * x)


def attention_block(parameters, x, edges, entries, variant):
    """The authors' GCN with attention: [N, F] -> (output [N, H], mixture, L_div)."""
    rule, biased, detached = variant
    hidden = normalize.propagate(x @ parameters["fc.weight"].T, *edges, *entries)
    q, k = hidden @ parameters["to_q.weight"].T, hidden @ parameters["to_k.weight"].T
    mixture = mixing.mix_edges(
        hidden,
        *edges,
        jnp.ones(edges[0].shape, bool),
        rule=rule,
        q=q,
        k=k,
        edge_weight=entries[0],
        self_edge_weight=entries[1],
        stop_gradient=detached,
    )
    inner = prelu(mixture.z_mixed @ parameters["to_v.0.weight"].T, parameters["to_v.1.weight"])
    out = inner @ parameters["to_v.2.weight"].T + (parameters["bias"] if biased else 0.0)
    return prelu(out, parameters["act.weight"]), mixture, losses.diversity(q, k)


def weights_under(inputs, prefix):
    return {key.removeprefix(prefix): a for key, a in inputs.items() if key.startswith(prefix)}


def assert_close(actual, expected, tolerance):
    """Relative to the largest entry: single entries of a gradient may cancel to nothing."""
    assert actual.dtype == expected.dtype
    scale = max(float(np.abs(expected).max()), 1.0)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


def assert_gradients(gradients, expected, precision):
    """Every gradient that the authors' code has; where it has none, ours is zero."""
    for name, gradient in gradients.items():
        key = f"grad_{name}"
        reference = expected.get(key, np.zeros_like(gradient))
        assert_close(gradient, reference.reshape(gradient.shape), GRADIENT[precision])
    assert {key for key in expected if key.startswith("grad_")} <= {f"grad_{n}" for n in gradients}


@pytest.mark.parametrize("name", BLOCKS)
def test_attention_block(precision, name):
    inputs, expected = load("gcn_attention_full", precision)
    expected = weights_under(expected, f"{name}_")
    edges, entries = edges_of(inputs["adj01"])
    flat = inputs["seq"].reshape(14, 5)

    def loss(parameters):
        x = parameters["seq"]
        out, mixture, diversity = attention_block(parameters, x, edges, entries, BLOCKS[name])
        value = jnp.sum(out * inputs["R"].reshape(14, 6)) - diversity
        return value, (out, mixture, diversity)

    parameters = {"seq": flat} | weights_under(inputs, "w_")
    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, (out, mixture, diversity)), gradients = step(parameters)
    assert_close(out, expected["out"].reshape(14, 6), OUTPUT[precision])
    assert_close(-diversity, expected["div_loss"], OUTPUT[precision])
    assert_close(value, expected["L"], OUTPUT[precision])
    if BLOCKS[name][0] == "mp":
        weights = np.zeros((14, 14), out.dtype)
        weights[edges[1], edges[0]] = mixture.weights
        weights += np.diag(mixture.self_weights)
        first, second = weights[:7, :7], weights[7:, 7:]
        assert_close(np.stack([first, second]), expected["attention"], OUTPUT[precision])
    assert_gradients(gradients, expected, precision)


def plain_block(parameters, x, operator):
    """The authors' GCN without attention and bias, on dense operators [B, N, N]."""
    return prelu(operator @ (x @ parameters["fc.weight"].T), parameters["act.weight"])


@pytest.mark.parametrize("name", NODE_MODELS)
def test_node_model(precision, name):
    inputs, expected = load("node_model", precision)
    expected = weights_under(expected, f"{name}_")
    edges, entries = edges_of(inputs["adj01"])
    node_graph = jnp.repeat(jnp.arange(2), 9)

    def loss(parameters):
        first, second = (weights_under(parameters, f"gcn{branch}.") for branch in (1, 2))
        x = inputs["seq"].reshape(18, 5)
        h_1, _, diversity = attention_block(first, x, edges, entries, NODE_MODELS[name])
        h_2 = plain_block(second, inputs["seq"], inputs["diff"]).reshape(18, 6)
        contrast = losses.info_nce(h_1, h_2, negatives="cross", segments=node_graph)
        return contrast + diversity, {
            "h_1": h_1.reshape(2, 9, 6),
            "h_2": h_2.reshape(2, 9, 6),
            "embed": (h_1 + h_2).reshape(2, 9, 6),
            "logits": jnp.stack([normalise(h_1[rows]) @ normalise(h_2[rows]).T for rows in ROWS]),
            "ce": contrast,
            "div_loss": -diversity,
        }

    parameters: dict[str, Any] = weights_under(inputs, "w_")
    (value, outputs), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(parameters)
    assert_close(value, expected["loss"], OUTPUT[precision])
    for key, output in outputs.items():
        assert_close(output, expected[key], OUTPUT[precision])
    assert_gradients(gradients, expected, precision)
