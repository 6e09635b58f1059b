"""From a set of graphs to what lies on the device: features propagated within each graph."""

import jax.numpy as jnp
import numpy as np

from mmix_jax.data.store.cache import cached_array
from mmix_jax.experiments.defaults import Config
from mmix_jax.frameworks.mvgrl_graphs import GraphTables
from mmix_jax.graphs.batches import GraphSampler, Union
from mmix_jax.graphs.diffusion import diffuse, diffusion_matrix, sparse_diffusion
from mmix_jax.graphs.normalize import propagate
from mmix_jax.graphs.types import Graph


def make_tables(config: Config, union: Union, *, keep: bool = True) -> GraphTables:
    """ÂX and SX of every graph for encoders of one layer, X for deeper ones.

    With `keep` SX is read from the cache folder, or left there.
    """
    graph = union.graph
    if config.depth > 1:
        return GraphTables(None, None, jnp.asarray(graph.x))
    x_a = propagate(graph.x, graph.senders, graph.receivers, union.weights, union.self_weights)
    if not keep:
        return GraphTables(jnp.asarray(x_a), jnp.asarray(_diffused(config, union)))
    names = ("diffusion", "alpha", "diffusion_time", "diffusion_form", "top_k", "epsilon")
    x_b = cached_array(
        "diffusion",
        {name: config[name] for name in names},
        [graph.x, graph.senders, graph.receivers, graph.edge_weight, union.first_node],
        lambda: _diffused(config, union),
    )
    return GraphTables(jnp.asarray(x_a), jnp.asarray(x_b))


def _diffused(config: Config, union: Union) -> np.ndarray:
    """S X: along the edges of all graphs at once, as no edge joins two, or graph by graph."""
    graph = union.graph
    options = {"kind": config.diffusion, "alpha": config.alpha, "t": config.diffusion_time}
    if config.diffusion_form == "features":
        edges = graph.senders, graph.receivers
        return diffuse(graph.x, *edges, edge_weight=graph.edge_weight, **options)
    found = np.zeros_like(graph.x)
    for number in range(len(union.first_node) - 1):
        nodes = slice(*union.first_node[number : number + 2])
        edges = slice(*union.first_edge[number : number + 2])
        size = nodes.stop - nodes.start
        if size:
            senders, receivers = graph.senders[edges], graph.receivers[edges]
            one = Graph(
                graph.x[nodes], senders - nodes.start, receivers - nodes.start,
                graph.edge_weight[edges],
            )  # fmt: skip
            found[nodes] = _operate(config, one, options)
    return found


def _operate(config: Config, graph: Graph, options: dict) -> np.ndarray:
    """S X of one graph, S dense or sparse."""
    edges = (graph.senders, graph.receivers, graph.num_nodes)
    options = options | {"edge_weight": graph.edge_weight}
    if config.diffusion_form == "exact":
        return diffusion_matrix(*edges, **options) @ graph.x
    senders, receivers, weights = sparse_diffusion(
        *edges, form=config.diffusion_form, top_k=config.top_k, epsilon=config.epsilon, **options
    )
    return propagate(graph.x, senders, receivers, weights, None)


def make_sampler(config: Config, union: Union, seed: int, num_devices: int) -> GraphSampler:
    """The sampler of one training, or with one device that of embedding."""
    return GraphSampler(
        union,
        batch_size=config.batch_size,
        num_devices=num_devices,
        max_buckets=config.max_buckets,
        seed=seed,
    )
