"""Graph convolutions act(P X W + b), for any linear propagation P."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from mmix_jax.encoders.features import Linear, SparseFeatures
from mmix_jax.graphs.normalize import gcn_weights, propagate
from mmix_jax.ops.sparse import SparsePattern, sparse_multiply

Propagate = Callable[[jax.Array], jax.Array]


def identity(x: jax.Array) -> jax.Array:
    """The propagation of features that were propagated beforehand."""
    return x


class GCN(nn.Module):
    """Layers h ← act(P h W + b); one layer is the MVGRL-style encoder.

    W is Xavier-uniform, b zero; act is PReLU, whose slope starts at 0.25, or ReLU. `propagate`
    multiplies [N, D] by P: pass `identity` with features that already are P X (one layer only),
    `along_edges(graph)` for a jraph GraphsTuple with Â on its edges, or a diffusion.
    """

    widths: tuple[int, ...]
    activation: str = "prelu"

    @nn.compact
    def __call__(
        self,
        x: "jax.Array | SparseFeatures",
        propagate: Propagate = identity,
        mix: Propagate = identity,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        """Encode `x [N, F]` to [N, widths[-1]]. `mix` acts on x W of the first layer: i-mix and
        shuffled features are linear in x, so they are done at width D instead of F. `mask [F]`
        multiplies the feature dimensions."""
        h: Any = x
        for layer, width in enumerate(self.widths):
            h = Linear(width, name=f"dense_{layer}")(h, mask if layer == 0 else None)
            h = propagate(mix(h) if layer == 0 else h)
            h = h + self.param(f"bias_{layer}", nn.initializers.zeros, (width,))[None, :]
            h = activate(self.activation, f"prelu_{layer}")(h)
        return h


def activate(activation: str, name: str) -> Propagate:
    """ReLU, or a PReLU module of this name; for use inside a compact method."""
    return nn.relu if activation == "relu" else nn.PReLU(negative_slope_init=0.25, name=name)


def along_edges(
    graph: Any,
    *,
    pattern: SparsePattern | None = None,
    num_nodes: int | None = None,
    keep: jax.Array | None = None,
) -> Propagate:
    """x ↦ Â x for a padded jraph GraphsTuple of `graphs.pad_graph`; edge weights count.

    Padding nodes see themselves alone. Differentiable in x.

    Args:
      graph: the GraphsTuple.
      pattern: of its real edges, receivers by senders: gathers instead of a segment sum.
      num_nodes: N, padding included, where `graph.nodes` does not tell.
      keep: [E] bool: edges to leave in; Â is normalised without the others.
    """
    size = graph.nodes.shape[0] if num_nodes is None else num_nodes
    weights, self_weights = gcn_weights(
        graph.senders, graph.receivers, size, graph.edges["edge_weight"], edge_mask=keep
    )

    def along(x: jax.Array) -> jax.Array:
        if pattern is None:
            return propagate(x, graph.senders, graph.receivers, weights, self_weights)
        real = weights[: pattern.num_entries]  # padding edges come last
        return sparse_multiply(pattern, real, x) + self_weights[:, None] * x

    return along
