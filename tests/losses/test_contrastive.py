"""Equations 9 to 11 and i-mix's loss, dense and streamed, against the loops."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import losses

pytestmark = pytest.mark.slow

NUM, DIM = 7, 3
MASK = np.array([True, True, False, True, True, True, False])
SEGMENTS = np.array([4, 0, 0, 4, 9, 0, 9])  # unsorted, with gaps; 9 is one real row alone
COEFFICIENTS = np.array([0.1, 0.9, 0.5, 1.0, 0.0, 0.3, 0.7])
PARTNERS = np.array([3, 5, 2, 0, 1, 4, 6])  # a permutation that moves real rows among themselves


class Case(NamedTuple):
    """A loss with its options."""

    loss: str
    negatives: str
    temperature: float
    masked: bool
    segmented: bool

    def __str__(self) -> str:
        marks = ("mask",) * self.masked + ("segments",) * self.segmented
        return "-".join((self.loss, self.negatives, *marks))

    @property
    def options(self) -> dict[str, Any]:
        options = {"negatives": self.negatives, "temperature": self.temperature}
        masks = {"mask": MASK} if self.masked else {}
        return options | masks | ({"segments": SEGMENTS} if self.segmented else {})

    @property
    def arguments(self) -> tuple:
        return (COEFFICIENTS, PARTNERS) if self.loss == "virtual_labels" else ()


CASES = (
    Case("info_nce", "full", 1.0, False, False),
    Case("info_nce", "full", 0.7, True, True),
    Case("info_nce", "cross", 0.5, True, True),
    Case("virtual_labels", "full", 0.4, True, False),
    Case("info_nce", "full", 0.4, True, False),
    Case("anchor_info_nce", "full", 0.7, True, True),
    Case("virtual_labels", "cross", 1.0, False, False),
)
STREAMED = CASES[:4]
IN_FLOAT32 = CASES[1:3]
FORMS = [(case, None) for case in CASES] + [(case, 3) for case in STREAMED]


def make_views(seed=0):
    draws = np.random.default_rng(seed)
    return draws.normal(size=(NUM, DIM)), draws.normal(size=(NUM, DIM))


def library_loss(case, u, v, **options):
    arguments = [jnp.asarray(argument) for argument in case.arguments]
    arrays = {name: value for name, value in case.options.items() if isinstance(value, np.ndarray)}
    options |= case.options | {name: jnp.asarray(value) for name, value in arrays.items()}
    return getattr(losses, case.loss)(u, v, *arguments, **options)


def naive_loss(case, u, v):
    return getattr(naive, case.loss)(u, v, *case.arguments, **case.options)


def name_of(value):
    return "streamed" if value == 3 else "dense" if value is None else str(value)


@functools.cache
def outcome(case, block_size, dtype):
    """The loss and its gradients by u and v."""
    u, v = (view.astype(dtype) for view in make_views())
    loss = functools.partial(library_loss, case, block_size=block_size)
    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(u, v)


@functools.cache
def naive_outcome(case):
    u, v = make_views()
    gradient_u = naive.numerical_gradient(lambda u: naive_loss(case, u, v), u)
    gradient_v = naive.numerical_gradient(lambda v: naive_loss(case, u, v), v)
    return naive_loss(case, u, v), (gradient_u, gradient_v)


@pytest.mark.parametrize(("case", "block_size"), FORMS, ids=name_of)
def test_value_and_gradient_match_the_loops(x64, case, block_size):
    value, gradients = outcome(case, block_size, np.float64)
    expected, expected_gradients = naive_outcome(case)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for gradient, numerical in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, numerical, atol=1e-9)
        if case.masked:
            np.testing.assert_array_equal(gradient[~MASK], 0.0)


@pytest.mark.parametrize("block_size", [None, 3], ids=name_of)
@pytest.mark.parametrize("case", IN_FLOAT32, ids=str)
def test_float32_stays_float32(case, block_size):
    value, gradients = outcome(case, block_size, np.float32)
    assert value.dtype == gradients[0].dtype == gradients[1].dtype == jnp.float32
    expected, expected_gradients = naive_outcome(case)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for gradient, numerical in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, numerical, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", STREAMED, ids=str)
def test_jit_equals_no_jit(x64, case):
    u, v = map(jnp.asarray, make_views())
    expected = outcome(case, None, np.float64)[0]
    np.testing.assert_allclose(library_loss(case, u, v), expected, rtol=1e-12)


@pytest.mark.parametrize("block_size", [1, 7, 64])
def test_any_block_size_gives_the_dense_numbers(x64, block_size):
    value, gradients = outcome(CASES[1], None, np.float64)
    streamed_value, streamed_gradients = outcome(CASES[1], block_size, np.float64)
    np.testing.assert_allclose(streamed_value, value, rtol=1e-12)
    np.testing.assert_allclose(streamed_gradients, gradients, atol=1e-13)


def test_permuting_the_pairs_changes_nothing(x64):
    u, v = make_views()
    order = np.array([4, 6, 0, 3, 5, 1, 2])
    loss = jax.jit(functools.partial(losses.info_nce, temperature=0.4))
    permuted = loss(jnp.asarray(u[order]), jnp.asarray(v[order]), segments=SEGMENTS[order])
    np.testing.assert_allclose(permuted, loss(u, v, segments=SEGMENTS), rtol=1e-12)


@pytest.mark.parametrize("block_size", [None, 3], ids=name_of)
def test_any_integers_serve_as_segment_ids(x64, block_size):
    u, v = make_views()
    loss = jax.jit(functools.partial(losses.info_nce, block_size=block_size))
    expected = naive.info_nce(u, v, segments=SEGMENTS)
    np.testing.assert_allclose(loss(u, v, segments=SEGMENTS - 4), expected, rtol=1e-12)


def test_exchanging_the_views_changes_nothing(x64):
    u, v = make_views()
    loss = jax.jit(functools.partial(losses.info_nce, temperature=0.4))
    np.testing.assert_allclose(loss(u, v), loss(v, u), rtol=1e-12)


@pytest.mark.parametrize("block_size", [None, 2])
@pytest.mark.parametrize(("negatives", "others"), [("full", 2), ("cross", 1)])
def test_closed_forms(x64, negatives, others, block_size):
    """Equal vectors: log of the number of terms. Orthonormal pairs: every negative is e^0."""
    num, temperature = 5, 0.4
    loss = jax.jit(
        functools.partial(
            losses.info_nce, temperature=temperature, negatives=negatives, block_size=block_size
        )
    )
    np.testing.assert_allclose(
        loss(np.ones((num, 5)), np.ones((num, 5))), math.log(others * num - others + 1)
    )
    positive = math.exp(1 / temperature)
    expected = math.log(positive + others * (num - 1)) - 1 / temperature
    np.testing.assert_allclose(loss(np.eye(num), 3 * np.eye(num)), expected)


@pytest.mark.parametrize("block_size", [None, 4])
def test_one_pair_alone_has_loss_zero(block_size):
    u, v = jnp.ones((1, 2)), jnp.array([[1.0, -1.0]])
    assert abs(losses.info_nce(u, v, block_size=block_size)) < 1e-6


@pytest.mark.parametrize("block_size", [None, 3])
def test_no_real_row_at_all_has_loss_zero(block_size):
    u, v = make_views()
    mask = jnp.zeros(NUM, bool)
    loss = functools.partial(losses.info_nce, mask=mask, block_size=block_size)
    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(u), jnp.asarray(v))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0.0)


def test_is_the_nt_xent_of_all_vectors(x64):
    """Cross entropy over the 2N vectors [u; v] with the diagonal left out."""
    u, v = make_views()
    w = naive.normalise(np.concatenate([u, v]))
    powers = np.exp(w @ w.T / 0.4)
    np.fill_diagonal(powers, 0.0)
    pairs = np.concatenate([np.arange(NUM) + NUM, np.arange(NUM)])
    expected = -np.mean(np.log(powers[np.arange(2 * NUM), pairs] / powers.sum(axis=1)))
    value = jax.jit(functools.partial(losses.info_nce, temperature=0.4))(u, v)
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_graph_objective_is_anchors_of_graphs_plus_nodes_within(x64):
    """Equation 11 from its two functions."""
    z_a, z_b = make_views()
    h_a, h_b = (
        np.stack([z[(s == SEGMENTS) & MASK].mean(axis=0) for s in (0, 4, 9)]) for z in make_views()
    )
    expected = naive.graph_objective(h_a, h_b, z_a, z_b, SEGMENTS, MASK)

    @jax.jit
    def total(h_a, h_b, z_a, z_b):
        nodes = losses.info_nce(z_a, z_b, mask=jnp.asarray(MASK), segments=jnp.asarray(SEGMENTS))
        return losses.anchor_info_nce(h_a, h_b) + nodes

    np.testing.assert_allclose(total(h_a, h_b, z_a, z_b), expected, rtol=1e-12)


def test_virtual_labels_of_unmixed_inputs_are_the_anchors_loss(x64):
    u, v = map(jnp.asarray, make_views())
    value = losses.virtual_labels(u, v, jnp.ones(NUM), jnp.asarray(PARTNERS), temperature=0.4)
    np.testing.assert_allclose(value, losses.anchor_info_nce(u, v, temperature=0.4), rtol=1e-12)


def as_they_are(u, v, temperature):
    """The loss of vectors that are not normalised, in float64."""
    w = np.concatenate([u, v]).astype(np.float64)
    scores = w @ w.T / temperature
    np.fill_diagonal(scores, -np.inf)
    top = scores.max(axis=1)
    lse = np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top
    num = len(u)
    positives = np.concatenate([np.diag(scores[:num, num:]), np.diag(scores[num:, :num])])
    return np.mean(lse - positives)


@pytest.mark.parametrize("length", [0.5, 1.0])
@pytest.mark.parametrize("block_size", [None, 3])
def test_vectors_contrasted_as_they_are(block_size, length):
    """Similarities of up to ±300 neither overflow nor underflow."""
    u, v = (length * view.astype(np.float32) for view in make_views())
    loss = jax.jit(functools.partial(losses.info_nce, normalise=False, block_size=block_size))
    np.testing.assert_allclose(loss(u, v), as_they_are(u, v, 1.0), rtol=1e-5)


@pytest.mark.parametrize("block_size", [None, 3])
@pytest.mark.parametrize("opposed", [False, True])
def test_low_temperature_in_float32(block_size, opposed):
    """At τ = 0.05 the terms span e^{±20}; pairs that point apart are the hardest to keep."""
    u, v = (view.astype(np.float32) for view in make_views())
    v = -u if opposed else v
    loss = jax.jit(functools.partial(losses.info_nce, temperature=0.05, block_size=block_size))
    np.testing.assert_allclose(loss(u, v), naive.info_nce(u, v, temperature=0.05), rtol=1e-5)


@pytest.mark.parametrize("block_size", [None, 3])
def test_zero_vectors_give_finite_gradients(block_size):
    u, v = (jnp.asarray(view).at[2].set(0.0) for view in make_views())
    loss = functools.partial(losses.info_nce, block_size=block_size)
    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(u, v)
    np.testing.assert_allclose(value, naive.info_nce(u, v), rtol=1e-5)
    assert np.isfinite(gradients[0]).all() and np.isfinite(gradients[1]).all()


@pytest.mark.parametrize("negatives", ["full", "cross"])
@pytest.mark.parametrize("block_size", [None, 3])
def test_the_temperature_may_be_learned(x64, block_size, negatives):
    u, v = (jnp.asarray(view, float) for view in make_views())

    def loss(temperature):
        return losses.info_nce(
            u, v, temperature=temperature, negatives=negatives, block_size=block_size
        )

    step = 1e-5
    above, below = (
        naive.info_nce(u, v, temperature=0.5 + sign * step, negatives=negatives) for sign in (1, -1)
    )
    found = jax.jit(jax.grad(loss))(jnp.asarray(0.5))
    np.testing.assert_allclose(found, (above - below) / (2 * step), rtol=1e-7)


@pytest.mark.parametrize("loss", ["info_nce", "anchor_info_nce"])
@pytest.mark.parametrize(
    ("options", "found", "way_out"),
    [
        ({"negatives": "intra"}, "intra", "cross, full"),
        ({"negatives": "intra", "block_size": 2}, "intra", "cross, full"),
        ({"temperature": 0.0}, "0.0", "temperature"),
        ({"temperature": -1.0}, "-1.0", "temperature"),
        ({"mask": jnp.ones(4, bool)}, "(4,)", "mask"),
        ({"segments": jnp.ones(4, int)}, "(4,)", "segments"),
        ({"block_size": 0}, "0", "block_size"),
        ({"v": jnp.ones((4, 2))}, "(4, 2)", "one shape"),
        ({"v": jnp.ones((3, 5))}, "(3, 5)", "one shape"),
    ],
)
def test_errors_name_what_was_found_in_one_line(loss, options, found, way_out):
    v = options.get("v", jnp.ones((3, 2)))
    keywords = {name: value for name, value in options.items() if name != "v"}
    with pytest.raises(ValueError) as caught:
        getattr(losses, loss)(jnp.ones((3, 2)), v, **keywords)
    message = str(caught.value)
    assert found in message and "\n" not in message
    assert all(word in message for word in way_out.split(", "))
