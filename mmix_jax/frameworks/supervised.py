"""The supervised baseline of graph edit distance: a GCN trained on triplets of other graphs.

A graph's vector h is the mean over its nodes of a GCN's outputs. The loss of a triplet (G, nearer
G⁺, farther G⁻) is a margin loss on cosines, max(0, margin − cos(h, h⁺) + cos(h, h⁻)).
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mmix_jax.encoders.gcn import GCN
from mmix_jax.fields import Range, between
from mmix_jax.graphs.normalize import gcn_weights
from mmix_jax.graphs.types import Graph
from mmix_jax.ops.numbers import real_number, whole_number
from mmix_jax.ops.similarity import cosine

_RATES = Range(0.0, 1e30, "must be positive and finite", open=True)
Triplets = Sequence[tuple[Graph, Graph, Graph]]


class Supervised(NamedTuple):
    """A trained encoder of graphs.

    Fields:
      gcn: parameters of the GCN.
      shift: [F], subtracted from the features: their mean over the training nodes.
      scale: [F], then multiplied: one over their standard deviation, 1 for constant features.
    """

    gcn: Any
    shift: jax.Array
    scale: jax.Array


class _Stack(NamedTuple):
    """Graphs padded to one size: x [T, n, F], Â [T, n, n], 1/N on the real nodes [T, n]."""

    x: Any
    operator: Any
    readout: Any


def train_triplets(
    triplets: Triplets,
    *,
    width: int = 64,
    num_steps: int = 300,
    learning_rate: float = 3e-3,
    key: jax.Array,
    num_layers: int = 2,
    margin: float = 1e-3,
    batch_size: int = 64,
) -> Supervised:
    """A GCN trained by Adam on the margin loss of random batches of triplets.

    A batch is drawn without replacement, anew for every step; everything follows from ``key``.
    Give triplets of other graphs than those that will be evaluated.

    Args:
      triplets: T of (anchor, nearer, farther), all with F features.
      width: of every layer, and of the graph vectors.
      num_steps: of Adam; 0 leaves the GCN as it was drawn.
      learning_rate: of Adam.
      key: PRNG key of parameters and batches.
      num_layers: of the GCN.
      margin: by how much the nearer graph's cosine should be above the farther's. Cosines of graphs
        one edge apart differ by little, and a large margin learns from the few largest changes
        only: of 0.001 to 0.1 the smallest was best on held-out training graphs of COIL-DEL.
      batch_size: triplets per step; at most T are taken.

    Raises:
      ValueError: there is no triplet, graphs differ in their number of features, or a number is
        out of range.
    """
    width = whole_number("width", width, 1, "64 is the default")
    num_steps = whole_number("num_steps", num_steps, 0, "300 is the default")
    num_layers = whole_number("num_layers", num_layers, 1, "2 is the default")
    batch_size = whole_number("batch_size", batch_size, 1, "64 is the default")
    learning_rate = real_number("learning_rate", learning_rate, _RATES, "3e-3 is the default")
    margin = real_number("margin", margin, between(-2, 2), "1e-3 is the default")
    stack = _stack_triplets(triplets)
    nodes = np.concatenate([graph.x for triplet in triplets for graph in triplet], dtype=float)
    spread = nodes.std(axis=0)
    # Below it one over the spread leaves float32.
    varied = (np.ptp(nodes, axis=0) > 0) & (spread > np.finfo(np.float32).tiny)
    spread = np.where(varied, spread, 1)
    init_key, batch_key = jax.random.split(key)
    gcn = GCN((width,) * num_layers).init(init_key, jnp.zeros((1, nodes.shape[1])))["params"]
    start = Supervised(
        gcn,
        shift=jnp.asarray(nodes.mean(axis=0), jnp.float32),
        scale=jnp.asarray(1 / spread, jnp.float32),
    )
    return _fit(
        start,
        stack,
        batch_key,
        learning_rate,
        margin,
        num_steps=num_steps,
        batch_size=min(batch_size, len(triplets)),
    )


def embed_graphs(model: Supervised, graphs: Sequence[Graph]) -> jax.Array:
    """Vectors h of graphs of any sizes, [T, D].

    Raises:
      ValueError: there is no graph, or its number of features is not the model's.
    """
    stack = _stack(graphs)
    if stack.x.shape[-1] != model.shift.shape[0]:
        raise ValueError(
            f"graphs must have the {model.shift.shape[0]} features of the training, "
            f"found {stack.x.shape[-1]}; embed graphs of the same set"
        )
    return _embed(model, stack)


@functools.partial(jax.jit, static_argnames=("num_steps", "batch_size"))
def _fit(start, stack, key, learning_rate, margin, *, num_steps: int, batch_size: int):
    """Adam on the parameters of the GCN; features keep their shift and scale."""
    optimizer = optax.adam(learning_rate)
    num_triplets = stack.x.shape[0]

    def step(carry, step_key):
        gcn, state = carry
        rows = jax.random.choice(step_key, num_triplets, (batch_size,), replace=False)
        batch = jax.tree.map(lambda leaf: leaf[rows], stack)
        gradient = jax.grad(lambda gcn: _loss(start._replace(gcn=gcn), batch, margin))(gcn)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(gcn, updates), state), None

    carry = start.gcn, optimizer.init(start.gcn)
    (gcn, _), _ = jax.lax.scan(step, carry, jax.random.split(key, num_steps))
    return start._replace(gcn=gcn)


def _loss(model: Supervised, stack: _Stack, margin) -> jax.Array:
    """The mean loss of triplets, whose stack has shapes [T, 3, ...]."""
    flat = _Stack(*(leaf.reshape(-1, *leaf.shape[2:]) for leaf in stack))
    h = _embed(model, flat)
    anchor, near, far = jnp.moveaxis(h.reshape(-1, 3, h.shape[-1]), 1, 0)
    return jnp.mean(jax.nn.relu(margin - cosine(anchor, near) + cosine(anchor, far)))


@jax.jit
def _embed(model: Supervised, stack: _Stack) -> jax.Array:
    num_graphs, size, num_features = stack.x.shape
    x = (stack.x - model.shift[None, None, :]) * model.scale[None, None, :]
    widths = tuple(model.gcn[name].shape[0] for name in sorted(model.gcn) if "bias" in name)

    def along(h):
        h = jnp.einsum("tij,tjd->tid", stack.operator, h.reshape(num_graphs, size, -1))
        return h.reshape(num_graphs * size, -1)

    h: Any = GCN(widths).apply({"params": model.gcn}, x.reshape(-1, num_features), along)
    return jnp.einsum("tn,tnd->td", stack.readout, h.reshape(num_graphs, size, -1))


def _stack_triplets(triplets: Triplets) -> _Stack:
    flat = _stack([graph for triplet in triplets for graph in triplet])
    return _Stack(*(leaf.reshape(-1, 3, *leaf.shape[1:]) for leaf in flat))


def _stack(graphs: Sequence[Graph]) -> _Stack:
    """Padding nodes have zero rows in Â and no part in the readout."""
    widths = {graph.x.shape[1] for graph in graphs}
    if len(widths) != 1:
        raise ValueError(
            "graphs, one or more, must have one number of features, "
            f"found {len(graphs)} graphs with {sorted(widths)}; take graphs of one set"
        )
    size = max(graph.num_nodes for graph in graphs)
    x = np.zeros((len(graphs), size, widths.pop()), np.float32)
    operator = np.zeros((len(graphs), size, size), np.float32)
    readout = np.zeros((len(graphs), size), np.float32)
    for index, graph in enumerate(graphs):
        num_nodes = graph.num_nodes
        entries = gcn_weights(graph.senders, graph.receivers, num_nodes, graph.edge_weight)
        operator[index, graph.receivers, graph.senders] = entries[0]
        operator[index, np.arange(num_nodes), np.arange(num_nodes)] = entries[1]
        x[index, :num_nodes] = graph.x
        readout[index, :num_nodes] = 1 / num_nodes
    return _Stack(x, operator, readout)
