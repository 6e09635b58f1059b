"""The GRACE-style framework for nodes: one encoder, two views by dropped edges and features."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.augment.graphs import edge_pairs, feature_mask, kept_edges
from mmix_jax.encoders.features import num_features_of, num_rows_of, stored_features
from mmix_jax.encoders.gat import GAT
from mmix_jax.encoders.gcn import GCN, Propagate, along_edges, identity
from mmix_jax.encoders.heads import NodeHead, Projections
from mmix_jax.frameworks.base import (
    Aux,
    Projected,
    Seen,
    mix_anchor_inputs,
    mix_rows,
    neighbours_of,
    own_key,
    some_nodes,
    synthetic_of,
)
from mmix_jax.graphs.neighbours import NodeBatch
from mmix_jax.graphs.normalize import gcn_weights
from mmix_jax.graphs.padding import edge_mask, pad_graph
from mmix_jax.graphs.samplers import NodeSampler
from mmix_jax.graphs.types import Graph
from mmix_jax.losses import Contrast, diversity, info_nce, usual_block_size, virtual_labels
from mmix_jax.mixing import Mixing, Mixture, draw_partners
from mmix_jax.ops.sparse import Array, SparsePattern, sparse_pattern

REPRESENTATIONS = ("single",)
batch_to_embed = some_nodes


class GraceTables(NamedTuple):
    """What stays on the device for the whole run.

    graph: a padded jraph GraphsTuple whose nodes are features [N, F] or `SparseFeatures`. pattern:
    of its real edges, receivers by senders. pairs: [E] `edge_pairs` of all edges.
    """

    graph: Any
    pattern: SparsePattern
    pairs: Array


@dataclass(frozen=True)
class GraceSettings:
    """Static settings; defaults are those published for DBLP, with the paper's mixing.

    widths: of the encoder's layers. head_width: between the head's two layers. drop_edge,
    drop_feature: probabilities in view a and b. symmetric: mix view b too. num_contrasted,
    num_nodes: as in `MVGRLSettings`.
    """

    encoder: str = "gcn"
    widths: tuple[int, ...] = (256, 256)
    num_heads: int = 4
    activation: str = "relu"
    head_width: int = 256
    drop_edge: tuple[float, float] = (0.1, 0.4)
    drop_feature: tuple[float, float] = (0.1, 0.0)
    mixing: Mixing = Mixing()
    symmetric: bool = False
    contrast: Contrast = Contrast(temperature=0.7)
    num_contrasted: int = 0
    num_nodes: int = 0

    @property
    def mixing_block_size(self) -> int | None:
        """Rows per block of mixing among pairs."""
        return usual_block_size(max(self.num_contrasted, self.num_nodes))


class View(NamedTuple):
    """One view: edges that stay [E], padding never; a 0/1 mask of feature dimensions [F]."""

    keep: jax.Array
    features: jax.Array


class GRACE(nn.Module):
    """The encoder, the head that plays g for both views, and with mp the two projections."""

    settings: GraceSettings

    def setup(self):
        s = self.settings
        if s.encoder == "gat":
            self.encoder: Any = GAT(s.widths, s.num_heads, s.activation)
        else:
            self.encoder = GCN(s.widths, s.activation)
        self.head = NodeHead(s.head_width)
        if s.mixing.projects:
            self.projections = Projections(s.widths[-1])

    def __call__(self, x: jax.Array):
        """Touches every parameter, for `init`: features [1, F] of one node without edges."""
        none = jnp.zeros(0, jnp.int32)
        weights = {"edge_weight": jnp.zeros(0)}
        graph = SimpleNamespace(nodes=x, senders=none, receivers=none, edges=weights)
        pattern = sparse_pattern(np.zeros(0), np.zeros(0), 1, 1)
        view = View(jnp.zeros(0, bool), jnp.ones(x.shape[1]))
        z = self.encode(GraceTables(graph, pattern, none), view)
        return self.head(z), self.projections(z) if self.settings.mixing.projects else None

    def encode(self, tables: GraceTables, view: View, mix: Propagate = identity) -> jax.Array:
        """z [N, D] of all nodes in a view; `mix` acts on x W of the first layer."""
        graph, x = tables.graph, tables.graph.nodes
        if self.settings.encoder == "gat":
            return self.encoder(x, graph, tables.pattern, view.keep, mix, view.features)
        along = along_edges(graph, pattern=tables.pattern, num_nodes=num_rows_of(x), keep=view.keep)
        return self.encoder(x, along, mix, view.features)

    def project_head(self, z: jax.Array) -> jax.Array:
        return self.head(z)

    def project(self, z: jax.Array) -> Projected:
        return self.projections(z)


def make_tables(settings: GraceSettings, graph: Graph) -> GraceTables:
    """What stays on the device: features, edges, and how their products are laid out."""
    padded: Any = pad_graph(graph._replace(x=graph.x[:, :0]))  # jraph declares optional fields
    num_nodes = padded.nodes.shape[0]
    tables = GraceTables(
        padded._replace(nodes=stored_features(graph.x, num_nodes)),
        sparse_pattern(graph.receivers, graph.senders, num_nodes, num_nodes),
        edge_pairs(padded.senders, padded.receivers),
    )
    return jax.tree.map(jnp.asarray, tables)


def make_sampler(
    settings: GraceSettings,
    graph: Graph,
    *,
    sampler: str = "full",
    batch_size: int = 2000,
    num_windows: int = 2,
    seed: int = 0,
    num_devices: int = 1,
) -> NodeSampler:
    """The sampler of one training: a step has one padded shape, and encodes every view whole."""
    return NodeSampler(
        graph,
        sampler=sampler,
        batch_size=batch_size,
        num_windows=num_windows,
        num_devices=num_devices,
        seed=seed,
        one_shape=True,
    )


def init_params(settings: GraceSettings, num_features: int, key: jax.Array) -> Any:
    """Fresh parameters for F features."""
    return GRACE(settings).init(key, jnp.zeros((1, num_features)))["params"]


def _apply(settings: GraceSettings, params, method: str, *args) -> Any:
    return GRACE(settings).apply({"params": params}, *args, method=method)


def whole_view(tables: GraceTables) -> View:
    """The unaugmented graph."""
    return View(edge_mask(tables.graph), jnp.ones(num_features_of(tables.graph.nodes)))


def draw_views(settings: GraceSettings, tables: GraceTables, key: jax.Array) -> tuple[View, View]:
    """Both views, drawn independently; masks on the padded arrays, so no shape ever changes."""
    real, num_features = edge_mask(tables.graph), num_features_of(tables.graph.nodes)

    def draw(key, drop_edge: float, drop_feature: float) -> View:
        edge_key, feature_key = jax.random.split(key)
        return View(
            real & kept_edges(edge_key, tables.pairs, drop_edge),
            feature_mask(feature_key, num_features, drop_feature),
        )

    key_a, key_b = jax.random.split(key)
    rates_a, rates_b = zip(settings.drop_edge, settings.drop_feature, strict=True)
    return draw(key_a, *rates_a), draw(key_b, *rates_b)


def mix_anchors(
    settings: GraceSettings,
    params,
    tables: GraceTables,
    z: jax.Array,
    view: View,
    batch: NodeBatch,
    key: jax.Array,
    *,
    axis_name: str | None = None,
    labels: jax.Array | None = None,
) -> tuple[Mixture, Projected | None]:
    """Mix the batch's anchors of z [N, D] over the edges that the view keeps; their (q, k) for mp.

    For `op` and `all` the candidates are the other anchors.
    """
    num_anchors = batch.anchor_mask.shape[0]
    rows = batch.rows if settings.mixing.by_edges else batch.rows[:num_anchors]
    batch = batch._replace(edge_mask=batch.edge_mask & view.keep[batch.edges])
    if settings.mixing.rule == "propagate":
        graph = tables.graph
        weights, own = gcn_weights(
            graph.senders, graph.receivers, z.shape[0], graph.edges["edge_weight"],
            edge_mask=view.keep,
        )  # fmt: skip
        anchors = batch.rows[:num_anchors]
        batch = batch._replace(edge_weight=weights[batch.edges], self_edge_weight=own[anchors])
    z = z[rows]
    projected = of_anchors = None
    if settings.mixing.projects:
        projected = q, k = _apply(settings, params, "project", z)
        of_anchors = q[:num_anchors], k[:num_anchors]
    mixture = mix_rows(
        settings.mixing, z, batch, key, projected=projected, axis_name=axis_name, labels=labels,
        block_size=settings.mixing_block_size,
    )  # fmt: skip
    return mixture, of_anchors


def make_loss(settings: GraceSettings, axis_name: str | None = None) -> Callable:
    """`loss_fn(params, batch_stats, (GraceTables, NodeBatch), key) -> (loss, Aux)`.

    J_node = (1/2N) Σ_i [L(u_i) + L(v_i)] + w L_div (eq. 8–10) over the batch's anchors, with
    u = head(ẑ^a) and v = head(z^b), or head(ẑ^b) where `symmetric`; i-mix's virtual labels
    for i-mix. Every view is encoded whole, so anchors are exact whatever the batch. With
    `axis_name` loss and metrics are this device's share; their sums over devices count. i-mix, and
    `random` along edges, draw on each device.
    """
    contrast = settings.contrast.options(settings.num_contrasted) | {"axis_name": axis_name}
    weight = settings.contrast.diversity_weight
    margin = {"margin": settings.contrast.diversity_margin, "axis_name": axis_name}

    def loss_fn(params, batch_stats, batch, key):
        tables, shard = batch
        view_key, key_a, key_b, partner_key = jax.random.split(key, 4)
        views = draw_views(settings, tables, view_key)
        anchors = shard.rows[: shard.anchor_mask.shape[0]]
        real = {"mask": shard.anchor_mask, "segments": shard.segments}

        def encode(view, mix=identity):
            return _apply(settings, params, "encode", tables, view, mix)

        def head(z):
            return _apply(settings, params, "project_head", z)

        if settings.mixing.of_inputs:
            partner_key = own_key(partner_key, axis_name)
            lam, partners = draw_partners(partner_key, anchors.shape[0], shard.anchor_mask)
            z_a = encode(views[0], lambda h: mix_anchor_inputs(h, shard, lam, partners))
            u, v = head(z_a[anchors]), head(encode(views[1])[anchors])
            loss = virtual_labels(u, v, lam, partners, **contrast, **real)
            return loss, Aux({"contrast": loss}, batch_stats)

        def mixed(view, key):
            key = own_key(key, axis_name, settings.mixing)
            mixture, projected = mix_anchors(
                settings, params, tables, encode(view), view, shard, key, axis_name=axis_name
            )
            return mixture.z_mixed, projected

        z_a, of_a = mixed(views[0], key_a)
        z_b, of_b = (
            mixed(views[1], key_b) if settings.symmetric else (encode(views[1])[anchors], None)
        )
        u, v = head(z_a), head(z_b)
        synthetic, metrics = synthetic_of(
            settings.mixing,
            u,
            v,
            key_a,
            of_u=of_a,
            of_v=lambda: _apply(settings, params, "project", z_b),
            axis_name=axis_name,
            block_size=settings.mixing_block_size,
            neighbours=neighbours_of(settings.mixing, shard),
            **real,
        )
        loss = info_nce(u, v, **contrast, **real, **synthetic)
        metrics["contrast"] = loss
        terms = [term for term in (of_a, of_b) if term is not None]
        if terms:
            values = [diversity(*term, mask=shard.anchor_mask, **margin) for term in terms]
            metrics["diversity"] = jnp.stack(values).mean()
            if weight:
                loss = loss + weight * metrics["diversity"]
        return loss, Aux(metrics, batch_stats, Seen(u, v, real))

    return loss_fn


def embed(
    settings: GraceSettings, params, tables: GraceTables, batch: NodeBatch, key, labels=None
) -> tuple[dict[str, jax.Array], Mixture]:
    """({"single": z [N, D]} on the unaugmented graph, before the head, padding included; Mixture).

    The mixture is what the rule makes of the batch's anchors: only its statistics are of use.
    """
    view = whole_view(tables)
    z = _apply(settings, params, "encode", tables, view)
    mixture, _ = mix_anchors(settings, params, tables, z, view, batch, key, labels=labels)
    return {"single": z}, mixture
