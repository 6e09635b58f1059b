"""Batches of whole graphs in one fixed shape: every graph in a slot of its size's bucket.

A batch takes a fixed number of graphs from each bucket of sizes, drawn anew each epoch, so that all
batches of a run have the same slots: one program serves them all (a few, where the number of edges
differs much). As a slot has at most its bucket's rows, similarities within graphs cost Σ n_i² in
plain [count, size, size] arrays, and every graph is seen once an epoch. Batches are built on the
host from (seed, step) alone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.fields import MOST_ROWS
from mmix_jax.graphs.normalize import gcn_weights
from mmix_jax.graphs.padding import padded_size
from mmix_jax.graphs.types import Graph
from mmix_jax.ops.arrays import native
from mmix_jax.ops.numbers import seed_number, whole_number

if TYPE_CHECKING:
    import jraph


class Buckets(NamedTuple):
    """The slots of a batch on one device: `counts[b]` graphs of at most `sizes[b]` nodes."""

    sizes: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def num_rows(self) -> int:
        """Rows of all slots, without the spare one."""
        return sum(size * count for size, count in zip(self.sizes, self.counts, strict=True))

    @property
    def num_graphs(self) -> int:
        """Slots."""
        return sum(self.counts)

    def split(self, rows: Any) -> list[Any]:
        """Rows [R, ...] (and perhaps a spare one) to one [count, size, ...] for each bucket."""
        lengths = [size * count for size, count in zip(self.sizes, self.counts, strict=True)]
        # The gradient of `lax.split` is one concatenation; that of slices is a padded sum of each.
        parts = jax.lax.split(rows, [*lengths, rows.shape[0] - sum(lengths)])
        return [
            part.reshape(count, size, *rows.shape[1:])
            for part, size, count in zip(parts, self.sizes, self.counts, strict=False)
        ]


class Union(NamedTuple):
    """All graphs of a set as one: its nodes lie graph behind graph.

    first_node, first_edge: [M + 1] where each graph begins. weights [E], self_weights [N]: the
    entries of every graph's own Â.
    """

    graph: Graph
    first_node: np.ndarray
    first_edge: np.ndarray
    weights: np.ndarray
    self_weights: np.ndarray


def unite(graphs: Sequence[Graph]) -> Union:
    """Put graphs behind one another; graphs without nodes or edges have their places too."""
    first_node = np.cumsum([0, *(len(graph.x) for graph in graphs)])
    first_edge = np.cumsum([0, *(graph.num_edges for graph in graphs)])
    offset = np.repeat(first_node[:-1], np.diff(first_edge)).astype(np.int32)
    graph = Graph(
        np.concatenate([graph.x for graph in graphs]),
        np.concatenate([graph.senders for graph in graphs]) + offset,
        np.concatenate([graph.receivers for graph in graphs]) + offset,
        np.concatenate([graph.edge_weight for graph in graphs]),
    )
    weights, self_weights = gcn_weights(
        graph.senders, graph.receivers, len(graph.x), graph.edge_weight
    )
    return Union(graph, first_node, first_edge, weights, self_weights)


def _round_up(sizes: np.ndarray) -> np.ndarray:
    """Sizes that a slot may have: multiples of 4, of 16 from 128 nodes, of 64 from 1,024."""
    step = np.select([sizes <= 128, sizes <= 1024], [4, 16], 64)
    return np.maximum(-(-sizes // step) * step, 4)


def choose_buckets(
    num_nodes: Sequence[int] | np.ndarray,
    *,
    batch_size: int,
    num_devices: int = 1,
    max_buckets: int = 6,
    contrasted: bool = True,
) -> tuple[Buckets, int]:
    """Buckets with the fewest padded rows in an epoch, and the number of batches of an epoch.

    Args:
      num_nodes: [M] sizes of the graphs, 0 allowed.
      batch_size: graphs per step over all devices, about: the last slots of a bucket may be empty.
      num_devices: slots are shared out evenly.
      max_buckets: more pad less, and take longer to compile.
      contrasted: whether graphs of a batch are contrasted; to embed, one alone will do.

    Raises:
      InputError: fewer than two graphs in a batch, which has nothing to contrast.
    """
    sizes = _integers_of("num_nodes", num_nodes)
    batch_size = whole_number("batch_size", batch_size, -MOST_ROWS, "raise it", error=InputError)
    num_devices = whole_number("num_devices", num_devices, 1, "1 is usual", error=InputError)
    max_buckets = whole_number("max_buckets", max_buckets, 1, "6 is usual", error=InputError)
    capacity = _round_up(sizes)
    least = 2 if contrasted else 1
    if batch_size < least or len(capacity) < least:
        raise InputError(
            f"a batch must have {'two graphs' if contrasted else 'a graph'} or more, found "
            f"batch_size {batch_size} of {len(capacity)} graphs; raise it"
        )
    num_batches = -(-len(capacity) // batch_size)
    sizes, members = np.unique(capacity, return_counts=True)
    below = np.concatenate([[0], np.cumsum(members)])
    share = num_batches * num_devices
    # cost[b][j]: rows of the cheapest b buckets over sizes[:j]; the last one covers sizes[i:j].
    cost, cut = [np.full(len(sizes) + 1, np.inf)], []
    cost[0][0] = 0.0
    for _ in range(min(max_buckets, len(sizes))):
        best, choice = cost[-1].copy(), np.arange(len(sizes) + 1)
        for j in range(1, len(sizes) + 1):
            slots = -(-(below[j] - below[:j]) // share) * share
            rows = cost[-1][:j] + slots * sizes[j - 1]
            i = int(np.argmin(rows))
            if rows[i] < best[j]:
                best[j], choice[j] = rows[i], i
        cost.append(best)
        cut.append(choice)
    chosen, j = [], len(sizes)
    for choice in reversed(cut):
        i = int(choice[j])
        if i < j:
            count = -(-int(below[j] - below[i]) // share)
            chosen.append((int(sizes[j - 1]), count))
        j = i
    return Buckets(*(tuple(part) for part in zip(*sorted(chosen), strict=True))), num_batches


def _integers_of(name: str, values: Any) -> np.ndarray:
    """Sizes as int64: in a byte their multiples do not fit."""
    values = np.asarray(native(values))
    if values.dtype.kind not in "iu" or (values < 0).any():
        raise InputError(
            f"{name} must be whole numbers of 0 or more, found {values.dtype}; count the nodes"
        )
    return values.astype(np.int64)


class GraphSampler:
    """Batches of graphs, `batch(step)`; every graph once an epoch of `num_batches` steps.

    A batch is a padded jraph GraphsTuple, stacked over devices. Its `nodes` are {"row": place in
    the tables of propagated features, "mask", "self_weight"} [R + 1], the last row spare; `edges`
    {"weight", "edge_weight", "mask"} [E], entries of Â and the graph's own, padding at the spare
    row; `globals` {"graph": place in the set, "mask"}
    [M + 1]. Rows of a slot beyond its graph's nodes are isolated nodes with mask False.

    Args:
      union: of the set, from `unite`.
      batch_size, num_devices, max_buckets, contrasted: as in `choose_buckets`.
      seed: decides the order.
    """

    def __init__(
        self,
        union: Union,
        *,
        batch_size: int,
        num_devices: int = 1,
        max_buckets: int = 6,
        contrasted: bool = True,
        seed: int = 0,
    ):
        self.union = union
        self.num_devices = whole_number(
            "num_devices", num_devices, 1, "1 is usual", error=InputError
        )
        self.seed = seed_number("seed", seed, error=InputError)
        self.num_nodes = np.diff(union.first_node)
        self.buckets, self.num_batches = choose_buckets(
            self.num_nodes,
            batch_size=batch_size,
            num_devices=num_devices,
            max_buckets=max_buckets,
            contrasted=contrasted,
        )
        bucket = np.searchsorted(self.buckets.sizes, self.num_nodes)
        self.members = [np.flatnonzero(bucket == b) for b in range(len(self.buckets.sizes))]
        self._epoch: tuple[int, list[np.ndarray]] | None = None

    @property
    def padding(self) -> float:
        """Share of an epoch's rows that are padding."""
        rows = self.num_batches * self.num_devices * self.buckets.num_rows
        return 1.0 - float(self.num_nodes.sum()) / rows

    def batch(self, step: int) -> "jraph.GraphsTuple":
        """The batch of this step, every array with a leading device axis."""
        epoch, place = divmod(step, self.num_batches)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self._order(np.random.default_rng((self.seed, epoch))))
        return self._build([slots[place] for slots in self._epoch[1]])

    def ordered(self, place: int) -> "jraph.GraphsTuple":
        """Batch number `place` of an epoch in the set's own order: what is embedded."""
        return self._build([slots[place] for slots in self._order(None)])

    def _order(self, draw: np.random.Generator | None) -> list[np.ndarray]:
        """For each bucket the graphs of every batch, [num_batches, slots]; −1 is an empty slot."""
        order = []
        for members, count in zip(self.members, self.buckets.counts, strict=True):
            slots = np.full(self.num_batches * self.num_devices * count, -1)
            slots[: len(members)] = members if draw is None else draw.permutation(members)
            # Dealt like cards: empty slots spread over the batches, and over the devices.
            slots = slots.reshape(-1, self.num_batches).T
            order.append(slots if draw is None else slots[draw.permutation(self.num_batches)])
        return order

    def _build(self, slots: list[np.ndarray]) -> "jraph.GraphsTuple":
        devices = [
            np.concatenate([part[device :: self.num_devices] for part in slots])
            for device in range(self.num_devices)
        ]
        first = self.union.first_edge
        num_edges = max(int(np.sum(first[g[g >= 0] + 1] - first[g[g >= 0]])) for g in devices)
        parts = [self._device(graphs, padded_size(num_edges)) for graphs in devices]
        return jax.tree.map(lambda *arrays: np.stack(arrays), *parts)

    def _device(self, graphs: np.ndarray, num_edges: int) -> "jraph.GraphsTuple":
        import jraph

        union, num_rows = self.union, self.buckets.num_rows
        slot_size = np.repeat(self.buckets.sizes, self.buckets.counts)
        slot_row = np.cumsum(slot_size) - slot_size
        real = np.flatnonzero(graphs >= 0)
        chosen = graphs[real]
        nodes, slot = _ranges(union.first_node[chosen], self.num_nodes[chosen])
        within = nodes - union.first_node[chosen][slot]
        rows = slot_row[real][slot] + within
        row, mask = np.zeros(num_rows + 1, np.int32), np.zeros(num_rows + 1, bool)
        self_weight = np.ones(num_rows + 1, np.float32)
        row[rows], mask[rows], self_weight[rows] = nodes, True, union.self_weights[nodes]
        counts = union.first_edge[chosen + 1] - union.first_edge[chosen]
        edges, slot = _ranges(union.first_edge[chosen], counts)
        shift = (slot_row[real] - union.first_node[chosen])[slot]
        spare = num_edges - len(edges)

        def pad(x, fill):
            return np.concatenate([x, np.full(spare, fill, x.dtype)])

        n_edge = np.zeros(len(graphs) + 1, np.int32)
        n_edge[real], n_edge[-1] = counts, spare
        fields: dict[str, Any] = {
            "nodes": {"row": row, "mask": mask, "self_weight": self_weight},
            "edges": {
                "weight": pad(union.weights[edges], 0.0),
                "edge_weight": pad(union.graph.edge_weight[edges], 0.0),
                "mask": np.arange(num_edges) < len(edges),
            },
            "senders": pad((union.graph.senders[edges] + shift).astype(np.int32), num_rows),
            "receivers": pad((union.graph.receivers[edges] + shift).astype(np.int32), num_rows),
            "n_node": np.append(slot_size, 1).astype(np.int32),
            "n_edge": n_edge,
            "globals": {
                "graph": np.append(np.maximum(graphs, 0), 0).astype(np.int32),
                "mask": np.append(graphs >= 0, False),
            },
        }
        return jraph.GraphsTuple(**fields)


def _ranges(starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """start, start + 1, … of every range behind one another, and the range of each."""
    which = np.repeat(np.arange(len(counts)), counts)
    return np.arange(len(which)) - (np.cumsum(counts) - counts)[which] + starts[which], which
