"""A graph of nine nodes for GRACE: tables, batches, parameters, and their names in the loops."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import naive_grace
from mmix_jax.augment.graphs import edge_pairs
from mmix_jax.encoders.features import SparseFeatures
from mmix_jax.frameworks import grace
from mmix_jax.graphs.neighbours import NeighbourTable, NodeBatch
from mmix_jax.graphs.padding import pad_graph
from mmix_jax.graphs.types import Graph, make_graph
from mmix_jax.mixing import Mixing
from mmix_jax.ops.sparse import sparse_pattern
from tests.frameworks.problem import to_device

N, F, D = 9, 6, 4
ISOLATED = 8
KEY = jax.random.key(3)
BASE = grace.GraceSettings(
    widths=(8, D),
    num_heads=2,
    head_width=5,
    drop_edge=(0.3, 0.4),
    drop_feature=(0.2, 0.3),
    mixing=Mixing("none"),
)


def make() -> Graph:
    """Edges among eight nodes; the last one is isolated. A third of the features are zero."""
    draw = np.random.default_rng(4)
    senders = [0, 0, 0, 1, 2, 3, 4, 4, 5, 6]
    receivers = [1, 2, 5, 2, 3, 4, 5, 7, 6, 7]
    x = draw.normal(size=(N, F)) * (draw.uniform(size=(N, F)) > 0.3)
    return make_graph(x, senders, receivers)


GRAPH = make()


def tables(graph: Graph = GRAPH, *, sparse: bool = False, **sizes: int) -> grace.GraceTables:
    """What GRACE reads, padded, in float64."""
    padded = pad_graph(graph, **sizes)
    num_nodes = padded.nodes.shape[0]
    x: Any = padded.nodes
    if sparse:
        rows, columns = np.nonzero(graph.x)
        pattern = sparse_pattern(rows, columns, num_nodes, graph.x.shape[1])
        x = SparseFeatures(pattern, graph.x[rows, columns])
    pattern = sparse_pattern(graph.receivers, graph.senders, num_nodes, num_nodes)
    pairs = edge_pairs(padded.senders, padded.receivers)
    return to_device(grace.GraceTables(padded._replace(nodes=x), pattern, pairs))


def batch(anchors, graph: Graph = GRAPH, num_anchors: int | None = None) -> NodeBatch:
    """These anchors, padded to `num_anchors`."""
    anchors = np.asarray(anchors)
    return to_device(NeighbourTable(graph).cut(anchors, num_anchors or len(anchors)))


def parameters(settings: grace.GraceSettings, num_features: int = F) -> Any:
    """As the framework draws them, moved a little: biases start at zero otherwise."""
    params = grace.init_params(settings, num_features, jax.random.key(0))
    leaves, structure = jax.tree.flatten(params)
    draw = np.random.default_rng(2)
    moved = [leaf + 0.1 * draw.normal(size=leaf.shape) for leaf in leaves]
    return jax.tree.unflatten(structure, [jnp.asarray(leaf, jnp.float64) for leaf in moved])


def named(settings: grace.GraceSettings, params: Any) -> dict[str, np.ndarray]:
    """The parameters under the names, and in the shapes, of the loops."""
    encoder, head = params["encoder"], params["head"]
    found = {}
    for layer in (0, 1):
        kernel = np.asarray(encoder[f"dense_{layer}"]["kernel"])
        if settings.encoder == "gat":
            kernel = kernel.reshape(len(kernel), settings.num_heads, -1)
            for name in ("receiver", "sender"):
                found[f"attend_{name}_{layer + 1}"] = np.asarray(encoder[f"to_{name}_{layer}"])
        found[f"kernel_{layer + 1}"] = kernel
        found[f"bias_{layer + 1}"] = np.asarray(encoder[f"bias_{layer}"])
    for number, name in enumerate(("hidden", "output"), start=1):
        found[f"head_kernel_{number}"] = np.asarray(head[name]["kernel"])
        found[f"head_bias_{number}"] = np.asarray(head[name]["bias"])
    if settings.mixing.rule == "mp":
        found["P_m"] = np.asarray(params["projections"]["p_m"]["kernel"]).T
        found["P_n"] = np.asarray(params["projections"]["p_n"]["kernel"]).T
    return found


def as_loops(view: grace.View, graph: Graph = GRAPH) -> naive_grace.View:
    """The view as the loops want it: kept edges by their ends."""
    kept = np.asarray(view.keep)[: graph.num_edges]
    ends = zip(graph.senders[kept].tolist(), graph.receivers[kept].tolist(), strict=True)
    return naive_grace.View(list(ends), np.asarray(view.features).tolist())


def encode_by_loops(settings: grace.GraceSettings):
    return naive_grace.gat_encoder if settings.encoder == "gat" else naive_grace.gcn_encoder
