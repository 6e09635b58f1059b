"""ÂX and SX whose rows are shared by the processes of a run: each holds a stretch of nodes.

All processes draw the same batches and know the same edges, so that each knows which of its rows
the others will read: nothing is asked for, rows are sent by one all-to-all a batch.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from mmix_jax.graphs.on_disk import StoredTables
from mmix_jax.graphs.padding import padded_size
from mmix_jax.ops.arrays import release
from mmix_jax.processes.exchange import swap
from mmix_jax.processes.group import Group

_BLOCK_VALUES = 2**22  # of one process that are sent at a time, while rows are dealt out


def rows_of(num_nodes: int, size: int, rank: int) -> slice:
    """The nodes that a process of `size` owns: stretches of one length, but for the last."""
    each = -(-num_nodes // size)
    return slice(min(rank * each, num_nodes), min((rank + 1) * each, num_nodes))


def columns_of(num_features: int, size: int, rank: int) -> slice:
    """The features that it propagates: their numbers differ by one at most."""
    return slice(num_features * rank // size, num_features * (rank + 1) // size)


class SharedTables:
    """This process's rows of both tables, and the others' by asking.

    Args:
      own: its rows, of `rows_of(num_nodes, group.size, group.rank)`.
      num_nodes: N, of all.
      group: the processes.
      per_process: devices of each.
    """

    def __init__(self, own: StoredTables, num_nodes: int, group: Group, per_process: int):
        self.own, self.group, self.per_process = own, group, per_process
        self._each = -(-num_nodes // group.size)

    def take(self, rows: np.ndarray, anchors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ÂX of `rows` and SX of `anchors`; all processes ask for the same.

        Of one axis every process receives all. Of two, the first is that of the devices of all
        processes, and each receives what its own devices read; the rest is left 0.
        """
        return self._of(self.own.x_a, rows), self._of(self.own.x_b, anchors)

    def _of(self, table: np.ndarray, rows: np.ndarray) -> np.ndarray:
        size, rank = self.group.size, self.group.rank
        if rows.ndim == 1:
            return self._fetched(table, [rows] * size)
        wanted = [part.ravel() for part in np.split(rows, size)]
        out = np.zeros((*rows.shape, table.shape[1]), table.dtype)
        mine = slice(rank * self.per_process, (rank + 1) * self.per_process)
        out[mine] = self._fetched(table, wanted).reshape(out[mine].shape)
        return out

    def _fetched(self, table: np.ndarray, wanted: Sequence[np.ndarray]) -> np.ndarray:
        """The rows that this process wants, where each tells all what it wants."""
        size, rank = self.group.size, self.group.rank
        owners = [rows // self._each for rows in wanted]
        most = max(int(np.bincount(of, minlength=size).max()) for of in owners)
        parts = np.zeros((size, padded_size(max(most, 1)), table.shape[1]), table.dtype)
        for other, (rows, of) in enumerate(zip(wanted, owners, strict=True)):
            mine = rows[of == rank] - rank * self._each
            parts[other, : len(mine)] = table[mine]
        received = swap(parts)
        out = np.empty((len(wanted[rank]), table.shape[1]), table.dtype)
        for other in range(size):
            places = np.flatnonzero(owners[rank] == other)
            out[places] = received[other, : len(places)]
        return out


def deal_out(
    columns: StoredTables,
    num_features: int,
    group: Group,
    write: Callable[[str, Iterable[np.ndarray]], object],
) -> None:
    """From this process's columns of all rows to its rows of all columns.

    Args:
      columns: of `columns_of(num_features, group.size, group.rank)`.
      num_features: F.
      group: the processes.
      write: `write(name, pieces)` takes a table piece by piece.
    """
    num_nodes, size = len(columns.x_a), group.size
    widths = [np.arange(num_features)[columns_of(num_features, size, r)].size for r in range(size)]
    each, step = -(-num_nodes // size), max(_BLOCK_VALUES // (max(widths) * size), 1)
    mine = rows_of(num_nodes, size, group.rank)

    def pieces(table: np.ndarray) -> Iterator[np.ndarray]:
        for low in range(0, each, step):
            parts = np.zeros((size, min(step, each - low), max(widths)), np.float32)
            for other in range(size):
                owned = rows_of(num_nodes, size, other)
                block = table[owned.start + low : min(owned.start + low + step, owned.stop)]
                parts[other, : len(block), : block.shape[1]] = block
            release(table)
            received = zip(swap(parts), widths, strict=True)
            rows = np.concatenate([part[:, :width] for part, width in received], axis=1)
            yield rows[: max(mine.stop - mine.start - low, 0)]

    for name, table in columns._asdict().items():
        write(name, pieces(table))
