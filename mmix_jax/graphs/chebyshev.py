"""The Chebyshev series of the two diffusions, in float64 on the host."""

import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.fields import Range
from mmix_jax.ops.numbers import real_number

MAX_TERMS = 1024
_ALPHAS = Range(0.0, 1.0, "must lie in (0, 1]", open=True)
_TIMES = Range(0.0, float(np.finfo(np.float64).max), "must be finite and at least 0")
_TOLERANCES = Range(-np.inf, np.inf, "must be a number")


def chebyshev_coefficients(
    kind: str = "ppr", alpha: float = 0.2, t: float = 5.0, tol: float = 1e-5
) -> np.ndarray:
    """Coefficients c_k of f on [−1, 1] in float64, as few as keep Σ dropped c_k within ``tol``.

    No c_k is negative, and Σ c_k = f(1) = 1. As |T_k| ≤ 1 on [−1, 1], what is dropped bounds the
    error of f there. At least two coefficients are returned.
    """
    tol = real_number("tol", tol, _TOLERANCES, "usual is 1e-5", error=InputError)
    coefficients = _series(kind, alpha, t)
    coefficients[0] /= 2
    needed = 1 + np.count_nonzero(np.cumsum(coefficients) < 1 - tol)
    if needed > MAX_TERMS:
        parameter = f"alpha={alpha}" if kind == "ppr" else f"t={t}"
        raise InputError(
            f"diffusion {kind!r} with {parameter} must reach tol={tol} within {MAX_TERMS} "
            "Chebyshev terms, and does not; raise tol or alpha, or lower t"
        )
    return coefficients[: max(needed, 2)]


def _series(kind: str, alpha: float, t: float) -> np.ndarray:
    """2/π ∫ f(cos θ) cos(k θ) dθ over [0, π] for k < MAX_TERMS, in closed form."""
    check_diffusion(kind, alpha, t)
    alpha, t, k = float(alpha), float(t), np.arange(MAX_TERMS)
    if kind == "ppr":
        root = (alpha * (2 - alpha)) ** 0.5  # √(1 − (1 − α)²)
        return 2 * alpha / root * ((1 - alpha) / (1 + root)) ** k
    from scipy.special import ive

    return 2 * ive(k, t)  # exponentially scaled Bessel function e^{−t} I_k(t)


def check_diffusion(kind: str, alpha: float, t: float) -> None:
    """Raises InputError where the kind is unknown, or its parameter out of range."""
    if kind == "ppr":
        real_number("alpha of ppr", alpha, _ALPHAS, "the paper has 0.2", error=InputError)
    elif kind == "heat":
        real_number("t of heat", t, _TIMES, "usual is 5", error=InputError)
    else:
        raise InputError(
            f"unknown diffusion kind {kind!r}; expected one of: heat, ppr "
            "(heat_elementwise only as a dense matrix, by diffusion_matrix)"
        )
