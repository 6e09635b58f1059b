"""The losses of the MVGRL-style framework: InfoNCE with mixing, i-mix, the original objective."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mmix_jax.augment.graphs import feature_mask
from mmix_jax.encoders.gcn import Propagate, along_edges
from mmix_jax.frameworks.base import Aux, mix_anchor_inputs, own_key
from mmix_jax.frameworks.mvgrl_nodes import (
    NodeTables,
    Settings,
    apply_method,
    diffusion_of,
    encode_views,
    mix_anchors,
    num_features_of,
)
from mmix_jax.graphs.samplers import NodeBatch
from mmix_jax.losses import discrimination, diversity, info_nce, virtual_labels
from mmix_jax.mixing import draw_partners, mix_with


def make_loss(settings: Settings, axis_name: str | None = None) -> Callable:
    """`loss_fn(params, batch_stats, (NodeTables, NodeBatch), key) -> (loss, Aux)`.

    J_node = (1/2N) Σ_i [L(u_i) + L(z^b_i)] + w L_div (eq. 8–10) with u_i = g(ẑ^a_i); i-mix's
    virtual labels for `mixing="i_mix"`; the original MVGRL objective for `objective="mvgrl"`.
    With `axis_name` loss and metrics are this device's share; their sums over devices count.
    """
    contrast = {
        "temperature": settings.temperature,
        "negatives": settings.negatives,
        "axis_name": axis_name,
        "block_size": settings.block_size,
        "exchange": settings.exchange,
    }

    def masks_of(key, num_features):
        keys = jax.random.split(key)
        return [feature_mask(k, num_features, settings.feature_mask) for k in keys]

    def node_loss(params, batch_stats, batch, key):
        tables, shard = batch
        mask_key, mix_key, partner_key = jax.random.split(key, 3)
        masks = masks_of(mask_key, num_features_of(tables, shard))
        real = {"mask": shard.anchor_mask, "segments": shard.segments}
        if settings.mixing == "i_mix":
            partner_key = own_key(partner_key, axis_name)
            num_anchors = shard.anchor_mask.shape[0]
            lam, partners = draw_partners(partner_key, num_anchors, shard.anchor_mask)
            mix = _mix_among_anchors(tables, shard, lam, partners)
            z_a, z_b = encode_views(settings, params, tables, shard, masks, mix)
            u = apply_method(settings, params, "predict", z_a[:num_anchors])
            loss = virtual_labels(u, z_b, lam, partners, **contrast, **real)
            return loss, Aux({"contrast": loss}, batch_stats)
        z_a, z_b = encode_views(settings, params, tables, shard, masks)
        mixture, projected = mix_anchors(
            settings, params, z_a, shard, own_key(mix_key, axis_name, settings), axis_name
        )
        u = apply_method(settings, params, "predict", mixture.z_mixed)
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
        masks = masks_of(mask_key, num_features_of(tables, shard))
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
        false_a = apply_method(
            settings, params, "view_a", x * masks[0][None, :],
            along_edges(tables.graph), lambda h: h[shuffled],
        )  # fmt: skip
        false_b = apply_method(
            settings, params, "view_b", x * masks[1][None, :],
            diffusion_of(settings, tables), lambda h: h[shuffled],
        )  # fmt: skip
        anchors = shard.rows[:num_anchors]
        loss = discrimination(
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


def _mix_among_anchors(tables: NodeTables, shard: NodeBatch, lam, partners) -> Propagate:
    """i-mix on x W of all nodes, or of a batch's rows where features are propagated beforehand."""
    if tables.x_a is None:
        return lambda h: mix_anchor_inputs(h, shard, lam, partners)
    num_anchors = shard.anchor_mask.shape[0]
    return lambda h: h.at[:num_anchors].set(mix_with(h[:num_anchors], lam, partners))
