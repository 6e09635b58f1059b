"""Graph attention layers (Veličković et al., ICLR 2018) on jraph's padded graphs."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmix_jax.encoders.features import Linear, SparseFeatures
from mmix_jax.encoders.gcn import Propagate, activate, identity
from mmix_jax.ops.arrays import floats, indices, mask_of, widened
from mmix_jax.ops.segment import segment_softmax
from mmix_jax.ops.sparse import SparsePattern, sparse_multiply

_LEAK = 0.2


def attention(
    h: jax.Array,
    to_receiver: jax.Array,
    to_sender: jax.Array,
    senders: jax.Array,
    receivers: jax.Array,
    edge_mask: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """α_ij = softmax_{j ∈ N(i) ∪ {i}} LeakyReLU(a_r·h_i + a_s·h_j), per head, slope 0.2.

    Rows sum to one over the edges that `edge_mask` keeps and the node itself; a node without edges
    attends to itself. Self-loops among the edges are ignored.

    Args:
      h: [N, H, D], H heads.
      to_receiver, to_sender: a_r and a_s, [H, D].
      senders, receivers, edge_mask: [E].

    Returns:
      (α of the edges [E, H], 0 where masked; α_ii [N, H]), float32 at least.
    """
    h, to_receiver, to_sender = (
        widened(floats(name, x))
        for name, x in (("h", h), ("to_receiver", to_receiver), ("to_sender", to_sender))
    )
    edge_mask = mask_of("edge_mask", edge_mask)
    senders, from_inside = indices("senders", senders, h.shape[0], edge_mask)
    receivers, to_inside = indices("receivers", receivers, h.shape[0], edge_mask)
    edge_mask &= from_inside & to_inside
    of_receiver = jnp.sum(h * to_receiver[None], axis=-1)
    of_sender = jnp.sum(h * to_sender[None], axis=-1)
    nodes = jnp.arange(h.shape[0], dtype=receivers.dtype)
    scores = jnp.concatenate([of_receiver[receivers] + of_sender[senders], of_receiver + of_sender])
    mask = jnp.concatenate([edge_mask & (senders != receivers), jnp.ones(h.shape[0], bool)])
    rows = jnp.concatenate([receivers, nodes])

    def softmax(scores):
        return segment_softmax(scores, rows, h.shape[0], mask)

    weights = jax.vmap(softmax, in_axes=1, out_axes=1)(nn.leaky_relu(scores, _LEAK))
    return weights[: senders.shape[0]], weights[senders.shape[0] :]


class GAT(nn.Module):
    """Layers h ← act(Σ_j α_ij h_j W + b) with several heads.

    Heads share the width of a layer, their outputs concatenated; in the last layer each has the
    whole width and they are averaged. W and both a are Xavier-uniform, b zero. Weights of edges
    have no say.
    """

    widths: tuple[int, ...]
    num_heads: int = 4
    activation: str = "prelu"

    @nn.compact
    def __call__(
        self,
        x: "jax.Array | SparseFeatures",
        graph: Any,
        pattern: SparsePattern,
        keep: jax.Array,
        mix: Propagate = identity,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        """Encode `x [N, F]` to [N, widths[-1]] along the edges of a jraph GraphsTuple.

        `pattern` is that of its real edges, receivers by senders; `keep [E]` is False on padding
        and on edges to leave out; `mix` and `mask` as for `GCN`.
        """
        h: Any = x
        num_edges = pattern.num_entries
        for layer, width in enumerate(self.widths):
            last = layer == len(self.widths) - 1
            each = width if last else width // self.num_heads
            shape = (self.num_heads, each)
            h = Linear(self.num_heads * each, name=f"dense_{layer}")(h, mask if not layer else None)
            h = (h if layer else mix(h)).reshape(-1, *shape)
            init = nn.initializers.xavier_uniform()
            to_receiver = self.param(f"to_receiver_{layer}", init, shape)
            to_sender = self.param(f"to_sender_{layer}", init, shape)
            weights, own = attention(
                h, to_receiver, to_sender, graph.senders, graph.receivers, keep
            )
            own_part = (own[:, :, None] * h).astype(h.dtype)
            h = sparse_multiply(pattern, weights[:num_edges], h) + own_part
            h = h.mean(axis=1) if last else h.reshape(h.shape[0], -1)
            bias = self.param(f"bias_{layer}", nn.initializers.zeros, (h.shape[1],))
            h = activate(self.activation, f"prelu_{layer}")(h + bias[None, :])
        return h
