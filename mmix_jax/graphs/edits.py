"""Subgraphs of a given size and the substitution of their edges: graphs a few edits apart.

What differs from the authors' graph edit distance code:

1. Edges are binary and undirected, and self-loops are no edges (there an edge is any non-zero entry
   of the normalised adjacency, self-loops included, and a new one has weight 1).
2. A subgraph is grown, so that it is connected where it can be (there: the first nodes by index).
3. Triplets are a function of the seed and the size (there they differ from run to run).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmix_jax.errors import InputError
from mmix_jax.fields import MOST_ROWS
from mmix_jax.graphs.types import Graph, make_graph
from mmix_jax.ops.arrays import host_indices, native
from mmix_jax.ops.numbers import seed_number, whole_number


class Triplet(NamedTuple):
    """A graph, itself with one edge substituted, and itself with two."""

    anchor: Graph
    near: Graph
    far: Graph


class TripletSet(NamedTuple):
    """What ``make_triplets`` drew.

    Fields:
      triplets: T of them.
      sources: which graph each was cut from, int32 [T].
    """

    triplets: list[Triplet]
    sources: np.ndarray

    @property
    def num_graphs(self) -> int:
        """How many distinct graphs the triplets were cut from."""
        return np.unique(self.sources).size


def induced_subgraph(graph: Graph, nodes: ArrayLike) -> Graph:
    """The given nodes, the edges among them with their weights, and their rows of x.

    Args:
      graph: directed or undirected.
      nodes: distinct indices [K], K > 0; node i of the result is ``nodes[i]``.

    Raises:
      ValueError: there is no node, one is listed twice, or one is not in the graph.
    """
    nodes = np.asarray(native(nodes))
    distinct = np.unique(nodes)
    if nodes.ndim != 1 or nodes.dtype.kind not in "iu" or not 0 < nodes.size == distinct.size:
        raise ValueError(
            f"nodes must be distinct indices [K], found {nodes.dtype} of shape {nodes.shape} with "
            f"{distinct.size} distinct ones; give each node once"
        )
    if distinct[0] < 0 or distinct[-1] >= graph.num_nodes:
        outside = distinct[0] if distinct[0] < 0 else distinct[-1]
        raise ValueError(
            f"nodes must lie in [0, {graph.num_nodes}), found {outside}; "
            "give nodes of the same graph"
        )
    place = np.full(graph.num_nodes, -1)
    place[nodes] = np.arange(nodes.size)
    senders, receivers = place[graph.senders], place[graph.receivers]
    inside = (senders >= 0) & (receivers >= 0)
    return make_graph(
        graph.x[nodes],
        senders[inside],
        receivers[inside],
        graph.edge_weight[inside],
        undirected=False,  # both directions are among the edges already
    )


def draw_subgraph(graph: Graph, size: int, rng: np.random.Generator) -> Graph:
    """An induced subgraph of ``size`` nodes, grown from a random one; connected where possible.

    Every next node is drawn evenly from the neighbours of those chosen. Where a component has no
    more to give, growth goes on from a random node of another: the result is then not connected.
    Nodes keep the order that they have in ``graph``.

    Args:
      graph: undirected.
      size: 1 to N.
      rng: of all draws.

    Raises:
      ValueError: ``size`` is below 1 or above the number of nodes.
    """
    size = whole_number("size", size, -MOST_ROWS, "it is a number of nodes")
    if not 1 <= size <= graph.num_nodes:
        raise ValueError(
            f"a subgraph of {graph.num_nodes} nodes has 1 to {graph.num_nodes} nodes, "
            f"found size {size}; leave smaller graphs out"
        )
    starts = np.searchsorted(graph.receivers, np.arange(graph.num_nodes + 1))
    chosen = np.zeros(graph.num_nodes, bool)
    reached = np.zeros(graph.num_nodes, bool)
    for _ in range(size):
        candidates = np.flatnonzero(reached & ~chosen)
        if candidates.size == 0:
            candidates = np.flatnonzero(~chosen)
        node = candidates[rng.integers(candidates.size)]
        chosen[node] = True
        reached[graph.senders[starts[node] : starts[node + 1]]] = True
    return induced_subgraph(graph, np.flatnonzero(chosen))


def replace_edges(graph: Graph, removed: ArrayLike, added: ArrayLike) -> Graph:
    """The graph without the undirected edges ``removed`` and with ``added``; all weights are one.

    Args:
      graph: undirected; its weights are not looked at.
      removed: pairs of nodes [K, 2], each an edge of ``graph``.
      added: pairs of nodes [K', 2], each of two nodes that no edge of ``graph`` joins.

    Raises:
      ValueError: a pair is listed twice or is not as described.
      InputError: the graph is directed.
    """
    adjacency = _adjacency(graph)
    edited = adjacency.copy()
    for name, pairs, present in (("removed", removed, True), ("added", added, False)):
        ends = np.sort(host_indices(name, pairs, graph.num_nodes).reshape(-1, 2), axis=1)
        low, high = ends.T
        fits = (low < high) & (adjacency[low, high] == present)
        if not fits.all() or len(np.unique(ends, axis=0)) < len(ends):
            raise ValueError(
                f"{name} must hold distinct pairs of nodes {'with' if present else 'without'} an "
                f"edge, found {ends.tolist()[:8]}; look at the graph's edges"
            )
        edited[low, high] = edited[high, low] = not present
    return _from_adjacency(graph.x, edited)


def substitute_edges(graph: Graph, count: int, rng: np.random.Generator) -> Graph | None:
    """The graph with ``count`` random edges removed and as many random non-edges made edges.

    Both are drawn evenly and without replacement, the new ones from pairs that were no edges
    before, so that none of the removed comes back; all weights of the result are one. Features
    stay. Memory and work are O(N²).

    Args:
      graph: undirected.
      count: undirected edges to substitute, 0 or more.
      rng: of all draws.

    Returns:
      The new graph; None where it cannot be: fewer than ``count`` edges, or (a complete graph)
      fewer than ``count`` pairs without one.
    """
    count = whole_number("count", count, 0, "it is a number of edges")
    adjacency = _adjacency(graph)
    edges = np.argwhere(np.triu(adjacency))
    others = np.argwhere(np.triu(~adjacency, 1))
    if count > min(len(edges), len(others)):
        return None
    removed = edges[rng.choice(len(edges), count, replace=False)]
    added = others[rng.choice(len(others), count, replace=False)]
    return replace_edges(graph, removed, added)


def make_triplets(
    graphs: Sequence[Graph], size: int, *, num: int = 1000, seed: int = 0
) -> TripletSet:
    """Triplets (G, G with 1 edge substituted, G with 2) of subgraphs with ``size`` nodes.

    Graphs of ``size`` nodes or more are taken in random order, each once; when all were, they are
    taken again in another order, with other subgraphs and edits. A subgraph in which two edges
    cannot be substituted (a complete one, for instance) is passed over. The edits of ``near`` and
    ``far`` are independent. All edge weights are one. The same ``graphs``, ``size`` and ``seed``
    give the same triplets everywhere, and fewer of them are the first of more.

    Args:
      graphs: undirected.
      size: nodes of every subgraph.
      num: T, how many triplets.
      seed: of all draws, together with ``size``.

    Raises:
      InputError: no graph has ``size`` nodes, or a whole round over the graphs gave no triplet.
    """
    size = whole_number("size", size, 1, "it is a number of nodes", error=InputError)
    num = whole_number("num", num, 0, "it is a number of triplets", error=InputError)
    seed = seed_number("seed", seed, error=InputError)
    eligible = [index for index, graph in enumerate(graphs) if graph.num_nodes >= size]
    if not eligible:
        largest = max((graph.num_nodes for graph in graphs), default=0)
        raise InputError(
            f"triplets need graphs of at least {size} nodes, found {largest} in the largest of "
            f"{len(graphs)}; lower the size"
        )
    rng = np.random.default_rng([seed, size])
    triplets: list[Triplet] = []
    sources: list[int] = []
    while len(triplets) < num:
        before = len(triplets)
        for index in rng.permutation(eligible):
            if len(triplets) == num:
                break
            triplet = _draw_triplet(graphs[index], size, rng)
            if triplet is not None:
                triplets.append(triplet)
                sources.append(int(index))
        if len(triplets) == before:
            raise InputError(
                f"triplets need subgraphs with two edges to remove and two to add, found none of "
                f"{size} nodes in {len(eligible)} graphs; take another size or other graphs"
            )
    return TripletSet(triplets, np.array(sources, np.int32))


def _draw_triplet(graph: Graph, size: int, rng: np.random.Generator) -> Triplet | None:
    subgraph = draw_subgraph(graph, size, rng)
    anchor = subgraph._replace(edge_weight=np.ones_like(subgraph.edge_weight))
    near, far = (substitute_edges(anchor, count, rng) for count in (1, 2))
    return None if near is None or far is None else Triplet(anchor, near, far)


def _adjacency(graph: Graph) -> np.ndarray:
    """Which pairs of nodes an edge joins, bool [N, N], symmetric."""
    adjacency = np.zeros((graph.num_nodes, graph.num_nodes), bool)
    adjacency[graph.receivers, graph.senders] = True
    one_way = adjacency & ~adjacency.T
    if one_way.any():
        receiver, sender = np.argwhere(one_way)[0]
        raise InputError(
            f"edges are substituted in undirected graphs, found {sender} -> {receiver} without its "
            "reverse; build the graph by make_graph with undirected=True"
        )
    return adjacency


def _from_adjacency(x: np.ndarray, adjacency: np.ndarray) -> Graph:
    receivers, senders = adjacency.nonzero()  # row by row: sorted by (receiver, sender)
    ones = np.ones(len(senders), np.float32)
    return Graph(x, senders.astype(np.int32), receivers.astype(np.int32), ones)
