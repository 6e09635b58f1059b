"""Equation 12 against a walk over N, and what is refused."""

import itertools
import math

import pytest

from mmix_jax.theory import sample_size


def naive(F, delta, mu, C):
    """The least N in equation 12, by trying them."""
    N = 1
    while not mu**2 / C * (math.log(7 + 1 / N) + 2 * math.log(F) - math.log(delta)) < N:
        N += 1
    return N


@pytest.mark.parametrize("F", [1, 2, 64, 256, 2048])
@pytest.mark.parametrize(("delta", "mu", "C"), [(0.1, 1, 1), (0.9, 0.01, 1), (1e-6, 7, 0.5)])
def test_sample_size_is_the_least_of_equation_12(F, delta, mu, C):
    assert sample_size(F, delta=delta, mu=mu, C=C) == naive(F, delta, mu, C)


def test_it_grows_with_the_dimension_and_with_certainty():
    sizes = [sample_size(F, delta=0.1, mu=10) for F in (64, 128, 256, 512)]
    # 2 log F': each doubling adds the same.
    steps = {b - a for a, b in itertools.pairwise(sizes)}
    assert steps <= {138, 139}  # 200 log 2 = 138.6
    assert sample_size(64, delta=0.01, mu=10) > sizes[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dimension": 0, "delta": 0.1}, "dimension must be"),
        ({"dimension": 256, "delta": 0.0}, "delta must lie"),
        ({"dimension": 256, "delta": 1.0}, "delta must lie"),
        ({"dimension": 256, "delta": 1.5}, "delta must lie"),
        ({"dimension": 256, "delta": 0.1, "mu": 0}, "mu must be positive"),
        ({"dimension": 256, "delta": 0.1, "C": -1}, "C must be positive"),
        ({"dimension": 256, "delta": 0.1, "mu": 1e6}, "N must be below"),
    ],
)
def test_what_the_theorem_does_not_speak_of_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        sample_size(**arguments)
