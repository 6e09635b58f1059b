"""Diffusion of features over a graph: f(Â) X, without ever forming a matrix of size [N, N].

With Â = D̃^{-1/2} (A + s I) D̃^{-1/2} of an undirected graph, whose eigenvalues lie in [−1, 1]:

  ppr    f(Â) = α (I − (1 − α) Â)^{-1}, personalised PageRank
  heat   f(Â) = exp(−t (I − Â)), a matrix exponential

f is replaced by its truncated Chebyshev series on [−1, 1], so that f(Â) X is a short three-term
recurrence of sparse products (18 terms at α = 0.2 for an error of 1e-5). Exact dense matrices and
sparsified ones (top-k or ε, as in Gasteiger et al., "Diffusion Improves Graph Learning", 2019) are
offered for those who want the matrix itself.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from mmix_jax.errors import InputError
from mmix_jax.graphs.normalize import (
    Array,
    ArrayT,
    check_floating,
    check_symmetric,
    gcn_weights,
    on_host,
    propagate,
    sparse_operator,
)

MAX_TERMS = 1024  # of the Chebyshev series
FEATURE_BLOCK = 64  # columns of X that the host path holds in its recurrence at a time


def diffuse(
    x: ArrayT,
    senders: Array,
    receivers: Array,
    *,
    edge_weight: Array | None = None,
    kind: str = "ppr",
    alpha: float = 0.2,
    t: float = 5.0,
    tol: float = 1e-5,
    self_loops: float = 1.0,
    edge_mask: Array | None = None,
) -> ArrayT:
    """f(Â) X by Chebyshev steps, with f = "ppr" or "heat".

    The truncation error of every column is at most ``tol`` times its norm. All arrays NumPy: SciPy
    products on the host, in blocks of columns. Any JAX array: differentiable in ``x`` and
    ``edge_weight``. A node without edges keeps its features (with ``self_loops=0`` it is scaled by
    f(0)).

    Edges must be symmetric, or the series diverges from f. This is checked wherever the edges are
    concrete; traced ones are taken on trust. Graphs side by side in one array do not touch.

    Args:
      x: floating point [N, F].
      senders: [E], both directions of every edge.
      receivers: [E].
      edge_weight: non-negative [E], taken in the dtype of ``x``; None means ones.
      kind: "ppr" or "heat".
      alpha: teleport probability of ppr, in (0, 1].
      t: diffusion time of heat, at least 0.
      tol: bound of the truncation error relative to the norm of each column.
      self_loops: weight s of the loops in Â; the paper has 1.
      edge_mask: bool [E], False on padding and dropped edges (symmetrically).

    Returns:
      [N, F] in the dtype of ``x``.

    Raises:
      InputError: unknown kind, a parameter out of range, or edges that are not symmetric.
    """
    check_floating("x", x, 2)
    coefficients = chebyshev_coefficients(kind, alpha, t, tol).astype(x.dtype)
    edges = senders, receivers, edge_weight, edge_mask
    if not any(isinstance(array, Tracer) for array in edges):
        check_symmetric(*edges, num_nodes=x.shape[0])
    host = on_host(x, *edges)
    xp: Any = np if host else jnp
    weight = xp.ones(senders.shape, x.dtype)
    if edge_weight is not None:
        weight = xp.asarray(edge_weight, x.dtype)
    if edge_mask is not None:
        weight = xp.where(edge_mask, weight, xp.zeros_like(weight))
    weights = gcn_weights(senders, receivers, x.shape[0], weight, self_loops=self_loops)
    if not host:
        return _diffuse_traced(x, senders, receivers, *weights, coefficients)
    operator = sparse_operator(senders, receivers, *weights, x.shape[0], x.dtype)
    out: Any = np.empty_like(x)
    for columns in _blocks(x.shape[1], FEATURE_BLOCK):
        block = np.ascontiguousarray(x[:, columns])
        out[:, columns] = _chebyshev_sum(operator.__matmul__, block, coefficients, _host_scan)
    return out


@jax.jit
def _diffuse_traced(x, senders, receivers, weights, self_weights, coefficients):
    def apply(v):
        return propagate(v, senders, receivers, weights, self_weights)

    return _chebyshev_sum(apply, x, coefficients, jax.lax.scan)


def _chebyshev_sum(apply: Callable, x: Any, coefficients: Any, scan: Callable) -> Any:
    """Σ_k c_k T_k(Â) x by T_{k+1} = 2 Â T_k − T_{k−1}; at least two coefficients."""

    def step(carry, coefficient):
        total, previous, current = carry
        following = 2 * apply(current) - previous
        return (total + coefficient * following, current, following), None

    first = apply(x)
    carry = (coefficients[0] * x + coefficients[1] * first, x, first)
    return scan(step, carry, coefficients[2:])[0][0]


def _host_scan(step: Callable, carry: Any, xs: np.ndarray) -> tuple[Any, None]:
    """``jax.lax.scan`` for NumPy, of a step without outputs."""
    for value in xs:
        carry, _ = step(carry, value)
    return carry, None


def chebyshev_coefficients(
    kind: str = "ppr", alpha: float = 0.2, t: float = 5.0, tol: float = 1e-5
) -> np.ndarray:
    """Coefficients c_k of f on [−1, 1] in float64, as few as keep Σ dropped c_k within ``tol``.

    No c_k is negative, and Σ c_k = f(1) = 1. As |T_k| ≤ 1 on [−1, 1], what is dropped bounds the
    error of f there. At least two coefficients are returned.
    """
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
    k = np.arange(MAX_TERMS)
    if kind == "ppr":
        if not 0 < alpha <= 1:
            raise InputError(f"alpha of ppr must lie in (0, 1], found {alpha}; the paper has 0.2")
        root = (alpha * (2 - alpha)) ** 0.5  # √(1 − (1 − α)²)
        return 2 * alpha / root * ((1 - alpha) / (1 + root)) ** k
    if kind == "heat":
        if not 0 <= t < np.inf:
            raise InputError(f"t of heat must be finite and at least 0, found {t}; usual is 5")
        from scipy.special import ive

        return 2 * ive(k, t)  # exponentially scaled Bessel function e^{−t} I_k(t)
    raise InputError(
        f"unknown diffusion kind {kind!r}; expected one of: heat, ppr "
        "(heat_elementwise only as a dense matrix, by diffusion_matrix)"
    )


def _blocks(size: int, block_size: int) -> Iterator[slice]:
    for start in range(0, size, block_size):
        yield slice(start, min(start + block_size, size))


def diffusion_matrix(
    senders: np.ndarray,
    receivers: np.ndarray,
    num_nodes: int,
    *,
    edge_weight: np.ndarray | None = None,
    kind: str = "ppr",
    alpha: float = 0.2,
    t: float = 5.0,
    self_loops: float = 1.0,
) -> np.ndarray:
    """The exact diffusion matrix, dense float64 [N, N] on the host; O(N^3), for small graphs.

    1. "ppr" is a linear solve, "heat" a matrix exponential; directed edges are allowed.
    2. "heat_elementwise" is what the authors' code calls heat: exp(t ((A + s I) D^{-1} − 1)) entry
       by entry, columns divided by the row sums D. A pair without an edge gets exp(−t), not 0.
    """
    _series("heat" if kind == "heat_elementwise" else kind, alpha, t)  # for its checks
    ones = np.ones(len(senders))
    edge_weight = ones if edge_weight is None else np.asarray(edge_weight, np.float64)
    if kind == "heat_elementwise":
        loops = np.full(num_nodes, self_loops)
        dense = sparse_operator(senders, receivers, edge_weight, loops, num_nodes, float).toarray()
        degree = dense.sum(axis=1)
        return np.exp(t * (dense / np.where(degree > 0, degree, 1) - 1))
    weights = gcn_weights(senders, receivers, num_nodes, edge_weight, self_loops=self_loops)
    dense = sparse_operator(senders, receivers, *weights, num_nodes, float).toarray()
    identity = np.eye(num_nodes)
    if kind == "ppr":
        return np.linalg.solve(identity - (1 - alpha) * dense, alpha * identity)
    from scipy.linalg import expm

    return expm(t * (dense - identity))


def sparse_diffusion(
    senders: np.ndarray,
    receivers: np.ndarray,
    num_nodes: int,
    *,
    edge_weight: np.ndarray | None = None,
    kind: str = "ppr",
    alpha: float = 0.2,
    t: float = 5.0,
    form: str = "top_k",
    top_k: int = 64,
    epsilon: float = 1e-4,
    tol: float = 1e-6,
    self_loops: float = 1.0,
    block_size: int = 256,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The large entries of f(Â) as edges, every column divided by what is left of it.

    Column j is what node j sends. Its diagonal entry is an edge like any other, from j to j, so
    ``propagate(x, senders, receivers, weights, None)`` applies the whole matrix. Ties are kept by
    lowest receiver; entries up to ``tol`` count as zero; a column of which nothing is left stays
    empty. Columns are computed in blocks: O(N · block_size) memory, O(N · E) work.

    Args:
      senders: [E], both directions of every edge.
      receivers: [E].
      num_nodes: N.
      edge_weight: non-negative [E], whose dtype the result has; None means float32 ones.
      kind: "ppr" or "heat".
      alpha: teleport probability of ppr, in (0, 1].
      t: diffusion time of heat.
      form: "top_k" keeps the ``top_k`` largest entries of a column, "epsilon" those that are at
        least ``epsilon``.
      top_k: entries kept per column.
      epsilon: smallest entry kept.
      tol: accuracy of an entry before columns are divided.
      self_loops: weight s of the loops in Â.
      block_size: columns held at a time.

    Returns:
      senders and receivers, int32, and weights [E'], sorted by (receiver, sender).

    Raises:
      InputError: as ``diffuse``; an unknown form; top_k or epsilon that is not positive.
    """
    select = _selection(form, top_k, epsilon)
    weight = np.ones(len(senders), np.float32) if edge_weight is None else edge_weight
    coefficients = chebyshev_coefficients(kind, alpha, t, tol).astype(weight.dtype)
    check_symmetric(senders, receivers, weight, num_nodes=num_nodes)
    weights = gcn_weights(senders, receivers, num_nodes, weight, self_loops=self_loops)
    operator = sparse_operator(senders, receivers, *weights, num_nodes, weight.dtype)
    parts = []
    for columns in _blocks(num_nodes, block_size):
        unit = np.eye(num_nodes, columns.stop - columns.start, -columns.start, weight.dtype)
        block = _chebyshev_sum(operator.__matmul__, unit, coefficients, _host_scan).T
        block = np.where(block > tol, block, 0)
        sender, receiver = select(block).nonzero()
        kept = block[sender, receiver]
        total = np.bincount(sender, weights=kept, minlength=len(block))
        parts.append((sender + columns.start, receiver, kept / total[sender]))
    sender, receiver, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((sender, receiver))
    edges = sender[order].astype(np.int32), receiver[order].astype(np.int32)
    return *edges, values[order].astype(weight.dtype)


def _selection(form: str, top_k: int, epsilon: float) -> Callable[[np.ndarray], np.ndarray]:
    """Which entries of non-negative rows [B, N] to keep, as a mask."""
    if form == "epsilon":
        if not epsilon > 0:
            raise InputError(f"epsilon must be positive, found {epsilon}; usual is 1e-4")
        return lambda rows: rows >= epsilon
    if form == "top_k":
        if top_k < 1:
            raise InputError(f"top_k must be at least 1, found {top_k}; usual is 64")
        return lambda rows: _largest(rows, top_k)
    raise InputError(f"unknown sparse form {form!r}; expected one of: epsilon, top_k")


def _largest(rows: np.ndarray, top_k: int) -> np.ndarray:
    """Mask of the ``top_k`` largest positive entries of each row, ties by lowest index."""
    size = rows.shape[1]
    if top_k >= size:
        return rows > 0
    smallest_kept = np.partition(rows, size - top_k, axis=1)[:, size - top_k, None]
    above, equal = rows > smallest_kept, rows == smallest_kept
    spare = top_k - above.sum(axis=1, keepdims=True)
    return (above | (equal & (equal.cumsum(axis=1) <= spare))) & (rows > 0)
