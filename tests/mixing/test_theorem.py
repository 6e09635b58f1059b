"""Theorem 3.1, in the form that holds: why weights should rise with similarity."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import mixing

mix_all = jax.jit(functools.partial(mixing.mix_pairs, candidates="all"))


def unit_vectors(seed, num=6, dim=4):
    return naive.normalise(np.random.default_rng(seed).normal(size=(num, dim)))


@pytest.mark.parametrize("seed", range(3))
def test_no_order_of_the_weights_is_closer_to_the_anchor_than_mo_mix(x64, seed):
    """(a): of all ways to deal a row's weights to its partners, the similar ones first is best."""
    z = unit_vectors(seed)
    mixture = mix_all(jnp.asarray(z))
    for i, row in enumerate(np.asarray(mixture.weights)):
        partners = [j for j in range(len(z)) if j != i]
        best = naive.mixture_similarity(row, z, i)
        np.testing.assert_allclose(naive.dot(mixture.z_mixed[i], z[i]), best)
        for order in itertools.permutations(partners):
            dealt = row.copy()
            dealt[partners] = row[list(order)]
            assert naive.mixture_similarity(dealt, z, i) <= best + 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_swapping_two_weights_lowers_the_similarity_by_their_difference(x64, seed):
    """(b): λ_j > λ_k swapped lowers ẑ · z_j by (λ_j − λ_k)(1 − z_j · z_k)."""
    z = unit_vectors(seed)
    weights = np.asarray(mix_all(jnp.asarray(z)).weights)
    for i, (j, k) in itertools.product(range(6), itertools.permutations(range(6), 2)):
        if weights[i, j] > weights[i, k]:
            before = naive.mixture_similarity(weights[i], z, j)
            after = naive.mixture_similarity(naive.swap(weights[i], j, k), z, j)
            expected = (weights[i, j] - weights[i, k]) * (1 - naive.dot(z[j], z[k]))
            np.testing.assert_allclose(before - after, expected, atol=1e-12)
            assert after <= before


def test_projections_turned_against_each_other_reverse_the_order(x64):
    """At the minimum of L_div, k = −q, weights fall with similarity: the trap of mp-mix."""
    z = jnp.asarray(unit_vectors(0))

    @jax.jit
    def statistics(z, k):
        return mixing.mix_pairs(z, rule="mp", candidates="all", q=z, k=k).stats

    same, opposed = statistics(z, z), statistics(z, -z)
    np.testing.assert_allclose(same["rank_correlation"], 1.0)
    np.testing.assert_allclose(opposed["rank_correlation"], -1.0)
    assert opposed["cosine"] < same["cosine"]
