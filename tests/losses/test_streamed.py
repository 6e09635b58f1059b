"""The streamed and the dense loss are exact at any temperature, size, mask and type of input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import losses

pytestmark = pytest.mark.slow

NUM, DIM, BLOCK = 7, 3, 4  # two blocks, and a row of padding in the second
MASK = np.arange(NUM) % 4 != 1
SEGMENTS = np.array([2, 0, 0, 2, 1, 0, 2])
TEMPERATURES = [0.02, 0.1, 1.0, 5.0]
KINDS = {
    "plain": {},
    "mask": {"mask": MASK},
    "segments": {"segments": SEGMENTS},
    "both": {"mask": MASK, "segments": SEGMENTS},
}


def make_views(kind: str = "drawn"):
    """Drawn vectors; or pairs that point apart, whose denominators are the smallest there are."""
    u, v = np.random.default_rng(3).normal(size=(2, NUM, DIM))
    return (u, -u) if kind == "opposed" else (u, v)


def loss_and_gradients(u, v, mask=None, segments=None, **options):
    def loss(u, v, mask, segments):
        return losses.info_nce(u, v, mask=mask, segments=segments, **options)

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(u, v, mask, segments)


@functools.cache
def naive_outcome(views: str, temperature: float, negatives: str, kind: str):
    u, v = make_views(views)
    options = {"temperature": temperature, "negatives": negatives, **KINDS[kind]}
    by_u = naive.numerical_gradient(lambda u: naive.info_nce(u, v, **options), u)
    by_v = naive.numerical_gradient(lambda v: naive.info_nce(u, v, **options), v)
    return naive.info_nce(u, v, **options), (by_u, by_v)


@pytest.mark.parametrize(
    ("temperature", "negatives", "kind"),
    [(temperature, "full", "both") for temperature in TEMPERATURES]
    + [(0.02, "full", "plain"), (1.0, "full", "mask"), (0.1, "cross", "plain")]
    + [(5.0, "full", "segments"), (0.02, "cross", "both"), (1.0, "cross", "segments")],
)
def test_streamed_and_dense_match_the_loops(x64, temperature, negatives, kind):
    expected, expected_gradients = naive_outcome("drawn", temperature, negatives, kind)
    options = {"temperature": temperature, "negatives": negatives, **KINDS[kind]}
    for block_size in (None, BLOCK):
        value, gradients = loss_and_gradients(*make_views(), block_size=block_size, **options)
        np.testing.assert_allclose(value, expected, rtol=1e-11, atol=1e-12)
        for gradient, numerical in zip(gradients, expected_gradients, strict=True):
            np.testing.assert_allclose(gradient, numerical, atol=1e-7)


@pytest.mark.parametrize("block_size", [None, BLOCK], ids=["dense", "streamed"])
@pytest.mark.parametrize(
    ("temperature", "views"), [(0.02, "drawn"), (0.02, "opposed"), (5.0, "opposed")]
)
def test_float32_keeps_the_largest_and_the_smallest_power(temperature, block_size, views):
    """At τ = 0.02 powers reach from e^−50 to e^50."""
    u, v = (view.astype(np.float32) for view in make_views(views))
    value, gradients = loss_and_gradients(u, v, temperature=temperature, block_size=block_size)
    expected, expected_gradients = naive_outcome(views, temperature, "full", "plain")
    np.testing.assert_allclose(value, expected, rtol=2e-5)
    for gradient, numerical in zip(gradients, expected_gradients, strict=True):
        size = np.abs(numerical).max()
        np.testing.assert_allclose(gradient, numerical, atol=1e-4 * size)


@pytest.mark.parametrize("block_size", [None, BLOCK])
@pytest.mark.parametrize("temperature", [0.02, 5.0])
def test_one_row_alone_has_neither_loss_nor_gradient(temperature, block_size):
    u, v = (view[:1].astype(np.float32) for view in make_views())
    value, gradients = loss_and_gradients(u, v, temperature=temperature, block_size=block_size)
    assert abs(value) < 1e-5
    np.testing.assert_allclose(gradients, 0.0, atol=1e-5)


@pytest.mark.parametrize("block_size", [None, BLOCK], ids=["dense", "streamed"])
@pytest.mark.parametrize("garbage", [2.0, np.nan])
def test_what_stands_in_masked_rows_changes_nothing(block_size, garbage):
    u, v = (view.astype(np.float32) for view in make_views())
    options = {"mask": MASK, "temperature": 0.1, "block_size": block_size}
    expected, gradients = loss_and_gradients(u[MASK], v[MASK], temperature=0.1)
    u[~MASK], v[~MASK] = garbage, -garbage
    value, padded = loss_and_gradients(u, v, **options)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(np.stack(padded)[:, MASK], gradients, atol=1e-6)
    np.testing.assert_array_equal(np.stack(padded)[:, ~MASK], 0.0)


@pytest.mark.parametrize("block_size", [None, BLOCK], ids=["dense", "streamed"])
def test_bfloat16_inputs_are_summed_in_float32(block_size):
    """64 equal negatives: a bfloat16 sum of 127 terms would stop growing long before."""
    num = 64
    u = np.random.default_rng(0).normal(size=(num, 16)).astype(np.float32)
    v = u + 0.5 * np.random.default_rng(1).normal(size=u.shape).astype(np.float32)
    half = [jnp.asarray(x, jnp.bfloat16) for x in (u, v)]
    options = {"temperature": 0.5, "block_size": block_size}
    value, gradients = loss_and_gradients(*half, **options)
    exact, exact_gradients = loss_and_gradients(
        *(x.astype(jnp.float32) for x in half), temperature=0.5
    )
    assert value.dtype == jnp.float32
    assert all(gradient.dtype == jnp.bfloat16 for gradient in gradients)
    np.testing.assert_allclose(value, exact, rtol=1e-3)
    for gradient, other in zip(gradients, exact_gradients, strict=True):
        error = np.linalg.norm(np.asarray(gradient, np.float32) - other)
        assert error < 0.02 * np.linalg.norm(other)


@pytest.mark.parametrize("negatives", ["full", "cross"])
def test_memory_is_linear_in_the_number_of_rows(negatives):
    """Temporary memory of the compiled gradient, over sizes at which a tile is the same."""
    loss = functools.partial(losses.info_nce, block_size=128, negatives=negatives)
    compute = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))

    def temporary(num):
        z = jax.ShapeDtypeStruct((num, 32), jnp.float32)
        return compute.lower(z, z).compile().memory_analysis().temp_size_in_bytes

    sizes = [temporary(num) for num in (1024, 2048, 4096)]
    assert sizes[2] - sizes[1] < 2.5 * (sizes[1] - sizes[0])
    assert sizes[2] < 4096 * 4096  # bytes: a quarter of one float32 matrix
