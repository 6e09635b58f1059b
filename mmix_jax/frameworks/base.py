"""What every framework for nodes offers, and does alike: batches, mixing the anchors of a batch."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.graphs.neighbours import NeighbourTable, NodeBatch
from mmix_jax.graphs.samplers import NodeSampler
from mmix_jax.graphs.types import Graph
from mmix_jax.mixing import (
    Mixing,
    Mixture,
    Neighbours,
    mix_edges,
    mix_pairs,
    mix_with,
    synthetic_negatives,
)
from mmix_jax.ops.collectives import device_count, total

_SAMPLED_NODES = 4096
MANY_NODES = 50_000
_MISSING, _MEMBERS, _SHARE = "synthetic/missing", "synthetic/members", "share"

Projected = tuple[jax.Array, jax.Array]


class Seen(NamedTuple):
    """What a step contrasts: u, v [N, D], and the keywords of `info_nce` that tell its rows."""

    u: jax.Array
    v: jax.Array
    rows: dict[str, jax.Array | None]


class Aux(NamedTuple):
    """What a loss function returns beside the loss: shares of metrics, batch statistics, and what
    it contrasted, which costs nothing where nobody asks; None where that is not one set of pairs.
    """

    metrics: dict[str, jax.Array]
    batch_stats: Any
    seen: Seen | None = None


class NodeFramework(Protocol):
    """What a framework for nodes offers; its module is one.

    REPRESENTATIONS: names of what `embed` returns. settings: static, hashable. tables: what stays
    on the device for the whole run. embed: ({name: [B, D]}, mixture) of the anchors of a batch;
    `batch_to_embed` makes the batch by which a graph is embedded at once.
    """

    @property
    def REPRESENTATIONS(self) -> tuple[str, ...]: ...
    @staticmethod
    def make_tables(settings: Any, graph: Graph) -> Any: ...
    @staticmethod
    def make_sampler(
        settings: Any,
        graph: Graph,
        *,
        sampler: str = "full",
        batch_size: int = 2000,
        num_windows: int = 2,
        seed: int = 0,
        num_devices: int = 1,
    ) -> NodeSampler: ...
    @staticmethod
    def init_params(settings: Any, num_features: int, key: jax.Array) -> Any: ...
    @staticmethod
    def make_loss(settings: Any, axis_name: str | None = None) -> Callable: ...
    @staticmethod
    def embed(settings: Any, params, tables: Any, batch: NodeBatch, key, labels=None) -> Any: ...
    @staticmethod
    def batch_to_embed(graph: Graph) -> NodeBatch: ...


def some_nodes(graph: Graph) -> NodeBatch:
    """At most 4,096 nodes, evenly spaced: what statistics of mixing are taken on."""
    return some_anchors(NeighbourTable(graph))


def some_anchors(table: NeighbourTable) -> NodeBatch:
    """As `some_nodes`, of a graph whose table is there."""
    num_nodes = table.graph.num_nodes
    size = min(num_nodes, _SAMPLED_NODES)
    nodes = np.unique(np.linspace(0, num_nodes - 1, size).astype(np.int64))
    return jax.tree.map(jnp.asarray, table.cut(nodes, nodes.size))


def whole_graph(graph: Graph) -> NodeBatch:
    """Every node as an anchor, on one device: what representations are computed on."""
    table, nodes = NeighbourTable(graph), np.arange(graph.num_nodes)
    batch = table.cut(nodes, graph.num_nodes, (graph.num_nodes, max(graph.num_edges, 1)))
    return jax.tree.map(jnp.asarray, batch)


def is_large(graph: Graph) -> bool:
    """Whether steps have one padded shape, and read no neighbours where none are mixed with.

    Below 50,000 nodes shapes are those of the batch, and results those of earlier versions.
    """
    return graph.num_nodes >= MANY_NODES


def mix_rows(
    mixing: Mixing,
    z: jax.Array,
    batch: NodeBatch,
    key: jax.Array,
    *,
    projected: Projected | None = None,
    axis_name: str | None = None,
    labels: jax.Array | None = None,
    block_size: int | None = None,
) -> Mixture:
    """Mix the anchors of a batch: `wp` with their neighbours, `op` and `all` among themselves.

    Args:
      mixing: rule and candidates; i-mix mixes no embeddings.
      z: [R, D], of the batch's rows.
      projected: (q, k) of the rows, for mp.
      labels: of all nodes; adds `agreement` to the statistics.
    """
    num_anchors = batch.anchor_mask.shape[0]
    if not mixing.by_edges:
        z = z[:num_anchors]
    q, k = (None, None) if projected is None else (x[: z.shape[0]] for x in projected)
    options = {
        **mixing.options(),
        "q": q,
        "k": k,
        "key": key,
        "mask": batch.anchor_mask,
        "labels": None if labels is None else labels[batch.rows[: z.shape[0]]],
    }
    if mixing.by_edges:
        return mix_edges(
            z,
            batch.senders,
            batch.receivers,
            batch.edge_mask,
            edge_weight=batch.edge_weight,
            self_edge_weight=batch.self_edge_weight,
            num_rows=num_anchors,
            **options,
        )
    return mix_pairs(
        z,
        candidates=mixing.candidates,
        threshold=mixing.threshold,
        axis_name=axis_name,
        block_size=block_size,
        **options,
    )


def synthetic_of(
    mixing: Mixing,
    u: jax.Array,
    v: jax.Array,
    key: jax.Array,
    *,
    of_u: Projected | None = None,
    of_v: Callable[[], Projected] | None = None,
    axis_name: str | None = None,
    labels: jax.Array | None = None,
    **options: Any,
) -> tuple[dict[str, Any], dict[str, jax.Array]]:
    """Mixtures among the negatives of both views' anchors: keywords of `info_nce`, and this
    device's share of metrics of all. Both are empty where the mixture replaces its anchor.

    Args:
      u, v: [B, D] contrasted vectors.
      of_u, of_v: (q, k) of their rows, for mp: a candidate is scored by q·k. Those of v are asked
        for only where they are read.
      options: further keywords of `synthetic_negatives`.
    """
    if not mixing.into_negatives:
        return {}, {}
    q_u, k_u = of_u or (None, None)
    q_v, k_v = (None, None) if of_u is None or of_v is None else of_v()
    shared = mixing.synthetic_options() | options | {"axis_name": axis_name, "labels": labels}
    keys = jax.random.split(key)
    made_u = synthetic_negatives(u, v, key=keys[0], queries=q_u, keys=k_v, **shared)
    made_v = synthetic_negatives(v, u, key=keys[1], queries=q_v, keys=k_u, **shared)
    share = 0.5 / device_count(axis_name)
    metrics = {
        f"synthetic/{name}": share * (made_u.stats[name] + made_v.stats[name])
        for name in made_u.stats
    }
    return {"synthetic_u": made_u.vectors, "synthetic_v": made_v.vectors}, metrics


def weighed_by_mixed(metrics: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """A graph's metrics of `synthetic_of`, all but `missing` times the share of its anchors that
    have mixtures, and that share: none in a graph of one node, or of none."""
    if not metrics:
        return {}
    missing = metrics[_MISSING]
    share = jnp.where(metrics[_MEMBERS] > 0, 1.0 - missing, 0.0)
    return {name: share * x for name, x in metrics.items()} | {_MISSING: missing, _SHARE: share}


def means_of_graphs(
    sums: dict[str, jax.Array], num_graphs: jax.Array, axis_name: str | None
) -> dict[str, jax.Array]:
    """This device's share of the means over graphs, of its sums of what is weighed so."""
    if not sums:
        return {}
    mixed = total(sums[_SHARE], axis_name)
    means = {name: x / jnp.where(mixed > 0, mixed, 1.0) for name, x in sums.items()}
    del means[_SHARE]
    return means | {_MISSING: sums[_MISSING] / jnp.maximum(num_graphs, 1)}


def neighbours_of(mixing: Mixing, batch: NodeBatch) -> Neighbours | None:
    """Lists of the anchors' neighbours, where candidates so near are skipped."""
    if not mixing.into_negatives or not mixing.skip_hops:
        return None
    ids, nodes = batch.rows[batch.senders], batch.rows[: batch.anchor_mask.shape[0]]
    return Neighbours(batch.receivers, ids, batch.edge_mask, nodes)


def own_key(key: jax.Array, axis_name: str | None, mixing: Mixing | None = None):
    """A key of the device's own, except where pairs are drawn over the whole batch."""
    if axis_name is None or (mixing is not None and not mixing.by_edges):
        return key
    return jax.random.fold_in(key, jax.lax.axis_index(axis_name))


def mix_anchor_inputs(
    h: jax.Array, batch: NodeBatch, lam: jax.Array, partners: jax.Array
) -> jax.Array:
    """i-mix on h = x W of all nodes [N, D]: anchors are mixed among themselves, others stay."""
    anchors = batch.rows[: batch.anchor_mask.shape[0]]
    # Padding anchors would write to row 0: send them out of range, where `set` drops them.
    places = jnp.where(batch.anchor_mask, anchors, h.shape[0])
    return h.at[places].set(mix_with(h[anchors], lam, partners))
