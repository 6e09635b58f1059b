"""What may be given to mixing: vectors, ids and numbers of every type and range."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import mixing
from tests import number_types as types

pytestmark = pytest.mark.slow

SENDERS, RECEIVERS = np.array([0, 1, 2, 4, 5, 0, 3]), np.array([1, 0, 1, 5, 4, 2, 2])
KEY = jax.random.key(0)


def of_edges(x, y, **options):
    return mixing.mix_edges(x, SENDERS, RECEIVERS, **options)


# Everything public that takes vectors, as functions of two arrays [6, 4].
OF_VECTORS = {
    "edges mo": lambda x, y: of_edges(x, y),
    "edges mp": lambda x, y: of_edges(x, y, rule="mp", q=x, k=y),
    "edges binary": lambda x, y: of_edges(x, y, rule="binary", mix_normalised=True),
    "edges propagate": lambda x, y: of_edges(x, y, rule="propagate"),
    "pairs mo": lambda x, y: mixing.mix_pairs(x, candidates="all"),
    "pairs mp": lambda x, y: mixing.mix_pairs(x, rule="mp", q=x, k=y, threshold=0.0),
    "pairs streamed": lambda x, y: mixing.mix_pairs(x, candidates="all", block_size=2),
    "inputs": lambda x, y: mixing.i_mix_inputs(x, KEY),
    "inputs with": lambda x, y: mixing.mix_with(x, np.full(6, 0.25), [5, 4, 3, 2, 1, 0]),
}


@functools.cache
def in_float32(name):
    return OF_VECTORS[name](types.BITS.astype(np.float32), types.OTHER_BITS.astype(np.float32))


@pytest.mark.parametrize("kind", types.VECTORS)
@pytest.mark.parametrize("name", OF_VECTORS)
def test_vectors_of_every_type(name, kind):
    x, y = types.given(types.BITS, kind), types.given(types.OTHER_BITS, kind)
    types.check_same(OF_VECTORS[name](x, y), in_float32(name), kind)


def forms(x, dtype):
    """Edges and pairs, dense, by rows and by tiles, over the same candidates: everyone."""
    x = jnp.asarray(x, dtype)
    senders, receivers = (ends.ravel() for ends in np.meshgrid(np.arange(6), np.arange(6)))
    return [
        mixing.mix_edges(x, senders, receivers),
        mixing.mix_pairs(x, candidates="all"),
        mixing.mix_pairs(x, candidates="all", block_size=2),
        mixing.mix_pairs(x, candidates="all", block_size=4),
    ]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_all_forms_have_one_type_and_one_value(dtype):
    z = np.random.default_rng(0).normal(size=(6, 4))
    rounded = np.asarray(jnp.asarray(z, dtype).astype(jnp.float32))
    expected = naive.mix(naive.mo_weights(rounded, naive.candidates_all(6)), rounded)
    for mixture in forms(z, dtype):
        assert mixture.z_mixed.dtype == dtype and mixture.self_weights.dtype == jnp.float32
        assert mixture.weights is None or mixture.weights.dtype == jnp.float32
        assert all(value.dtype != dtype for value in mixture.stats.values()) or dtype == jnp.float32
        np.testing.assert_allclose(
            mixture.z_mixed.astype(np.float32), expected, atol=2 * float(jnp.finfo(dtype).eps)
        )


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_a_hub_in_half_precision_has_weights_that_sum_to_one(dtype):
    num = 3000
    mixture = mixing.mix_edges(
        jnp.ones((num, 2), dtype), np.arange(1, num), np.zeros(num - 1, int), num_rows=1
    )
    total = mixture.weights.sum() + mixture.self_weights[0]
    np.testing.assert_allclose(total, 1.0, rtol=1e-4)
    np.testing.assert_array_equal(mixture.z_mixed, np.ones((1, 2)))


@pytest.mark.parametrize("kind", types.IDS)
def test_edges_and_labels_of_every_integer_type(kind):
    z, labels = (
        np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32),
        np.arange(300) % 7,
    )
    senders, receivers = np.array([3, 100, 7, 9]), np.array([4, 4, 8, 100])
    wanted = mixing.mix_edges(z, senders, receivers, labels=labels)
    found = mixing.mix_edges(
        z,
        types.given(senders, kind),
        types.given(receivers, kind),
        labels=types.given(labels, kind),
    )
    types.check_same(found, wanted, "int32")
    pairs = mixing.mix_pairs(z[:9], candidates="all", labels=types.given(labels[:9], kind))
    wanted = mixing.mix_pairs(z[:9], candidates="all", labels=labels[:9])
    types.check_same(pairs, wanted, "int32")


@pytest.mark.parametrize("kind", types.NO_IDS)
def test_edges_and_labels_that_are_no_integers_are_refused(kind):
    z, ids = types.BITS.astype(np.float32), types.given(SENDERS, kind)
    for call in (
        lambda: mixing.mix_edges(z, ids, RECEIVERS),
        lambda: mixing.mix_edges(z, SENDERS, ids),
        lambda: mixing.mix_edges(z, SENDERS, RECEIVERS, labels=ids[:6]),
        lambda: mixing.mix_pairs(z, labels=ids[:6]),
        lambda: mixing.mix_with(z, np.ones(6), ids[:6]),
    ):
        with pytest.raises(ValueError, match="must be integers, found ") as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [-1, 6, 2**31, 2**40])
def test_concrete_edges_out_of_range_are_refused(wrong):
    z = types.BITS.astype(np.float32)
    for name, edges in (
        ("senders", ([0, wrong], [1, 1])),
        ("receivers", ([0, 1], [1, wrong])),
    ):
        with pytest.raises(ValueError, match=rf"^{name} must lie in \[0, 6\), found {wrong};"):
            mixing.mix_edges(z, *edges)
        mixing.mix_edges(z, *edges, np.array([True, False]))  # padding may point anywhere
    with pytest.raises(ValueError, match=r"^partners must lie in \[0, 6\)"):
        mixing.mix_with(z, np.ones(6), [0, 1, 2, 3, 4, wrong])


def test_traced_edges_out_of_range_are_as_padding():
    z = types.BITS.astype(np.float32)
    senders, receivers = np.append(SENDERS, [9, -1, 2, 3]), np.append(RECEIVERS, [1, 2, 6, -4])
    mix = jax.jit(lambda s, r: mixing.mix_edges(z, s, r))
    found, wanted = mix(senders, receivers), mixing.mix_edges(z, SENDERS, RECEIVERS)
    np.testing.assert_array_equal(found.weights[-4:], np.zeros(4))
    types.check_same(found._replace(weights=found.weights[: len(SENDERS)]), wanted, "int32")


def calls(z, name, value):
    """Whatever takes a number of this name."""
    yield lambda: mixing.mix_pairs(z, candidates="all", **{name: value})
    if name not in ("threshold", "block_size"):
        yield lambda: mixing.mix_edges(z, SENDERS, RECEIVERS, **{name: value})


WRONG = [
    *[("temperature", value) for value in (0, -1, np.float32(-0.1), np.nan, True, "1", [1.0])],
    *[("temperature", value) for value in (jnp.float32(0), np.array(np.nan), None)],
    *[("self_weight", value) for value in (2, -0.2, np.nan, np.float64(1.5), jnp.float32(2))],
    *[("threshold", value) for value in (np.nan, 1.5, -2, np.float32(7), jnp.float32(np.nan))],
    *[("block_size", value) for value in (0, -3, 2.0, np.float32(2), True, np.int64(0))],
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=str)
def test_numbers_out_of_range_are_refused_in_one_line(name, value):
    z = types.BITS.astype(np.float32)
    for call in calls(z, name, value):
        with pytest.raises(ValueError, match=f"{name}.* found .*;") as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", 0.5), ("self_weight", 0.5), ("threshold", 0.5), ("block_size", 4)],
)
@pytest.mark.parametrize("form", [np.float32, np.float64, np.array, jnp.asarray])
def test_numbers_of_every_form_are_taken(name, value, form):
    if name == "block_size" and form in (np.float32, np.float64):
        form = np.uint8
    z = types.BITS.astype(np.float32)
    for ours, theirs in zip(calls(z, name, form(value)), calls(z, name, value), strict=True):
        types.check_same(ours(), theirs(), "int32")


@pytest.mark.parametrize("block_size", [None, 2])
@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan])
def test_a_traced_temperature_out_of_range_makes_the_mixture_nan(temperature, block_size):
    z = types.BITS[:3].astype(np.float32)
    pairs = jax.jit(
        lambda t: (
            mixing.mix_pairs(z, candidates="all", temperature=t, block_size=block_size).z_mixed
        )
    )
    edges = jax.jit(lambda t: mixing.mix_edges(z, [0, 1], [1, 0], temperature=t).z_mixed[:2])
    assert np.isnan(pairs(temperature)).all() and np.isnan(edges(temperature)).all()
    assert np.isfinite(pairs(0.5)).all() and np.isfinite(edges(0.5)).all()


@pytest.mark.parametrize("name", ["self_weight", "threshold"])
@pytest.mark.parametrize("value", [3.0, -2.0, np.nan])
def test_other_traced_numbers_out_of_range_make_the_mixture_nan(name, value):
    z = types.BITS.astype(np.float32)
    mix = jax.jit(lambda x: mixing.mix_pairs(z, **({"threshold": 0.1} | {name: x})).z_mixed)
    assert np.isnan(mix(value)[:3]).all() and np.isfinite(mix(0.5)).all()


@pytest.mark.parametrize("temperature", [1e-3, 1e-6, 1e-20, 1e-40])
def test_the_sharpest_temperatures_take_the_nearest(temperature):
    z = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
    cosines = naive.similarities(z, z) - 9 * np.eye(6)
    expected = 0.2 * z + 0.8 * z[cosines.argmax(axis=1)]
    for block_size in (None, 4):
        mixed = mixing.mix_pairs(
            z, candidates="all", temperature=temperature, block_size=block_size
        ).z_mixed
        np.testing.assert_allclose(mixed, expected, atol=1e-5)


def test_the_default_threshold_says_that_it_mixes_nothing():
    z = jax.random.normal(jax.random.key(0), (64, 128))
    mixture = mixing.mix_pairs(z)
    assert mixture.stats["unmixed"] == 1.0
    np.testing.assert_array_equal(mixture.z_mixed, z)
    for threshold in (0.1, 0.2):
        unit = naive.normalise(z)
        cosines = unit @ unit.T - 9 * np.eye(64)
        share = np.mean(cosines.max(axis=1) < threshold)
        for block_size in (None, 16):
            stats = mixing.mix_pairs(z, threshold=threshold, block_size=block_size).stats
            np.testing.assert_allclose(stats["unmixed"], share, rtol=1e-6)
    assert mixing.mix_pairs(z, candidates="all").stats["unmixed"] == 0.0


@pytest.mark.parametrize("length", [1e-30, 1e-25, 1e-13, 1e20, 1e36])
@pytest.mark.parametrize("block_size", [None, 4])
def test_weights_do_not_depend_on_lengths(length, block_size):
    """Cosines of vectors whose squares leave float32, and gradients that are finite."""
    z = np.random.default_rng(4).normal(size=(6, 4))
    short = (z * length).astype(np.float32)
    expected = naive.mix(naive.mo_weights(z, naive.candidates_all(6)), z)

    def total(x):
        mixed = mixing.mix_pairs(x, candidates="all", block_size=block_size).z_mixed
        return jnp.sum(mixed / np.float32(length)), mixed

    gradient, mixed = jax.grad(total, has_aux=True)(short)
    np.testing.assert_allclose(mixed / np.float32(length), expected, atol=1e-5)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("form", [list, np.float32, np.int8, bool])
def test_masks_of_every_type(form):
    z, mask = types.BITS.astype(np.float32), np.array([1, 1, 0, 1, 1, 0])
    given = mask.tolist() if form is list else mask.astype(form)
    wanted = mixing.mix_pairs(z, candidates="all", mask=mask > 0)
    types.check_same(mixing.mix_pairs(z, candidates="all", mask=given), wanted, "int32")
    for found, ours in zip(
        mixing.draw_partners(KEY, 6, given), mixing.draw_partners(KEY, 6, mask > 0), strict=True
    ):
        np.testing.assert_array_equal(found, ours)
