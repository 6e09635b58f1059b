"""Graph convolutions act(P X W + b), for any linear propagation P."""

from collections.abc import Callable

import flax.linen as nn
import jax

from mmix_jax.graphs.normalize import gcn_weights, propagate

Propagate = Callable[[jax.Array], jax.Array]


def identity(x: jax.Array) -> jax.Array:
    """The propagation of features that were propagated beforehand."""
    return x


class GCN(nn.Module):
    """Layers h ← PReLU(P h W + b); one layer is the MVGRL-style encoder.

    W is Xavier-uniform, b zero, PReLU's slope starts at 0.25. `propagate` multiplies [N, D] by P:
    pass `identity` with features that already are P X (one layer only), `along_edges(graph)` for a
    jraph GraphsTuple with Â on its edges, or a diffusion.
    """

    widths: tuple[int, ...]

    @nn.compact
    def __call__(
        self, x: jax.Array, propagate: Propagate = identity, mix: Propagate = identity
    ) -> jax.Array:
        """Encode `x [N, F]` to [N, widths[-1]]. `mix` acts on x W of the first layer: i-mix and
        shuffled features are linear in x, so they are done at width D instead of F."""
        for layer, width in enumerate(self.widths):
            x = nn.Dense(
                width,
                use_bias=False,
                kernel_init=nn.initializers.xavier_uniform(),
                name=f"dense_{layer}",
            )(x)
            x = propagate(mix(x) if layer == 0 else x)
            x = x + self.param(f"bias_{layer}", nn.initializers.zeros, (width,))[None, :]
            x = nn.PReLU(negative_slope_init=0.25, name=f"prelu_{layer}")(x)
        return x


def along_edges(graph) -> Propagate:
    """x ↦ Â x for a padded jraph GraphsTuple of `graphs.pad_graph`; edge weights count.

    Padding nodes see themselves alone. Differentiable in x.
    """
    weights, self_weights = gcn_weights(
        graph.senders, graph.receivers, graph.nodes.shape[0], graph.edges["edge_weight"]
    )

    def along(x: jax.Array) -> jax.Array:
        return propagate(x, graph.senders, graph.receivers, weights, self_weights)

    return along
