"""The MVGRL-style framework for sets of graphs: equation 11, and MVGRL's own objective."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from mmix_jax.augment.graphs import feature_mask
from mmix_jax.frameworks import graph_tables, mvgrl
from mmix_jax.frameworks.base import Aux, means_of_graphs, synthetic_of, weighed_by_mixed
from mmix_jax.frameworks.graph_tables import GraphTables
from mmix_jax.frameworks.mvgrl import REPRESENTATIONS, MVGRLSettings, apply_method
from mmix_jax.graphs.batches import Buckets, Union
from mmix_jax.graphs.diffusion import diffuse
from mmix_jax.graphs.normalize import propagate
from mmix_jax.losses import anchor_info_nce, discrimination_of_graphs, diversity, info_nce
from mmix_jax.mixing import mix_edges, mix_pairs
from mmix_jax.ops.collectives import total

if TYPE_CHECKING:
    import jraph

__all__ = [
    "REPRESENTATIONS",
    "GraphSettings",
    "GraphTables",
    "embed",
    "init_params",
    "make_loss",
    "make_tables",
    "plain_views",
]


@dataclass(frozen=True)
class GraphSettings:
    """Static settings; `views` holds those that graphs share with nodes.

    buckets: slots of a batch. objective: "both" (eq. 11), "node" or "graph" (its parts) or "mvgrl".
    node_contrast: "graph" (nodes of one graph) or "batch" (of the whole batch: the authors' way).
    contrast_nodes: nodes that a graph contrasts at most, drawn anew each step; 0 is all.
    symmetric_graph: anchors h^b too. graph_temperature: τ between graphs.
    readout: of representations, one of `READOUTS`; "sum" keeps a graph's size. Training contrasts
    means: the cosines of eq. 11 do not see the difference.
    """

    views: MVGRLSettings
    buckets: Buckets
    objective: str = "both"
    node_contrast: str = "graph"
    contrast_nodes: int = 0
    symmetric_graph: bool = False
    graph_temperature: float = 1.0
    readout: str = "mean"


class GraphViews(NamedTuple):
    """Both views of a batch: rows [R, D], graphs [M, D].

    z_a: encoder output, z_mixed and u = g(ẑ^a) follow from it. projected: (q, k) [R, D] of mp.
    stats: of the mixture. weights: its λ_ij by edge [E], or by pair [count, size, size] of every
    bucket; self_weights: λ_ii of the slots' rows, without the spare one where mixed by pair.
    """

    z_a: jax.Array
    z_mixed: jax.Array
    u: jax.Array
    z_b: jax.Array
    projected: tuple[jax.Array, jax.Array] | None
    stats: dict[str, jax.Array]
    weights: Any
    self_weights: jax.Array


def init_params(settings: GraphSettings, num_features: int, key: jax.Array) -> Any:
    """Fresh parameters for F features: those of the views."""
    return mvgrl.init_params(settings.views, num_features, key)


def make_tables(
    settings: GraphSettings, union: Union, *, cached: Callable | None = None
) -> GraphTables:
    """As `graph_tables.make_tables`, for the settings of the views."""
    return graph_tables.make_tables(settings.views, union, cached=cached)


def readout(buckets: Buckets, rows: jax.Array, mask: jax.Array, kind: str = "mean") -> jax.Array:
    """Mean or sum over the real nodes of each slot: [R, D] -> [M, D]; without nodes 0."""
    slots = []
    for z, real in zip(buckets.split(rows), buckets.split(mask), strict=True):
        kept = jnp.sum(jnp.where(real[..., None], z, 0.0), axis=1)
        if kind == "mean":
            count = jnp.sum(real, axis=1).astype(z.dtype)
            kept = kept / jnp.maximum(count, 1.0)[:, None]
        slots.append(kept)
    return jnp.concatenate(slots)


def _encode(settings: MVGRLSettings, params, tables: GraphTables, graph, masks):
    row = graph.nodes["row"]
    if tables.x is None:
        assert tables.x_a is not None and tables.x_b is not None
        return [
            apply_method(settings, params, view, x[row] * mask[None, :])
            for view, x, mask in (
                ("view_a", tables.x_a, masks[0]),
                ("view_b", tables.x_b, masks[1]),
            )
        ]
    x = tables.x[row]
    edges = graph.senders, graph.receivers

    def along(h):
        return propagate(h, *edges, graph.edges["weight"], graph.nodes["self_weight"])

    def diffused(h):
        return diffuse(
            h,
            *edges,
            edge_weight=graph.edges["edge_weight"],
            tol=settings.diffusion_tolerance,
            **settings.diffusion.options(),
        )

    return [
        apply_method(settings, params, view, x * mask[None, :], operator)
        for view, mask, operator in (("view_a", masks[0], along), ("view_b", masks[1], diffused))
    ]


def _mix(settings: GraphSettings, z, q, k, graph, key):
    """(mixed rows, statistics, λ_ij, λ_ii): along edges, or among all nodes of each graph."""
    mixing = settings.views.mixing
    options, mask = mixing.options(), graph.nodes["mask"]
    if mixing.by_edges:
        mixture = mix_edges(
            z,
            graph.senders,
            graph.receivers,
            graph.edges["mask"],
            q=q,
            k=k,
            key=key,
            edge_weight=graph.edges["weight"],
            self_edge_weight=graph.nodes["self_weight"],
            mask=mask,
            **options,
        )
        return mixture.z_mixed, mixture.stats, mixture.weights, mixture.self_weights

    def mix(z, mask, q, k, key):
        mixture = mix_pairs(
            z, candidates=mixing.candidates, threshold=mixing.threshold, mask=mask, q=q, k=k,
            key=key, **options,
        )  # fmt: skip
        return mixture.z_mixed, mixture.stats, mixture.weights, mixture.self_weights

    parts = [settings.buckets.split(x) for x in (z, mask)]
    parts += [[None] * len(parts[0]) if x is None else settings.buckets.split(x) for x in (q, k)]
    mixed, stats, counts, weights, own = [], [], [], [], []
    for number, (z_part, real, q_part, k_part) in enumerate(zip(*parts, strict=True)):
        keys = jax.random.split(jax.random.fold_in(key, number), z_part.shape[0])
        z_mixed, of_part, of_pairs, of_rows = jax.vmap(mix)(z_part, real, q_part, k_part, keys)
        mixed.append(z_mixed.reshape(-1, z.shape[1]))
        stats.append(of_part)
        counts.append(jnp.sum(real, axis=1).astype(z.dtype))
        weights.append(of_pairs)
        own.append(of_rows.reshape(-1))
    count = jnp.maximum(sum(jnp.sum(number) for number in counts), 1.0)
    means = {
        name: sum(jnp.sum(n * s[name]) for n, s in zip(counts, stats, strict=True)) / count
        for name in stats[0]
    }
    return jnp.concatenate([*mixed, z[-1:]]), means, tuple(weights), jnp.concatenate(own)


def encode(
    settings: GraphSettings, params, tables: GraphTables, graph: "jraph.GraphsTuple", masks, key
) -> GraphViews:
    """Both views of a batch of `graphs.GraphSampler`, without its device axis."""
    views = settings.views
    z_a, z_b = _encode(views, params, tables, graph, masks)
    q = k = None
    if views.mixing.projects:
        q, k = apply_method(views, params, "project", z_a)
    z_mixed, stats, weights, own = _mix(settings, z_a, q, k, graph, key)
    u = apply_method(views, params, "predict", z_mixed)
    projected = None if q is None or k is None else (q, k)
    return GraphViews(z_a, z_mixed, u, z_b, projected, stats, weights, own)


def _within_graphs(settings: GraphSettings, function, arrays, graph, key):
    """Σ_i function(arrays of graph i, its mask, key), each of its values, over this device's."""
    buckets, graph_mask = settings.buckets, graph.globals["mask"][:-1]
    parts = zip(*(buckets.split(x) for x in (*arrays, graph.nodes["mask"])), strict=True)
    values = []
    for number, part in enumerate(parts):
        keys = jax.random.split(jax.random.fold_in(key, number), part[0].shape[0])
        values.append(jax.vmap(function)(*part, keys))
    return jax.tree.map(
        lambda *of_parts: jnp.sum(jnp.where(graph_mask, jnp.concatenate(of_parts), 0.0)), *values
    )


def _node_term(settings: GraphSettings, params, seen: GraphViews, graph, key, axis_name):
    """J_node without L_div: the mean over graphs of eq. 10 within each, or over the batch; and
    metrics of mixtures among the negatives, their means over graphs."""
    options = settings.views.contrast.options(settings.views.num_contrasted)
    if settings.node_contrast == "batch":
        mask = graph.nodes["mask"]
        return info_nce(seen.u, seen.z_b, mask=mask, axis_name=axis_name, **options), {}
    options["block_size"] = None  # a graph's own nodes are few
    limit = settings.contrast_nodes

    def contrast(u, z_b, *rest):
        *projected, mask, key = rest
        if settings.views.mixing.into_negatives:  # which draw, too
            key, draw_key = jax.random.split(key)
        else:
            draw_key = key
        if limit and limit < u.shape[0]:  # real nodes in random order come before padding
            order = jnp.where(mask, jax.random.uniform(key, mask.shape), -1.0)
            chosen = jax.lax.top_k(order, limit)[1]
            u, z_b, mask = u[chosen], z_b[chosen], mask[chosen]
            projected = [x[chosen] for x in projected]
        of_u: Any = projected[:2] or None
        mixing = settings.views.mixing
        synthetic, metrics = synthetic_of(
            mixing, u, z_b, draw_key, of_u=of_u, of_v=lambda: cast(Any, projected[2:]), mask=mask
        )
        return info_nce(u, z_b, mask=mask, **options, **synthetic), weighed_by_mixed(metrics)

    num_graphs = total(jnp.sum(graph.globals["mask"]), axis_name)
    arrays = (seen.u, seen.z_b)
    if settings.views.mixing.into_negatives and seen.projected is not None:
        arrays += (*seen.projected, *apply_method(settings.views, params, "project", seen.z_b))
    share, sums = _within_graphs(settings, contrast, arrays, graph, key)
    return share / jnp.maximum(num_graphs, 1), means_of_graphs(sums, num_graphs, axis_name)


def _diversity_term(settings: GraphSettings, seen: GraphViews, graph, key, axis_name):
    """L_div of each graph (or of the batch), averaged like J_node."""
    assert seen.projected is not None
    margin = settings.views.contrast.diversity_margin
    if settings.node_contrast == "batch":
        mask = graph.nodes["mask"]
        return diversity(*seen.projected, mask=mask, margin=margin, axis_name=axis_name)

    def within(q, k, mask, _):
        return diversity(q, k, mask=mask, margin=margin)

    num_graphs = total(jnp.sum(graph.globals["mask"]), axis_name)
    return _within_graphs(settings, within, seen.projected, graph, key) / jnp.maximum(num_graphs, 1)


def make_loss(settings: GraphSettings, axis_name: str | None = None) -> Callable:
    """`loss_fn(params, batch_stats, (GraphTables, GraphsTuple), key) -> (loss, Aux)`.

    J = (1/M) Σ_i [ L(h^a_i) + J_node(G_i) ] (eq. 11), J_node with w L_div; "node" and "graph" are
    its parts, L_div belonging to the first; "mvgrl" is MVGRL's own objective. With `axis_name` loss
    and metrics are this device's share.
    """
    views = settings.views

    def loss_fn(params, batch_stats, batch, key):
        tables, graph = batch
        mask_keys, mix_key, node_key = jax.random.split(key, 3)
        if axis_name is not None:  # nodes of different devices are drawn apart
            place = jax.lax.axis_index(axis_name)
            mix_key, node_key = (jax.random.fold_in(k, place) for k in (mix_key, node_key))
        x = tables.x if tables.x is not None else tables.x_a
        masks = [
            feature_mask(k, x.shape[1], views.feature_mask) for k in jax.random.split(mask_keys)
        ]
        seen = encode(settings, params, tables, graph, masks, mix_key)
        node_mask, graph_mask = graph.nodes["mask"], graph.globals["mask"][:-1]
        metrics, logged = {}, {}
        if settings.objective == "mvgrl":
            metrics["discrimination"] = _mvgrl_term(settings, params, seen, graph, axis_name)
        if settings.objective in ("both", "graph"):
            h_a, h_b = (readout(settings.buckets, z, node_mask) for z in (seen.u, seen.z_b))
            contrast = info_nce if settings.symmetric_graph else anchor_info_nce
            metrics["contrast_graphs"] = contrast(
                h_a,
                h_b,
                temperature=settings.graph_temperature,
                negatives=views.contrast.negatives,
                mask=graph_mask,
                axis_name=axis_name,
                **views.contrast.beyond(),
            )
        if settings.objective in ("both", "node"):
            metrics["contrast_nodes"], logged = _node_term(
                settings, params, seen, graph, node_key, axis_name
            )
        loss = sum(metrics.values(), jnp.zeros(()))
        if seen.projected is not None:
            metrics["diversity"] = _diversity_term(settings, seen, graph, node_key, axis_name)
            weight = views.contrast.diversity_weight
            if settings.objective in ("both", "node") and weight:
                loss = loss + weight * metrics["diversity"]
        return loss, Aux(metrics | logged, batch_stats)

    return loss_fn


def _mvgrl_term(settings: GraphSettings, params, seen: GraphViews, graph, axis_name):
    """The original objective on z^a, z^b and their readouts."""
    buckets, mask = settings.buckets, graph.nodes["mask"]
    slot = jnp.repeat(
        jnp.arange(buckets.num_graphs + 1), graph.n_node, total_repeat_length=mask.shape[0]
    )
    return discrimination_of_graphs(
        seen.z_a,
        seen.z_b,
        readout(buckets, seen.z_a, mask),
        readout(buckets, seen.z_b, mask),
        slot,
        bilinear=params["bilinear"],
        form=settings.views.discriminator,
        node_mask=mask,
        graph_mask=graph.globals["mask"][:-1],
        axis_name=axis_name,
    )


def plain_views(settings: GraphSettings, params, tables: GraphTables, graph, key) -> GraphViews:
    """Both views of every slot, without augmentation."""
    table = tables.x if tables.x is not None else tables.x_a
    assert table is not None
    return encode(settings, params, tables, graph, [jnp.ones((table.shape[1],))] * 2, key)


def embed(settings: GraphSettings, params, tables: GraphTables, graph, key):
    """Representations of every slot without augmentation, {"a", "b", "mean"}: [M, D], and stats.

    h^a is the readout of g(ẑ^a), ẑ^a or z^a by `embed_from`; h^b of z^b; `mean` their mean.
    """
    seen = plain_views(settings, params, tables, graph, key)
    branch_a = {"g": seen.u, "mixed": seen.z_mixed, "z": seen.z_a}[settings.views.embed_from]
    mask = graph.nodes["mask"]
    h_a, h_b = (readout(settings.buckets, z, mask, settings.readout) for z in (branch_a, seen.z_b))
    return {"a": h_a, "b": h_b, "mean": 0.5 * (h_a + h_b)}, seen.stats
