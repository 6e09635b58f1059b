"""Tables in files are those in memory, bit for bit; interrupted work goes on; damage is told."""

import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.graphs import make_graph, neighbours, on_disk
from mmix_jax.graphs.diffusion import diffuse
from mmix_jax.graphs.neighbours import NeighbourTable
from mmix_jax.graphs.normalize import gcn_weights, propagate
from mmix_jax.graphs.samplers import NodeSampler
from mmix_jax.ops.arrays import mapped_bytes, release

N, F = 300, 7
DIFFUSION = {"kind": "ppr", "alpha": 0.2, "t": 5.0}


def graph_of(weighted=False, seed=0):
    draw = np.random.default_rng(seed)
    senders, receivers = draw.integers(0, N - 5, (2, 1500))  # the last five are isolated
    weight = draw.uniform(0.5, 2.0, 1500) if weighted else None
    return make_graph(draw.normal(size=(N, F)), senders, receivers, weight)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Many blocks of rows, and of columns (two at a time)."""
    monkeypatch.setattr(on_disk.blocks_of, "__defaults__", (97,))
    monkeypatch.setattr(on_disk, "_BLOCK_VALUES", 50)
    monkeypatch.setattr(on_disk, "_BLOCK_ROWS", 7)
    monkeypatch.setattr(on_disk, "MOST_BYTES", 20 * N * 2)
    monkeypatch.setitem(on_disk.stored_tables.__kwdefaults__, "most_bytes", 20 * N * 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["ppr", "heat"])
def test_they_are_those_of_memory_bit_for_bit(weighted, kind, tmp_path):
    graph = graph_of(weighted)
    edges = graph.senders, graph.receivers
    x_a = propagate(graph.x, *edges, *gcn_weights(*edges, N, graph.edge_weight))
    x_b = diffuse(graph.x, *edges, edge_weight=graph.edge_weight, kind=kind)
    settings = DIFFUSION | {"kind": kind}
    for _ in range(2):  # computed, and read again
        tables = on_disk.stored_tables(graph, tmp_path / "tables", diffusion=settings)
        np.testing.assert_array_equal(tables.x_a, x_a)
        np.testing.assert_array_equal(tables.x_b, x_b)
        assert isinstance(tables.x_a, np.memmap)
    names = sorted(path.name for path in (tmp_path / "tables").iterdir())
    assert names == ["tables.json", "x_a.npy", "x_b.npy"]  # and nothing of the way there


def test_interrupted_it_goes_on_behind_the_finished_columns(tmp_path, monkeypatch):
    graph, calls, folder = graph_of(), [], tmp_path / "tables"

    def check():
        calls.append(0)
        if len(list(folder.glob("x_b-*"))) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_disk.stored_tables(graph, folder, diffusion=DIFFUSION, check=check)
    assert {path.name for path in folder.glob("x_b-*")} == {"x_b-0-2.npy", "x_b-2-4.npy"}
    done = {path: path.stat().st_mtime_ns for path in folder.glob("x_?-*")}
    chebyshev, columns = on_disk._chebyshev, []

    def counted(operator, x, *rest):
        columns.append(x.shape[1])
        return chebyshev(operator, x, *rest)

    monkeypatch.setattr(on_disk, "_chebyshev", counted)
    seen, side_by_side = {}, on_disk._side_by_side

    def watched(parts, check):
        seen.update({part: part.stat().st_mtime_ns for part in parts})
        return side_by_side(parts, check)

    monkeypatch.setattr(on_disk, "_side_by_side", watched)
    tables = on_disk.stored_tables(graph, folder, diffusion=DIFFUSION)
    assert columns == [2, 1] and done.items() <= seen.items()
    np.testing.assert_array_equal(tables.x_b, diffuse(graph.x, graph.senders, graph.receivers))


def test_damaged_files_and_anothers_are_refused(tmp_path):
    graph, folder = graph_of(), tmp_path / "tables"
    on_disk.stored_tables(graph, folder, diffusion=DIFFUSION)
    with pytest.raises(InputError, match="must be of this graph, found another's"):
        on_disk.stored_tables(graph, folder, diffusion=DIFFUSION | {"alpha": 0.3})
    raw = bytearray((folder / "x_b.npy").read_bytes())
    raw[-1] ^= 1
    (folder / "x_b.npy").write_bytes(raw)
    with pytest.raises(InputError, match=r"must be whole, found .*x_b.npy damaged; remove"):
        on_disk.stored_tables(graph, folder, diffusion=DIFFUSION)
    (folder / "tables.json").write_text("{")
    with pytest.raises(InputError, match=r"tables.json damaged; remove"):
        on_disk.stored_tables(graph, folder, diffusion=DIFFUSION)


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(path, values):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(on_disk, "write_pieces", full)
    with pytest.raises(InputError, match="found No space left on device; free the disk"):
        on_disk.stored_tables(graph_of(), tmp_path / "tables", diffusion=DIFFUSION)


@pytest.mark.parametrize("how", ["directed", "weights"])
def test_edges_without_an_equal_reverse_are_refused(how, tmp_path):
    graph = graph_of(weighted=True)
    if how == "weights":
        graph.edge_weight[77] *= 2
    else:
        graph = make_graph(graph.x, graph.senders[:99], graph.receivers[:99], undirected=False)
    with pytest.raises(InputError, match="symmetric edges"):
        on_disk.stored_tables(graph, tmp_path / "tables", diffusion=DIFFUSION)


def test_batches_hold_the_rows_that_they_read(tmp_path):
    graph = graph_of(weighted=True)
    stored = on_disk.stored_tables(graph, tmp_path / "tables", diffusion=DIFFUSION)
    plain = NodeSampler(graph, sampler="nodes", batch_size=40, num_devices=2)
    batches = NodeSampler(graph, sampler="nodes", batch_size=40, num_devices=2, stored=stored)
    before, batch = plain.batch(3), batches.batch(3)
    assert before.x_a is None and before.x_b is None
    for name in before._fields[:8]:
        np.testing.assert_array_equal(getattr(before, name), getattr(batch, name), name)
    np.testing.assert_array_equal(batch.x_a, stored.x_a[batch.rows])
    np.testing.assert_array_equal(batch.x_b, stored.x_b[batch.rows[:, :20]])
    with pytest.raises(InputError, match="sampler 'window' propagates within its windows"):
        NodeSampler(graph, sampler="window", batch_size=40, stored=stored)


def test_entries_of_the_adjacency_are_as_ever():
    graph = graph_of(weighted=True)
    weights, own = gcn_weights(graph.senders, graph.receivers, N, graph.edge_weight)
    table = NeighbourTable(graph)
    np.testing.assert_array_equal(table.weights(slice(None)), weights)
    np.testing.assert_array_equal(table.self_weights(np.arange(N)), own)
    np.testing.assert_array_equal(table.starts, np.searchsorted(graph.receivers, np.arange(N + 1)))


@pytest.mark.parametrize(
    ("held", "expected"),
    [(0, 0), (neighbours._MOST_MAPPED, 0), (neighbours._MOST_MAPPED + 1, 64), (None, 2)],
)
def test_pages_of_files_are_let_go_beyond_a_bound(tmp_path, monkeypatch, held, expected):
    graph = graph_of()
    stored = on_disk.stored_tables(graph, tmp_path / "tables", diffusion=DIFFUSION)
    table = neighbours.NeighbourTable(graph, stored)
    released = []
    monkeypatch.setattr(neighbours, "release", released.append)
    monkeypatch.setattr(neighbours, "mapped_bytes", lambda: held)  # None: the system does not tell
    for _ in range(64):
        table.cut(np.arange(4), 4)
    assert sum(array is stored.x_a for array in released) == expected


def test_what_is_mapped_is_told(tmp_path):
    if mapped_bytes() is None:
        pytest.skip("the system does not tell")
    size = 2**24
    np.save(tmp_path / "x.npy", np.ones(size, np.uint8))
    x, before = np.load(tmp_path / "x.npy", mmap_mode="r"), mapped_bytes()
    assert x.sum() == size and mapped_bytes() - before >= size // 2
    release(x)
    assert mapped_bytes() - before < size // 2
