"""What a node run shows: the nodes of a map, and which nodes are mixed into which."""

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.data.types import NodeDataset, names_of_labels
from mmix_jax.experiments.figures import (
    MAX_POINTS,
    cosines,
    mixture_tables,
    nothing_mixed,
    some_points,
)
from mmix_jax.experiments.nodes.inputs import num_contrasted, training_nodes
from mmix_jax.experiments.nodes.scores import single_label
from mmix_jax.experiments.task import Encoder, Files, Points, keys_of
from mmix_jax.graphs.neighbours import NeighbourTable
from mmix_jax.mixing import Mixing
from mmix_jax.report.mixtures import Mixtures

if TYPE_CHECKING:
    from mmix_jax.experiments.nodes.task import NodeTask

_MAX_BATCH = 4096  # larger ones stream their weights in training; here they are all kept


def points_of(task: "NodeTask", encoder: Encoder) -> Points | str:
    """The headline's z of labelled nodes, or why there are none."""
    dataset, name = task.dataset, task.config.representation
    if dataset.labels is None:
        return "found no labels"
    if not single_label(dataset):
        return "nodes have several labels each, and a point has one colour"
    nodes = some_points(dataset.labels, encoder.seed)
    key = keys_of(encoder.seed)[2]
    representations, _ = task.represent(encoder.state.params, key, nodes, names=(name,))
    names = None if dataset.classes is None else [str(word) for word in dataset.classes]
    return Points(np.asarray(representations[name]), dataset.labels[nodes], names)


def mixtures_of(task: "NodeTask", encoder: Encoder) -> Files | str:
    """The files of `found_mixtures`, or why there are none."""
    found = found_mixtures(task, encoder)
    return found if isinstance(found, str) else mixture_tables(found)


def found_mixtures(task: "NodeTask", encoder: Encoder) -> Mixtures | str:
    """What is mixed into at most 2,000 nodes, drawn by seed, without augmentation.

    Candidates `wp` are all neighbours of a node; `op` and `all` are the others of a batch of the
    run's size, at most 4,096 nodes.
    """
    mixing, num_nodes = task.config.mixing, task.graph.num_nodes
    size = MAX_POINTS if mixing.by_edges else num_contrasted(task.config, num_nodes)
    size = min(size, _MAX_BATCH, num_nodes)
    if mixing.of_inputs or mixing.rule == "none":
        return nothing_mixed(task.config, size)
    drawn = np.random.default_rng(encoder.seed).choice(num_nodes, size, replace=False)
    table = NeighbourTable(task.graph, task.stored)
    batch = jax.tree.map(jnp.asarray, table.cut(np.sort(drawn), size))
    # As if all were few: the weights are wanted, which streaming does not give.
    settings: Any = task.settings
    settings = dataclasses.replace(settings, num_contrasted=0, num_nodes=0)
    params, key = encoder.state.params, keys_of(encoder.seed)[2]
    weights, own = _weights(task.framework.embed, settings, params, task.tables, batch, key)
    weights, own, rows = np.array(weights), np.asarray(own), np.asarray(batch.rows)
    if mixing.by_edges:
        mixed = np.flatnonzero(weights * np.asarray(batch.edge_mask))
        anchors, partners = np.asarray(batch.receivers)[mixed], np.asarray(batch.senders)[mixed]
        weights = weights[mixed]
    else:
        np.fill_diagonal(weights, 0.0)
        anchors, partners = np.nonzero(weights)
        weights = weights[anchors, partners]
    if not anchors.size:
        return nothing_mixed(task.config, size)
    z = _encoded(task, settings, params, rows, key)
    seen = training_nodes(task.dataset)
    nodes = rows if seen is None else np.flatnonzero(seen)[rows]
    classes = _class_words(task.dataset)
    return Mixtures(
        *(anchors, partners, weights, cosines(z, anchors, partners), own),
        names=nodes if task.dataset.ids is None else task.dataset.ids[nodes],
        classes=None if classes is None else classes[nodes],
        graphs=None,
        num_anchors=size,
    )


@partial(jax.jit, static_argnums=(0, 1))
def _weights(embed, settings, params, tables, batch, key):
    mixture = embed(settings, params, tables, batch, key)[1]
    return mixture.weights, mixture.self_weights


@partial(jax.jit, static_argnums=(0, 1, 2))
def _representation(embed, name, settings, params, tables, batch, key):
    return embed(settings, params, tables, batch, key)[0][name]


def _encoded(task: "NodeTask", settings: Any, params, rows: np.ndarray, key) -> np.ndarray:
    """z [R, D] of what is mixed: the encoder's output, in MVGRL that of view a."""
    framework = task.framework
    if framework.REPRESENTATIONS == ("single",):  # of all nodes, whatever the batch
        batch = framework.batch_to_embed(task.graph)
        of_all = _representation(
            framework.embed, "single", settings, params, task.tables, batch, key
        )
        return np.asarray(of_all)[rows]
    plain = dataclasses.replace(settings, embed_from="z", mixing=Mixing("none", "all"))
    none = np.zeros(0, np.int32)
    bare = task.graph._replace(senders=none, receivers=none, edge_weight=none.astype(np.float32))
    nodes, place = np.unique(rows, return_inverse=True)
    batch = jax.tree.map(jnp.asarray, NeighbourTable(bare, task.stored).cut(nodes, nodes.size))
    z = _representation(framework.embed, "a", plain, params, task.tables, batch, key)
    return np.asarray(z)[place]


def _class_words(dataset: NodeDataset) -> np.ndarray | None:
    """The class of every node in words, empty where unknown; None without one class a node."""
    if dataset.labels is None or not single_label(dataset):
        return None
    names = np.asarray(names_of_labels(dataset)).astype(str)
    return np.where(dataset.labels < 0, "", names)
