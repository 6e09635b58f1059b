"""From a data set to what lies on the device: propagated features, adjacency, diffusion."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.augment.graphs import edge_pairs
from mmix_jax.data.types import NodeDataset
from mmix_jax.encoders.features import stored_features
from mmix_jax.errors import InputError
from mmix_jax.experiments.defaults import Config
from mmix_jax.frameworks.grace import GraceTables
from mmix_jax.frameworks.mvgrl_nodes import NodeTables
from mmix_jax.graphs.diffusion import diffuse, diffusion_matrix, sparse_diffusion
from mmix_jax.graphs.normalize import gcn_weights, propagate, row_normalize
from mmix_jax.graphs.padding import pad_graph, padded_size
from mmix_jax.graphs.samplers import NeighbourTable, NodeBatch, NodeSampler
from mmix_jax.graphs.types import Graph
from mmix_jax.ops.sparse import sparse_pattern

_MEASURED_NODES = 4096
_MANY_NODES = 50_000
_EXACT_NODES = 20_000  # a dense diffusion matrix of more nodes would need over 3 GB


def normalised_graph(config: Config, dataset: NodeDataset) -> Graph:
    """The graph, its features binarised where the config wants it and then its rows L1-normalised
    where config or bag-of-words data do."""
    wanted = {"on": True, "off": False, "auto": dataset.bag_of_words}[config.normalise_features]
    graph = dataset.graph
    if config.binarise_features:
        graph = graph._replace(x=(graph.x != 0).astype(np.float32))
    return graph._replace(x=row_normalize(graph.x)) if wanted else graph


def training_graph(dataset: NodeDataset, graph: Graph) -> Graph:
    """What pretraining sees: all of one graph; of several, those that hold training nodes."""
    if dataset.node_graph is None or dataset.split is None:
        return graph
    graphs = np.unique(dataset.node_graph[dataset.split.train])
    seen = np.isin(dataset.node_graph, graphs)
    place = np.cumsum(seen, dtype=np.int32) - 1
    edges = seen[graph.senders]  # none joins two graphs
    return Graph(
        graph.x[seen],
        place[graph.senders[edges]],
        place[graph.receivers[edges]],
        graph.edge_weight[edges],
    )


def _diffusion_options(config: Config, graph: Graph) -> dict:
    return {
        "edge_weight": graph.edge_weight,
        "kind": config.diffusion,
        "alpha": config.alpha,
        "t": config.diffusion_time,
    }


def _diffusion_operator(config: Config, graph: Graph):
    """Dense [N, N], edges (senders, receivers, weights), or None for Chebyshev steps."""
    edges = (graph.senders, graph.receivers, graph.num_nodes)
    if config.diffusion_form == "features":
        return None
    options = _diffusion_options(config, graph)
    if config.diffusion_form == "exact":
        if graph.num_nodes > _EXACT_NODES:
            raise InputError(
                f"diffusion_form 'exact' needs at most {_EXACT_NODES} nodes, found "
                f"{graph.num_nodes}; use features or top_k"
            )
        return diffusion_matrix(*edges, **options).astype(np.float32)
    return sparse_diffusion(
        *edges, form=config.diffusion_form, top_k=config.top_k, epsilon=config.epsilon, **options
    )


def make_tables(config: Config, graph: Graph) -> NodeTables:
    """What stays on the device: ÂX and SX for one layer; the graph itself where a loss needs it."""
    operator = _diffusion_operator(config, graph)
    own = config.depth > 1 or config.objective == "mvgrl" or config.mixing == "i_mix"
    x_a = x_b = None
    if config.depth == 1:
        x_a, x_b = adjacent_features(graph), diffused_features(config, graph, operator)
    padded = None
    if own:
        size = padded_size(graph.num_nodes + 1)
        padded = pad_graph(graph, num_nodes=size)
        if isinstance(operator, np.ndarray):
            missing = size - graph.num_nodes
            operator = np.pad(operator, ((0, missing), (0, missing)))
    tables = (x_a, x_b, padded, operator if own else None)
    return NodeTables(*jax.tree.map(jnp.asarray, tables))


def make_grace_tables(graph: Graph) -> GraceTables:
    """What stays on the device for GRACE: features, edges, and how their products are laid out."""
    padded: Any = pad_graph(graph._replace(x=graph.x[:, :0]))  # jraph declares optional fields
    num_nodes = padded.nodes.shape[0]
    tables = GraceTables(
        padded._replace(nodes=stored_features(graph.x, num_nodes)),
        sparse_pattern(graph.receivers, graph.senders, num_nodes, num_nodes),
        edge_pairs(padded.senders, padded.receivers),
    )
    return jax.tree.map(jnp.asarray, tables)


def adjacent_features(graph: Graph) -> np.ndarray:
    """ÂX, [N, F]."""
    weights, self_weights = gcn_weights(
        graph.senders, graph.receivers, graph.num_nodes, graph.edge_weight
    )
    return propagate(graph.x, graph.senders, graph.receivers, weights, self_weights)


def diffused_features(config: Config, graph: Graph, operator=None) -> np.ndarray:
    """SX, [N, F]; `operator` is dense, edges with weights, or None for Chebyshev steps."""
    if operator is None:
        return diffuse(graph.x, graph.senders, graph.receivers, **_diffusion_options(config, graph))
    if isinstance(operator, np.ndarray):
        return operator @ graph.x
    senders, receivers, weights = operator
    return propagate(graph.x, senders, receivers, weights, None)


def make_sampler(config: Config, graph: Graph, seed: int, num_devices: int) -> NodeSampler:
    """The sampler of one training.

    From 50,000 nodes on a step has one padded shape, and reads no neighbours where none are mixed
    with. Below, shapes are those of the batch, and results those of earlier versions.
    """
    many = graph.num_nodes >= _MANY_NODES
    options = _diffusion_options(config, graph)
    del options["edge_weight"]
    return NodeSampler(
        graph,
        sampler=config.sampler,
        batch_size=config.batch_size,
        num_windows=config.num_windows,
        num_devices=num_devices,
        seed=seed,
        diffusion=options,
        one_shape=config.framework == "grace" or many,
        neighbours=not many or _reads_neighbours(config),
    )


def _reads_neighbours(config: Config) -> bool:
    """Whether a step needs more than its anchors' own rows of propagated features."""
    if config.framework == "grace" or config.depth > 1 or config.mixing == "i_mix":
        return True
    return config.mixing != "none" and config.candidates == "wp"


def some_nodes(graph: Graph) -> NodeBatch:
    """At most 4,096 nodes, evenly spaced: what statistics of mixing are taken on."""
    return some_anchors(NeighbourTable(graph))


def some_anchors(table: NeighbourTable) -> NodeBatch:
    """As `some_nodes`, of a graph whose table is there."""
    num_nodes = table.graph.num_nodes
    size = min(num_nodes, _MEASURED_NODES)
    nodes = np.unique(np.linspace(0, num_nodes - 1, size).astype(np.int64))
    return jax.tree.map(jnp.asarray, table.cut(nodes, nodes.size))


def whole_graph(graph: Graph) -> NodeBatch:
    """Every node as an anchor, on one device: what representations are computed on."""
    table, nodes = NeighbourTable(graph), np.arange(graph.num_nodes)
    batch = table.cut(nodes, graph.num_nodes, (graph.num_nodes, max(graph.num_edges, 1)))
    return jax.tree.map(jnp.asarray, batch)
