"""The one check of numbers, and arrays of every type at the doors of the operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.fields import POSITIVE, Range, between
from mmix_jax.ops.arrays import by_power_of_two, host_indices, ids_of, indices, mask_of, wide
from mmix_jax.ops.numbers import real_number, seed_number, whole_number
from mmix_jax.ops.segment import segment_best, segment_softmax
from mmix_jax.ops.similarity import cosine, normalise
from mmix_jax.ops.sparse import sparse_multiply, sparse_pattern
from tests import number_types as types

FORMS = (float, np.float32, np.float64, np.float16, jnp.float32, np.array, jnp.asarray)


@pytest.mark.parametrize("form", FORMS, ids=types.named)
def test_a_number_is_taken_in_every_form(form):
    found = real_number("τ", form(0.5), POSITIVE, "1 is usual")
    assert type(found) is float and found == 0.5


@pytest.mark.parametrize("form", FORMS, ids=types.named)
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, -np.inf])
def test_a_number_out_of_range_is_refused_in_every_form(form, value):
    with pytest.raises(ValueError, match=r"^τ must be positive, found .*; 1 is usual$"):
        real_number("τ", form(value), POSITIVE, "1 is usual")


@pytest.mark.parametrize("value", [True, np.True_, "1", None, 1j, [1.0], np.ones(1), jnp.ones(2)])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match=r"^τ must be a number, found ") as caught:
        real_number("τ", value, POSITIVE, "1 is usual")
    with pytest.raises(ValueError, match=r"^k must be a whole number, found "):
        whole_number("k", value, 1, "5 is usual")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", [int, np.int8, np.uint8, np.int64, np.uint64, np.array, jnp.array])
def test_a_whole_number_is_taken_in_every_form(form):
    found = whole_number("k", form(7), 1, "5 is usual", high=7)
    assert type(found) is int and found == 7
    with pytest.raises(ValueError, match=r"^k must be at least 8, found 7; 5 is usual$"):
        whole_number("k", form(7), 8, "5 is usual")
    with pytest.raises(ValueError, match=r"^k must be 1 to 6, found 7; 5 is usual$"):
        whole_number("k", form(7), 1, "5 is usual", high=6)


@pytest.mark.parametrize("value", [5.0, np.float32(5), np.nan, np.array(5.0)])
def test_a_float_is_no_whole_number(value):
    with pytest.raises(ValueError, match=r"^k must be a whole number, found "):
        whole_number("k", value, 1, "5 is usual")


def test_a_traced_number_is_nan_out_of_range_and_no_size():
    checked = jax.jit(lambda x: real_number("C", x, between(0, 1), ""))
    assert [float(checked(x)) for x in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]
    assert all(np.isnan(checked(x)) for x in (-0.1, 1.1, np.nan, np.inf))
    open_range = Range(0.0, 1.0, "", open=True)
    assert np.isnan(jax.jit(lambda x: real_number("C", x, open_range, ""))(0.0))
    with pytest.raises(ValueError, match="known before tracing"):
        jax.jit(lambda k: whole_number("k", k, 1, ""))(3)


def test_large_whole_numbers_are_seeds_and_no_sizes():
    assert seed_number("seed", 2**64 + 1) == 2**64 + 1
    with pytest.raises(ValueError, match="k must be 1 to 2147483647, found 2147483648"):
        whole_number("k", 2**31, 1, "")


@pytest.mark.parametrize("kind", types.VECTORS)
def test_norms_and_cosines_of_every_type(kind):
    wanted = types.BITS.astype(np.float32), types.OTHER_BITS.astype(np.float32)
    found = types.given(types.BITS, kind), types.given(types.OTHER_BITS, kind)
    types.check_same(normalise(found[0]), normalise(wanted[0]), kind)
    types.check_same(cosine(*found), cosine(*wanted), kind)
    assert cosine(*found).dtype == np.float32


@pytest.mark.parametrize("kind", types.VECTORS)
def test_sparse_products_of_every_type(kind):
    rows, columns = np.array([0, 1, 1, 2]), np.array([3, 0, 1, 5])
    pattern = sparse_pattern(rows, columns, 3, 6)
    values = types.given([1, 1, 0, 1], kind)
    wanted = sparse_multiply(pattern, np.float32([1, 1, 0, 1]), np.float32(types.BITS))
    found = sparse_multiply(pattern, values, types.given(types.BITS, kind))
    types.check_same(found, wanted, kind)


def test_sparse_products_are_summed_in_float32():
    """A sum of 4,000 ones in bfloat16 stops at 256."""
    pattern = sparse_pattern(np.zeros(4000, int), np.arange(4000), 1, 4000)
    found = sparse_multiply(
        pattern, jnp.ones(4000, jnp.bfloat16), jnp.ones((4000, 1), jnp.bfloat16)
    )
    assert (found.dtype, float(found[0, 0])) == (jnp.bfloat16, 4000.0)


@pytest.mark.parametrize("kind", types.IDS)
def test_ids_of_every_type_are_places(kind):
    senders = [0, 2, 1, 2]
    np.testing.assert_array_equal(host_indices("senders", types.given(senders, kind), 300), senders)
    place, inside = indices("senders", types.given(senders, kind), 300)
    assert place.dtype == np.int32 and inside.all()
    np.testing.assert_array_equal(place, senders)
    weights = segment_softmax(np.zeros(4), types.given(senders, kind), 300, [1, 1, 1, 1])
    np.testing.assert_array_equal(weights, [1, 0.5, 1, 0.5])
    best = segment_best(np.zeros(4), types.given([9, 9, 9, 3], kind),
                        types.given(senders, kind), 300, [1, 1, 1, 1])  # fmt: skip
    np.testing.assert_array_equal(best, [1, 0, 1, 1])


@pytest.mark.parametrize("kind", types.NO_IDS)
def test_what_is_no_id_is_refused_in_one_line(kind):
    ids = types.given([0, 1, 1, 0], kind)
    for call in (
        lambda: segment_softmax(np.zeros(4), ids, 2, np.ones(4, bool)),
        lambda: sparse_pattern(ids, np.zeros(4, int), 2, 2),
        lambda: ids_of("labels", ids),
    ):
        with pytest.raises(ValueError, match="must be integers, found ") as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("segments", [[0, 3], [-1, 0], np.uint64([2**63, 0]), [2**40, 0]])
def test_concrete_segments_out_of_range_are_refused_and_traced_ones_masked(segments):
    with pytest.raises(ValueError, match=r"^segments must lie in \[0, 3\), found "):
        segment_softmax(np.zeros(2), segments, 3, [True, True])
    with pytest.raises(ValueError, match=r"^rows must lie in \[0, 3\), found "):
        sparse_pattern(segments, [0, 0], 3, 3)


def test_traced_segments_out_of_range_are_masked():
    softmax = jax.jit(lambda s: segment_softmax(jnp.zeros(4), s, 3, jnp.ones(4, bool)))
    for dtype in (np.int8, np.int32, np.uint32):
        found = softmax(np.array([0, 0, 3, -1]).astype(dtype))
        np.testing.assert_array_equal(found, [0.5, 0.5, 0, 0])


def test_traced_long_ids_out_of_range_are_masked(x64):
    softmax = jax.jit(lambda s: segment_softmax(jnp.zeros(3), s, 3, jnp.ones(3, bool)))
    np.testing.assert_array_equal(softmax(np.array([0, 2**32, 2])), [1, 0, 1])


def test_masked_segments_may_point_anywhere():
    found = segment_softmax(np.zeros(3), [0, 99, -7], 2, [True, False, False])
    np.testing.assert_array_equal(found, [1, 0, 0])


def test_ids_beyond_32_bits_are_numbered_in_order_and_keep_their_signs():
    ids = ids_of("labels", np.array([2**40, -1, 7, 2**40, -(2**40)]))
    np.testing.assert_array_equal(ids, [1, -1, 0, 1, -2])
    np.testing.assert_array_equal(ids_of("labels", np.uint64([2**64 - 1, 3])), [1, 0])
    np.testing.assert_array_equal(ids_of("labels", jnp.uint32([2**32 - 1, 3])), [1, 0])


@pytest.mark.parametrize("kind", ["bool", "int32", "uint8", ">i8", "float32", "list"])
def test_masks_of_every_type(kind):
    found = mask_of("mask", types.given([1, 0, 1], kind))
    assert found.dtype == bool
    np.testing.assert_array_equal(found, [True, False, True])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_softmaxes_in_half_precision_sum_to_one(dtype):
    """A bfloat16 sum of 4,000 ones stops at 256: weights then summed to 15.6."""
    weights = segment_softmax(jnp.zeros(4000, dtype), np.zeros(4000, int), 1, np.ones(4000, bool))
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-5)


def test_a_nan_score_spoils_its_segment_alone():
    weights = segment_softmax([np.nan, 0.0, 0.0], [0, 0, 1], 2, [True, True, True])
    np.testing.assert_array_equal(weights, [np.nan, np.nan, 1.0])


def test_wide_types():
    assert [wide(t) for t in ("f2", jnp.bfloat16, "f4", float, np.int8)] == [
        *[np.float32] * 3, np.float64, np.float32,
    ]  # fmt: skip


def test_powers_of_two_round_nothing():
    x = np.array([[3e200, 1e190], [1e-310, 0.0], [0.0, 0.0]])
    scaled = by_power_of_two(x)
    assert (np.abs(scaled[:2]).max(axis=1) >= 1).all() and (scaled < 2).all()
    np.testing.assert_array_equal(scaled[0] / scaled[0, 0], x[0] / x[0, 0])
