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
from mmix_jax.fields import POSITIVE
from mmix_jax.graphs.chebyshev import chebyshev_coefficients, check_diffusion
from mmix_jax.graphs.normalize import (
    WEIGHTS,
    Array,
    ArrayT,
    check_numbers,
    check_symmetric,
    gcn_weights,
    on_host,
    propagate,
    sparse_operator,
)
from mmix_jax.ops.arrays import native, wide
from mmix_jax.ops.numbers import real_number, whole_number

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
      x: [N, F]; half precision is computed in float32, and integers are float32.
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
      [N, F] in the floating type of ``x``.

    Raises:
      InputError: unknown kind, a parameter out of range, or edges that are not symmetric.
    """
    x = check_numbers("x", x, 2)
    dtype, x = x.dtype, x.astype(wide(x.dtype))
    coefficients = chebyshev_coefficients(kind, alpha, t, tol).astype(x.dtype)
    senders, receivers = native(senders), native(receivers)
    edge_mask = None if edge_mask is None else native(edge_mask) != 0
    if edge_weight is not None:
        edge_weight = check_numbers("edge_weight", edge_weight, 1)
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
        return _diffuse_traced(x, senders, receivers, *weights, coefficients).astype(dtype)
    operator = sparse_operator(senders, receivers, *weights, x.shape[0], x.dtype)
    out: Any = np.empty_like(x)
    for columns in _blocks(x.shape[1], FEATURE_BLOCK):
        block = np.ascontiguousarray(x[:, columns])
        out[:, columns] = _chebyshev_sum(operator.__matmul__, block, coefficients, _host_scan)
    return out.astype(dtype, copy=False)


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
    check_diffusion("heat" if kind == "heat_elementwise" else kind, alpha, t)
    alpha, t = (float(value) for value in (alpha, t))
    num_nodes = whole_number("num_nodes", num_nodes, 1, "count isolated nodes in")
    self_loops = real_number("self_loops", self_loops, WEIGHTS, "the paper has 1")
    senders, receivers = (np.asarray(native(ends)) for ends in (senders, receivers))
    ones = np.ones(len(senders))
    edge_weight = ones if edge_weight is None else np.asarray(native(edge_weight), np.float64)
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
      edge_weight: non-negative [E], whose floating type the result has (half precision is computed
        in float32); None means float32 ones.
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
    num_nodes = whole_number("num_nodes", num_nodes, 1, "count isolated nodes in")
    block_size = whole_number("block_size", block_size, 1, "256 is usual", error=InputError)
    senders, receivers = (np.asarray(native(ends)) for ends in (senders, receivers))
    weight = np.ones(len(senders), np.float32)
    if edge_weight is not None:
        weight = np.asarray(check_numbers("edge_weight", edge_weight, 1))
    dtype, weight = weight.dtype, weight.astype(wide(weight.dtype))
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
    return *edges, values[order].astype(dtype)


def _selection(form: str, top_k: int, epsilon: float) -> Callable[[np.ndarray], np.ndarray]:
    """Which entries of non-negative rows [B, N] to keep, as a mask."""
    if form == "epsilon":
        epsilon = real_number("epsilon", epsilon, POSITIVE, "usual is 1e-4", error=InputError)
        return lambda rows: rows >= epsilon
    if form == "top_k":
        top_k = whole_number("top_k", top_k, 1, "usual is 64", error=InputError)
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
