"""Representations of nodes: of the whole graph at once or, where that is large, in chunks."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.frameworks.base import some_anchors
from mmix_jax.graphs.neighbours import NeighbourTable, NodeBatch
from mmix_jax.graphs.on_disk import StoredTables
from mmix_jax.graphs.shared_tables import SharedTables
from mmix_jax.graphs.types import Graph

WHOLE_VALUES = 2**27  # edges × width up to which one batch holds the whole graph: 512 MiB an array
CHUNK_VALUES = 2**25  # edges × width of a chunk

# represent(params, key, nodes=None, names=None) -> (representations by name, mixture)
Represent = Callable[..., tuple[dict[str, Any], Any]]


class Chunks(NamedTuple):
    """How nodes are cut up: padded anchors, rows and edges of every chunk, so that all share a
    compiled program. No chunk has more real edges than `num_edges`."""

    num_anchors: int
    num_rows: int
    num_edges: int


def in_chunks(tables: Any, graph: Graph, *, width: int, by_edges: bool) -> bool:
    """Whether a graph is embedded in chunks: mixing along its edges would form too large arrays.

    Encoders of several layers, and mixing with all nodes, need the whole graph in any case.
    """
    large = graph.num_edges * width > WHOLE_VALUES
    beforehand = getattr(tables, "x_a", None) is not None
    return large and beforehand and by_edges


def chunks_of(table: NeighbourTable, width: int) -> Chunks:
    """Sizes by which an array [edges, width] has at most CHUNK_VALUES entries, unless one node's
    own edges have more."""
    graph, degrees = table.graph, np.diff(table.starts)
    num_edges = int(max(CHUNK_VALUES // width, degrees.max(), 1))
    num_anchors = int(min(max(num_edges / max(degrees.mean(), 1.0), 1), graph.num_nodes))
    num_rows = num_anchors + min(num_edges, graph.num_nodes)
    return Chunks(num_anchors, num_rows, num_edges)


def cut_up(table: NeighbourTable, nodes: np.ndarray, chunks: Chunks) -> Iterator[np.ndarray]:
    """Stretches of `nodes`, in their order, that fit into a chunk each."""
    ends = np.cumsum(table.starts[nodes + 1] - table.starts[nodes])
    begin = 0
    while begin < len(nodes):
        before = ends[begin - 1] if begin else 0
        fitting = int(np.searchsorted(ends, before + chunks.num_edges, side="right"))
        end = min(fitting, begin + chunks.num_anchors)
        yield nodes[begin:end]
        begin = end


def represent_at_once(embed: Callable, tables: Any, batch: NodeBatch, num_nodes: int, labels):
    """`represent` by one batch that holds every node (in grace, the mixture is that of some)."""
    compute = jax.jit(embed)

    def represent(params, key, nodes=None, names: Sequence[str] | None = None):
        by_name, mixture = compute(params, tables, batch, key, labels)
        kept = {name: z[:num_nodes] for name, z in by_name.items() if not names or name in names}
        return {name: z if nodes is None else z[nodes] for name, z in kept.items()}, mixture

    return represent


def pieces_in_chunks(embed: Callable, tables: Any, table: NeighbourTable, width: int):
    """`pieces(params, key, nodes=None)`: representations by name, [n, width] NumPy arrays, of one
    stretch of nodes after the other, without any array of all edges × width.

    Every chunk of anchors is encoded and mixed with all its neighbours: values are those of one
    batch, but for the order of sums, and for draws of the rule `random`.
    """
    chunks = chunks_of(table, width)
    compute = jax.jit(partial(_without_mixture, embed))

    def pieces(params, key, nodes=None) -> Iterator[dict[str, np.ndarray]]:
        nodes = np.arange(table.graph.num_nodes) if nodes is None else np.asarray(nodes)
        for number, anchors in enumerate(cut_up(table, nodes, chunks)):
            batch = table.cut(anchors, chunks.num_anchors, (chunks.num_rows, chunks.num_edges))
            by_name = compute(params, tables, batch, jax.random.fold_in(key, number))
            yield {name: np.asarray(z[: len(anchors)]) for name, z in by_name.items()}

    return pieces


def represent_in_chunks(embed: Callable, tables: Any, table: NeighbourTable, width: int, labels):
    """`represent` by `pieces_in_chunks`. The mixture is that of 4,096 nodes, evenly spaced."""
    pieces = pieces_in_chunks(embed, tables, table, width)
    sample = some_anchors(table)
    mixture_of = jax.jit(lambda *args: embed(*args)[1])

    def represent(params, key, nodes=None, names: Sequence[str] | None = None):
        count = table.graph.num_nodes if nodes is None else len(nodes)
        out: dict[str, np.ndarray] = {}
        done = 0
        for by_name in pieces(params, key, nodes):
            for name in names or by_name:
                z = by_name[name]
                if name not in out:
                    out[name] = np.empty((count, z.shape[1]), z.dtype)
                out[name][done : done + len(z)] = z
            done += len(next(iter(by_name.values())))
        return out, mixture_of(params, tables, sample, key, labels)

    return represent


def _without_mixture(
    embed: Callable, params, tables, batch: NodeBatch, key
) -> dict[str, jax.Array]:
    # What nobody reads is not computed: the statistics of mixing fall away under jit.
    return embed(params, tables, batch, key)[0]


def make_represent(
    embed: Callable,
    tables: Any,
    graph: Graph,
    whole_batch: Callable[[Graph], NodeBatch],
    labels: np.ndarray | None,
    *,
    width: int,
    by_edges: bool,
    stored: StoredTables | SharedTables | None = None,
) -> Represent:
    """`represent(params, key, nodes, names)`: representations of `nodes` (None: all), by name.

    Args:
      embed: (params, tables, batch, key, labels) -> (representations, Mixture).
      tables: of `graph`.
      graph: all nodes.
      whole_batch: the batch by which a framework embeds a graph at once.
      labels: of all nodes, for the statistics of mixing; None where nodes have no single one.
      width: D.
      by_edges: whether candidates are graph neighbours.
      stored: tables in files, in the place of those of `tables`.
    """
    known = None if labels is None else jnp.asarray(labels)
    if stored is not None or in_chunks(tables, graph, width=width, by_edges=by_edges):
        return represent_in_chunks(embed, tables, NeighbourTable(graph, stored), width, known)
    return represent_at_once(embed, tables, whole_batch(graph), graph.num_nodes, known)
