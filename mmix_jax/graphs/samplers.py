"""Which nodes a step contrasts: `full`, `nodes` (a random batch), `window` (a contiguous slice).

Batches are built on the host from (seed, step) alone and come stacked over devices, [k, ...]. A
batch lists the rows that view a must encode: its anchors first, then their other neighbours, so
that anchors are encoded and mixed exactly, over all their neighbours, whatever the batch size.
Padded sizes depend on the batch alone, never on earlier ones: a resumed run sees the same shapes,
and with them the same order of summation, as an uninterrupted one.
"""

import jax
import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.fields import MOST_ROWS
from mmix_jax.graphs.diffusion import diffuse, diffusion_matrix
from mmix_jax.graphs.neighbours import NeighbourTable, NodeBatch, alone, bucket
from mmix_jax.graphs.normalize import propagate
from mmix_jax.graphs.on_disk import StoredTables
from mmix_jax.graphs.padding import padded_size
from mmix_jax.graphs.settings import SAMPLERS
from mmix_jax.graphs.shared_tables import SharedTables
from mmix_jax.graphs.types import Graph
from mmix_jax.ops.numbers import seed_number, whole_number

_DENSE_WINDOW_NODES = 6000  # up to here the authors' slice is cut from the exact diffusion matrix


def _stack(batches: list[NodeBatch]) -> NodeBatch:
    return jax.tree.map(lambda *parts: np.stack(parts), *batches)


class NodeSampler:
    """Batches of contrasted nodes; call `batch(step)`.

    Args:
      graph: the whole graph.
      sampler: `full`: every node against every node. `nodes`: `batch_size` random nodes, drawn
        anew each step without repetition. `window`: `num_windows` slices of `batch_size`
        consecutive nodes, whose edges, diffusion and contrast end at the slice (the authors' way).
      batch_size: nodes per step (`nodes`) or per window; ignored by `full`.
      num_devices: k; anchors are shared out evenly, padding masked.
      seed: with the step it decides the draw.
      diffusion: keyword arguments of `graphs.diffuse` for windows.
      one_shape: pad batches of `nodes` to what practically all of them fit: more padding, and a
        step that is compiled once.
      neighbours: False for batches of `nodes` whose loss reads the anchors' own rows alone: they
        hold no other rows and no edges, and cost the same whatever the degrees.
      stored: as `NeighbourTable`.

    Raises:
      InputError: unknown sampler or a batch size that does not fit the graph.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        sampler: str = "full",
        batch_size: int = 0,
        num_windows: int = 1,
        num_devices: int = 1,
        seed: int = 0,
        diffusion: dict | None = None,
        one_shape: bool = False,
        neighbours: bool = True,
        stored: StoredTables | SharedTables | None = None,
    ):
        if sampler not in SAMPLERS:
            raise InputError(f"unknown sampler '{sampler}'; expected one of: {', '.join(SAMPLERS)}")
        batch_size = whole_number(
            "batch_size", batch_size, -MOST_ROWS, "sampler 'full' contrasts all", error=InputError
        )
        num_windows = whole_number("num_windows", num_windows, 1, "1 is usual", error=InputError)
        num_devices = whole_number("num_devices", num_devices, 1, "1 is usual", error=InputError)
        seed = seed_number("seed", seed, error=InputError)
        if sampler != "full" and not 2 <= batch_size <= graph.num_nodes:
            raise InputError(
                f"batch_size of sampler '{sampler}' must lie in 2 … {graph.num_nodes} (the nodes), "
                f"found {batch_size}; sampler 'full' contrasts all"
            )
        if sampler == "window" and num_windows % num_devices:
            raise InputError(
                f"num_windows must be a multiple of the {num_devices} devices, found {num_windows}"
            )
        self.sampler, self.batch_size, self.num_windows = sampler, batch_size, num_windows
        self.num_devices, self.seed = num_devices, seed
        self.table = NeighbourTable(graph, stored)
        self.diffusion = diffusion or {}
        if stored is not None and sampler == "window":
            raise InputError(
                "sampler 'window' propagates within its windows, found tables in files; use nodes"
            )
        self._alone = not neighbours and sampler == "nodes"
        self._least = (0, 0)
        if one_shape and sampler == "nodes" and neighbours:
            self._least = self.table.usual_sizes(-(-batch_size // num_devices))
        self._full: NodeBatch | None = None
        self._dense: np.ndarray | None = None

    def batch(self, step: int) -> NodeBatch:
        """The batch of this step, stacked over devices."""
        if self.sampler == "full":
            if self._full is None:
                self._full = self._split(np.arange(self.table.graph.num_nodes))
            return self._full
        draw = np.random.default_rng((self.seed, step))
        if self.sampler == "nodes":
            # Of few nodes out of many NumPy draws by rejection: no array of all nodes is made.
            nodes = draw.choice(self.table.graph.num_nodes, self.batch_size, replace=False)
            return self._split(np.sort(nodes))
        last = self.table.graph.num_nodes - self.batch_size
        starts = draw.integers(0, last + 1, self.num_windows)
        per_device = np.split(starts, self.num_devices)
        edges = [self._window_edges(mine) for mine in per_device]
        num_edges = padded_size(max(len(senders) for senders, _, _ in edges))
        return _stack(
            [
                self._windows(mine, place, edges[place], num_edges)
                for place, mine in enumerate(per_device)
            ]
        )

    def _split(self, nodes: np.ndarray) -> NodeBatch:
        num_anchors = -(-len(nodes) // self.num_devices)
        parts = [nodes[i * num_anchors : (i + 1) * num_anchors] for i in range(self.num_devices)]
        found = [alone(part) if self._alone else self.table.find(part) for part in parts]
        sizes = np.max([self._least, *(bucket(part, num_anchors) for part in found)], axis=0)
        if len(parts) == 1 and len(nodes) == self.table.graph.num_nodes:
            sizes[1] = max(len(self.table.graph.senders), 1)  # one shape ever: no bucket needed
        padded = int(sizes[0]), int(sizes[1])
        stacked = _stack([self.table.fill(part, num_anchors, padded) for part in found])
        return self.table.with_rows(stacked)

    def _window_edges(self, starts: np.ndarray):
        """Senders, receivers and Â's entries of the edges within each slice, side by side."""
        graph, size = self.table.graph, self.batch_size
        senders, receivers, weights = [], [], []
        for place, start in enumerate(starts):
            low, high = self.table.starts[start], self.table.starts[start + size]
            s = graph.senders[low:high]
            inside = (s >= start) & (s < start + size)
            senders.append(s[inside] - start + place * size)
            receivers.append(graph.receivers[low:high][inside] - start + place * size)
            weights.append(self.table.weights(slice(low, high))[inside])
        return tuple(np.concatenate(parts) for parts in (senders, receivers, weights))

    def _windows(self, starts: np.ndarray, device: int, edges, num_edges: int) -> NodeBatch:
        """Slices side by side as one batch; the loss contrasts within equal `segments`, whose ids
        are those of all devices."""
        graph, size, (s, r, w) = self.table.graph, self.batch_size, edges
        nodes = np.concatenate([np.arange(start, start + size) for start in starts])
        own = self.table.self_weights(nodes)

        def pad(x):
            return np.concatenate([x, np.zeros(num_edges - len(x), x.dtype)])

        return NodeBatch(
            rows=nodes.astype(np.int32),
            senders=pad(s.astype(np.int32)),
            receivers=pad(r.astype(np.int32)),
            edge_mask=np.arange(num_edges) < len(s),
            edge_weight=pad(w),
            self_edge_weight=own,
            anchor_mask=np.ones(len(nodes), bool),
            segments=np.repeat(device * len(starts) + np.arange(len(starts), dtype=np.int32), size),
            x_a=propagate(graph.x[nodes], s, r, w, own),
            x_b=np.concatenate([self._diffused_window(start) for start in starts]),
        )

    def _diffused_window(self, start: int) -> np.ndarray:
        graph, window = self.table.graph, slice(start, start + self.batch_size)
        edges = (graph.senders, graph.receivers)
        if graph.num_nodes <= _DENSE_WINDOW_NODES:
            if self._dense is None:
                options = {key: v for key, v in self.diffusion.items() if key != "tol"}
                self._dense = diffusion_matrix(
                    *edges, graph.num_nodes, edge_weight=graph.edge_weight, **options
                ).astype(np.float32)
            return self._dense[window, window] @ graph.x[window]
        inside = np.zeros_like(graph.x)
        inside[window] = graph.x[window]
        return diffuse(inside, *edges, edge_weight=graph.edge_weight, **self.diffusion)[window]
