"""What a comparison over seeds and splits makes of variance that is planted in either of them."""

import numpy as np
import pytest
from scipy import stats

from example_results import result
from mmix_jax.report.compare import compare

OF_SPLITS = np.array([0.03, -0.01, 0.02, 0.04, -0.02])
OF_SEEDS = np.array([0.05, 0.01, -0.03])


def interval_of(differences):
    """Of a comparison whose runs differ so, by seed and split."""
    a = np.full(differences.shape, 0.5)
    runs = []
    for table in (a, a + differences):
        parts = tuple(map(tuple, table.tolist()))
        runs.append([result(table.mean(axis=1), parts=parts)])
    (comparison,) = compare(*runs)
    assert comparison.mean == pytest.approx(differences.mean(), abs=1e-12)
    assert comparison.splits == differences.shape[1]
    return comparison.interval


def test_where_only_splits_differ_the_interval_is_students_over_splits():
    """All seeds agree, so that nothing is left once splits are averaged."""
    wanted = stats.ttest_1samp(OF_SPLITS, 0.0).confidence_interval(0.95)
    found = interval_of(np.tile(OF_SPLITS, (3, 1)))
    assert found == pytest.approx(tuple(wanted), abs=1e-9)
    assert found[0] < 0 < found[1]  # seeds alone would be sure of a gain


def test_where_both_differ_both_variances_count_with_their_degrees_of_freedom():
    """The mean's variance is s²_seeds / S + s²_splits / T, by Satterthwaite's degrees."""
    seeds, splits = OF_SEEDS.var(ddof=1) / 3, OF_SPLITS.var(ddof=1) / 5
    degrees = (seeds + splits) ** 2 / (seeds**2 / 2 + splits**2 / 4)
    half = stats.t.ppf(0.975, degrees) * (seeds + splits) ** 0.5
    differences = OF_SEEDS[:, None] + OF_SPLITS[None, :]
    mean = differences.mean()
    assert interval_of(differences) == pytest.approx((mean - half, mean + half), abs=1e-9)


def test_what_neither_explains_is_counted_once():
    """Noise alone shows in the mean squares of seeds, of splits, and of what is left."""
    noise = np.random.default_rng(3).normal(0.0, 0.02, (3, 5))
    table = 2 * OF_SEEDS[:, None] + 2 * OF_SPLITS[None, :] + noise
    of_seeds, of_splits = (table.mean(axis=axis) for axis in (1, 0))
    rest = table - of_seeds[:, None] - of_splits[None, :] + table.mean()
    squares = 5 * of_seeds.var(ddof=1), 3 * of_splits.var(ddof=1), (rest**2).sum() / 8
    total = squares[0] + squares[1] - squares[2]
    assert total > max(squares)
    degrees = total**2 / sum(s**2 / df for s, df in zip(squares, (2, 4, 8), strict=True))
    half = stats.t.ppf(0.975, degrees) * (total / 15) ** 0.5
    wanted = table.mean() - half, table.mean() + half
    assert interval_of(table) == pytest.approx(wanted, abs=1e-9)
