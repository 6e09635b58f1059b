"""Slots for graphs: what a batch holds, that an epoch sees every graph once, what padding is."""

import numpy as np
import pytest

from mmix_jax.data.raw import make_graph_or_empty
from mmix_jax.errors import InputError
from mmix_jax.graphs.batches import Buckets, GraphSampler, choose_buckets, unite
from mmix_jax.graphs.normalize import gcn_weights

SIZES = (5, 1, 9, 0, 3, 30, 12, 7, 17, 2, 11)


def make_graphs(sizes=SIZES):
    """Rings, with the graph's number and the node's as features."""
    graphs = []
    for number, size in enumerate(sizes):
        x = np.stack([np.full(size, number), np.arange(size)], axis=1).astype(np.float32)
        ring = np.arange(size if size > 1 else 0)
        graphs.append(make_graph_or_empty(x, ring, (ring + 1) % max(size, 1)))
    return graphs


GRAPHS = make_graphs()


def graphs_in(batch) -> list[int]:
    return sorted(batch.globals["graph"][batch.globals["mask"]].tolist())


def epoch(sampler: GraphSampler, number: int):
    first = number * sampler.num_batches
    return [sampler.batch(first + place) for place in range(sampler.num_batches)]


@pytest.mark.parametrize("num_devices", [1, 3])
@pytest.mark.parametrize("batch_size", [2, 4, 11, 50])
def test_an_epoch_sees_every_graph_once_in_equal_shapes(batch_size, num_devices):
    sampler = GraphSampler(unite(GRAPHS), batch_size=batch_size, num_devices=num_devices)
    for number in (0, 3):
        batches = epoch(sampler, number)
        seen = [graph for batch in batches for graph in graphs_in(batch)]
        assert sorted(seen) == list(range(len(GRAPHS)))
        shapes = {batch.nodes["row"].shape for batch in batches}
        assert shapes == {(num_devices, sampler.buckets.num_rows + 1)}
        assert {batch.globals["mask"].shape[1] for batch in batches} == {
            sampler.buckets.num_graphs + 1
        }


def test_rows_and_edges_are_those_of_the_graphs():
    union = unite(GRAPHS)
    sampler = GraphSampler(union, batch_size=4, num_devices=2, max_buckets=2)
    for batch in epoch(sampler, 1):
        for device in range(2):
            x = union.graph.x[batch.nodes["row"][device]]
            mask = batch.nodes["mask"][device]
            of_node = np.repeat(np.arange(len(batch.n_node[device])), batch.n_node[device])
            edge_start = 0
            for slot, (graph, real) in enumerate(
                zip(batch.globals["graph"][device], batch.globals["mask"][device], strict=True)
            ):
                rows = np.flatnonzero((of_node == slot) & mask)
                count = batch.n_edge[device][slot]
                edges = slice(edge_start, edge_start + count)
                edge_start += count
                if slot == sampler.buckets.num_graphs:  # the spare slot of padded edges
                    assert not real and not rows.size
                    assert not batch.edges["mask"][device][edges].any()
                    assert not batch.edges["weight"][device][edges].any()
                    assert (batch.senders[device][edges] == sampler.buckets.num_rows).all()
                    continue
                wanted = GRAPHS[graph] if real else make_graphs((0,))[0]
                np.testing.assert_array_equal(x[rows], wanted.x)
                first = rows[0] if rows.size else 0
                np.testing.assert_array_equal(batch.senders[device][edges] - first, wanted.senders)
                np.testing.assert_array_equal(
                    batch.receivers[device][edges] - first, wanted.receivers
                )
                weights, self_weights = gcn_weights(
                    wanted.senders, wanted.receivers, wanted.num_nodes, wanted.edge_weight
                )
                np.testing.assert_allclose(batch.edges["weight"][device][edges], weights)
                np.testing.assert_allclose(batch.nodes["self_weight"][device][rows], self_weights)
            assert edge_start == batch.senders.shape[1]


def test_batches_are_functions_of_seed_and_step():
    union = unite(GRAPHS)
    one, same, other = (GraphSampler(union, batch_size=3, seed=seed) for seed in (1, 1, 2))
    one.batch(7)  # whatever was asked before
    for left, right in zip(one.batch(2).nodes.values(), same.batch(2).nodes.values(), strict=True):
        np.testing.assert_array_equal(left, right)
    orders = [[graphs_in(batch) for batch in epoch(sampler, 0)] for sampler in (one, other)]
    assert orders[0] != orders[1]
    assert [graphs_in(batch) for batch in epoch(one, 1)] != orders[0]


def test_the_order_of_the_set_is_there_for_embedding():
    sampler = GraphSampler(unite(GRAPHS), batch_size=4, seed=5)
    batches = [sampler.ordered(place) for place in range(sampler.num_batches)]
    assert sorted(g for batch in batches for g in graphs_in(batch)) == list(range(len(GRAPHS)))
    again = GraphSampler(unite(GRAPHS), batch_size=4, seed=6).ordered(1)
    np.testing.assert_array_equal(again.nodes["row"], batches[1].nodes["row"])


def test_jraph_takes_a_batch_for_its_own():
    import jraph

    batch = GraphSampler(unite(GRAPHS), batch_size=4).batch(0)
    graph = jraph.GraphsTuple(
        nodes={name: value[0] for name, value in batch.nodes.items()},
        edges={name: value[0] for name, value in batch.edges.items()},
        senders=batch.senders[0],
        receivers=batch.receivers[0],
        n_node=batch.n_node[0],
        n_edge=batch.n_edge[0],
        globals=None,
    )
    parts = jraph.unbatch_np(graph)
    sizes = [int(part.nodes["mask"].sum()) for part in parts[:-1]]
    assert sorted(filter(None, sizes)) == sorted(
        SIZES[graph] for graph in graphs_in(batch) if SIZES[graph]
    )
    for part in parts[:-1]:
        assert len(part.senders) in (0, 2, 2 * int(part.nodes["mask"].sum()))


@pytest.mark.parametrize("batch_size", [2, 5, 11])
def test_more_buckets_never_pad_more(batch_size):
    samplers = [
        GraphSampler(unite(GRAPHS), batch_size=batch_size, max_buckets=number)
        for number in (1, 2, 4, 8)
    ]
    padding = [sampler.padding for sampler in samplers]
    assert padding == sorted(padding, reverse=True)
    for sampler in samplers:
        rows = sum(batch.nodes["row"].shape[1] - 1 for batch in epoch(sampler, 0))
        real = sum(batch.nodes["mask"].sum() for batch in epoch(sampler, 0))
        assert real == sum(SIZES)
        np.testing.assert_allclose(sampler.padding, 1 - real / rows)


def test_buckets_are_the_cheapest_of_all():
    """Against every way to cut the sizes into at most three runs."""
    import itertools

    sizes = np.repeat([4, 8, 12, 20, 32], [7, 3, 5, 1, 2])
    buckets, num_batches = choose_buckets(sizes, batch_size=6, max_buckets=3)
    assert num_batches == 3
    unique, counts = np.unique(sizes, return_counts=True)
    costs = []
    for cuts in itertools.combinations(range(1, 5), 2):
        total = 0
        for part in np.split(np.arange(5), cuts):
            total += -(-counts[part].sum() // 3) * unique[part[-1]]
        costs.append(total)
    assert buckets.num_rows == min(costs)


def test_rows_split_into_slots():
    buckets = Buckets(sizes=(2, 3), counts=(2, 1))
    first, second = buckets.split(np.arange(8))
    np.testing.assert_array_equal(first, [[0, 1], [2, 3]])
    np.testing.assert_array_equal(second, [[4, 5, 6]])
    assert (buckets.num_rows, buckets.num_graphs) == (7, 3)


@pytest.mark.parametrize(("sizes", "batch_size"), [((3, 4, 5), 1), ((3,), 8)])
def test_a_batch_of_one_graph_has_nothing_to_contrast(sizes, batch_size):
    with pytest.raises(InputError, match="two graphs or more"):
        choose_buckets(sizes, batch_size=batch_size)
