import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from mmix_jax.errors import InputError
from mmix_jax.graphs import make_graph
from mmix_jax.graphs.diffusion import (
    FEATURE_BLOCK,
    chebyshev_coefficients,
    diffuse,
    diffusion_matrix,
    sparse_diffusion,
)
from mmix_jax.graphs.normalize import propagate

pytestmark = pytest.mark.slow

KINDS = pytest.mark.parametrize("to", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
RESPONSES = pytest.mark.parametrize("kind", ["ppr", "heat"])
# Names of golden numbers, and the arguments they stand for.
GOLDEN = {
    "ppr_a0.2": {"alpha": 0.2},
    "ppr_a0.05": {"alpha": 0.05},
    "ppr_a0.2_noself": {"alpha": 0.2, "self_loops": 0.0},
}


def example(num_nodes=15, num_edges=30, dtype=np.float64):
    """An undirected weighted graph whose last node has no edge, and features."""
    rng = np.random.default_rng(1)
    ends = rng.integers(0, num_nodes - 1, (2, num_edges))
    graph = make_graph(np.ones((num_nodes, 1)), *ends, rng.uniform(0.2, 2, num_edges))
    x = rng.normal(size=(num_nodes, 3)).astype(dtype)
    return x, graph.senders, graph.receivers, graph.edge_weight.astype(dtype)


def dense_diffusion(senders, receivers, num_nodes, weight, kind, alpha=0.2, t=5.0):
    """f(Â) in JAX by dense operations, for gradients."""
    adjacency = jnp.zeros((num_nodes, num_nodes), weight.dtype).at[receivers, senders].add(weight)
    adjacency = adjacency + jnp.eye(num_nodes, dtype=weight.dtype)
    scale = adjacency.sum(axis=1) ** -0.5
    operator = scale[:, None] * adjacency * scale[None, :]
    identity = jnp.eye(num_nodes, dtype=weight.dtype)
    if kind == "ppr":
        return jnp.linalg.solve(identity - (1 - alpha) * operator, alpha * identity)

    def add_term(carry, k):
        total, term = carry
        return (total + term, t / (k + 1) * term @ operator), None

    carry = (jnp.zeros_like(identity), jnp.exp(-t) * identity)
    return jax.lax.scan(add_term, carry, jnp.arange(60.0))[0][0]


DTYPES = pytest.mark.parametrize(
    ("dtype", "tol", "tolerance"), [(np.float64, 1e-12, 1e-10), (np.float32, 1e-6, 1e-5)]
)


@pytest.mark.parametrize("name", GOLDEN)
@DTYPES
def test_diffusing_the_identity_on_the_host_gives_the_golden_ppr(case, name, dtype, tol, tolerance):
    if name in case.numbers:
        x = np.eye(case.num_nodes, dtype=dtype)
        out = diffuse(x, *case.edges, edge_weight=case.weight, tol=tol, **GOLDEN[name])
        assert isinstance(out, np.ndarray)
        assert out.dtype == dtype
        np.testing.assert_allclose(out, case.numbers[name], rtol=0, atol=tolerance)


def test_only_one_golden_number_is_missing(case):
    """Without loops the authors' PPR is not defined where a node is isolated."""
    missing = {name for name in GOLDEN if name not in case.numbers}
    isolated = (case.numbers["adj"].sum(axis=1) == 0).any()
    assert missing == ({"ppr_a0.2_noself"} if isolated else set())


@pytest.mark.parametrize("name", GOLDEN)
@DTYPES
def test_jax_gives_the_golden_ppr_of_graphs_side_by_side(
    side_by_side, name, dtype, tol, tolerance, x64
):
    case = side_by_side(name)
    x, weight = jnp.eye(case.num_nodes, dtype=dtype), jnp.asarray(case.weight)
    out = diffuse(x, *map(jnp.asarray, case.edges), edge_weight=weight, tol=tol, **GOLDEN[name])
    assert isinstance(out, jax.Array)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, case.numbers[name], rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [*GOLDEN.items(), ("heat_t5", {"kind": "heat_elementwise", "t": 5.0})],
)
def test_the_dense_matrix_is_the_golden_one(case, name, arguments):
    if name in case.numbers:
        out = diffusion_matrix(*case.edges, case.num_nodes, edge_weight=case.weight, **arguments)
        np.testing.assert_allclose(out, case.numbers[name], rtol=0, atol=1e-12)


@KINDS
@pytest.mark.parametrize("t", [0.0, 1.0, 5.0, 30.0])
def test_heat_is_the_matrix_exponential(make_case, naive_operator, to, t, x64):
    case = make_case("karate_weighted")
    operator = naive_operator(*case.edges, case.num_nodes, case.weight)
    exact = scipy.linalg.expm(-t * (np.eye(case.num_nodes) - operator))
    x = np.random.default_rng(0).normal(size=(case.num_nodes, 2))
    edges = to(case.senders), to(case.receivers)
    out = diffuse(to(x), *edges, edge_weight=to(case.weight), kind="heat", t=t, tol=1e-12)
    np.testing.assert_allclose(out, exact @ x, atol=1e-10)
    dense = diffusion_matrix(*case.edges, case.num_nodes, edge_weight=case.weight, kind="heat", t=t)
    np.testing.assert_allclose(dense, exact, atol=1e-13)


@RESPONSES
def test_the_dense_matrix_is_the_naive_series(kind, naive_operator):
    """Σ_k α (1 − α)^k Â^k, and e^{−t} Σ_k t^k Â^k / k!."""
    _, senders, receivers, weight = example()
    operator = naive_operator(senders, receivers, 15, weight)
    term, expected = np.eye(15), np.zeros((15, 15))
    for k in range(200):
        expected += term * (0.2 if kind == "ppr" else np.exp(-5.0))
        term = term @ operator * (0.8 if kind == "ppr" else 5.0 / (k + 1))
    out = diffusion_matrix(senders, receivers, 15, edge_weight=weight, kind=kind)
    np.testing.assert_allclose(out, expected, atol=1e-13)


def test_the_dense_matrix_of_directed_edges_moves_features_along_them():
    out = diffusion_matrix(np.array([0]), np.array([1]), 2, alpha=0.5)
    # Â = [[1, 0], [1/√2, 1/2]] with row sums 1 and 2; α (I − (1 − α) Â)^{-1} by hand.
    np.testing.assert_allclose(out, [[1, 0], [np.sqrt(2) / 3, 2 / 3]], atol=1e-15)


@RESPONSES
@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-9])
def test_the_error_of_every_column_is_within_tol_times_its_norm(kind, tol):
    x, senders, receivers, weight = example()
    x = x * [1e-3, 1, 1e3]
    exact = diffusion_matrix(senders, receivers, 15, edge_weight=weight, kind=kind) @ x
    out = diffuse(x, senders, receivers, edge_weight=weight, kind=kind, tol=tol)
    error = np.linalg.norm(out - exact, axis=0) / np.linalg.norm(x, axis=0)
    assert (error <= tol).all()
    assert (error > 0).all()


def response(kind, alpha, t, s):
    return alpha / (1 - (1 - alpha) * s) if kind == "ppr" else np.exp(-t * (1 - s))


@RESPONSES
@pytest.mark.parametrize(("alpha", "t"), [(1.0, 0.0), (0.2, 5.0), (0.05, 60.0)])
def test_coefficients_are_those_of_numpy_s_interpolation(kind, alpha, t):
    out = chebyshev_coefficients(kind, alpha, t, tol=1e-12)
    expected = np.polynomial.chebyshev.chebinterpolate(lambda s: response(kind, alpha, t, s), 250)
    np.testing.assert_allclose(out, expected[: len(out)], atol=1e-14)


@RESPONSES
@pytest.mark.parametrize("tol", [0.5, 1e-5, 1e-12])
@pytest.mark.parametrize(("alpha", "t"), [(1.0, 0.0), (0.2, 5.0), (0.001, 500.0)])
def test_the_error_of_the_series_is_within_tol_also_near_one(kind, tol, alpha, t):
    grid = np.cos(np.linspace(0, np.pi, 2001))
    out = np.polynomial.chebyshev.chebval(grid, chebyshev_coefficients(kind, alpha, t, tol))
    assert np.abs(out - response(kind, alpha, t, grid)).max() <= tol + 1e-13


def test_the_number_of_terms_follows_tol():
    lengths = [len(chebyshev_coefficients(tol=tol)) for tol in (1e-2, 1e-5, 1e-12)]
    assert lengths == sorted(lengths)
    assert 15 <= lengths[1] <= 20
    assert len(chebyshev_coefficients("ppr", alpha=1.0)) == 2  # f = 1: nothing to do


@RESPONSES
def test_gradients_equal_those_through_the_dense_matrix(kind, x64):
    x, senders, receivers, weight = example()
    cotangent = np.random.default_rng(2).normal(size=x.shape)

    def sparse_loss(x, weight):
        out = diffuse(x, senders, receivers, edge_weight=weight, kind=kind, tol=1e-13)
        return (jnp.tanh(out) * cotangent).sum()

    def dense_loss(x, weight):
        return (
            jnp.tanh(dense_diffusion(senders, receivers, 15, weight, kind) @ x) * cotangent
        ).sum()

    actual = jax.jit(jax.grad(sparse_loss, argnums=(0, 1)))(x, weight)
    expected = jax.jit(jax.grad(dense_loss, argnums=(0, 1)))(x, weight)
    for got, want in zip(actual, expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-10)


@RESPONSES
def test_traced_edges_give_the_same(kind):
    x, senders, receivers, weight = example(dtype=np.float32)
    traced = jax.jit(lambda x, s, r, w: diffuse(x, s, r, edge_weight=w, kind=kind))
    expected = diffuse(x, senders, receivers, edge_weight=weight, kind=kind)
    np.testing.assert_allclose(traced(x, senders, receivers, weight), expected, atol=2e-6)


def test_concrete_edges_are_checked_while_features_are_traced():
    with pytest.raises(InputError, match="needs symmetric edges, found 0 -> 1"):
        jax.jit(lambda x: diffuse(x, np.array([0]), np.array([1])))(np.ones((2, 1), np.float32))


@KINDS
@RESPONSES
def test_the_root_of_the_degrees_is_left_as_it_is(to, kind, x64):
    """√d is the eigenvector of Â with eigenvalue 1, and f(1) = 1."""
    _, senders, receivers, weight = example()
    x = np.sqrt(np.bincount(receivers, weight, minlength=15) + 1)[:, None]
    out = diffuse(to(x), to(senders), to(receivers), edge_weight=to(weight), kind=kind, tol=1e-12)
    np.testing.assert_allclose(out, x, atol=1e-11)


@KINDS
def test_permuting_nodes_permutes_the_result(to, x64):
    x, senders, receivers, weight = example()
    order = np.random.default_rng(3).permutation(15)
    place = np.argsort(order)
    expected = diffuse(to(x), to(senders), to(receivers), edge_weight=to(weight))
    edges = to(place[senders]), to(place[receivers])
    actual = diffuse(to(x[order]), *edges, edge_weight=to(weight))
    np.testing.assert_allclose(actual, np.asarray(expected)[order], atol=1e-13)


def padded_example():
    """The example with two nodes and three edges more, and the mask that hides these edges."""
    x, senders, receivers, weight = example()
    ends = np.append(senders, [0, 14, 15]), np.append(receivers, [14, 0, 3])
    mask = np.arange(len(weight) + 3) < len(weight)
    return np.vstack([x, np.ones((2, 3))]), *ends, np.append(weight, [3.0, 4.0, 5.0]), mask


def test_padding_changes_nothing_on_the_host():
    x, senders, receivers, weight = example()
    padded_x, *ends, padded_weight, mask = padded_example()
    out = diffuse(padded_x, *ends, edge_weight=padded_weight, edge_mask=mask)
    expected = diffuse(x, senders, receivers, edge_weight=weight)
    np.testing.assert_allclose(out[:15], expected, atol=1e-14)


def test_padding_changes_neither_values_nor_gradients(x64):
    x, senders, receivers, weight = example()
    padded_x, *ends, padded_weight, mask = padded_example()

    def loss(x, weight, senders, receivers, mask):
        out = diffuse(x, senders, receivers, edge_weight=weight, edge_mask=mask)[:15]
        return (out**2).sum(), out

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    expected, value = gradient(x, weight, senders, receivers, None)
    actual, padded_value = gradient(padded_x, padded_weight, *ends, mask)
    np.testing.assert_allclose(padded_value, value, atol=1e-14)
    np.testing.assert_allclose(actual[0], np.vstack([expected[0], np.zeros((2, 3))]), atol=1e-13)
    np.testing.assert_allclose(actual[1], np.append(expected[1], np.zeros(3)), atol=1e-13)


@KINDS
def test_a_node_without_edges_keeps_its_features_or_is_scaled_by_f_of_zero(to, x64):
    edges = to(np.array([0, 1])), to(np.array([1, 0]))
    x = to(np.array([[1.0], [2.0], [3.0]]))
    assert diffuse(x, *edges, tol=1e-12)[2, 0] == pytest.approx(3, abs=1e-11)
    without = diffuse(x, *edges, tol=1e-12, self_loops=0.0)
    assert without[2, 0] == pytest.approx(0.2 * 3, abs=1e-11)


@KINDS
def test_a_graph_without_edges_keeps_its_features(to):
    edges = to(np.zeros(0, np.int32)), to(np.zeros(0, np.int32))
    x = to(np.ones((3, 2), np.float32))
    np.testing.assert_allclose(diffuse(x, *edges, tol=1e-6), x, atol=2e-6)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_host_works_in_blocks_of_columns(order):
    _, senders, receivers, _ = example()
    x = np.random.default_rng(0).normal(size=(15, 2 * FEATURE_BLOCK + 5)).astype(np.float32)
    out = diffuse(np.asarray(x, order=order), senders, receivers)
    for column in (0, FEATURE_BLOCK, 2 * FEATURE_BLOCK + 4):
        alone = diffuse(x[:, column, None], senders, receivers)
        np.testing.assert_allclose(out[:, column, None], alone, atol=1e-6)


def test_memory_stays_far_below_a_dense_matrix():
    rng = np.random.default_rng(0)
    graph = make_graph(np.ones((4000, 100)), *rng.integers(0, 4000, (2, 8000)))
    dense_size = 4000 * 4000 * 4

    def peak(call):
        tracemalloc.start()
        call()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    edges = graph.senders, graph.receivers
    assert peak(lambda: diffuse(graph.x, *edges)) < dense_size / 5
    sparse = {"top_k": 4, "block_size": 64, "tol": 1e-2}
    assert peak(lambda: sparse_diffusion(*edges, 4000, **sparse)) < dense_size / 5


def naive_sparse(matrix, form, top_k, epsilon):
    out = np.zeros_like(matrix)
    for j in range(len(matrix)):
        column = sorted(range(len(matrix)), key=lambda i: (-matrix[i, j], i))
        kept = column[:top_k] if form == "top_k" else [i for i in column if matrix[i, j] >= epsilon]
        for i in kept:
            out[i, j] = matrix[i, j] / sum(matrix[k, j] for k in kept)
    return out


@RESPONSES
@pytest.mark.parametrize(
    ("form", "top_k", "epsilon"), [("top_k", 3, 0), ("top_k", 500, 0), ("epsilon", 0, 0.03)]
)
def test_sparse_diffusion_is_the_dense_one_cut_and_renormalised(
    make_case, kind, form, top_k, epsilon
):
    case = make_case("karate_weighted")
    dense = diffusion_matrix(*case.edges, case.num_nodes, edge_weight=case.weight, kind=kind)
    expected = naive_sparse(dense, form, top_k, epsilon)
    senders, receivers, weights = sparse_diffusion(
        *case.edges,
        case.num_nodes,
        edge_weight=case.weight,
        kind=kind,
        form=form,
        top_k=max(top_k, 1),
        epsilon=max(epsilon, 1e-9),
        tol=1e-12,
        block_size=10,
    )
    assert senders.dtype == receivers.dtype == np.int32
    assert (np.diff(receivers * 34 + senders) > 0).all()  # sorted by (receiver, sender)
    out = propagate(np.eye(34), senders, receivers, weights, None)
    np.testing.assert_allclose(out, expected, atol=1e-10)
    np.testing.assert_allclose(np.bincount(senders, weights), np.ones(34), atol=1e-13)


@pytest.mark.parametrize("block_size", [1, 5, 100])
def test_ties_are_kept_by_lowest_receiver_whatever_the_block(make_case, block_size):
    star = make_case("star6")
    senders, receivers, weights = sparse_diffusion(*star.edges, 6, top_k=3, block_size=block_size)
    # The hub keeps itself and its first two leaves; a leaf itself, the hub and the first other.
    assert receivers[senders == 0].tolist() == [0, 1, 2]
    assert receivers[senders == 1].tolist() == [0, 1, 2]
    assert receivers[senders == 5].tolist() == [0, 1, 5]
    assert weights.dtype == np.float32


def test_an_isolated_node_sends_to_itself_only(make_case):
    case = make_case("path5_plus_isolated")
    senders, receivers, weights = sparse_diffusion(*case.edges, case.num_nodes, top_k=4)
    isolated = int(np.flatnonzero(case.numbers["adj"].sum(axis=1) == 0)[0])
    assert receivers[senders == isolated].tolist() == [isolated]
    assert weights[senders == isolated] == 1


def test_a_column_below_epsilon_stays_empty(make_case):
    star = make_case("star6")  # the hub's own entry is 0.47, a leaf's 0.40
    edges = sparse_diffusion(*star.edges, 6, form="epsilon", epsilon=0.45)
    assert [part.tolist() for part in edges] == [[0], [0], [1]]


def edge(x=None):
    return np.ones((2, 1), np.float32) if x is None else x, np.array([0, 1]), np.array([1, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diffuse(*edge(), kind="katz"), "unknown diffusion kind 'katz'; .* heat, ppr"),
        (lambda: diffuse(*edge(), kind="heat_elementwise"), "only as a dense matrix"),
        (lambda: diffuse(*edge(), alpha=0.0), r"alpha of ppr must lie in \(0, 1\], found 0.0"),
        (lambda: diffuse(*edge(), alpha=1.5), r"alpha of ppr must lie in \(0, 1\], found 1.5"),
        (lambda: diffuse(*edge(), kind="heat", t=-1.0), "t of heat must be finite and at least 0"),
        (lambda: diffuse(*edge(), tol=-1.0), "must reach tol=-1.0 within"),
        (lambda: diffuse(*edge(), alpha=1e-9), "alpha=1e-09 must reach tol=1e-05 within"),
        (lambda: diffuse(*edge(np.ones((2, 1), complex))), "x must be an array of real numbers"),
        (
            lambda: diffuse(edge()[0], np.array([1]), np.array([0])),
            "needs symmetric edges, found 1 -> 0 without an equal reverse",
        ),
        (
            lambda: diffuse(*map(jnp.asarray, (edge()[0], [1], [0]))),
            "needs symmetric edges, found 1 -> 0 without an equal reverse",
        ),
        (
            lambda: diffuse(*edge(), edge_weight=np.array([1.0, 2.0])),
            "needs symmetric edges, found 1 -> 0 without an equal reverse",
        ),
        (
            lambda: diffuse(*edge(), edge_weight=np.array([-1.0, -1.0]), self_loops=3.0),
            "edge weights must be non-negative, found -1.0",
        ),
        (
            lambda: sparse_diffusion(np.array([1]), np.array([0]), 2),
            "needs symmetric edges, found 1 -> 0",
        ),
        (lambda: sparse_diffusion(*edge()[1:], 2, form="knn"), "unknown sparse form 'knn'"),
        (lambda: sparse_diffusion(*edge()[1:], 2, top_k=0), "top_k must be at least 1, found 0"),
        (
            lambda: sparse_diffusion(*edge()[1:], 2, form="epsilon", epsilon=0.0),
            "epsilon must be positive, found 0.0",
        ),
        (lambda: diffusion_matrix(*edge()[1:], 2, kind="katz"), "unknown diffusion kind 'katz'"),
        (lambda: diffusion_matrix(*edge()[1:], 2, alpha=0.0), "alpha of ppr"),
        (
            lambda: diffusion_matrix(*edge()[1:], 2, kind="heat_elementwise", t=-1.0),
            "t of heat must be finite",
        ),
    ],
)
def test_bad_input_is_told_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, InputError) or "real numbers" in message
