"""A graph of ten nodes, the framework's inputs on it, and its embeddings and loss as loops."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import naive
from mmix_jax.frameworks.mvgrl_nodes import MVGRLSettings, NodeTables, init_params
from mmix_jax.graphs import Diffusion
from mmix_jax.graphs.neighbours import NeighbourTable, NodeBatch
from mmix_jax.graphs.padding import pad_graph
from mmix_jax.graphs.types import Graph, make_graph

N, F, D = 10, 5, 4
ALPHA = 0.2
ISOLATED = 9
KEY = jax.random.key(7)
BASE = MVGRLSettings(widths=(D,), diffusion=Diffusion(alpha=ALPHA), diffusion_tolerance=1e-12)
# MVGRLSettings that draw nothing.
CASES = {
    "none": {"mixing": "none"},
    "mo": {"mixing": "mo", "mixing_temperature": 0.5},
    "mo_no_C": {"mixing": "mo", "self_weight": None},
    "mo_unit": {"mixing": "mo", "mix_normalised": True},
    "mo_op": {"mixing": "mo", "candidates": "op", "threshold": 0.4},
    "mo_all": {"mixing": "mo", "candidates": "all", "temperature": 0.7},
    "mp": {"mixing": "mp", "mixing_temperature": 0.3},
    "mp_nodiv": {"mixing": "mp", "diversity_weight": 0.0},
    "mp_margin": {"mixing": "mp", "diversity_weight": 0.3, "diversity_margin": 0.0},
    "mp_op": {"mixing": "mp", "candidates": "op", "threshold": 0.0},
    "binary": {"mixing": "binary", "candidates": "all"},
    "neighbour_mean": {"mixing": "neighbour_mean"},
    "propagate": {"mixing": "propagate"},
}


def make() -> Graph:
    """Weighted edges among nine nodes; the last one is isolated."""
    draw = np.random.default_rng(1)
    senders = [0, 0, 0, 1, 2, 3, 4, 4, 5, 6, 6, 7]
    receivers = [1, 2, 5, 2, 3, 4, 5, 8, 6, 7, 8, 8]
    weight = draw.uniform(0.5, 2.0, size=12)
    return make_graph(draw.normal(size=(N, F)), senders, receivers, weight)


GRAPH = make()


def adjacency(graph: Graph = GRAPH) -> np.ndarray:
    """Â, dense."""
    dense = np.eye(graph.num_nodes)
    for j, i, weight in zip(graph.senders, graph.receivers, graph.edge_weight, strict=True):
        dense[i, j] += float(weight)
    scale = dense.sum(axis=1) ** -0.5
    return scale[:, None] * dense * scale[None, :]


def diffusion(graph: Graph = GRAPH) -> np.ndarray:
    """Personalised PageRank, dense."""
    return ALPHA * np.linalg.inv(np.eye(graph.num_nodes) - (1 - ALPHA) * adjacency(graph))


def parameters(settings: MVGRLSettings, dtype: Any = np.float64) -> Any:
    """Parameters as the framework draws them, moved a little: biases start at zero otherwise."""
    params = init_params(settings, F, jax.random.key(0))
    leaves, structure = jax.tree.flatten(params)
    draw = np.random.default_rng(2)
    moved = [np.asarray(leaf, dtype) + 0.1 * draw.normal(size=leaf.shape) for leaf in leaves]
    return jax.tree.unflatten(structure, [jnp.asarray(leaf, dtype) for leaf in moved])


def propagated(graph: Graph = GRAPH, dtype: Any = np.float64) -> NodeTables:
    """ÂX and SX beforehand: what one-layer encoders read."""
    x = graph.x.astype(np.float64)
    return NodeTables(
        jnp.asarray(adjacency(graph) @ x, dtype), jnp.asarray(diffusion(graph) @ x, dtype)
    )


def padded(graph: Graph = GRAPH, dtype: Any = np.float64, **sizes: int) -> NodeTables:
    """The graph itself: what other encoders read. View b runs Chebyshev steps."""
    return NodeTables(None, None, graph=to_device(pad_graph(graph, **sizes), dtype))


def to_device(tree: Any, dtype: Any = np.float64) -> Any:
    """NumPy arrays as JAX ones, floats in `dtype`."""

    def convert(leaf):
        return jnp.asarray(leaf, dtype if np.asarray(leaf).dtype.kind == "f" else None)

    return jax.tree.map(convert, tree)


def everything(graph: Graph = GRAPH, dtype: Any = np.float64) -> NodeBatch:
    """All nodes as anchors, without padding."""
    nodes = np.arange(graph.num_nodes)
    sizes = graph.num_nodes, max(graph.num_edges, 1)
    return to_device(NeighbourTable(graph).cut(nodes, graph.num_nodes, sizes), dtype)


# The same as loops


def prelu(x: np.ndarray, slope) -> np.ndarray:
    return np.where(x >= 0, x, float(slope) * x)


def encode(params: Any, x: np.ndarray, operator: np.ndarray) -> np.ndarray:
    """Layers act(P h W + b)."""
    layer = 0
    while f"dense_{layer}" in params:
        kernel = np.asarray(params[f"dense_{layer}"]["kernel"], np.float64)
        bias = np.asarray(params[f"bias_{layer}"], np.float64)
        slope = params[f"prelu_{layer}"]["negative_slope"]
        x = prelu(operator @ x @ kernel + bias, slope)
        layer += 1
    return x


def predict(params: Any, z: np.ndarray) -> np.ndarray:
    """g."""
    first, second = (np.asarray(params[f"Dense_{i}"]["kernel"], np.float64) for i in (0, 1))
    return prelu(z @ first, params["PReLU_0"]["negative_slope"]) @ second


def project(params: Any, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """q and k."""
    p_m, p_n = (np.asarray(params[name]["kernel"], np.float64) for name in ("p_m", "p_n"))
    return z @ p_m, z @ p_n


def weights(
    settings: MVGRLSettings, params: Any, z: np.ndarray, graph: Graph = GRAPH
) -> np.ndarray:
    """Λ of every rule that draws nothing."""
    q, k = project(params["projections"], z)
    if settings.mixing.candidates == "wp":
        sets = naive.candidates_wp(len(z), graph.senders, graph.receivers)
    elif settings.mixing.candidates == "all":
        sets = naive.candidates_all(len(z))
    else:
        deciding = (q, k) if settings.mixing.rule == "mp" else (z, z)
        sets = naive.candidates_op(naive.similarities(*deciding), settings.mixing.threshold)
    temperature = settings.mixing.temperature
    if settings.mixing.rule == "mo":
        return naive.mo_weights(
            z, sets, self_weight=settings.mixing.options()["self_weight"], temperature=temperature
        )
    if settings.mixing.rule == "mp":
        return naive.mp_weights(q, k, sets, temperature=temperature)
    return {
        "none": lambda: naive.none_weights(sets),
        "i_mix": lambda: naive.none_weights(sets),
        "binary": lambda: naive.binary_weights(z, sets),
        "neighbour_mean": lambda: naive.neighbour_mean_weights(sets),
        "propagate": lambda: adjacency(graph),
    }[settings.mixing.rule]()


def mixture(
    settings: MVGRLSettings, params: Any, z: np.ndarray, graph: Graph = GRAPH
) -> np.ndarray:
    """ẑ."""
    source = naive.normalise(z) if settings.mixing.mix_normalised else z
    return naive.mix(weights(settings, params, z, graph), source)


def views(params: Any, graph: Graph = GRAPH) -> tuple[np.ndarray, np.ndarray]:
    """z^a and z^b."""
    x = graph.x.astype(np.float64)
    z_a = encode(params["encoder_a"], x, adjacency(graph))
    return z_a, encode(params["encoder_b"], x, diffusion(graph))


def loss(settings: MVGRLSettings, params: Any, graph: Graph = GRAPH) -> float:
    """J_node: equations 9 and 10, with L_div (eq. 8) for mp-mix."""
    z_a, z_b = views(params, graph)
    u = predict(params["predictor"], mixture(settings, params, z_a, graph))
    value = naive.info_nce(
        u, z_b, temperature=settings.contrast.temperature, negatives=settings.contrast.negatives
    )
    if settings.mixing.rule == "mp":
        q, k = (naive.normalise(p) for p in project(params["projections"], z_a))
        value += settings.contrast.diversity_weight * naive.diversity(
            q, k, margin=settings.contrast.diversity_margin
        )
    return value
