"""Exact edit distances of small graphs, and pairs of such graphs at varied distances."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.graphs.edits import draw_subgraph, substitute_edges
from mmix_jax.graphs.types import Graph

Pair = tuple[Graph, Graph]
MAX_SUBSTITUTIONS = 4
MIN_NODES = 5  # smaller graphs with as many edges are mostly isomorphic


def make_small_pairs(
    graphs: Sequence[Graph], *, num: int = 200, max_nodes: int = 7, seed: int = 0
) -> list[Pair]:
    """Pairs of subgraphs with 5 to ``max_nodes`` nodes, at varied edit distances.

    In turn the second is the first with 0, 1, 2, 3 and 4 edges substituted, and a subgraph of
    another graph. Subgraphs are connected where possible (see ``draw_subgraph``); one that is too
    full or too empty for its substitutions is drawn anew. The same arguments give the same pairs
    everywhere.

    Args:
      graphs: undirected, two or more of ``max_nodes`` nodes or more; smaller ones are left out.
      num: P, how many pairs.
      max_nodes: the largest size, 5 or more. On subgraphs of COIL-DEL exact distances of 200 pairs
        take about half a minute at 7, and minutes at 8, where single pairs take 10 s and more.
      seed: of all draws, together with ``max_nodes``.

    Raises:
      InputError: ``max_nodes`` is below 5, fewer than two graphs are large enough, or 100 draws in
        a row gave no subgraph to substitute edges in.
    """
    eligible = [graph for graph in graphs if graph.num_nodes >= max_nodes]
    if max_nodes < MIN_NODES or len(eligible) < 2:
        raise InputError(
            f"pairs need max_nodes of {MIN_NODES} or more and two graphs as large, found "
            f"{max_nodes} and {len(eligible)} of {len(graphs)} graphs; change max_nodes"
        )
    rng = np.random.default_rng([seed, max_nodes])
    kinds = MAX_SUBSTITUTIONS + 2
    return [_draw_pair(eligible, max_nodes, index % kinds, rng) for index in range(num)]


def _draw_pair(
    graphs: Sequence[Graph], max_nodes: int, substitutions: int, rng: np.random.Generator
) -> Pair:
    """One pair; more than ``MAX_SUBSTITUTIONS`` substitutions stand for another graph."""
    for _ in range(100):
        one, other = rng.choice(len(graphs), 2, replace=False)
        first = draw_subgraph(graphs[one], int(rng.integers(MIN_NODES, max_nodes + 1)), rng)
        if substitutions > MAX_SUBSTITUTIONS:
            size = int(rng.integers(MIN_NODES, max_nodes + 1))
            return first, draw_subgraph(graphs[other], size, rng)
        second = substitute_edges(first, substitutions, rng)
        if second is not None:
            return first, second
    raise InputError(
        f"pairs need subgraphs of up to {max_nodes} nodes with {substitutions} edges to remove and "
        "to add, found none in 100 draws; raise max_nodes or take other graphs"
    )


def exact_edit_distances(pairs: Sequence[Pair], *, time_limit: float = 20.0) -> np.ndarray:
    """Graph edit distances by networkx's exact search, float64 [P].

    Inserting or deleting a node or an edge costs 1, substituting a node is free; features and
    weights play no part, so isomorphic graphs have distance 0. Time grows exponentially with the
    nodes: this is for 8 nodes or fewer.

    Args:
      pairs: P pairs of undirected graphs.
      time_limit: seconds that one pair may take.

    Returns:
      The distances; NaN where the time ran out before the best one found was proven to be least.

    Raises:
      InputError: networkx is not installed.
    """
    try:
        import networkx as nx
    except ImportError as error:
        raise InputError(
            "exact edit distances need networkx, which is not installed; pip install networkx"
        ) from error
    distances = np.full(len(pairs), np.nan)
    for index, (first, second) in enumerate(pairs):
        started = time.perf_counter()
        distance = nx.graph_edit_distance(
            _to_networkx(first),
            _to_networkx(second),
            upper_bound=_upper_bound(first, second),
            timeout=time_limit,
        )
        # networkx does not say whether it ended by itself or by the clock.
        if time.perf_counter() - started < time_limit:
            distances[index] = distance
    return distances


def _to_networkx(graph: Graph) -> Any:
    import networkx as nx

    found = nx.Graph()
    found.add_nodes_from(range(graph.num_nodes))
    found.add_edges_from(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))
    return found


def _upper_bound(first: Graph, second: Graph) -> int:
    """The cost of matching nodes by number, which is close where one graph was edited."""
    edges = [
        {(s, r) for s, r in zip(g.senders.tolist(), g.receivers.tolist(), strict=True) if s < r}
        for g in (first, second)
    ]
    return abs(first.num_nodes - second.num_nodes) + len(edges[0] ^ edges[1])
