"""A planted graph task: forty graphs of two classes, whose embeddings are in their features.

An embedding is a graph's class, 1 or −1, or its opposite. More tell their class than not, so that
any classifier finds the sign, and its accuracy is the share that tells.
"""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.data.types import GraphDataset, make_graph_dataset
from mmix_jax.experiments import graph_config, read
from mmix_jax.experiments.graphs import task as graphs
from mmix_jax.graphs.types import make_graph
from tests.experiments.wiring import planted

NAMES = ("a", "b", "mean")
NUM_GRAPHS, NUM_FOLDS = 40, 4
LABELS = np.arange(NUM_GRAPHS) % 2
SHAPE = (len(NAMES), planted.LANES, planted.CLOCKS)
# Shares of graphs whose embedding tells their class, by name, lane and clock: all end at 4.
SHARES = np.full(SHAPE, 0.7)
_A, _B, _MEAN = range(3)
SHARES[_A, 0, :5] = [0.8, 0.75, 0.7, 0.7, 0.9]
SHARES[_B, 0, :5] = [0.7, 0.95, 0.75, 0.75, 0.85]
SHARES[_MEAN, 0, :5] = [0.75, 0.7, 0.7, 1.0, 0.8]
SHARES[_A, 1, :5] = [0.7, 0.7, 0.7, 0.7, 0.95]
SHARES[_B, 1, :5] = [0.9, 0.7, 0.7, 0.7, 1.0]
SHARES[_MEAN, 1, :5] = [0.85, 0.7, 0.95, 0.7, 0.7]


def embedded() -> np.ndarray:
    """What graphs embed to, [M, names, lanes, clocks]."""
    told = np.empty((NUM_GRAPHS, *SHAPE), bool)
    for place in np.ndindex(SHAPE):
        told[(slice(None), *place)] = planted.right(NUM_GRAPHS, SHARES[place])
    signs = np.where(LABELS == 1, 1.0, -1.0).reshape(-1, 1, 1, 1)
    return np.where(told, signs, -signs).astype(np.float32)


def dataset() -> GraphDataset:
    """Paths of 2 to 12 nodes, in no order of size, so that batches are not in the set's order."""
    draw = np.random.default_rng(0)
    made = []
    for z in embedded():
        size = int(draw.integers(2, 13))
        nodes = np.arange(size - 1)
        made.append(make_graph(np.tile(z.reshape(1, -1), (size, 1)), nodes, nodes + 1))
    return make_graph_dataset("planted", made, LABELS)


def _embed(settings, params, tables, graph, key):
    lane, clock = planted.place_of(params)
    h = tables[graph.globals["graph"][:-1]].reshape(-1, *SHAPE)
    return {name: h[:, place, lane, clock][:, None] for place, name in enumerate(NAMES)}, {}


def _loss_fn(params, batch_stats, batch, key):
    return planted.step_loss(params, batch_stats, batch[1].globals["graph"], key)


def _make_loss(settings, axis_name=None):
    return _loss_fn


FRAMEWORK: Any = SimpleNamespace(
    init_params=lambda settings, num_features, key: planted.init_params(key),
    make_tables=lambda settings, union, cached=None: jnp.asarray(
        union.graph.x[union.first_node[:-1]]
    ),
    make_loss=_make_loss,
)
SETTINGS = {
    "mixing": "none",
    "num_devices": 1,
    "learning_rate": planted.UNIT_RATE,
    "num_steps": 4,
    "eval_every": 1,
    "checkpoint_every": 0,
    "num_seeds": 1,
    "num_folds": NUM_FOLDS,
    "num_clusterings": 1,
    "batch_size": 10,
}


def install(monkeypatch):
    """From here on the graph task trains and embeds by what is planted."""
    monkeypatch.setattr(graphs, "mvgrl_graphs", FRAMEWORK)
    monkeypatch.setattr(graphs, "_embed", jax.jit(_embed, static_argnums=0))


def config(**changes):
    flat = graph_config("graph_folder")
    flat.update(SETTINGS | changes)
    return read(flat, any_dataset=True)
