"""Symmetric normalisation of an adjacency, propagation along it, and row normalisation.

Every function takes NumPy or JAX arrays. If all arrays are NumPy the work is done on the host
(float64 inside, SciPy's sparse rows for the product) and NumPy comes back; if any is a JAX array it
is traceable and differentiable JAX. The floating type of the values is kept either way: half
precision is computed in float32, and integers and bools are float32. Concrete nodes out of range
are refused; traced ones cannot be, and their edges carry nothing.
"""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.fields import Range
from mmix_jax.ops.arrays import host_indices, indices, mask_of, native, numbers_of, wide
from mmix_jax.ops.numbers import real_number, whole_number

Array = np.ndarray | jax.Array
WEIGHTS = Range(0.0, 1e30, "must not be negative, or above 1e30")
# The kind of the result: that of the main argument where all arguments are of one kind.
ArrayT = TypeVar("ArrayT", bound=np.ndarray | jax.Array)


def on_host(*arrays: Array | None) -> bool:
    """Whether no given array is jax's, so that the work stays on the host."""
    return not any(isinstance(array, jax.Array) for array in arrays)


def gcn_weights(
    senders: ArrayT,
    receivers: Array,
    num_nodes: int,
    edge_weight: Array | None = None,
    *,
    self_loops: float = 1.0,
    edge_mask: Array | None = None,
) -> tuple[ArrayT, ArrayT]:
    """Entries of Â = D̃^{-1/2} (A + s I) D̃^{-1/2}, D̃ the row sums of A + s I.

    A node without edges has Â_ii = 1; without self-loops too (s = 0) its row is zero. A row of A is
    a receiver. Differentiable in ``edge_weight``.

    Args:
      senders: [E], in [0, N).
      receivers: [E], in [0, N).
      num_nodes: N, padding nodes included.
      edge_weight: non-negative weights [E], whose floating type the result has; None means float32
        ones.
      self_loops: s, the weight of every node's loop to itself. The paper has 1; the authors' node
        loader in effect has 2, as it adds I to an adjacency that holds it already.
      edge_mask: bool [E], False on padding and on dropped edges; these get weight 0.

    Returns:
      Weights [E] of the edges, Â_{receiver, sender}, and self weights [N], Â's diagonal.
    """
    num_nodes = whole_number("num_nodes", num_nodes, 0, "count padding nodes in")
    self_loops = real_number("self_loops", self_loops, WEIGHTS, "the paper has 1")
    host = on_host(senders, receivers, edge_weight, edge_mask)
    xp: Any = np if host else jnp
    senders, receivers, real = edges_of(
        senders, receivers, num_nodes, edge_mask, host, edge_weight=edge_weight
    )
    weight: Any = xp.ones(senders.shape, np.float32)
    if edge_weight is not None:
        weight = check_numbers("edge_weight", edge_weight, 1)
    dtype, weight = weight.dtype, xp.asarray(weight, wide(weight.dtype))
    if real is not None:
        weight = xp.where(real, weight, xp.zeros_like(weight))
    degree = _row_sums(weight, receivers, num_nodes, host) + self_loops
    connected = degree > 0
    # The inner `where` keeps the gradient of an unconnected node finite.
    scale = xp.where(connected, xp.where(connected, degree, 1.0) ** -0.5, 0.0)
    weights = weight * scale[senders] * scale[receivers]
    return weights.astype(dtype), (self_loops * scale**2).astype(dtype)


def _row_sums(weight: Array, receivers: Array, num_nodes: int, host: bool) -> Any:
    if host:
        return np.bincount(np.asarray(receivers), weights=weight, minlength=num_nodes)
    return jax.ops.segment_sum(jnp.asarray(weight), jnp.asarray(receivers), num_nodes)


def propagate(
    x: ArrayT,
    senders: Array,
    receivers: Array,
    weights: Array,
    self_weights: Array | None,
    *,
    edge_mask: Array | None = None,
) -> ArrayT:
    """Â x: row i is self_weights_i · x_i + Σ over edges into i of weight · x_sender.

    A node without edges gets its own term only. Nothing of size [N, N] is formed; the JAX form
    gathers [E, F].

    Args:
      x: [N, F].
      senders: [E], in [0, N).
      receivers: [E], in [0, N).
      weights: [E], taken in the dtype of ``x``, float32 at least.
      self_weights: [N], or None for no own term.
      edge_mask: bool [E]; edges where it is False carry nothing.

    Returns:
      [N, F] in the floating type of ``x``.
    """
    x = check_numbers("x", x, 2)
    host = on_host(x, senders, receivers, weights, self_weights, edge_mask)
    senders, receivers, real = edges_of(
        senders, receivers, x.shape[0], edge_mask, host, weights=weights
    )
    dtype, inner = x.dtype, wide(x.dtype)
    weights = check_numbers("weights", weights, 1)
    if self_weights is not None:
        self_weights = check_numbers("self_weights", self_weights, 1)
    if host:
        if real is not None:
            weights = np.where(real, weights, 0)
        operator = sparse_operator(senders, receivers, weights, self_weights, len(x), inner)
        return (operator @ x.astype(inner, copy=False)).astype(dtype, copy=False)
    x, weights = jnp.asarray(x, inner), jnp.asarray(weights, inner)
    if real is not None:
        weights = jnp.where(real, weights, 0)
    out: Any = jax.ops.segment_sum(x[senders] * weights[:, None], receivers, x.shape[0])
    if self_weights is not None:
        out = out + jnp.asarray(self_weights, inner)[:, None] * x
    return out.astype(dtype)


def sparse_operator(senders, receivers, weights, self_weights, num_nodes: int, dtype) -> Any:
    """Â as a SciPy CSR array [N, N]; row i holds what receiver i collects."""
    from scipy import sparse

    senders = host_indices("senders", senders, num_nodes)
    receivers = host_indices("receivers", receivers, num_nodes)
    dtype = wide(dtype)  # SciPy knows no half precision
    if self_weights is not None:
        loops = np.arange(num_nodes, dtype=np.int32)
        senders, receivers = np.append(senders, loops), np.append(receivers, loops)
        weights = np.append(weights, self_weights)
    entries = (np.asarray(weights, dtype), (receivers, senders))
    return sparse.csr_array(entries, shape=(num_nodes, num_nodes))


def row_normalize(x: ArrayT) -> ArrayT:
    """Rows divided by their L1 norm, as bag-of-words features want; zero rows stay zero."""
    x = check_numbers("x", x, 2)
    xp: Any = np if on_host(x) else jnp
    dtype, rows = x.dtype, x.astype(wide(x.dtype))
    # By a power of two first, which rounds nothing: the sum of finite numbers may not be finite.
    largest = xp.abs(jax.lax.stop_gradient(rows) if xp is jnp else rows)
    largest = largest.max(axis=1, keepdims=True, initial=0)
    _, exponent = xp.frexp(xp.where((largest > 0) & xp.isfinite(largest), largest, 1))
    rows = xp.ldexp(rows, -exponent)
    total = xp.abs(rows).sum(axis=1, keepdims=True)
    return (rows / xp.where(total == 0, xp.ones_like(total), total)).astype(dtype)


def check_symmetric(
    senders: Array,
    receivers: Array,
    edge_weight: Array | None = None,
    edge_mask: Array | None = None,
    *,
    num_nodes: int,
) -> None:
    """Raises InputError unless weights are non-negative and every edge has an equal reverse."""
    senders, receivers, real = edges_of(
        senders, receivers, num_nodes, edge_mask, host=True, edge_weight=edge_weight
    )
    ones = np.ones(senders.shape)
    weight = ones
    if edge_weight is not None:
        weight = np.asarray(check_numbers("edge_weight", edge_weight, 1), np.float64)
    if real is not None:
        weight = np.where(real, weight, 0.0)
    if np.isposinf(weight).any():
        raise InputError("edge weights must be finite, found inf; leave such edges out")
    if not (weight >= 0).all():
        raise InputError(
            f"edge weights must be non-negative, found {weight[~(weight >= 0)][0]}; "
            "leave such edges out"
        )
    adjacency = sparse_operator(senders, receivers, weight, None, num_nodes, np.float64)
    surplus = (adjacency - adjacency.T) - 1e-6 * adjacency  # rounding of weights is forgiven
    if surplus.nnz and surplus.max() > 0:
        surplus = surplus.tocoo()
        worst = surplus.data.argmax()
        raise InputError(
            f"diffusion needs symmetric edges, found {surplus.col[worst]} -> {surplus.row[worst]} "
            "without an equal reverse; build the graph by make_graph with undirected=True"
        )


def check_numbers(name: str, values: Any, ndim: int) -> Any:
    """The values as floating point of rank ``ndim``, NumPy or jax; ValueError where they are not.

    Their own floating type; integers and bools are float32.
    """
    values = numbers_of(name, values)
    if values.ndim != ndim:
        raise ValueError(
            f"{name} must be an array of rank {ndim}, found {values.dtype} of shape "
            f"{values.shape}; reshape it first"
        )
    return values


def edges_of(
    senders: Any, receivers: Any, num_nodes: int, edge_mask: Any, host: bool, **per_edge: Any
) -> tuple[Any, Any, Any]:
    """Both ends as int32, and which edges are real (None: all); NumPy on the host.

    Raises:
      ValueError: an array has not one entry per edge, or a concrete end of a real edge is no node.
    """
    senders, receivers = native(senders), native(receivers)
    per_edge = {"receivers": receivers, **per_edge, "edge_mask": edge_mask}
    for name, values in per_edge.items():
        shape = senders.shape if values is None else np.shape(values)
        if senders.ndim != 1 or shape != senders.shape:
            raise ValueError(
                f"senders and {name} must be vectors of one length, "
                f"found shapes {senders.shape} and {shape}; give one entry per edge"
            )
    real = None
    if host:
        if edge_mask is not None:
            real = native(edge_mask) != 0
        senders = host_indices("senders", senders, num_nodes, real)
        return senders, host_indices("receivers", receivers, num_nodes, real), real
    if edge_mask is not None:
        real = mask_of("edge_mask", edge_mask)
    senders, from_inside = indices("senders", senders, num_nodes, real)
    receivers, to_inside = indices("receivers", receivers, num_nodes, real)
    inside = from_inside & to_inside
    return senders, receivers, inside if real is None else real & inside
