"""What may be given to graphs: features, weights, nodes and sizes of every type and range."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.graphs import (
    diffuse,
    diffusion_matrix,
    gcn_weights,
    make_graph,
    padded_size,
    propagate,
    row_normalize,
    sparse_diffusion,
)
from mmix_jax.graphs.batches import choose_buckets
from mmix_jax.graphs.edits import draw_subgraph, induced_subgraph, make_triplets, replace_edges
from mmix_jax.graphs.neighbours import NeighbourTable
from mmix_jax.graphs.samplers import NodeSampler
from tests import number_types as types

SENDERS, RECEIVERS = np.array([0, 1, 1, 2, 4, 5]), np.array([1, 0, 2, 1, 5, 4])
ONES = np.ones(6)
EDGES = SENDERS, RECEIVERS

# Everything public that takes features or weights, as functions of features [6, 4], weights [6].
OF_VALUES = {
    "make_graph": lambda x, w: make_graph(x, *EDGES, w),
    "gcn_weights": lambda x, w: gcn_weights(*EDGES, 6, w),
    "propagate": lambda x, w: propagate(x, *EDGES, w, w),
    "row_normalize": lambda x, w: row_normalize(x),
    "ppr": lambda x, w: diffuse(x, *EDGES, edge_weight=w),
    "heat": lambda x, w: diffuse(x, *EDGES, edge_weight=w, kind="heat"),
    "dense": lambda x, w: diffusion_matrix(*EDGES, 6, edge_weight=w),
    "top_k": lambda x, w: sparse_diffusion(*EDGES, 6, edge_weight=w, top_k=2),
}


@functools.cache
def in_float32(name):
    return OF_VALUES[name](types.BITS.astype(np.float32), ONES.astype(np.float32))


@pytest.mark.parametrize("kind", types.VECTORS)
@pytest.mark.parametrize("name", OF_VALUES)
def test_values_of_every_type_on_the_host(name, kind):
    found = OF_VALUES[name](types.given(types.BITS, kind), types.given(ONES, kind))
    if kind == ">f8":  # NumPy's float64 stays
        found = jax.tree.map(np.float32, found)
        np.testing.assert_allclose(found[0], np.float32(in_float32(name)[0]), atol=2e-5)
    else:
        types.check_same(found, in_float32(name), kind)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", ["gcn_weights", "propagate", "row_normalize", "ppr"])
def test_values_of_every_type_in_jax(name, kind):
    values = [jnp.asarray(types.given(x, kind)) for x in (types.BITS, ONES)]
    wanted = OF_VALUES[name](*(value.astype(jnp.float32) for value in values))
    types.check_same(OF_VALUES[name](*values), wanted, kind)


@pytest.mark.parametrize("to", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_sums_in_half_precision_are_those_of_float32(to):
    """A bfloat16 sum of ones stops at 256; SciPy knows no float16, and a byte wraps at 256."""
    num = 1000
    senders, receivers = np.arange(1, num), np.zeros(num - 1, int)
    for dtype in (jnp.bfloat16, np.float16, np.uint8, np.float32):
        x = to(np.ones((num, 1), dtype))
        found = propagate(x, senders, receivers, np.ones(num - 1, dtype), None)
        np.testing.assert_allclose(np.float32(found[0, 0]), num - 1, rtol=4e-3)
        weights, own = gcn_weights(senders, receivers, num, to(np.ones(num - 1, dtype)))
        np.testing.assert_allclose(np.float32(own[0]), 1 / num, rtol=1e-2)
        assert weights.dtype == (np.float32 if dtype == np.uint8 else dtype)


def test_repeated_edges_are_summed_and_do_not_wrap():
    senders, receivers = np.zeros(600, np.uint8), np.ones(600, np.uint8)
    found = propagate(np.ones((2, 1), np.uint8), senders, receivers, np.ones(600, np.uint8), None)
    np.testing.assert_array_equal(found, [[0], [600]])


@pytest.mark.parametrize("kind", types.IDS)
def test_nodes_of_every_integer_type(kind):
    """Above 256 nodes: numbers of loops do not fit into the bytes that hold those of the edges."""
    num = 300
    draw = np.random.default_rng(0)
    x = draw.normal(size=(num, 3)).astype(np.float32)
    ours = tuple(types.given(ends, kind) for ends in EDGES)
    for call in (
        lambda s, r: make_graph(x, s, r),
        lambda s, r: gcn_weights(s, r, num),
        lambda s, r: propagate(x, s, r, ONES.astype(np.float32), np.ones(num, np.float32)),
        lambda s, r: propagate(jnp.asarray(x), s, r, ONES, np.ones(num, np.float32)),
        lambda s, r: diffuse(x, s, r),
        lambda s, r: diffuse(jnp.asarray(x), s, r),
        lambda s, r: diffusion_matrix(s, r, 40, kind="heat_elementwise"),
        lambda s, r: sparse_diffusion(s, r, num, top_k=3),
    ):
        types.check_same(call(*ours), call(*EDGES), "int32")


@pytest.mark.parametrize("kind", types.NO_IDS)
@pytest.mark.parametrize("to", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_nodes_that_are_no_integers_are_refused(kind, to):
    x, ids = to(types.BITS.astype(np.float32)), to(types.given(SENDERS, kind))
    for call in (
        lambda: make_graph(x, ids, RECEIVERS),
        lambda: gcn_weights(ids, to(RECEIVERS), 6),
        lambda: propagate(x, SENDERS, ids, ONES, None),
        lambda: diffuse(x, ids, RECEIVERS),
        lambda: sparse_diffusion(ids, RECEIVERS, 6),
    ):
        with pytest.raises(ValueError, match="integers, found ") as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [-1, 6, 2**31, 2**40])
@pytest.mark.parametrize("to", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_concrete_nodes_out_of_range_are_refused(wrong, to):
    if to is jnp.asarray and wrong >= 2**31:
        pytest.skip("jax has no such integers without x64")
    x, ids = to(types.BITS.astype(np.float32)), to(np.array([0, 1, 1, 2, 4, wrong]))
    for call in (
        lambda: make_graph(x, ids, RECEIVERS),
        lambda: gcn_weights(ids, to(RECEIVERS), 6),
        lambda: propagate(x, SENDERS, ids, ONES, None),
        lambda: diffuse(x, ids, RECEIVERS),
        lambda: sparse_diffusion(ids, RECEIVERS, 6),
    ):
        with pytest.raises(ValueError, match=rf"must lie in \[0, 6\), found {wrong}"):
            call()
    mask = np.arange(6) < 5
    assert np.isfinite(propagate(x, SENDERS, ids, ONES, None, edge_mask=mask)).all()


def test_traced_edges_out_of_range_carry_nothing():
    x = types.BITS.astype(np.float32)
    ends = np.append(SENDERS, [6, -1, 2, 3]), np.append(RECEIVERS, [1, 2, 6, -4])

    @jax.jit
    def both(senders, receivers):
        weights, own = gcn_weights(senders, receivers, 6)
        return weights, own, propagate(x, senders, receivers, weights, own)

    weights, own, found = both(*ends)
    wanted = gcn_weights(*EDGES, 6)
    np.testing.assert_allclose(weights, np.append(wanted[0], np.zeros(4)), rtol=1e-6)
    np.testing.assert_allclose(own, wanted[1], rtol=1e-6)
    np.testing.assert_allclose(found, propagate(x, *EDGES, *wanted), rtol=1e-6)


@pytest.mark.parametrize("to", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
@pytest.mark.parametrize("size", [1e-37, 1e-20, 1e30, 3e38])
def test_rows_of_every_size_are_normalised(to, size):
    x = to(np.float32([[1, -0.5, 1], [0, 0, 0], [0.25, 0, 0]]) * np.float32(size))
    np.testing.assert_allclose(
        row_normalize(x), [[0.4, -0.2, 0.4], [0, 0, 0], [1, 0, 0]], rtol=1e-6
    )


GRAPH = make_graph(np.ones((6, 2)), *EDGES)
WRONG = {
    "alpha": (lambda v: diffuse(np.ones((6, 2)), *EDGES, alpha=v), (np.float32(0), np.nan, True)),
    "t": (
        lambda v: diffusion_matrix(*EDGES, 6, kind="heat", t=v),
        (np.nan, np.inf, np.array(-1.0)),
    ),
    "tol": (lambda v: diffuse(np.ones((6, 2)), *EDGES, tol=v), (np.nan, True)),
    "self_loops": (lambda v: gcn_weights(*EDGES, 6, self_loops=v), (np.nan, -1, np.inf)),
    "num_nodes": (lambda v: gcn_weights(*EDGES, v), (6.0, True, -1, 2**31)),
    "top_k": (lambda v: sparse_diffusion(*EDGES, 6, top_k=v), (2.0, True, np.int64(0))),
    "epsilon": (lambda v: sparse_diffusion(*EDGES, 6, form="epsilon", epsilon=v), (np.nan, 0)),
    "block_size": (lambda v: sparse_diffusion(*EDGES, 6, block_size=v), (0, 2.0, True)),
    "size": (lambda v: draw_subgraph(GRAPH, v, np.random.default_rng(0)), (2.0, True)),
    "num": (lambda v: make_triplets([GRAPH], 5, num=v), (2.0, True, -1)),
    "n": (padded_size, (5.0, True)),
    "batch_size": (lambda v: NodeSampler(GRAPH, sampler="nodes", batch_size=v), (3.0, True, 1)),
    "num_devices": (lambda v: NodeSampler(GRAPH, num_devices=v), (0, 1.0, True)),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, v) for name, (_, values) in WRONG.items() for v in values], ids=str
)
def test_numbers_out_of_range_are_refused_in_one_line(name, value):
    with pytest.raises(ValueError, match=f"{name}.* found .*") as caught:
        WRONG[name][0](value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", [np.uint8, np.int64, np.array])
def test_sizes_of_every_form_are_taken(form):
    assert padded_size(form(200)) == padded_size(200)
    sizes = np.array([200, 130, 17, 120])
    wanted = choose_buckets(sizes, batch_size=2)
    assert choose_buckets(sizes.astype(np.uint8), batch_size=form(2)) == wanted
    types.check_same(sparse_diffusion(*EDGES, form(6), top_k=form(2)),
                     sparse_diffusion(*EDGES, 6, top_k=2), "int32")  # fmt: skip
    sampler = NodeSampler(GRAPH, sampler="nodes", batch_size=form(4), seed=form(1))
    wanted = NodeSampler(GRAPH, sampler="nodes", batch_size=4, seed=1)
    types.check_same(sampler.batch(0), wanted.batch(0), "int32")


def test_anchors_in_bytes_find_all_their_edges():
    num = 300
    graph = make_graph(np.ones((num, 1)), np.arange(num - 1), np.arange(1, num))
    table, anchors = NeighbourTable(graph), np.array([255, 3])
    types.check_same(table.cut(anchors.astype(np.uint8), 2), table.cut(anchors, 2), "int32")


@pytest.mark.parametrize("pairs", [[[-1, 0]], [[0, 6]], [[0.5, 1.0]]])
def test_edits_name_nodes_of_the_graph(pairs):
    with pytest.raises(ValueError, match="removed must"):
        replace_edges(GRAPH, pairs, [])
    with pytest.raises(ValueError, match="nodes must"):
        induced_subgraph(GRAPH, [*pairs[0], 1])


def test_infinite_weights_are_not_symmetric():
    with pytest.raises(ValueError, match="edge weights must be finite, found inf"):
        diffuse(np.ones((6, 2)), *EDGES, edge_weight=np.full(6, np.inf))


def test_graphs_past_32_bits_are_refused():
    with pytest.raises(ValueError, match="a graph has at most 2147483647 nodes"):
        make_graph(np.zeros((2**31, 0), np.float32), [0], [1])
