"""The MVGRL-style framework for nodes: two separate encoders, adjacency against diffusion, mixing in view a."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmix_jax.augment.graphs import feature_mask
from mmix_jax.encoders.gcn import GCN, Propagate, along_edges, identity
from mmix_jax.encoders.heads import Predictor, Projections
from mmix_jax.graphs.diffusion import diffuse
from mmix_jax.graphs.normalize import propagate
from mmix_jax.graphs.samplers import NodeBatch
from mmix_jax.losses import diversity, info_nce, node_graph, virtual_labels
from mmix_jax.mixing import Mixture, draw_partners, mix_edges, mix_pairs, mix_with


class Aux(NamedTuple):
    """What a loss function returns beside the loss: shares of metrics, and batch statistics."""

    metrics: dict[str, jax.Array]
    batch_stats: Any


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


class Settings(NamedTuple):
    """Static settings; names and defaults are METHOD.md's and the paper's."""

    widths: tuple[int, ...] = (256,)
    mixing: str = "mp"
    candidates: str = "wp"
    objective: str = "node"
    negatives: str = "full"
    temperature: float = 1.0
    mixing_temperature: float = 1.0
    self_weight: float | None = 0.2
    threshold: float = 0.9
    diversity_weight: float = 1.0
    diversity_margin: float = -1.0
    feature_mask: float = 0.0
    mix_normalised: bool = False
    stop_gradient: bool = False
    embed_from: str = "g"
    discriminator: str = "bce"
    block_size: int | None = None
    mixing_block_size: int | None = None
    diffusion_kind: str = "ppr"
    alpha: float = 0.2
    diffusion_time: float = 5.0
    diffusion_tolerance: float = 1e-5


class MVGRL(nn.Module):
    """Two GCNs that share nothing, the predictor g, mp-mix's projections and MVGRL's discriminator."""

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


def init_params(settings: Settings, num_features: int, key: jax.Array) -> Any:
    """Fresh parameters for F features: the function of the key that `seed` stands for."""
    x = jnp.zeros((1, num_features))
    return MVGRL(settings.widths).init(key, x, x)["params"]


def _apply(settings: Settings, params, method: str, *args):
    return MVGRL(settings.widths).apply({"params": params}, *args, method=method)


def _diffusion(settings: Settings, tables: NodeTables) -> Propagate:
    """x ↦ S x along view b, on the padded rows of `tables.graph`."""
    graph = tables.graph
    if tables.diffusion is None:

        def along(x):
            return diffuse(
                x,
                graph.senders,
                graph.receivers,
                edge_weight=graph.edges["edge_weight"],
                kind=settings.diffusion_kind,
                alpha=settings.alpha,
                t=settings.diffusion_time,
                tol=settings.diffusion_tolerance,
            )

        return along
    if isinstance(tables.diffusion, tuple):
        senders, receivers, weights = tables.diffusion
        return lambda x: propagate(x, senders, receivers, weights, None)
    return lambda x: tables.diffusion @ x


def _inputs(table: jax.Array | None, own: jax.Array | None, rows: jax.Array) -> jax.Array | None:
    """Propagated features of `rows`: the batch's own (a window), or taken from the table."""
    if own is not None:
        return own
    return None if table is None else table[rows]


def encode_views(
    settings: Settings, params, tables: NodeTables, batch: NodeBatch, masks, mix: Propagate = identity
) -> tuple[jax.Array, jax.Array]:
    """(z_a [R, D] of the batch's rows, z_b [B, D] of its anchors).

    `masks` are the feature masks [F] of both views; `mix` acts on x W over all rows of the graph
    (or of the batch, for view a with propagated features, where only anchors come back).
    """
    num_anchors = batch.anchor_mask.shape[0]
    anchors = batch.rows[:num_anchors]
    x_a = _inputs(tables.x_a, batch.x_a, batch.rows)
    x_b = _inputs(tables.x_b, batch.x_b, anchors)
    if x_a is None or x_b is None:
        x = tables.graph.nodes
        z_a = _apply(settings, params, "view_a", x * masks[0][None, :], along_edges(tables.graph), mix)
        z_b = _apply(settings, params, "view_b", x * masks[1][None, :], _diffusion(settings, tables))
        return z_a[batch.rows], z_b[anchors]
    z_b = _apply(settings, params, "view_b", x_b * masks[1][None, :])
    if mix is identity:
        return _apply(settings, params, "view_a", x_a * masks[0][None, :]), z_b

    def to_anchors(h):  # Â restricted to the rows that the anchors read
        gathered = batch.edge_weight[:, None] * h[batch.senders] * batch.edge_mask[:, None]
        own = batch.self_edge_weight[:, None] * h[:num_anchors]
        return own + jax.ops.segment_sum(gathered, batch.receivers, num_anchors)

    x = tables.graph.nodes[batch.rows]
    z_a = _apply(settings, params, "view_a", x * masks[0][None, :], to_anchors, mix)
    return z_a, z_b


def mix_anchors(
    settings: Settings,
    params,
    z_a: jax.Array,
    batch: NodeBatch,
    key: jax.Array,
    axis_name: str | None = None,
    labels: jax.Array | None = None,
) -> tuple[Mixture, tuple[jax.Array, jax.Array] | None]:
    """Mix the anchors of `z_a [R, D]`; returns the mixture of B rows, and (q, k) of anchors for mp."""
    num_anchors = batch.anchor_mask.shape[0]
    rule = "none" if settings.mixing == "i_mix" else settings.mixing
    by_edges = settings.candidates == "wp"
    z = z_a if by_edges else z_a[:num_anchors]
    q = k = None
    if rule == "mp":
        q, k = _apply(settings, params, "project", z)
    options = {
        "rule": rule,
        "self_weight": settings.self_weight,
        "temperature": settings.mixing_temperature,
        "q": q,
        "k": k,
        "key": key,
        "mix_normalised": settings.mix_normalised,
        "stop_gradient": settings.stop_gradient,
        "mask": batch.anchor_mask,
    }
    if labels is not None:
        options["labels"] = labels[batch.rows[: z.shape[0]]]
    if by_edges:
        mixture = mix_edges(
            z,
            batch.senders,
            batch.receivers,
            batch.edge_mask,
            edge_weight=batch.edge_weight,
            self_edge_weight=batch.self_edge_weight,
            num_rows=num_anchors,
            **options,
        )
    else:
        mixture = mix_pairs(
            z,
            candidates=settings.candidates,
            threshold=settings.threshold,
            axis_name=axis_name,
            block_size=settings.mixing_block_size,
            **options,
        )
    anchors = None if q is None or k is None else (q[:num_anchors], k[:num_anchors])
    return mixture, anchors


def make_loss(settings: Settings, axis_name: str | None = None) -> Callable:
    """`loss_fn(params, batch_stats, batch, key) -> (loss, Aux)` for batch = (NodeTables, NodeBatch).

    J_node = (1/2N) Σ_i [L(u_i) + L(z^b_i)] + w L_div (eq. 8–10) with u_i = g(ẑ^a_i); i-mix's
    virtual labels for `mixing="i_mix"`; the original MVGRL objective for `objective="mvgrl"`.
    With `axis_name` loss and metrics are this device's share; their sums over devices count.
    """
    contrast = {
        "temperature": settings.temperature,
        "negatives": settings.negatives,
        "axis_name": axis_name,
        "block_size": settings.block_size,
    }

    def masks_of(key, num_features):
        keys = jax.random.split(key)
        return [feature_mask(k, num_features, settings.feature_mask) for k in keys]

    def node_loss(params, batch_stats, batch, key):
        tables, shard = batch
        mask_key, mix_key, partner_key = jax.random.split(key, 3)
        masks = masks_of(mask_key, _num_features(tables, shard))
        real = {"mask": shard.anchor_mask, "segments": shard.segments}
        if settings.mixing == "i_mix":
            partner_key = _own_key(partner_key, axis_name)
            num_anchors = shard.anchor_mask.shape[0]
            lam, partners = draw_partners(partner_key, num_anchors, shard.anchor_mask)
            mix = _mix_among_anchors(tables, shard, lam, partners)
            z_a, z_b = encode_views(settings, params, tables, shard, masks, mix)
            u = _apply(settings, params, "predict", z_a[:num_anchors])
            loss = virtual_labels(u, z_b, lam, partners, **contrast, **real)
            return loss, Aux({"contrast": loss}, batch_stats)
        z_a, z_b = encode_views(settings, params, tables, shard, masks)
        mixture, projected = mix_anchors(
            settings, params, z_a, shard, _own_key(mix_key, axis_name, settings), axis_name
        )
        u = _apply(settings, params, "predict", mixture.z_mixed)
        loss = info_nce(u, z_b, **contrast, **real)
        metrics = {"contrast": loss}
        if projected is not None:
            metrics["diversity"] = diversity(
                *projected,
                mask=shard.anchor_mask,
                margin=settings.diversity_margin,
                axis_name=axis_name,
            )
            if settings.diversity_weight:
                loss = loss + settings.diversity_weight * metrics["diversity"]
        return loss, Aux(metrics, batch_stats)

    def mvgrl_loss(params, batch_stats, batch, key):
        tables, shard = batch
        mask_key, shuffle_key = jax.random.split(key)
        masks = masks_of(mask_key, _num_features(tables, shard))
        num_anchors = shard.anchor_mask.shape[0]
        z_a, z_b = encode_views(settings, params, tables, shard, masks)
        # Real nodes come first in the padded graph; only they are shuffled.
        num_nodes = tables.graph.n_node[0]
        size = tables.graph.nodes.shape[0]
        order = jnp.where(
            jnp.arange(size) < num_nodes, jax.random.uniform(shuffle_key, (size,)), 2.0
        )
        shuffled = jnp.argsort(order)
        x = tables.graph.nodes
        false_a = _apply(
            settings, params, "view_a", x * masks[0][None, :],
            along_edges(tables.graph), lambda h: h[shuffled],
        )  # fmt: skip
        false_b = _apply(
            settings, params, "view_b", x * masks[1][None, :],
            _diffusion(settings, tables), lambda h: h[shuffled],
        )  # fmt: skip
        anchors = shard.rows[:num_anchors]
        loss = node_graph(
            z_a[:num_anchors],
            z_b,
            false_a[anchors],
            false_b[anchors],
            bilinear=params["bilinear"],
            form=settings.discriminator,
            mask=shard.anchor_mask,
            axis_name=axis_name,
        )
        return loss, Aux({"discrimination": loss}, batch_stats)

    return mvgrl_loss if settings.objective == "mvgrl" else node_loss


def _own_key(key, axis_name: str | None, settings: Settings | None = None):
    """A key of the device's own, except where pairs are drawn over the whole batch."""
    if axis_name is None or (settings is not None and settings.candidates != "wp"):
        return key
    return jax.random.fold_in(key, jax.lax.axis_index(axis_name))


def _num_features(tables: NodeTables, shard: NodeBatch) -> int:
    x = shard.x_a if shard.x_a is not None else tables.x_a
    return (tables.graph.nodes if x is None else x).shape[1]


def _mix_among_anchors(tables: NodeTables, shard: NodeBatch, lam, partners) -> Propagate:
    """i-mix on x W: anchors are mixed among themselves, other rows stay."""
    num_anchors = shard.anchor_mask.shape[0]
    if tables.x_a is not None:
        return lambda h: h.at[:num_anchors].set(mix_with(h[:num_anchors], lam, partners))
    # Padding anchors would write to row 0: send them out of range, where `set` drops them.
    rows = jnp.where(shard.anchor_mask, shard.rows[:num_anchors], tables.graph.nodes.shape[0])
    return lambda h: h.at[rows].set(mix_with(h[shard.rows[:num_anchors]], lam, partners))


def embed(settings: Settings, params, tables: NodeTables, batch: NodeBatch, key, labels=None):
    """Representations of every anchor, without augmentation, and the mixture behind branch a.

    Branch a is g(ẑ^a), ẑ^a or z^a by `embed_from`; branch b is z^b; `mean` their mean.

    Returns:
      ({"a", "b", "mean"}: [B, D], Mixture).
    """
    num_features = _num_features(tables, batch)
    z_a, z_b = encode_views(settings, params, tables, batch, [jnp.ones((num_features,))] * 2)
    mixture, _ = mix_anchors(settings, params, z_a, batch, key, labels=labels)
    branch_a = {
        "g": lambda: _apply(settings, params, "predict", mixture.z_mixed),
        "mixed": lambda: mixture.z_mixed,
        "z": lambda: z_a[: z_b.shape[0]],
    }[settings.embed_from]()
    return {"a": branch_a, "b": z_b, "mean": 0.5 * (branch_a + z_b)}, mixture
