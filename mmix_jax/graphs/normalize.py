"""Symmetric normalisation of an adjacency, propagation along it, and row normalisation.

Every function takes NumPy or JAX arrays. If all arrays are NumPy the work is done on the host
(float64 inside, SciPy's sparse rows for the product) and NumPy comes back; if any is a JAX array it
is traceable and differentiable JAX. The dtype of the values is kept either way.
"""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.errors import InputError

Array = np.ndarray | jax.Array
# The kind of the result: that of the main argument where all arguments are of one kind.
ArrayT = TypeVar("ArrayT", bound=np.ndarray | jax.Array)


def on_host(*arrays: Array | None) -> bool:
    """Whether all given arrays are NumPy's, so that the work stays on the host."""
    return all(array is None or isinstance(array, np.ndarray) for array in arrays)


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
      edge_weight: non-negative weights [E], whose dtype the result has; None means float32 ones.
      self_loops: s, the weight of every node's loop to itself. The paper has 1; the authors' node
        loader in effect has 2, as it adds I to an adjacency that holds it already.
      edge_mask: bool [E], False on padding and on dropped edges; these get weight 0.

    Returns:
      Weights [E] of the edges, Â_{receiver, sender}, and self weights [N], Â's diagonal.
    """
    check_edges(senders, receivers, edge_weight=edge_weight, edge_mask=edge_mask)
    host = on_host(senders, receivers, edge_weight, edge_mask)
    xp: Any = np if host else jnp
    weight = xp.ones(senders.shape, np.float32) if edge_weight is None else edge_weight
    check_floating("edge_weight", weight, 1)
    if edge_mask is not None:
        weight = xp.where(edge_mask, weight, xp.zeros_like(weight))
    degree = _row_sums(weight, receivers, num_nodes, host) + self_loops
    connected = degree > 0
    # The inner `where` keeps the gradient of an unconnected node finite.
    scale = xp.where(connected, xp.where(connected, degree, 1.0) ** -0.5, 0.0)
    weights = weight * scale[senders] * scale[receivers]
    return weights.astype(weight.dtype), (self_loops * scale**2).astype(weight.dtype)


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
      x: floating point [N, F].
      senders: [E], in [0, N).
      receivers: [E], in [0, N).
      weights: [E], taken in the dtype of ``x``.
      self_weights: [N], or None for no own term.
      edge_mask: bool [E]; edges where it is False carry nothing.

    Returns:
      [N, F] in the dtype of ``x``.
    """
    check_floating("x", x, 2)
    check_edges(senders, receivers, edge_mask=edge_mask, weights=weights)
    if on_host(x, senders, receivers, weights, self_weights, edge_mask):
        if edge_mask is not None:
            weights = np.where(edge_mask, weights, 0)
        return sparse_operator(senders, receivers, weights, self_weights, len(x), x.dtype) @ x
    weights = jnp.asarray(weights, x.dtype)
    if edge_mask is not None:
        weights = jnp.where(edge_mask, weights, 0)
    messages = jnp.asarray(x)[senders] * weights[:, None]
    out: Any = jax.ops.segment_sum(messages, jnp.asarray(receivers), x.shape[0])
    if self_weights is not None:
        out = out + jnp.asarray(self_weights, x.dtype)[:, None] * x
    return out


def sparse_operator(senders, receivers, weights, self_weights, num_nodes: int, dtype) -> Any:
    """Â as a SciPy CSR array [N, N]; row i holds what receiver i collects."""
    from scipy import sparse

    if self_weights is not None:
        loops = np.arange(num_nodes, dtype=np.asarray(senders).dtype)
        senders, receivers = np.append(senders, loops), np.append(receivers, loops)
        weights = np.append(weights, self_weights)
    entries = (np.asarray(weights, dtype), (receivers, senders))
    return sparse.csr_array(entries, shape=(num_nodes, num_nodes))


def row_normalize(x: ArrayT) -> ArrayT:
    """Rows divided by their L1 norm, as bag-of-words features want; zero rows stay zero."""
    check_floating("x", x, 2)
    xp: Any = np if on_host(x) else jnp
    total = xp.abs(x).sum(axis=1, keepdims=True)
    return x / xp.where(total > 0, total, xp.ones_like(total))


def check_symmetric(
    senders: Array,
    receivers: Array,
    edge_weight: Array | None = None,
    edge_mask: Array | None = None,
    *,
    num_nodes: int,
) -> None:
    """Raises InputError unless weights are non-negative and every edge has an equal reverse."""
    check_edges(senders, receivers, edge_weight=edge_weight, edge_mask=edge_mask)
    ones = np.ones(senders.shape)
    weight = ones if edge_weight is None else np.asarray(edge_weight, np.float64)
    if edge_mask is not None:
        weight = np.where(edge_mask, weight, 0.0)
    if not (weight >= 0).all():
        raise InputError(
            f"edge weights must be non-negative, found {weight[~(weight >= 0)][0]}; "
            "leave such edges out"
        )
    ends = np.asarray(senders), np.asarray(receivers)
    adjacency = sparse_operator(*ends, weight, None, num_nodes, np.float64)
    surplus = (adjacency - adjacency.T) - 1e-6 * adjacency  # rounding of weights is forgiven
    if surplus.nnz and surplus.max() > 0:
        surplus = surplus.tocoo()
        worst = surplus.data.argmax()
        raise InputError(
            f"diffusion needs symmetric edges, found {surplus.col[worst]} -> {surplus.row[worst]} "
            "without an equal reverse; build the graph by make_graph with undirected=True"
        )


def check_floating(name: str, values: Array, ndim: int) -> None:
    """Raises ValueError unless ``values`` is a floating point array of rank ``ndim``."""
    if values.ndim != ndim or not jnp.issubdtype(values.dtype, jnp.floating):
        raise ValueError(
            f"{name} must be a floating point array of rank {ndim}, "
            f"found {values.dtype} of shape {values.shape}; convert it first"
        )


def check_edges(senders: Array, receivers: Array, **per_edge: Array | None) -> None:
    """Raises ValueError unless all given arrays have one entry per edge."""
    shapes = {"receivers": receivers.shape}
    shapes |= {name: value.shape for name, value in per_edge.items() if value is not None}
    for name, shape in shapes.items():
        if senders.ndim != 1 or shape != senders.shape:
            raise ValueError(
                f"senders and {name} must be vectors of one length, "
                f"found shapes {senders.shape} and {shape}; give one entry per edge"
            )
