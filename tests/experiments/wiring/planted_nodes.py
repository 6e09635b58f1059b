"""A planted node task: 20 training, 20 validation, 20 test nodes of two classes, one feature each.

An embedding is a node's class, 1 or −1, or its opposite; training nodes always tell their class.
"""

from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.data.types import NodeDataset, make_dataset
from mmix_jax.experiments import node_config, read
from mmix_jax.frameworks.base import whole_graph
from mmix_jax.frameworks.mvgrl_nodes import make_sampler
from mmix_jax.graphs.types import Split, make_graph
from tests.experiments.wiring import planted

NAMES = ("a", "b", "mean")
PART = 20
NUM_NODES = 3 * PART
# Interleaved, so that no part is a stretch of nodes.
SPLIT = Split(*(np.arange(part, NUM_NODES, 3, dtype=np.int32) for part in range(3)))
# Neighbours in the split's order are of different classes.
LABELS = (np.arange(NUM_NODES) // 3 % 2).astype(np.int32)
SHAPE = (len(NAMES), planted.LANES, planted.CLOCKS)
# Shares of validation and of test nodes that an embedding gets right, by name, lane and clock:
# (validation, test) each. Lane 0 is best at clock 2 by validation of `mean`, at 4 by that of `b`,
# and by any test at 5; other lanes differ.
VALID, TEST = np.full(SHAPE, 0.5), np.full(SHAPE, 0.5)
_A, _B, _MEAN = range(3)
VALID[_MEAN, 0] = [0.5, 0.7, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]
TEST[_MEAN, 0] = [0.55, 0.6, 0.65, 0.7, 0.75, 0.95, 0.8, 0.8, 0.8]
VALID[_B, 0] = [0.5, 0.6, 0.7, 0.75, 1.0, 0.9, 0.9, 0.9, 0.9]
TEST[_B, 0] = [0.25, 0.3, 0.35, 0.4, 0.45, 0.85, 0.4, 0.4, 0.4]
VALID[_A, 0] = [0.5, 0.95, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]
TEST[_A, 0] = [0.05, 0.1, 0.15, 0.2, 0.25, 1.0, 0.2, 0.2, 0.2]
VALID[_MEAN, 1] = [0.5, 0.6, 0.7, 0.85, 0.75, 0.75, 0.75, 0.75, 0.75]
TEST[_MEAN, 1] = [0.0, 0.35, 0.3, 0.2, 0.9, 0.2, 0.2, 0.2, 0.2]


class Mixture(NamedTuple):
    stats: dict[str, jax.Array]


def embedded(valid: np.ndarray = VALID, test: np.ndarray = TEST) -> np.ndarray:
    """What nodes embed to, [N, names, lanes, clocks]."""
    told = np.ones((NUM_NODES, *SHAPE), bool)
    for part, shares in ((SPLIT.valid, valid), (SPLIT.test, test)):
        for place in np.ndindex(SHAPE):
            told[(part, *place)] = planted.right(PART, shares[place])
    signs = np.where(LABELS == 1, 1.0, -1.0).reshape(-1, 1, 1, 1)
    return np.where(told, signs, -signs).astype(np.float32)


def dataset(z: np.ndarray | None = None, labels: np.ndarray = LABELS) -> NodeDataset:
    """A ring whose features are all embeddings, of `embedded()` unless given."""
    nodes = np.arange(NUM_NODES)
    x = (embedded() if z is None else z).reshape(NUM_NODES, -1)
    graph = make_graph(x, nodes, (nodes + 1) % NUM_NODES)
    return make_dataset("planted", graph, labels, given=SPLIT)


def _embed(settings, params, tables, batch, key, labels=None):
    lane, clock = planted.place_of(params)
    rows = batch.rows[: batch.anchor_mask.shape[0]]
    z = tables[rows].reshape(-1, *SHAPE)
    by_name = {name: z[:, place, lane, clock][:, None] for place, name in enumerate(NAMES)}
    return by_name, Mixture({"unmixed": jnp.zeros(())})


def _loss_fn(params, batch_stats, batch, key):
    return planted.step_loss(params, batch_stats, batch[1].rows, key)


def _make_loss(settings, axis_name=None):
    return _loss_fn


FRAMEWORK: Any = SimpleNamespace(
    REPRESENTATIONS=NAMES,
    make_tables=lambda settings, graph: jnp.asarray(graph.x),
    make_sampler=make_sampler,
    init_params=lambda settings, num_features, key: planted.init_params(key),
    make_loss=_make_loss,
    embed=_embed,
    batch_to_embed=whole_graph,
)
SETTINGS = {
    "mixing": "none",
    "num_devices": 1,
    "learning_rate": planted.UNIT_RATE,
    "num_steps": 8,
    "eval_every": 1,
    "patience": 2,
    "checkpoint_every": 0,
    "num_classifiers": 2,
    "num_probes": 1,
    "num_clusterings": 0,
    "sampler": "nodes",
    "batch_size": 12,
}


def config(**changes):
    flat = node_config("graph_file")
    flat.update(SETTINGS | changes)
    return read(flat, any_dataset=True)
