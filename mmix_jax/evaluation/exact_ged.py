"""Exact edit distances of small graphs, and pairs of such graphs at varied distances."""

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.graphs.edits import draw_subgraph, substitute_edges
from mmix_jax.graphs.types import Graph
from mmix_jax.ops.numbers import seed_number, whole_number

Pair = tuple[Graph, Graph]
MAX_SUBSTITUTIONS = 4
MAX_NODES = 8
MIN_NODES = 5  # smaller graphs with as many edges are mostly isomorphic


def make_small_pairs(
    graphs: Sequence[Graph], *, num: int = 200, max_nodes: int = MAX_NODES, seed: int = 0
) -> list[Pair]:
    """Pairs of subgraphs with 5 to ``max_nodes`` nodes, at varied edit distances.

    In turn the second is the first with 0, 1, 2, 3 and 4 edges substituted, and a subgraph of
    another graph. Subgraphs are connected where possible (see ``draw_subgraph``); one that is too
    full or too empty for its substitutions is drawn anew. The same arguments give the same pairs
    everywhere.

    Args:
      graphs: undirected, two or more of ``max_nodes`` nodes or more; smaller ones are left out.
      num: P, how many pairs.
      max_nodes: the largest size, 5 or more; exact distances are known up to ``MAX_NODES``.
      seed: of all draws, together with ``max_nodes``.

    Raises:
      InputError: ``max_nodes`` is below 5, fewer than two graphs are large enough, or 100 draws in
        a row gave no subgraph to substitute edges in.
    """
    num = whole_number("num", num, 0, "200 is the default", error=InputError)
    max_nodes = whole_number("max_nodes", max_nodes, 0, "8 is the default", error=InputError)
    seed = seed_number("seed", seed, error=InputError)
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


def exact_edit_distances(pairs: Sequence[Pair]) -> np.ndarray:
    """Graph edit distances by trying every matching of nodes, int64 [P].

    d(G, G') = |N − N'| + min over matchings π of #{edges of one graph that π does not take to one
    of the other}. Inserting or deleting a node or an edge costs 1, substituting a node is free;
    features and weights play no part, so isomorphic graphs have distance 0. Under these costs it
    never pays to leave a node of the smaller graph unmatched. 8 nodes have 40,320 matchings, a few
    milliseconds; a general search takes seconds to minutes for such a pair.

    Args:
      pairs: P pairs of undirected graphs with up to ``MAX_NODES`` nodes.

    Raises:
      InputError: a graph is larger.
    """
    largest = max((graph.num_nodes for pair in pairs for graph in pair), default=0)
    if largest > MAX_NODES:
        raise InputError(
            f"exact edit distances are for graphs of up to {MAX_NODES} nodes, found {largest}; "
            "take smaller ones"
        )
    return np.array([_distance(*pair) for pair in pairs], np.int64)


def _distance(first: Graph, second: Graph) -> int:
    size = max(first.num_nodes, second.num_nodes)
    missing = abs(first.num_nodes - second.num_nodes)
    one, other = (_adjacency(graph, size) for graph in (first, second))
    to = _matchings(size)  # the smaller graph's missing nodes are nodes without edges
    differing = other[to[:, :, None], to[:, None, :]] ^ one[None]
    return missing + int(differing.sum(axis=(1, 2)).min()) // 2


def _adjacency(graph: Graph, size: int) -> np.ndarray:
    found = np.zeros((size, size), bool)
    found[graph.senders, graph.receivers] = True
    return found


@functools.cache
def _matchings(size: int) -> np.ndarray:
    """All orders of ``size`` nodes, [size!, size]."""
    return np.array(list(itertools.permutations(range(size))), np.int8).reshape(
        math.factorial(size), size
    )
