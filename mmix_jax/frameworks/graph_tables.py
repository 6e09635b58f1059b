"""What stays on the device for sets of graphs: features propagated within each graph."""

from collections.abc import Callable
from dataclasses import asdict
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.frameworks.mvgrl import MVGRLSettings
from mmix_jax.graphs import Diffusion
from mmix_jax.graphs.batches import Union
from mmix_jax.graphs.diffusion import diffuse, diffusion_matrix, sparse_diffusion
from mmix_jax.graphs.normalize import propagate
from mmix_jax.graphs.types import Graph


class GraphTables(NamedTuple):
    """What stays on the device: features of all nodes of all graphs, behind one another.

    x_a, x_b: [N, F] propagated beforehand along adjacency and diffusion, for encoders of one layer;
    x: [N, F] as they are, for deeper ones, which propagate in every step.
    """

    x_a: jax.Array | None
    x_b: jax.Array | None
    x: jax.Array | None = None


def make_tables(
    settings: MVGRLSettings, union: Union, *, cached: Callable | None = None
) -> GraphTables:
    """ÂX and SX of every graph for encoders of one layer, X for deeper ones.

    Args:
      settings: their depth and diffusion are read.
      union: all graphs as one.
      cached: `(kind, settings, arrays, compute)` that may know SX from before, as
        `data.store.cache.cached_array`; None computes it.
    """
    diffusion, graph = settings.diffusion, union.graph
    if len(settings.widths) > 1:
        return GraphTables(None, None, jnp.asarray(graph.x))
    x_a = propagate(graph.x, graph.senders, graph.receivers, union.weights, union.self_weights)
    if cached is None:
        return GraphTables(jnp.asarray(x_a), jnp.asarray(_diffused(diffusion, union)))
    names = {"kind": "diffusion", "time": "diffusion_time", "form": "diffusion_form"}
    x_b = cached(
        "diffusion",
        {names.get(name, name): value for name, value in asdict(diffusion).items()},
        [graph.x, graph.senders, graph.receivers, graph.edge_weight, union.first_node],
        lambda: _diffused(diffusion, union),
    )
    return GraphTables(jnp.asarray(x_a), jnp.asarray(x_b))


def _diffused(diffusion: Diffusion, union: Union) -> np.ndarray:
    """S X: along the edges of all graphs at once, as no edge joins two, or graph by graph."""
    graph = union.graph
    if diffusion.form == "features":
        edges, options = (graph.senders, graph.receivers), diffusion.options()
        return diffuse(graph.x, *edges, edge_weight=graph.edge_weight, **options)
    x_b = np.zeros_like(graph.x)
    for number in range(len(union.first_node) - 1):
        nodes = slice(*union.first_node[number : number + 2])
        edges = slice(*union.first_edge[number : number + 2])
        if nodes.stop > nodes.start:
            one = Graph(
                graph.x[nodes],
                graph.senders[edges] - nodes.start,
                graph.receivers[edges] - nodes.start,
                graph.edge_weight[edges],
            )
            x_b[nodes] = _diffused_alone(diffusion, one)
    return x_b


def _diffused_alone(diffusion: Diffusion, graph: Graph) -> np.ndarray:
    """S X of one graph, S dense or sparse."""
    edges = (graph.senders, graph.receivers, graph.num_nodes)
    options = {"edge_weight": graph.edge_weight, **diffusion.options()}
    if diffusion.form == "exact":
        return diffusion_matrix(*edges, **options) @ graph.x
    sparse = {"form": diffusion.form, "top_k": diffusion.top_k, "epsilon": diffusion.epsilon}
    senders, receivers, weights = sparse_diffusion(*edges, **sparse, **options)
    return propagate(graph.x, senders, receivers, weights, None)
