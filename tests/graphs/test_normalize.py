import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.graphs.normalize import (
    check_symmetric,
    gcn_weights,
    propagate,
    row_normalize,
    sparse_operator,
)

pytestmark = pytest.mark.slow

KINDS = pytest.mark.parametrize("to", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
DTYPES = pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-6)])
# Names of golden numbers, and the weight of self-loops they have.
GOLDEN = {"normadj": 1.0, "normadj_noself": 0.0, "normadj_loader": 2.0}


def example(dtype=np.float64, num_nodes=12, num_edges=30):
    """Directed weighted edges with repeats; the last node has none."""
    rng = np.random.default_rng(1)
    senders, receivers = rng.integers(0, num_nodes - 1, (2, num_edges))
    weight = rng.uniform(0.2, 2, num_edges).astype(dtype)
    return rng.normal(size=(num_nodes, 3)).astype(dtype), senders, receivers, weight


def dense(senders, receivers, num_nodes, weight, self_loops=1.0):
    """Â in JAX by dense operations, for gradients."""
    adjacency = jnp.zeros((num_nodes, num_nodes), weight.dtype).at[receivers, senders].add(weight)
    adjacency = adjacency + self_loops * jnp.eye(num_nodes, dtype=weight.dtype)
    scale = adjacency.sum(axis=1) ** -0.5
    return scale[:, None] * adjacency * scale[None, :]


def operator_of(case, to, dtype, self_loops):
    """Â of a golden graph, by propagating the identity."""
    edges = to(case.senders), to(case.receivers)
    weight = to(case.weight.astype(dtype))
    weights = gcn_weights(*edges, case.num_nodes, weight, self_loops=self_loops)
    operator = propagate(to(np.eye(case.num_nodes, dtype=dtype)), *edges, *weights)
    assert weights[0].dtype == weights[1].dtype == operator.dtype == dtype
    assert isinstance(operator, np.ndarray if to is np.asarray else jax.Array)
    return operator


@DTYPES
@pytest.mark.parametrize("name", GOLDEN)
def test_the_host_gives_the_golden_operator(case, name, dtype, tolerance):
    operator = operator_of(case, np.asarray, dtype, GOLDEN[name])
    np.testing.assert_allclose(operator, case.numbers[name], rtol=0, atol=tolerance)


@DTYPES
@pytest.mark.parametrize("name", GOLDEN)
def test_jax_gives_the_golden_operator_of_graphs_side_by_side(
    side_by_side, name, dtype, tolerance, x64
):
    case = side_by_side(name)
    operator = operator_of(case, jnp.asarray, dtype, GOLDEN[name])
    np.testing.assert_allclose(operator, case.numbers[name], rtol=0, atol=tolerance)


@KINDS
@pytest.mark.parametrize("self_loops", [0.0, 1.0, 2.0])
def test_propagate_equals_naive_loops_on_directed_edges(to, self_loops, naive_operator, x64):
    x, senders, receivers, weight = example()
    expected = np.zeros_like(x)
    operator = naive_operator(senders, receivers, len(x), weight, self_loops)
    for i in range(len(x)):
        for j in range(len(x)):
            expected[i] += operator[i, j] * x[j]
    edges = to(senders), to(receivers)
    weights = gcn_weights(*edges, len(x), to(weight), self_loops=self_loops)
    np.testing.assert_allclose(propagate(to(x), *edges, *weights), expected, atol=1e-13)


def test_gradients_of_features_and_weights_equal_the_dense_ones(x64):
    x, senders, receivers, weight = example()
    cotangent = np.random.default_rng(2).normal(size=x.shape)

    def sparse_loss(x, weight):
        weights = gcn_weights(senders, receivers, len(x), weight)
        return (jnp.tanh(propagate(x, senders, receivers, *weights)) * cotangent).sum()

    def dense_loss(x, weight):
        return (jnp.tanh(dense(senders, receivers, len(x), weight) @ x) * cotangent).sum()

    actual = jax.jit(jax.grad(sparse_loss, argnums=(0, 1)))(x, weight)
    expected = jax.jit(jax.grad(dense_loss, argnums=(0, 1)))(x, weight)
    for got, want in zip(actual, expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)


def masked_run(x, weight, senders, receivers, mask):
    weights = gcn_weights(senders, receivers, len(x), weight, edge_mask=mask)
    # Whatever stands on masked edges, the product must leave it out too.
    junk = weights[0] if mask is None else weights[0] + 5.0 * ~mask
    return propagate(x, senders, receivers, junk, weights[1], edge_mask=mask)


def masked_example():
    """The example with three edges more, between real nodes, and the mask that hides them."""
    x, senders, receivers, weight = example()
    mask = np.arange(len(weight) + 3) < len(weight)
    ends = np.append(senders, [11, 3, 0]), np.append(receivers, [0, 3, 11])
    return x, np.append(weight, [7.0, 8.0, 9.0]), *ends, mask


def test_masked_edges_change_nothing_on_the_host():
    x, senders, receivers, weight = example()
    expected = masked_run(x, weight, senders, receivers, None)
    np.testing.assert_allclose(masked_run(*masked_example()), expected, atol=1e-14)


def test_masked_edges_change_neither_values_nor_gradients(x64):
    x, senders, receivers, weight = example()

    def loss(*arguments):
        out = masked_run(*arguments)
        return (out**2).sum(), out

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    expected, value = gradient(x, weight, senders, receivers, None)
    actual, masked_value = gradient(*masked_example())
    np.testing.assert_allclose(masked_value, value, atol=1e-14)
    np.testing.assert_allclose(actual[0], expected[0], atol=1e-13)
    np.testing.assert_allclose(actual[1], np.append(expected[1], np.zeros(3)), atol=1e-13)


@KINDS
def test_permuting_nodes_permutes_the_result(to, x64):
    x, senders, receivers, weight = example()
    order = np.random.default_rng(3).permutation(len(x))
    place = np.argsort(order)
    shuffle = np.random.default_rng(4).permutation(len(weight))

    def run(x, senders, receivers, weight):
        edges = to(senders), to(receivers)
        return propagate(to(x), *edges, *gcn_weights(*edges, len(x), to(weight)))

    expected = run(x, senders, receivers, weight)[order]
    actual = run(x[order], place[senders][shuffle], place[receivers][shuffle], weight[shuffle])
    np.testing.assert_allclose(actual, expected, atol=1e-14)


@KINDS
def test_nodes_without_edges_keep_themselves_or_vanish_without_loops(to):
    edges = to(np.array([0, 1])), to(np.array([1, 0]))
    x = to(np.ones((3, 2), np.float32))
    np.testing.assert_array_equal(propagate(x, *edges, *gcn_weights(*edges, 3))[2], [1, 1])
    without = propagate(x, *edges, *gcn_weights(*edges, 3, self_loops=0.0))
    np.testing.assert_array_equal(without, [[1, 1], [1, 1], [0, 0]])


@KINDS
def test_a_graph_without_edges(to):
    edges = to(np.zeros(0, np.int32)), to(np.zeros(0, np.int32))
    x = to(np.ones((3, 2), np.float32))
    np.testing.assert_array_equal(propagate(x, *edges, *gcn_weights(*edges, 3)), x)


def test_the_gradient_of_an_unconnected_node_is_finite():
    edges = np.array([0, 1]), np.array([1, 0])

    def loss(weight):
        return gcn_weights(*edges, 3, weight, self_loops=0.0)[0].sum()

    assert np.isfinite(jax.grad(loss)(jnp.zeros(2))).all()


@KINDS
def test_no_self_weights_means_no_own_term(to):
    x, senders, receivers, weight = example(np.float32)
    out = propagate(to(x), to(senders), to(receivers), to(weight), None)
    zeros = to(np.zeros(len(x), np.float32))
    expected = propagate(to(x), to(senders), to(receivers), to(weight), zeros)
    np.testing.assert_allclose(out, expected, atol=1e-6)


@KINDS
def test_bag_of_words_rows_are_normalised_as_the_authors_do(to, golden, x64):
    out = row_normalize(to(golden["feat"]))
    np.testing.assert_allclose(out, golden["feat_preprocessed"], atol=1e-15)


@KINDS
def test_rows_have_l1_norm_one_or_zero(to):
    x = np.random.default_rng(5).normal(size=(6, 4)).astype(np.float32)
    x[2] = 0
    out = row_normalize(to(x))
    assert out.dtype == np.float32
    np.testing.assert_allclose(np.abs(out).sum(axis=1), [1, 1, 0, 1, 1, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x, s, r, w: propagate(x.astype(complex), s, r, w, None),
            "x must be .* real numbers",
        ),
        (lambda x, s, r, w: propagate(x[:, 0], s, r, w, None), "x must be .* of rank 2"),
        (lambda x, s, r, w: propagate(x, s, r, w[1:], None), "senders and weights"),
        (lambda x, s, r, w: propagate(x, s, r[1:], w, None), "senders and receivers"),
        (lambda x, s, r, w: gcn_weights(s, r, 12, w[1:]), "senders and edge_weight"),
        (lambda x, s, r, w: gcn_weights(s, r, 12, w.astype(str)), "edge_weight must be .* real"),
        (lambda x, s, r, w: gcn_weights(s, r, 12, edge_mask=w[:2] > 0), "senders and edge_mask"),
        (lambda x, s, r, w: row_normalize(x.astype(complex)), "x must be .* real numbers"),
    ],
)
def test_wrong_shapes_and_dtypes_are_told_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call(*example())
    assert "\n" not in str(caught.value)


def test_symmetry_forgives_rounding_and_nothing_more():
    edges = np.array([0, 1, 1, 2]), np.array([1, 0, 2, 1])
    check_symmetric(*edges, np.array([0.1, 0.1 + 1e-9, 3.0, 3.0]), num_nodes=3)
    with pytest.raises(InputError, match="found 2 -> 1 without an equal reverse"):
        check_symmetric(*edges, np.array([0.1, 0.1, 3.0, 3.1]), num_nodes=3)
    with pytest.raises(InputError, match="found 0 -> 1 without an equal reverse"):
        check_symmetric(edges[0][:1], edges[1][:1], num_nodes=3)
    check_symmetric(edges[0][:3], edges[1][:3], None, np.array([1, 1, 0]) > 0, num_nodes=3)
    with pytest.raises(InputError, match="must be non-negative, found nan"):
        check_symmetric(*edges, np.array([1.0, 1.0, np.nan, 2.0]), num_nodes=3)


def test_row_i_of_the_sparse_operator_is_what_receiver_i_collects():
    operator = sparse_operator([2], [0], [5.0], np.array([1.0, 2.0, 3.0]), 3, np.float64)
    np.testing.assert_array_equal(operator.toarray(), [[1, 0, 5], [0, 2, 0], [0, 0, 3]])
