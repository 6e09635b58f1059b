"""What may be given to the losses: vectors, ids and numbers of every type and range."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import losses
from tests import number_types as types

pytestmark = pytest.mark.slow

GRAPH = np.array([0, 1, 0, 2, 1, 2])
OF_VECTORS = {
    "info_nce": losses.info_nce,
    "streamed": lambda x, y: losses.info_nce(x, y, block_size=2, temperature=0.5),
    "anchor": lambda x, y: losses.anchor_info_nce(x, y, segments=GRAPH),
    "raw": lambda x, y: losses.info_nce(x, y, normalise=False),
    "virtual": lambda x, y: losses.virtual_labels(x, y, np.full(6, 0.25), [5, 4, 3, 2, 1, 0]),
    "diversity": losses.diversity,
    "nodes": lambda x, y: losses.discrimination(x, y, y, x, bilinear=x[:4]),
    "nodes jsd": lambda x, y: losses.discrimination(x, y, y, x, form="jsd"),
    "graphs": lambda x, y: losses.discrimination_of_graphs(x, y, x[:3], y[:3], GRAPH),
}


@functools.cache
def in_float32(name):
    return OF_VECTORS[name](types.BITS.astype(np.float32), types.OTHER_BITS.astype(np.float32))


@pytest.mark.parametrize("kind", types.VECTORS)
@pytest.mark.parametrize("name", OF_VECTORS)
def test_vectors_of_every_type(name, kind):
    x, y = types.given(types.BITS, kind), types.given(types.OTHER_BITS, kind)
    loss = OF_VECTORS[name](x, y)
    assert loss.dtype == jnp.float32
    types.check_same(loss, in_float32(name), kind)


def test_bits_have_the_loss_of_the_loops():
    found = losses.info_nce(types.BITS.astype(np.int32), types.OTHER_BITS.astype(bool))
    expected = naive.info_nce(types.BITS, types.OTHER_BITS)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert abs(expected - math.log(11)) > 0.05  # what cosines cast to 0 would give


@pytest.mark.parametrize("form", ["bce", "jsd"])
def test_discrimination_in_half_precision_counts_all_nodes(form):
    """A bfloat16 count stops at 256."""
    z = jnp.ones((3000, 2), jnp.bfloat16)
    found = losses.discrimination(z, z, z, z, form=form)
    expected = losses.discrimination(*[z.astype(jnp.float32)] * 4, form=form)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


SEGMENTS = np.array([4, 0, 0, 4, 9, 0])


@pytest.mark.parametrize(
    "rename", [lambda s: s, lambda s: s - 5, lambda s: s * 2**40, lambda s: s * 2**60 - 2**62]
)
@pytest.mark.parametrize("block_size", [None, 2])
def test_segments_are_told_apart_whatever_their_names(rename, block_size):
    draw = np.random.default_rng(0)
    u, v = draw.normal(size=(2, 6, 3)).astype(np.float32)
    names = rename(SEGMENTS.astype(np.int64))
    found = losses.info_nce(u, v, segments=names, block_size=block_size)
    np.testing.assert_allclose(found, naive.info_nce(u, v, segments=SEGMENTS), rtol=1e-5)


@pytest.mark.parametrize("kind", types.IDS)
def test_segments_and_places_of_every_integer_type(kind):
    x, y = types.BITS.astype(np.float32), types.OTHER_BITS.astype(np.float32)
    for call in (
        lambda ids: losses.info_nce(x, y, segments=ids),
        lambda ids: losses.info_nce(x, y, segments=ids, mask=[1, 1, 1, 0, 1, 1]),
        lambda ids: losses.virtual_labels(x, y, np.full(6, 0.3), ids, segments=ids),
        lambda ids: losses.discrimination_of_graphs(x, y, x[:3], y[:3], ids),
    ):
        types.check_same(call(types.given(GRAPH, kind)), call(jnp.asarray(GRAPH)), "int32")


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint32, np.int32])
def test_traced_segments_at_both_ends_of_their_type(dtype):
    draw = np.random.default_rng(0)
    u, v = draw.normal(size=(2, 6, 3)).astype(np.float32)
    info = np.iinfo(dtype)
    names = np.where(SEGMENTS == 4, info.min, np.where(SEGMENTS == 0, info.max, 1)).astype(dtype)
    found = jax.jit(lambda s: losses.info_nce(u, v, segments=s))(names)
    np.testing.assert_allclose(found, naive.info_nce(u, v, segments=SEGMENTS), rtol=1e-5)


@pytest.mark.parametrize("kind", types.NO_IDS)
def test_segments_that_are_no_integers_are_refused(kind):
    x, ids = types.BITS.astype(np.float32), types.given(GRAPH, kind)
    for call in (
        lambda: losses.info_nce(x, x, segments=ids),
        lambda: losses.virtual_labels(x, x, np.ones(6), ids),
        lambda: losses.discrimination_of_graphs(x, x, x[:3], x[:3], ids),
    ):
        with pytest.raises(ValueError, match="must be integers, found ") as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [-1, 3, 2**33])
def test_graphs_out_of_range_are_refused_where_they_are_known(wrong):
    x = types.BITS.astype(np.float32)
    with pytest.raises(ValueError, match=r"^node_graph must lie in \[0, 3\), found "):
        losses.discrimination_of_graphs(x, x, x[:3], x[:3], [0, 1, 2, 0, 1, wrong])
    with pytest.raises(ValueError, match=r"^partners must lie in \[0, 6\), found 6"):
        losses.virtual_labels(x, x, np.ones(6), [0, 1, 2, 3, 4, 6])


def test_a_traced_graph_out_of_range_is_padding():
    x = types.BITS.astype(np.float32)
    found = jax.jit(lambda g: losses.discrimination_of_graphs(x, x, x[:3], x[:3], g))
    padded = losses.discrimination_of_graphs(x, x, x[:3], x[:3], GRAPH, node_mask=np.arange(6) < 5)
    np.testing.assert_allclose(found(np.array([0, 1, 0, 2, 1, 7])), padded, rtol=1e-6)


LOSSES = (losses.info_nce, losses.anchor_info_nce)
TEMPERATURES = (0, 0.0149, -1, np.nan, np.float32(0.01), np.float64(-1), jnp.float32(0), True, "1")


@pytest.mark.parametrize("temperature", [*TEMPERATURES, np.ones(2), None], ids=str)
def test_temperatures_out_of_range_are_refused_in_one_line(temperature):
    x = types.BITS.astype(np.float32)
    for loss in LOSSES:
        with pytest.raises(ValueError, match=r"^temperature must be .* found .*; 1.0") as caught:
            loss(x, x, temperature=temperature)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("block_size", [None, 2])
def test_a_traced_temperature_out_of_range_makes_the_loss_nan(block_size):
    x, y = types.BITS.astype(np.float32), types.OTHER_BITS.astype(np.float32)
    loss = jax.jit(lambda t: losses.info_nce(x, y, temperature=t, block_size=block_size))
    assert all(np.isnan(loss(t)) for t in (0.0, -1.0, 0.01, np.nan))
    for temperature in (0.015, 0.4, 1.0):
        expected = naive.info_nce(x[[0, 1, 2, 4, 5]], y[[0, 1, 2, 4, 5]], temperature=temperature)
        rows = jax.jit(
            lambda t: losses.info_nce(x, y, temperature=t, mask=[1, 1, 1, 0, 1, 1],
                                      block_size=block_size)
        )  # fmt: skip
        np.testing.assert_allclose(rows(temperature), expected, rtol=1e-5)


@pytest.mark.parametrize("form", [np.float32, np.float64, np.array, jnp.asarray])
def test_numbers_of_every_form_are_taken(form):
    x, y = types.BITS.astype(np.float32), types.OTHER_BITS.astype(np.float32)
    found = losses.info_nce(x, y, temperature=form(0.5))
    np.testing.assert_allclose(found, losses.info_nce(x, y, temperature=0.5), rtol=1e-6)
    np.testing.assert_array_equal(losses.diversity(x, y, margin=form(0.0)),
                                  losses.diversity(x, y, margin=0.0))  # fmt: skip
    streamed = losses.info_nce(x, y, block_size=np.uint8(2))
    np.testing.assert_array_equal(streamed, losses.info_nce(x, y, block_size=2))


@pytest.mark.parametrize(
    ("options", "loss"),
    [
        *[({"block_size": value}, losses.info_nce) for value in (0, 2.0, True, np.int64(-1))],
        *[({"margin": value}, losses.diversity) for value in (np.nan, 2, np.float32(-1.5), True)],
    ],
    ids=types.named,
)
def test_other_numbers_out_of_range_are_refused(options, loss):
    x = types.BITS.astype(np.float32)
    with pytest.raises(ValueError, match=f"^{next(iter(options))} must .* found .*;"):
        loss(x, x, **options)


@pytest.mark.parametrize("block_size", [None, 2])
@pytest.mark.parametrize("length", [1e-35, 1e-25, 1e-13, 1e20, 1e38])
def test_the_loss_does_not_depend_on_lengths(length, block_size):
    draw = np.random.default_rng(1)
    u, v = draw.normal(size=(2, 6, 3))
    far = tuple((x * length / np.abs(x).max()).astype(np.float32) for x in (u, v))
    loss = functools.partial(losses.info_nce, temperature=0.1, block_size=block_size)
    value, gradients = jax.value_and_grad(loss, (0, 1))(*far)
    np.testing.assert_allclose(value, naive.info_nce(u, v, temperature=0.1), rtol=1e-4)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_rows_that_are_too_long_for_raw_sums_make_the_loss_nan():
    """Not −∞, and not a number that has lost most of its terms."""
    u = np.eye(4, dtype=np.float32) * np.float32([20, 1, 1, 1])[:, None]
    assert np.isnan(losses.info_nce(u, u, normalise=False))
    unit = np.eye(4, dtype=np.float32)
    expected = naive.nt_xent(unit * 3, unit * 3, similarity=naive.dot)
    found = losses.info_nce(unit * 3, unit * 3, normalise=False)
    np.testing.assert_allclose(found, expected, atol=1e-6)
