"""What a batch of nodes reads: its rows, its edges, and how they are cut out of a graph."""

from typing import Any, NamedTuple

import numpy as np

from mmix_jax.graphs.on_disk import StoredTables, gcn_scale, starts_of
from mmix_jax.graphs.padding import padded_size
from mmix_jax.graphs.shared_tables import SharedTables
from mmix_jax.graphs.types import Graph
from mmix_jax.ops.arrays import host_indices, mapped_bytes, release

_MOST_MAPPED = 4 * 2**30  # bytes of mapped files that may stay in memory
_LET_GO_AFTER = 32  # batches, where the system does not tell how many there are
Array = Any  # NumPy where a batch is built, JAX inside the step


class NodeBatch(NamedTuple):
    """What one step reads beside the resident tables; every array has a leading device axis [k].

    rows: [R] nodes to encode in view a; the first B are the anchors, R − B their other neighbours
    and padding. senders [E] index rows, receivers [E] anchors. edge_weight [E] and
    self_edge_weight [B]: entries of Â. anchor_mask: [B]. segments: [B] window of each anchor, or
    None. x_a [R, F], x_b [B, F]: the rows' own propagated features in windows, and where tables
    are in files, else None. edges: [E] numbers of the edges in the graph, None in windows.
    """

    rows: Array
    senders: Array
    receivers: Array
    edge_mask: Array
    edge_weight: Array
    self_edge_weight: Array
    anchor_mask: Array
    segments: Array | None = None
    x_a: Array | None = None
    x_b: Array | None = None
    edges: Array | None = None


class Needed(NamedTuple):
    """What a batch of anchors [n] reads: the other nodes [m] whose rows it needs, ascending, and
    its edges [e] with their senders' places among anchors and others, and their receivers'."""

    anchors: np.ndarray
    others: np.ndarray
    edges: np.ndarray
    senders: np.ndarray
    receivers: np.ndarray


class NeighbourTable:
    """The edges of a graph by receiver, with Â's entries; cuts out what a set of anchors needs.

    Args:
      graph: its arrays may be memory-mapped files, of which what a batch reads is read.
      stored: ÂX and SX in files, whose rows batches then hold; None: they are on the device.
    """

    def __init__(self, graph: Graph, stored: StoredTables | SharedTables | None = None):
        self.graph, self.stored = graph, stored
        self.starts = starts_of(graph.receivers, graph.num_nodes)
        self._scale = gcn_scale(self.starts, graph.edge_weight)
        self._batches = 0
        self._let_go()

    def weights(self, edges: np.ndarray | slice) -> np.ndarray:
        """Entries of Â at these edges, float32."""
        graph, scale = self.graph, self._scale
        ends = graph.senders[edges], graph.receivers[edges]
        return (graph.edge_weight[edges] * scale[ends[0]] * scale[ends[1]]).astype(np.float32)

    def self_weights(self, nodes: np.ndarray) -> np.ndarray:
        """Entries of Â's diagonal, float32."""
        return (self._scale[nodes] ** 2).astype(np.float32)

    def cut(self, anchors: np.ndarray, num_anchors: int, sizes: tuple[int, int] | None = None):
        """A `NodeBatch` without device axis: anchors padded to `num_anchors`, then neighbours.

        `sizes` are the padded (rows, edges), so that devices agree; None finds the bucket. Work and
        memory are those of the anchors' edges, whatever the size of the graph.
        """
        found = self.find(anchors)
        return self.with_rows(self.fill(found, num_anchors, sizes or bucket(found, num_anchors)))

    def with_rows(self, batch: NodeBatch) -> NodeBatch:
        """The batch, also one stacked over devices, with the rows of stored tables."""
        if self.stored is None:
            return batch
        anchors = batch.rows[..., : batch.anchor_mask.shape[-1]]
        x_a, x_b = self.stored.take(batch.rows, anchors)
        self._batches += 1
        held = mapped_bytes()
        many = self._batches % _LET_GO_AFTER == 0 if held is None else held > _MOST_MAPPED
        if many:
            self._let_go()
        return batch._replace(x_a=x_a, x_b=x_b)

    def _let_go(self) -> None:
        """Pages of mapped files that were read: they would pile up to the files' size."""
        stored = self.stored
        own = stored.own if isinstance(stored, SharedTables) else stored
        for array in (*self.graph, *(own or ())):
            release(array)

    def find(self, anchors: np.ndarray) -> Needed:
        """What a batch of these anchors, distinct and in any order, reads."""
        anchors = host_indices("anchors", anchors, self.graph.num_nodes).astype(np.int64)
        counts = self.starts[anchors + 1] - self.starts[anchors]
        local = np.repeat(np.arange(len(anchors)), counts)
        within = np.arange(len(local)) - np.repeat(np.cumsum(counts) - counts, counts)
        edges = self.starts[anchors][local] + within
        neighbours, sender = np.unique(self.graph.senders[edges], return_inverse=True)
        order = np.argsort(anchors)
        place = np.searchsorted(anchors, neighbours, sorter=order)
        place = order[np.minimum(place, len(anchors) - 1)]  # of the neighbour, if it is an anchor
        others = anchors[place] != neighbours
        place[others] = len(anchors) + np.arange(np.count_nonzero(others))
        return Needed(anchors, neighbours[others], edges, place[sender], local)

    def fill(self, found: Needed, num_anchors: int, sizes: tuple[int, int]) -> NodeBatch:
        """The batch of what was found, padded to `num_anchors` anchors and (rows, edges); without
        rows of stored tables."""
        anchors, others, edges, senders, receivers = found
        num_rows, num_edges = sizes
        # Behind the anchors' padding come the others.
        senders = np.where(senders < len(anchors), senders, senders + num_anchors - len(anchors))

        def pad(x, size, fill=0):
            return np.concatenate([x, np.full(size - len(x), fill, x.dtype)])

        padded_anchors = pad(anchors.astype(np.int32), num_anchors)
        return NodeBatch(
            rows=pad(np.concatenate([padded_anchors, others.astype(np.int32)]), num_rows),
            senders=pad(senders.astype(np.int32), num_edges),
            receivers=pad(receivers.astype(np.int32), num_edges),
            edge_mask=np.arange(num_edges) < len(edges),
            edge_weight=pad(self.weights(edges), num_edges),
            self_edge_weight=pad(self.self_weights(anchors), num_anchors),
            anchor_mask=np.arange(num_anchors) < len(anchors),
            edges=pad(edges.astype(np.int32), num_edges),
        )

    def sizes(self, anchors: np.ndarray, num_anchors: int) -> tuple[int, int]:
        """Padded (rows, edges) of the batch of these anchors."""
        return bucket(self.find(anchors), num_anchors)

    def usual_sizes(self, num_anchors: int) -> tuple[int, int]:
        """Padded (rows, edges) that a batch of so many random nodes practically never exceeds."""
        degrees = np.diff(self.starts)
        edges = num_anchors * degrees.mean() + 6.0 * num_anchors**0.5 * degrees.std()
        num_edges = padded_size(min(int(np.ceil(edges)), len(self.graph.senders)))
        others = min(self.graph.num_nodes - num_anchors, num_edges)
        return num_anchors + (padded_size(others) if others else 0), num_edges


def alone(anchors: np.ndarray) -> Needed:
    """Anchors without what they collect."""
    none = np.zeros(0, np.int64)
    return Needed(anchors, none, none, none, none)


def bucket(found: Needed, num_anchors: int) -> tuple[int, int]:
    num_others = len(found.others)
    num_rows = num_anchors + (padded_size(num_others) if num_others else 0)
    return num_rows, padded_size(len(found.edges))
