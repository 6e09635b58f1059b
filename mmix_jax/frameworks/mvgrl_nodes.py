"""The MVGRL-style framework for nodes: tables, batches and losses of `frameworks.mvgrl`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.augment.graphs import feature_mask
from mmix_jax.encoders.gcn import Propagate, along_edges
from mmix_jax.errors import InputError
from mmix_jax.frameworks.base import (
    Aux,
    Seen,
    is_large,
    mix_anchor_inputs,
    neighbours_of,
    own_key,
    synthetic_of,
    whole_graph,
)
from mmix_jax.frameworks.mvgrl import (
    REPRESENTATIONS,
    MVGRLSettings,
    NodeTables,
    apply_method,
    diffusion_of,
    embed,
    encode_views,
    init_params,
    mix_anchors,
    num_features_of,
)
from mmix_jax.graphs.diffusion import diffuse, diffusion_matrix, sparse_diffusion
from mmix_jax.graphs.neighbours import NodeBatch
from mmix_jax.graphs.normalize import gcn_weights, propagate
from mmix_jax.graphs.on_disk import StoredTables
from mmix_jax.graphs.padding import pad_graph, padded_size
from mmix_jax.graphs.samplers import NodeSampler
from mmix_jax.graphs.shared_tables import SharedTables
from mmix_jax.graphs.types import Graph
from mmix_jax.losses import discrimination, diversity, info_nce, virtual_labels
from mmix_jax.mixing import draw_partners, mix_with

__all__ = [
    "REPRESENTATIONS",
    "MVGRLSettings",
    "NodeTables",
    "batch_to_embed",
    "embed",
    "init_params",
    "make_loss",
    "make_sampler",
    "make_tables",
]

batch_to_embed = whole_graph
_EXACT_NODES = 20_000  # a dense diffusion matrix of more nodes would need over 3 GB


def make_tables(settings: MVGRLSettings, graph: Graph) -> NodeTables:
    """What stays on the device: ÂX and SX for one layer; the graph itself where a loss needs it.

    Raises:
      InputError: a dense diffusion matrix would be too large.
    """
    operator = _diffusion_operator(settings, graph)
    deep = len(settings.widths) > 1
    own = deep or settings.objective == "mvgrl" or settings.mixing.of_inputs
    x_a = x_b = None
    if not deep:
        x_a, x_b = adjacent_features(graph), diffused_features(settings, graph, operator)
    padded = None
    if own:
        size = padded_size(graph.num_nodes + 1)
        padded = pad_graph(graph, num_nodes=size)
        if isinstance(operator, np.ndarray):
            missing = size - graph.num_nodes
            operator = np.pad(operator, ((0, missing), (0, missing)))
    tables = (x_a, x_b, padded, operator if own else None)
    return NodeTables(*jax.tree.map(jnp.asarray, tables))


def _diffusion_operator(settings: MVGRLSettings, graph: Graph) -> Any:
    """Dense [N, N], edges (senders, receivers, weights), or None for Chebyshev steps."""
    diffusion = settings.diffusion
    if diffusion.form == "features":
        return None
    edges = (graph.senders, graph.receivers, graph.num_nodes)
    options = {"edge_weight": graph.edge_weight, **diffusion.options()}
    if diffusion.form == "exact":
        if graph.num_nodes > _EXACT_NODES:
            raise InputError(
                f"diffusion_form 'exact' needs at most {_EXACT_NODES} nodes, found "
                f"{graph.num_nodes}; use features or top_k"
            )
        return diffusion_matrix(*edges, **options).astype(np.float32)
    sparse = {"form": diffusion.form, "top_k": diffusion.top_k, "epsilon": diffusion.epsilon}
    return sparse_diffusion(*edges, **sparse, **options)


def adjacent_features(graph: Graph) -> np.ndarray:
    """ÂX, [N, F]."""
    weights, self_weights = gcn_weights(
        graph.senders, graph.receivers, graph.num_nodes, graph.edge_weight
    )
    return propagate(graph.x, graph.senders, graph.receivers, weights, self_weights)


def diffused_features(settings: MVGRLSettings, graph: Graph, operator: Any = None) -> np.ndarray:
    """SX, [N, F]; `operator` is dense, edges with weights, or None for Chebyshev steps."""
    if operator is None:
        options = settings.diffusion.options()
        edges = graph.senders, graph.receivers
        return diffuse(graph.x, *edges, edge_weight=graph.edge_weight, **options)
    if isinstance(operator, np.ndarray):
        return operator @ graph.x
    senders, receivers, weights = operator
    return propagate(graph.x, senders, receivers, weights, None)


def make_sampler(
    settings: MVGRLSettings,
    graph: Graph,
    *,
    sampler: str = "full",
    batch_size: int = 2000,
    num_windows: int = 2,
    seed: int = 0,
    num_devices: int = 1,
    stored: StoredTables | SharedTables | None = None,
) -> NodeSampler:
    """The sampler of one training, whose batches hold the rows of `stored` tables. On a large graph
    a step reads neighbours only if it mixes with them, or propagates by itself."""
    mixing, large = settings.mixing, is_large(graph)
    reads = len(settings.widths) > 1 or mixing.of_inputs
    reads = reads or (mixing.rule != "none" and (mixing.by_edges or mixing.skip_hops > 0))
    return NodeSampler(
        graph,
        sampler=sampler,
        batch_size=batch_size,
        num_windows=num_windows,
        num_devices=num_devices,
        seed=seed,
        diffusion=settings.diffusion.options(),
        one_shape=large,
        neighbours=not large or reads,
        stored=stored,
    )


def make_loss(settings: MVGRLSettings, axis_name: str | None = None) -> Callable:
    """`loss_fn(params, batch_stats, (NodeTables, NodeBatch), key) -> (loss, Aux)`.

    J_node = (1/2N) Σ_i [L(u_i) + L(z^b_i)] + w L_div (eq. 8–10) with u_i = g(ẑ^a_i); i-mix's
    virtual labels for i-mix; the original MVGRL objective for `objective="mvgrl"`.
    With `axis_name` loss and metrics are this device's share; their sums over devices count.
    """
    contrast = settings.contrast.options(settings.num_contrasted) | {"axis_name": axis_name}
    weight, margin = settings.contrast.diversity_weight, settings.contrast.diversity_margin

    def masks_of(key, num_features):
        keys = jax.random.split(key)
        return [feature_mask(k, num_features, settings.feature_mask) for k in keys]

    def node_loss(params, batch_stats, batch, key):
        tables, shard = batch
        mask_key, mix_key, partner_key = jax.random.split(key, 3)
        masks = masks_of(mask_key, num_features_of(tables, shard))
        real = {"mask": shard.anchor_mask, "segments": shard.segments}
        if settings.mixing.of_inputs:
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
            settings, params, z_a, shard, own_key(mix_key, axis_name, settings.mixing), axis_name
        )
        u = apply_method(settings, params, "predict", mixture.z_mixed)
        synthetic, metrics = synthetic_of(
            settings.mixing,
            u,
            z_b,
            mix_key,
            of_u=projected,
            of_v=lambda: apply_method(settings, params, "project", z_b),
            axis_name=axis_name,
            block_size=settings.mixing_block_size,
            neighbours=neighbours_of(settings.mixing, shard),
            **real,
        )
        loss = info_nce(u, z_b, **contrast, **real, **synthetic)
        metrics["contrast"] = loss
        if projected is not None:
            metrics["diversity"] = diversity(
                *projected,
                mask=shard.anchor_mask,
                margin=margin,
                axis_name=axis_name,
            )
            if weight:
                loss = loss + weight * metrics["diversity"]
        return loss, Aux(metrics, batch_stats, Seen(u, z_b, real))

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
