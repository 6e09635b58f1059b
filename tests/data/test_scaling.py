"""Scales of features: which columns are standardised, and by what."""

import json
import logging

import numpy as np
import pytest

from mmix_jax.data.scaling import Scaling, fit_scaling, normalised, scaled

N = 60
RANDOM = np.random.RandomState(0)
AGE = RANDOM.randint(18, 80, N)
SPEND = RANDOM.exponential(1000, N)
YEAR = RANDOM.randint(1990, 2024, N)
HOT = np.eye(4)[RANDOM.randint(0, 4, N)]
COUNTS = RANDOM.poisson(0.4, (N, 3))
SHARE = RANDOM.rand(N)


def _x(*columns):
    return np.column_stack(columns).astype(np.float32)


def _naive(x, columns):
    """METHOD's standardisation in float64, entry by entry."""
    out = x.astype(np.float64)
    for column in columns:
        values = [float(v) for v in x[:, column]]
        mean = sum(values) / len(values)
        std = (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
        out[:, column] = [(v - mean) / std for v in values]
    return out


@pytest.mark.parametrize(
    ("x", "columns"),
    [
        (_x(AGE, SPEND, YEAR, HOT), [0, 1, 2]),
        (_x(HOT, AGE, COUNTS), [4]),
        (_x(SHARE, AGE), [0, 1]),
        (_x(SHARE * 1e-6, SHARE), [0, 1]),
        (_x(SHARE * 1e30, SHARE), [0, 1]),
        (_x(COUNTS * 1000, HOT), [0, 1, 2]),
        (_x(1e6 + SHARE, SHARE - 0.5), [0, 1]),
        (_x(5 * RANDOM.randn(N, 3)), [0, 1, 2]),
    ],
)
def test_real_columns_are_standardised(x, columns):
    scaling = fit_scaling(x, "auto", own=True)
    found = scaled(x, scaling)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, _naive(x, columns), rtol=1e-4, atol=1e-4)
    again = Scaling.from_json(json.loads(json.dumps(scaling.as_json())))
    np.testing.assert_array_equal(scaled(x, again), found)


@pytest.mark.parametrize(
    "x",
    [
        _x(HOT),
        _x(COUNTS),
        _x(HOT, COUNTS),
        _x(SHARE, 1 - 2 * SHARE, HOT),
        RANDOM.randn(N, 5).astype(np.float32),
        _x(np.ones(N), HOT),
        np.zeros((N, 2), np.float32),
    ],
)
def test_counts_indicators_and_unit_scales_stay(x):
    assert fit_scaling(x, "auto", own=True) is None
    assert scaled(x, None) is x


def test_published_data_stay():
    assert fit_scaling(_x(AGE, SPEND), "auto", own=False) is None
    for how in ("rows", "none"):
        assert fit_scaling(_x(AGE, SPEND), how, own=True) is None


def test_all_columns_on_request():
    x = _x(AGE, HOT)
    found = scaled(x, fit_scaling(x, "zscore", own=False))
    np.testing.assert_allclose(found, _naive(x, range(5)), rtol=1e-4, atol=1e-4)


def test_what_never_changes_becomes_zero_and_is_said(caplog):
    caplog.set_level(logging.INFO)
    x = _x(AGE, np.full(N, 2019.1), HOT)
    scaling = fit_scaling(x, "auto", own=True)
    assert (scaled(x, scaling)[:, 1] == 0).all()
    assert "2 of 6 columns standardised" in caplog.text
    assert "1 never change and become 0); 4 left as they are" in caplog.text
    other = np.array([[30, 2020.1, 0, 0, 0, 1]], np.float32)  # of a node that was not there
    assert np.isfinite(scaled(other, scaling)).all()


def test_other_nodes_are_scaled_as_those_that_trained():
    x = _x(AGE, SPEND)
    scaling = fit_scaling(x[:20], "auto", own=True)
    wanted = (x.astype(np.float64) - x[:20].mean(0, dtype=np.float64)) / x[:20].std(
        0, dtype=np.float64
    )
    np.testing.assert_allclose(scaled(x, scaling), wanted, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="features must be 2, as those that trained, found 3"):
        scaled(_x(AGE, SPEND, YEAR), scaling)


def test_more_columns_than_are_scaled_at_a_time():
    x = (1 + np.arange(150)) * RANDOM.randn(N, 150).astype(np.float32)
    found = scaled(x, fit_scaling(x, "auto", own=True))
    np.testing.assert_allclose(found, _naive(x, range(150)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", ["rows", "auto"])
def test_words_by_rows(how):
    found = normalised(_x(COUNTS), how, words=True, scaling=None)
    np.testing.assert_allclose(found.sum(1), COUNTS.sum(1) > 0, rtol=1e-6)
    bits = normalised(_x(COUNTS * 3), "none", words=True, scaling=None, binarise=True)
    np.testing.assert_array_equal(bits, COUNTS > 0)


def test_tiny_features_are_not_left_as_they_are():
    x = (1e-30 * RANDOM.randn(N, 2)).astype(np.float32)
    found = scaled(x, fit_scaling(x, "auto", own=True))
    np.testing.assert_allclose(found, _naive(x, [0, 1]), rtol=1e-4, atol=1e-4)
