"""Graphs in fixed sizes, so that jit compiles once: the one place that talks to jraph."""

from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.fields import MOST_ROWS
from mmix_jax.graphs.normalize import gcn_weights
from mmix_jax.graphs.types import Graph
from mmix_jax.ops.numbers import whole_number

if TYPE_CHECKING:
    import jraph


def padded_size(n: int) -> int:
    """Smallest size of the series 16, 20, 24, 28, 32, 40, … that holds ``n``.

    Four sizes to a doubling: at most a quarter is padding above 16, and graphs between n and 2n
    need at most five compilations.
    """
    n = whole_number("n", n, -MOST_ROWS, "it is a number of nodes or edges")
    step = 4
    while 8 * step < n:
        step *= 2
    return max(16, -(-n // step) * step)


def to_jraph(graph: Graph) -> "jraph.GraphsTuple":
    """The graph as a GraphsTuple of one, unpadded, for ``jraph.batch_np`` and ``pad_with_graphs``.

    ``nodes`` is x [N, F]. ``edges`` holds ``weight`` [E], the entries of Â, and ``edge_weight``
    [E], the graph's own; as these are 0 on padding, ``gcn_weights`` of them gives Â's diagonal too,
    with 1 for padding nodes.
    """
    import jraph

    weight, _ = gcn_weights(graph.senders, graph.receivers, graph.num_nodes, graph.edge_weight)
    fields: dict[str, Any] = {  # jraph declares JAX arrays, and takes NumPy ones too
        "nodes": graph.x,
        "edges": {"weight": weight, "edge_weight": graph.edge_weight},
        "senders": graph.senders,
        "receivers": graph.receivers,
        "n_node": np.array([graph.num_nodes], np.int32),
        "n_edge": np.array([graph.num_edges], np.int32),
        "globals": None,
    }
    return jraph.GraphsTuple(**fields)


def pad_graph(
    graph: Graph, *, num_nodes: int | None = None, num_edges: int | None = None
) -> "jraph.GraphsTuple":
    """The graph with a second, spare one behind it that fills it up to the given sizes.

    Padding nodes have zero features and padding edges weight 0; they join padding nodes only.

    Args:
      graph: the graph, as ``to_jraph`` describes it.
      num_nodes: nodes after padding, more than the graph has; None means the next ``padded_size``.
      num_edges: edges after padding; None means the next ``padded_size``.

    Raises:
      ValueError: the graph does not fit.
    """
    import jraph

    if num_nodes is None:
        num_nodes = padded_size(graph.num_nodes + 1)
    if num_edges is None:
        num_edges = padded_size(graph.num_edges)
    num_nodes = whole_number("num_nodes", num_nodes, 0, "None finds a size")
    num_edges = whole_number("num_edges", num_edges, 0, "None finds a size")
    if graph.num_nodes >= num_nodes or graph.num_edges > num_edges:
        raise ValueError(
            f"a graph must fit its padding, found {graph.num_nodes} nodes (and a spare one) and "
            f"{graph.num_edges} edges for {num_nodes} and {num_edges}; raise the sizes"
        )
    return jraph.pad_with_graphs(to_jraph(graph), num_nodes, num_edges)


def node_mask(graph: "jraph.GraphsTuple") -> jax.Array:
    """True on real nodes of a padded GraphsTuple, bool [N]; works under jit."""
    import jraph

    return cast(jax.Array, jraph.get_node_padding_mask(graph))


def edge_mask(graph: "jraph.GraphsTuple") -> jax.Array:
    """True on real edges of a padded GraphsTuple, bool [E]; works under jit."""
    import jraph

    return cast(jax.Array, jraph.get_edge_padding_mask(graph))


def graph_mask(graph: "jraph.GraphsTuple") -> jax.Array:
    """True on real graphs of a padded GraphsTuple, bool [M]; works under jit."""
    import jraph

    return cast(jax.Array, jraph.get_graph_padding_mask(graph))


def node_graph(graph: "jraph.GraphsTuple") -> jax.Array:
    """Index of each node's graph, int32 [N], padding nodes included; works under jit."""
    num_nodes = cast(jax.Array, graph.nodes).shape[0]
    index = jnp.arange(graph.n_node.shape[0], dtype=jnp.int32)
    return jnp.repeat(index, graph.n_node, total_repeat_length=num_nodes)
