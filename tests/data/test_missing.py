"""Unknown features: refused, or filled by what their column knows."""

import logging

import numpy as np
import pytest

from mmix_jax.data.missing import filled

X = np.array([[1.0, np.nan, 5.0], [3.0, 2.0, 6.0], [np.nan, 4.0, 7.0], [8.0, 9.0, 8.0]])


@pytest.mark.parametrize(
    ("how", "first", "second"),
    [("mean", 4.0, 5.0), ("median", 3.0, 4.0), ("zero", 0.0, 0.0)],
)
def test_gaps_are_filled_by_their_column(how, first, second, caplog):
    caplog.set_level(logging.INFO)
    x, gaps = filled(X, how, ["age", "size", "year"])
    assert (x[2, 0], x[0, 1]) == (first, second)
    known = ~np.isnan(X)
    np.testing.assert_array_equal(x[known], X[known])
    np.testing.assert_array_equal(gaps.mask, ~known)
    assert gaps.fill[0] == first
    assert "features: 2 of 12 values unknown, in age, size; filled by " in caplog.text


def test_what_fills_others_is_kept_where_nothing_is_missing():
    x, gaps = filled(X[1:2], "mean")
    np.testing.assert_array_equal(x, X[1:2])
    assert gaps.fill.tolist() == [3.0, 2.0, 6.0]
    assert not gaps.mask.any()
    assert filled(X[1:2], "refuse")[1] is None


@pytest.mark.parametrize(
    ("x", "how", "told"),
    [
        (X, "refuse", "must be finite, found 2 NaN in column 0, column 1; fill them in, or set"),
        (X, "mode", "unknown missing 'mode'; expected one of: refuse, mean, median, zero"),
        (X * [1, np.nan, 1], "mean", "known of one node or more, found none in column 1; leave"),
    ],
)
def test_what_cannot_be_filled_is_told(x, how, told):
    with pytest.raises(ValueError, match=told):
        filled(x, how)
