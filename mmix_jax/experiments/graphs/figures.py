"""What a run on a set of graphs shows: which nodes of a graph are mixed into which."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from mmix_jax.data.types import names_of_labels
from mmix_jax.experiments.figures import MAX_POINTS, cosines, mixture_tables, nothing_mixed
from mmix_jax.experiments.task import Encoder, Files, keys_of
from mmix_jax.frameworks import mvgrl_graphs
from mmix_jax.report.mixtures import Mixtures

if TYPE_CHECKING:
    from mmix_jax.experiments.graphs.task import GraphTask

_views = jax.jit(mvgrl_graphs.plain_views, static_argnums=0)


def mixtures_of(task: "GraphTask", encoder: Encoder) -> Files | str:
    """The files of `found_mixtures`, or why there are none."""
    found = found_mixtures(task, encoder)
    return found if isinstance(found, str) else mixture_tables(found)


def found_mixtures(task: "GraphTask", encoder: Encoder) -> Mixtures | str:
    """What is mixed into the nodes of some graphs of a batch, without augmentation.

    Graphs are drawn by seed until they have 2,000 nodes; one graph at least.
    """
    mixing = task.config.mixing
    batch: Any = jax.tree.map(lambda x: x[0], task.whole.ordered(0))
    shown = _drawn_rows(batch, encoder.seed)
    if mixing.rule == "none":
        return nothing_mixed(task.config, int(shown.sum()))
    key = keys_of(encoder.seed)[2]
    views = _views(task.settings, encoder.state.params, task.tables, batch, key)
    if mixing.by_edges:
        anchors, partners = batch.receivers, batch.senders
        weights = np.asarray(views.weights) * batch.edges["mask"]
    else:
        anchors, partners, weights = _pairs(views.weights)
    kept = np.flatnonzero(weights > 0)
    kept = kept[shown[anchors[kept]]]
    if not kept.size:
        return nothing_mixed(task.config, int(shown.sum()))
    anchors, partners, weights = anchors[kept], partners[kept], weights[kept]
    nodes = batch.nodes["row"]
    # A graph without nodes begins where the next one does, and has no row.
    graphs = np.searchsorted(task.union.first_node, nodes, side="right") - 1
    dataset, z = task.dataset, np.asarray(views.z_a)
    classes = names_of_labels(dataset)
    return Mixtures(
        *(anchors, partners, weights, cosines(z, anchors, partners)),
        own=np.asarray(views.self_weights),
        names=nodes - task.union.first_node[graphs],
        classes=None if classes is None else classes[graphs].astype(str),
        graphs=graphs if dataset.ids is None else dataset.ids[graphs],
        num_anchors=int(shown.sum()),
    )


def _drawn_rows(batch: Any, seed: int) -> np.ndarray:
    """Whether a row is a node of a graph that is shown [R]."""
    slot = np.repeat(np.arange(len(batch.n_node)), batch.n_node)
    sizes = np.bincount(slot[batch.nodes["mask"]], minlength=len(batch.n_node))
    order = np.random.default_rng(seed).permutation(np.flatnonzero(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    fitting = order[(before + sizes[order] <= MAX_POINTS) | (before == 0)]
    return batch.nodes["mask"] & np.isin(slot, fitting)


def _pairs(buckets: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Anchors, partners and weights of [count, size, size] for each bucket; rows with themselves
    are left out."""
    parts, first = [], 0
    for bucket in buckets:
        weights = np.array(bucket)
        count, size, _ = weights.shape
        weights[:, np.arange(size), np.arange(size)] = 0.0
        graph, anchor, partner = np.nonzero(weights)
        start = first + graph * size
        parts.append((start + anchor, start + partner, weights[graph, anchor, partner]))
        first += count * size
    anchors, partners, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    return anchors, partners, weights
