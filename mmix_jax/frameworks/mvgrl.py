"""The MVGRL-style model of nodes and graphs: adjacency against diffusion, mixing in view a."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmix_jax.encoders.gcn import GCN, Propagate, along_edges, identity
from mmix_jax.encoders.heads import Predictor, Projections
from mmix_jax.frameworks.base import mix_rows
from mmix_jax.graphs import Diffusion
from mmix_jax.graphs.diffusion import diffuse
from mmix_jax.graphs.neighbours import NodeBatch
from mmix_jax.graphs.normalize import propagate
from mmix_jax.losses import Contrast, usual_block_size
from mmix_jax.mixing import Mixing, Mixture

REPRESENTATIONS = ("a", "b", "mean")


class NodeTables(NamedTuple):
    """What stays on the device for the whole run.

    x_a, x_b: [N, F] features propagated beforehand along adjacency and diffusion; None where the
    encoders have more than one layer and propagate themselves. graph: a padded jraph GraphsTuple
    (features and adjacency), where a loss propagates by itself. diffusion: [N', N'] dense or
    (senders, receivers, weights) for view b; None runs Chebyshev steps along the adjacency.
    """

    x_a: jax.Array | None
    x_b: jax.Array | None
    graph: Any = None
    diffusion: Any = None


@dataclass(frozen=True)
class MVGRLSettings:
    """Static settings; defaults are the paper's.

    num_contrasted: rows that a step contrasts on all devices, which decides between dense and
    streamed losses. num_nodes: of the graph, or of a batch of graphs; representations are mixed
    over all of them, whatever the batch.
    """

    widths: tuple[int, ...] = (256,)
    mixing: Mixing = Mixing()
    contrast: Contrast = Contrast()
    diffusion: Diffusion = Diffusion()
    objective: str = "node"
    feature_mask: float = 0.0
    embed_from: str = "g"
    discriminator: str = "bce"
    num_contrasted: int = 0
    num_nodes: int = 0
    diffusion_tolerance: float = 1e-5

    @property
    def mixing_block_size(self) -> int | None:
        """Rows per block of mixing among pairs."""
        return usual_block_size(max(self.num_contrasted, self.num_nodes))


class MVGRL(nn.Module):
    """Two GCNs that share nothing, g, mp-mix's projections and MVGRL's discriminator."""

    widths: tuple[int, ...]

    def setup(self):
        width = self.widths[-1]
        self.encoder_a = GCN(self.widths)
        self.encoder_b = GCN(self.widths)
        self.predictor = Predictor(width)
        self.projections = Projections(width)
        self.bilinear = self.param("bilinear", nn.initializers.xavier_uniform(), (width, width))

    def __call__(self, x_a: jax.Array, x_b: jax.Array):
        """Touches every parameter, for `init`."""
        z_a, z_b = self.encoder_a(x_a), self.encoder_b(x_b)
        return self.predictor(z_a), z_b, self.projections(z_a), self.bilinear

    def view_a(self, x, along: Propagate = identity, mix: Propagate = identity):
        return self.encoder_a(x, along, mix)

    def view_b(self, x, along: Propagate = identity, mix: Propagate = identity):
        return self.encoder_b(x, along, mix)

    def predict(self, z):
        return self.predictor(z)

    def project(self, z):
        return self.projections(z)


def init_params(settings: MVGRLSettings, num_features: int, key: jax.Array) -> Any:
    """Fresh parameters for F features: the function of the key that `seed` stands for."""
    x = jnp.zeros((1, num_features))
    return MVGRL(settings.widths).init(key, x, x)["params"]


def apply_method(settings: MVGRLSettings, params, method: str, *args) -> Any:
    """A method of the module on these parameters."""
    return MVGRL(settings.widths).apply({"params": params}, *args, method=method)


def diffusion_of(settings: MVGRLSettings, tables: NodeTables) -> Propagate:
    """x ↦ S x along view b, on the padded rows of `tables.graph`."""
    graph = tables.graph
    if tables.diffusion is None:

        def along(x):
            return diffuse(
                x,
                graph.senders,
                graph.receivers,
                edge_weight=graph.edges["edge_weight"],
                tol=settings.diffusion_tolerance,
                **settings.diffusion.options(),
            )

        return along
    if isinstance(tables.diffusion, tuple):
        senders, receivers, weights = tables.diffusion
        return lambda x: propagate(x, senders, receivers, weights, None)
    return lambda x: tables.diffusion @ x


def _encode(settings: MVGRLSettings, params, view: str, table, own, rows, mask) -> jax.Array:
    """Encoded `rows` from propagated features: a batch's `own` (a window), or the table's."""
    mask = mask[None, :]
    if own is not None:
        return apply_method(settings, params, view, own * mask)
    if rows.shape[0] < table.shape[0]:
        return apply_method(settings, params, view, table[rows] * mask)
    # As many rows as nodes: taking them from the output moves D numbers a row, not F.
    return apply_method(settings, params, view, table * mask)[rows]


def encode_views(
    settings: MVGRLSettings,
    params,
    tables: NodeTables,
    batch: NodeBatch,
    masks,
    mix: Propagate = identity,
) -> tuple[jax.Array, jax.Array]:
    """(z_a [R, D] of the batch's rows, z_b [B, D] of its anchors).

    `masks` are the feature masks [F] of both views; `mix` acts on x W over all rows of the graph
    (or of the batch, for view a with propagated features, where only anchors come back).
    """
    num_anchors = batch.anchor_mask.shape[0]
    anchors = batch.rows[:num_anchors]
    if tables.x_a is None and batch.x_a is None:
        x = tables.graph.nodes
        z_a = apply_method(
            settings, params, "view_a", x * masks[0][None, :], along_edges(tables.graph), mix
        )
        z_b = apply_method(
            settings, params, "view_b", x * masks[1][None, :], diffusion_of(settings, tables)
        )
        return z_a[batch.rows], z_b[anchors]
    z_b = _encode(settings, params, "view_b", tables.x_b, batch.x_b, anchors, masks[1])
    if mix is identity:
        x_a = (tables.x_a, batch.x_a, batch.rows)
        return _encode(settings, params, "view_a", *x_a, masks[0]), z_b

    def to_anchors(h):  # Â restricted to the rows that the anchors read
        gathered = batch.edge_weight[:, None] * h[batch.senders] * batch.edge_mask[:, None]
        own = batch.self_edge_weight[:, None] * h[:num_anchors]
        return own + jax.ops.segment_sum(gathered, batch.receivers, num_anchors)

    x = tables.graph.nodes[batch.rows]
    z_a = apply_method(settings, params, "view_a", x * masks[0][None, :], to_anchors, mix)
    return z_a, z_b


def mix_anchors(
    settings: MVGRLSettings,
    params,
    z_a: jax.Array,
    batch: NodeBatch,
    key: jax.Array,
    axis_name: str | None = None,
    labels: jax.Array | None = None,
) -> tuple[Mixture, tuple[jax.Array, jax.Array] | None]:
    """Mix the anchors of `z_a [R, D]`: the mixture of B rows, and their (q, k) for mp."""
    projected = anchors = None
    if settings.mixing.projects:
        num_anchors = batch.anchor_mask.shape[0]
        z_a = z_a if settings.mixing.by_edges else z_a[:num_anchors]
        projected = q, k = apply_method(settings, params, "project", z_a)
        anchors = q[:num_anchors], k[:num_anchors]
    mixture = mix_rows(
        settings.mixing, z_a, batch, key, projected=projected, axis_name=axis_name, labels=labels,
        block_size=settings.mixing_block_size,
    )  # fmt: skip
    return mixture, anchors


def num_features_of(tables: NodeTables, shard: NodeBatch) -> int:
    """F, whichever table holds the features."""
    x = shard.x_a if shard.x_a is not None else tables.x_a
    return (tables.graph.nodes if x is None else x).shape[1]


def embed(settings: MVGRLSettings, params, tables: NodeTables, batch: NodeBatch, key, labels=None):
    """Representations of every anchor, without augmentation, and the mixture behind branch a.

    Branch a is g(ẑ^a), ẑ^a or z^a by `embed_from`; branch b is z^b; `mean` their mean.

    Returns:
      ({"a", "b", "mean"}: [B, D], Mixture).
    """
    num_features = num_features_of(tables, batch)
    z_a, z_b = encode_views(settings, params, tables, batch, [jnp.ones((num_features,))] * 2)
    mixture, _ = mix_anchors(settings, params, z_a, batch, key, labels=labels)
    branch_a = {
        "g": lambda: apply_method(settings, params, "predict", mixture.z_mixed),
        "mixed": lambda: mixture.z_mixed,
        "z": lambda: z_a[: z_b.shape[0]],
    }[settings.embed_from]()
    return {"a": branch_a, "b": z_b, "mean": 0.5 * (branch_a + z_b)}, mixture
