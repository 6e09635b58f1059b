"""Batches of nodes: complete neighbourhoods with Â's entries, and every anchor exactly once."""

import tracemalloc

import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.graphs import samplers
from mmix_jax.graphs.neighbours import NeighbourTable
from mmix_jax.graphs.padding import padded_size
from mmix_jax.graphs.samplers import NodeSampler
from mmix_jax.graphs.types import Graph, make_graph

N = 23
ALPHA = 0.2
SAMPLERS = {
    "full": {"sampler": "full"},
    "nodes": {"sampler": "nodes", "batch_size": 9},
}


def make(num_nodes: int = N, num_edges: int = 60) -> Graph:
    """A weighted random graph whose last node is isolated."""
    draw = np.random.default_rng(0)
    senders, receivers = draw.integers(0, num_nodes - 1, size=(2, num_edges))
    x = draw.normal(size=(num_nodes, 4))
    return make_graph(x, senders, receivers, draw.uniform(0.5, 2.0, size=num_edges))


GRAPH = make()


@pytest.fixture
def operator(naive_operator) -> np.ndarray:
    """Â of `GRAPH`, dense."""
    return naive_operator(GRAPH.senders, GRAPH.receivers, N, GRAPH.edge_weight)


def shards(batch):
    """The batch of each device."""
    for device in range(len(batch.rows)):
        yield type(batch)(*(None if field is None else field[device] for field in batch))


def anchors_of(shard) -> np.ndarray:
    return shard.rows[: len(shard.anchor_mask)][shard.anchor_mask]


def rows_of(shard) -> np.ndarray:
    """What each real anchor collects, put together as dense rows over all nodes of `GRAPH`."""
    rows = np.zeros((len(shard.anchor_mask), N))
    senders = shard.rows[shard.senders[shard.edge_mask]]
    np.add.at(rows, (shard.receivers[shard.edge_mask], senders), shard.edge_weight[shard.edge_mask])
    rows[np.arange(len(rows)), shard.rows[: len(rows)]] += shard.self_edge_weight
    return rows[shard.anchor_mask]


@pytest.mark.parametrize("num_devices", [1, 3, 4])
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_anchor_comes_once_with_its_whole_row_of_the_operator(name, num_devices, operator):
    sampler = NodeSampler(GRAPH, num_devices=num_devices, **SAMPLERS[name])
    for step in range(3):
        batch = sampler.batch(step)
        assert len(batch.rows) == num_devices
        nodes = np.concatenate([anchors_of(shard) for shard in shards(batch)])
        assert len(nodes) == len(set(nodes)) == SAMPLERS[name].get("batch_size", N)
        rows = np.concatenate([rows_of(shard) for shard in shards(batch)])
        np.testing.assert_allclose(rows, operator[nodes], atol=1e-6)


@pytest.mark.parametrize("num_devices", [1, 4])
@pytest.mark.parametrize("name", SAMPLERS)
def test_padding_is_masked_and_in_range(name, num_devices):
    sampler = NodeSampler(GRAPH, num_devices=num_devices, **SAMPLERS[name])
    for shard in shards(sampler.batch(0)):
        num_anchors = len(shard.anchor_mask)
        num_real = np.count_nonzero(shard.anchor_mask)
        assert shard.anchor_mask[:num_real].all()  # real anchors come first
        assert ((shard.rows >= 0) & (shard.rows < N)).all()
        assert ((shard.senders >= 0) & (shard.senders < len(shard.rows))).all()
        assert ((shard.receivers >= 0) & (shard.receivers < num_anchors)).all()
        assert (shard.edge_weight[~shard.edge_mask] == 0).all()
        assert (shard.edge_weight[shard.edge_mask] > 0).all()
        assert (shard.self_edge_weight[~shard.anchor_mask] == 0).all()
        # no real edge reads or feeds a padding anchor
        real_edges = shard.senders[shard.edge_mask], shard.receivers[shard.edge_mask]
        assert not ((real_edges[0] >= num_real) & (real_edges[0] < num_anchors)).any()
        assert (real_edges[1] < num_real).all()


@pytest.mark.parametrize("num_devices", [2, 3, 4])
@pytest.mark.parametrize("name", SAMPLERS)
def test_devices_share_the_anchors_that_one_device_has(name, num_devices):
    one = NodeSampler(GRAPH, seed=5, **SAMPLERS[name])
    many = NodeSampler(GRAPH, seed=5, num_devices=num_devices, **SAMPLERS[name])
    for step in (0, 7):
        (whole,) = shards(one.batch(step))
        parts = [anchors_of(shard) for shard in shards(many.batch(step))]
        np.testing.assert_array_equal(np.concatenate(parts), anchors_of(whole))


def test_more_devices_than_nodes_leave_some_without_anchors():
    graph = make_graph(np.eye(3), [0, 1], [1, 2])
    batch = NodeSampler(graph, num_devices=4).batch(0)
    np.testing.assert_array_equal(batch.anchor_mask.sum(axis=1), [1, 1, 1, 0])


def test_a_graph_without_edges():
    graph = make_graph(np.eye(5), [], [])
    (shard,) = shards(NodeSampler(graph).batch(0))
    assert not shard.edge_mask.any()
    np.testing.assert_array_equal(shard.self_edge_weight, np.ones(5))


SAMPLED = {
    "nodes": {"sampler": "nodes", "batch_size": 9},
    "window": {"sampler": "window", "batch_size": 6, "num_windows": 2},
}


@pytest.mark.parametrize("name", SAMPLED)
def test_a_batch_is_a_function_of_seed_and_step(name):
    first, again = (NodeSampler(GRAPH, seed=3, **SAMPLED[name]) for _ in range(2))
    forward = [first.batch(step) for step in range(4)]
    backward = [again.batch(step) for step in (3, 2, 1, 0)][::-1]
    for a, b in zip(forward, backward, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", SAMPLED)
def test_steps_and_seeds_draw_other_nodes(name):
    sampler, other = (NodeSampler(GRAPH, seed=seed, **SAMPLED[name]) for seed in (3, 4))
    drawn = {tuple(anchors_of(shard)) for step in range(8) for shard in shards(sampler.batch(step))}
    assert len(drawn) > 5
    assert any(
        not np.array_equal(sampler.batch(step).rows, other.batch(step).rows) for step in range(4)
    )


def test_the_draw_of_nodes_is_uniform():
    sampler = NodeSampler(GRAPH, sampler="nodes", batch_size=9)
    batches = [sampler.batch(step) for step in range(200)]
    counts = np.bincount(
        np.concatenate([anchors_of(shard) for batch in batches for shard in shards(batch)])
    )
    expected = 200 * 9 / N
    assert len(counts) == N
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_padded_sizes_are_few_and_depend_on_the_batch_alone():
    graph = make(num_nodes=400, num_edges=1500)
    sampler = NodeSampler(graph, sampler="nodes", batch_size=50, num_devices=2)
    sizes = set()
    for step in range(60):
        batch = sampler.batch(step)
        sizes.add((batch.rows.shape, batch.senders.shape))
        fresh = NodeSampler(graph, sampler="nodes", batch_size=50, num_devices=2).batch(step)
        assert (fresh.rows.shape, fresh.senders.shape) == (batch.rows.shape, batch.senders.shape)
    assert len(sizes) <= 6


def test_cut_pads_to_the_sizes_it_is_given():
    anchors = np.array([2, 5, 11])
    table = NeighbourTable(GRAPH)
    num_rows, num_edges = table.sizes(anchors, 8)
    assert (num_rows - 8, num_edges) == (padded_size(num_rows - 8), padded_size(num_edges))
    tight, loose = table.cut(anchors, 8), table.cut(anchors, 8, (num_rows + 9, num_edges + 5))
    assert (len(loose.rows), len(loose.senders)) == (num_rows + 9, num_edges + 5)
    np.testing.assert_array_equal(rows_of(loose), rows_of(tight))


def cut_by_tables(table: NeighbourTable, anchors: np.ndarray, num_anchors: int):
    """Real rows behind the padded anchors, edges and senders' places, by arrays over all nodes."""
    graph = table.graph
    edges = np.concatenate([np.flatnonzero(graph.receivers == anchor) for anchor in anchors])
    outside = np.ones(graph.num_nodes, bool)
    outside[anchors] = False
    others = np.flatnonzero(outside & (np.bincount(graph.senders[edges], minlength=N) > 0))
    place = np.full(graph.num_nodes, -1)
    place[anchors] = np.arange(len(anchors))
    place[others] = num_anchors + np.arange(len(others))
    return others, edges, place[graph.senders[edges]]


@pytest.mark.parametrize("anchors", [[3, 8, 9, 15], [15, 3, 9, 8], [N - 1], [*range(N)]], ids=str)
def test_a_cut_is_what_arrays_over_all_nodes_give(anchors):
    table, anchors = NeighbourTable(GRAPH), np.array(anchors)
    num_anchors = len(anchors) + 2
    others, edges, senders = cut_by_tables(table, anchors, num_anchors)
    batch = table.cut(anchors, num_anchors)
    np.testing.assert_array_equal(batch.rows[: len(anchors)], anchors)
    np.testing.assert_array_equal(batch.rows[num_anchors:][: len(others)], others)
    assert not batch.rows[num_anchors + len(others) :].any()
    np.testing.assert_array_equal(batch.edges[: len(edges)], edges)
    np.testing.assert_array_equal(batch.senders[: len(edges)], senders)
    np.testing.assert_array_equal(anchors[batch.receivers[: len(edges)]], GRAPH.receivers[edges])
    assert all(x.dtype == np.int32 for x in (batch.rows, batch.senders, batch.receivers))


def test_a_batch_costs_no_memory_of_all_nodes():
    """Of a graph with a million nodes, of which few are drawn."""
    ring = np.arange(1_000_000)
    graph = make_graph(np.zeros((len(ring), 1)), ring, np.roll(ring, 1))
    sampler = NodeSampler(graph, sampler="nodes", batch_size=64)
    sampler.batch(1)
    tracemalloc.start()
    batch = sampler.batch(0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(batch.rows[0]) < 250
    assert peak < 100_000


# Windows


def dense_diffusion(operator: np.ndarray) -> np.ndarray:
    return ALPHA * np.linalg.inv(np.eye(len(operator)) - (1 - ALPHA) * operator)


def check_windows(batch, operator, size: int, tolerance: float) -> None:
    """Every window is a slice of Â and of the diffusion, and nothing from outside it."""
    (shard,) = shards(batch)
    rows, diffusion = rows_of(shard), dense_diffusion(operator)
    for place in range(0, len(shard.rows), size):
        mine, start = slice(place, place + size), shard.rows[place]
        window = slice(start, start + size)
        np.testing.assert_array_equal(shard.rows[mine], np.arange(start, start + size))
        expected = np.zeros((size, N))
        expected[:, window] = operator[window, window]
        np.testing.assert_allclose(rows[mine], expected, atol=1e-6)
        x = GRAPH.x[window]
        np.testing.assert_allclose(shard.x_a[mine], operator[window, window] @ x, atol=1e-6)
        np.testing.assert_allclose(shard.x_b[mine], diffusion[window, window] @ x, atol=tolerance)


def test_a_window_is_the_slice_of_operator_and_diffusion(operator):
    options = {"sampler": "window", "batch_size": 7, "num_windows": 2}
    sampler = NodeSampler(GRAPH, diffusion={"kind": "ppr", "alpha": ALPHA}, **options)
    for step in range(6):
        check_windows(sampler.batch(step), operator, 7, 1e-6)


def test_windows_of_a_large_graph_need_no_dense_diffusion(operator, monkeypatch):
    monkeypatch.setattr(samplers, "_DENSE_WINDOW_NODES", N - 1)
    monkeypatch.setattr(samplers, "diffusion_matrix", None)
    options = {"sampler": "window", "batch_size": 7, "num_windows": 2}
    diffusion = {"kind": "ppr", "alpha": ALPHA, "tol": 1e-7}
    sampler = NodeSampler(GRAPH, diffusion=diffusion, **options)
    check_windows(sampler.batch(0), operator, 7, 1e-5)


def test_the_window_over_all_nodes_is_the_graph(operator):
    sampler = NodeSampler(GRAPH, sampler="window", batch_size=N, diffusion={"alpha": ALPHA})
    (shard,) = shards(sampler.batch(0))
    np.testing.assert_allclose(rows_of(shard), operator, atol=1e-6)
    np.testing.assert_allclose(shard.x_b, dense_diffusion(operator) @ GRAPH.x, atol=1e-6)


@pytest.mark.parametrize("num_devices", [1, 2, 4])
def test_windows_of_all_devices_are_the_same_and_told_apart(operator, num_devices):
    options = {"sampler": "window", "batch_size": 6, "num_windows": 4, "seed": 2}
    one, many = (NodeSampler(GRAPH, num_devices=k, **options) for k in (1, num_devices))
    for step in range(8):
        batch = many.batch(step)
        np.testing.assert_array_equal(batch.rows.reshape(-1), one.batch(step).rows.reshape(-1))
        np.testing.assert_array_equal(batch.x_b.reshape(-1, 4), one.batch(step).x_b.reshape(-1, 4))
        # only equal ids are contrasted: a window's is its own, on whichever device it lies
        ids = batch.segments.reshape(4, 6)
        assert (ids == ids[:, :1]).all()
        assert len(np.unique(ids)) == 4


def test_windows_of_unlike_density_go_on_several_devices():
    clique = np.array([(i, j) for i in range(12) for j in range(i)]).T
    graph = make_graph(np.eye(40), *np.concatenate([clique, [[38], [39]]], axis=1))
    options = {"sampler": "window", "batch_size": 12, "num_windows": 2}
    sampler = NodeSampler(graph, num_devices=2, **options)
    batches = [sampler.batch(step) for step in range(12)]
    num_edges = {int(shard.edge_mask.sum()) for batch in batches for shard in shards(batch)}
    assert len(num_edges) > 3  # from none to a clique's


# Bad input


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sampler": "subgraphs"}, "unknown sampler 'subgraphs'; expected one of: full, nodes"),
        ({"sampler": "nodes", "batch_size": 1}, r"batch_size .* in 2 … 23 .* found 1;"),
        ({"sampler": "nodes", "batch_size": 24}, "found 24; "),
        ({"sampler": "window", "batch_size": 0}, "found 0; "),
        (
            {"sampler": "window", "batch_size": 5, "num_windows": 3, "num_devices": 2},
            "num_windows must be a multiple of the 2 devices, found 3",
        ),
    ],
)
def test_what_does_not_fit_the_graph_is_told(options, told):
    with pytest.raises(InputError, match=told):
        NodeSampler(GRAPH, **options)


def test_batches_name_their_edges():
    sampler = NodeSampler(GRAPH, sampler="nodes", batch_size=9, seed=2)
    (shard,) = shards(sampler.batch(4))
    edges, mask = shard.edges, shard.edge_mask
    np.testing.assert_array_equal(shard.rows[shard.senders[mask]], GRAPH.senders[edges[mask]])
    np.testing.assert_array_equal(shard.rows[shard.receivers[mask]], GRAPH.receivers[edges[mask]])


def test_one_shape_serves_all_batches():
    draw = np.random.default_rng(0)
    ends = (400 * np.sqrt(draw.uniform(size=(2, 3000)))).astype(int)
    graph = make_graph(draw.normal(size=(400, 2)), *ends)
    sampler = NodeSampler(graph, sampler="nodes", batch_size=100, one_shape=True)
    batches = [sampler.batch(step) for step in range(200)]
    assert len({(b.rows.shape, b.senders.shape) for b in batches}) == 1


def test_one_shape_changes_padding_alone():
    graph = make(num_nodes=400, num_edges=3000)
    options = {"sampler": "nodes", "batch_size": 100, "seed": 0}
    plain, steady = NodeSampler(graph, **options), NodeSampler(graph, **options, one_shape=True)
    for step in range(20):
        small, large = plain.batch(step), steady.batch(step)
        real = small.edge_mask[0]
        np.testing.assert_array_equal(large.edges[0][: real.size][real], small.edges[0][real])
        assert large.edge_mask.sum() == real.sum()
        np.testing.assert_array_equal(large.rows[0, :100], small.rows[0, :100])


@pytest.mark.parametrize("one_shape", [False, True])
def test_batches_without_neighbours_have_the_same_anchors_alone(one_shape):
    options = {"sampler": "nodes", "batch_size": 9, "num_devices": 2, "one_shape": one_shape}
    alone = NodeSampler(GRAPH, **options, neighbours=False).batch(3)
    whole = NodeSampler(GRAPH, **options).batch(3)
    assert alone.rows.shape == alone.anchor_mask.shape == (2, 5)
    np.testing.assert_array_equal(alone.rows, whole.rows[:, :5])
    np.testing.assert_array_equal(alone.anchor_mask, whole.anchor_mask)
    np.testing.assert_array_equal(alone.self_edge_weight, whole.self_edge_weight)
    assert not alone.edge_mask.any()
