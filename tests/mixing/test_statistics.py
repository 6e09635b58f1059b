"""What is logged of a mixture, against loops over its rows."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import naive
from mmix_jax import mixing
from tests.mixing import cases

LABELS = np.array([0, 1, 0, 1, 1, -1, 0])
WATCHED = [
    cases.Setting("mo", "wp"),
    cases.Setting("mp", "op"),
    cases.Setting("binary", "all"),
    cases.Setting("none", "all"),
]


def naive_statistics(weights, z):
    """Means over the rows; the correlation over those with two partners or more."""
    z_mixed, similarity = naive.mix(weights, z), naive.similarities(z, z)
    partners, entropies, cosines, correlations = [], [], [], []
    agreeing, known = 0.0, 0.0
    for i in range(len(z)):
        mixed = [j for j in range(len(z)) if j != i and weights[i, j] > 0]
        partners.append(len(mixed))
        entropies.append(-sum(w * math.log(w) for w in weights[i] if w > 0))
        cosines.append(naive.cosine(z_mixed[i], z[i]))
        if len(mixed) >= 2:
            correlations.append(rank_correlation(weights[i, mixed], similarity[i, mixed]))
        for j in mixed:
            if LABELS[i] >= 0 and LABELS[j] >= 0:
                known += weights[i, j]
                agreeing += weights[i, j] * (LABELS[i] == LABELS[j])
    return {
        "partners": np.mean(partners),
        "unmixed": np.mean([n == 0 for n in partners]),
        "entropy": np.mean(entropies),
        "cosine": np.mean(cosines),
        "rank_correlation": np.mean(correlations) if correlations else 0.0,
        "agreement": agreeing / known if known else 0.0,
    }


def rank_correlation(weights, similarity) -> float:
    if len(set(weights)) == 1:
        return 0.0
    ranks = scipy.stats.rankdata(weights), scipy.stats.rankdata(similarity)
    return float(np.corrcoef(*ranks)[0, 1])


@pytest.mark.parametrize("setting", WATCHED, ids=str)
def test_statistics_match_the_loops(x64, setting):
    problem = cases.make_problem()
    padded = cases.as_arrays(cases.pad(problem))
    labels = jnp.asarray(np.append(LABELS, [0, 0, 1]))
    # edges carry no row mask of their own: the statistics are told
    options = {"mask": padded.mask} if setting.candidates == "wp" else {}
    stats = jax.jit(lambda p: cases.mix(p, setting, labels=labels, **options).stats)(padded)
    expected = naive_statistics(cases.naive_weights(problem, setting), problem.z)
    assert set(stats) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(stats[name], value, atol=1e-12, err_msg=name)


def test_agreement_is_logged_only_with_labels():
    setting = cases.Setting("mo", "op")
    problem = cases.as_arrays(cases.make_problem())
    stats = jax.eval_shape(lambda: cases.mix(problem, setting).stats)
    assert "agreement" not in stats and "rank_correlation" in stats


def test_rank_correlation_shares_the_ranks_of_ties(x64):
    """Three rows: ties, reversed order, and one partner only (left out)."""
    weights = np.array([0.1, 0.4, 0.4, 0.2, 0.5, 0.3, 0.1, 1.0, 9.0])
    similarity = np.array([0.3, 0.2, 0.9, 0.3, 0.1, 0.2, 0.3, 0.7, 9.0])
    rows = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
    expected = (rank_correlation(weights[:4], similarity[:4]) - 1.0) / 2
    correlation = jax.jit(functools.partial(mixing.rank_correlation, num_rows=4))
    value = correlation(weights, similarity, rows, np.arange(9) < 8)
    np.testing.assert_allclose(value, expected, atol=1e-12)
