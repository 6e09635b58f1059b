"""What the scripts share: a citation graph, real or drawn, and the library's step on it."""

from typing import Any, NamedTuple

import jax
import numpy as np

from mmix_jax.data.catalog import load_nodes
from mmix_jax.data.types import NodeDataset
from mmix_jax.experiments.nodes.inputs import make_sampler
from mmix_jax.experiments.nodes.task import FRAMEWORKS
from mmix_jax.graphs import Graph, Split, make_graph
from mmix_jax.training.step import AXIS, init_state, make_optimizer, make_step, replicate


class Shape(NamedTuple):
    """Sizes of a citation graph: what decides time and memory."""

    nodes: int
    edges: int
    features: int
    density: float
    classes: int
    train: int


SHAPES = {
    "cora": Shape(2708, 5278, 1433, 0.013, 7, 140),
    "pubmed": Shape(19717, 44324, 500, 0.1, 3, 60),
    "dblp": Shape(17716, 52867, 1639, 0.0032, 4, 1771),
    "arxiv": Shape(169343, 1157799, 128, 0.5, 40, 90941),  # drawn only: its files are not read
}


def load(name: str, data_dir: str | None, num_nodes: int | None) -> NodeDataset:
    """The data set `name`, or with `num_nodes` a random graph in its proportions."""
    if num_nodes is None:
        return load_nodes(name, data_dir=data_dir)
    shape = SHAPES[name]
    draw = np.random.default_rng(0)
    num_edges = round(shape.edges * num_nodes / shape.nodes)
    pairs = draw.choice(num_nodes * (num_nodes - 1) // 2, num_edges, replace=False)
    # Pair number p stands for (low, high), low < high, counted row by row of a lower triangle.
    high = np.floor((1 + np.sqrt(1 + 8.0 * pairs)) / 2).astype(np.int64)
    low = pairs - high * (high - 1) // 2
    x = draw.random((num_nodes, shape.features), np.float32) < shape.density
    order = draw.permutation(num_nodes).astype(np.int32)
    quarter = num_nodes // 4
    sizes = np.minimum([shape.train, 500, 1000], [quarter, quarter, 2 * quarter])
    ends = np.cumsum(sizes)
    return NodeDataset(
        name=f"random graph like {name}",
        graph=make_graph(x.astype(np.float32), low, high),
        labels=(np.arange(num_nodes) % shape.classes).astype(np.int32),
        num_classes=shape.classes,
        split=Split(*(order[end - size : end] for end, size in zip(ends, sizes, strict=True))),
        ids=None,
        bag_of_words=name != "dblp",
    )


def describe(dataset: NodeDataset) -> str:
    """The data set in a line."""
    graph = dataset.graph
    return (
        f"data      {dataset.name}: {graph.num_nodes} nodes, {graph.num_edges // 2} edges, "
        f"{graph.x.shape[1]} features"
    )


class LibraryStep:
    """The training step of a config on one device, as `mmix_jax.main` runs it: a call is a step.

    `tables` are the framework's, where they are there already.
    """

    def __init__(self, config: Any, graph: Graph, tables: Any = None):
        framework = FRAMEWORKS[config.framework]
        self.settings = framework.settings(config, graph.num_nodes)
        devices = jax.local_devices()[:1]
        tables = framework.tables(config, graph) if tables is None else tables
        self.tables = replicate(tables, devices)
        self.sampler = make_sampler(config, graph, config.seed, num_devices=1)
        self.key = jax.random.key(config.seed)
        self.params = framework.init_params(self.settings, graph.x.shape[1], self.key)
        optimizer = make_optimizer(config.learning_rate, config.weight_decay)
        self._make_loss = framework.make_loss
        loss_fn = self._make_loss(self.settings, AXIS)
        self._step = make_step(loss_fn, optimizer, devices=devices)
        self._state = replicate(init_state(self.params, optimizer), devices)
        self._number = 0

    def __call__(self) -> float:
        """One step; returns its loss, and with it waits for the step."""
        batch = self.sampler.batch(self._number)
        self._state, metrics = self._step(self._state, self.tables, batch, self.key)
        self._number += 1
        return float(metrics["loss"])

    def loss_and_gradients(self) -> tuple[float, Any]:
        """Of the initial parameters."""
        batch = jax.tree.map(lambda x: x[0], self.sampler.batch(0))  # without the device axis
        compute = jax.jit(jax.value_and_grad(self._make_loss(self.settings), has_aux=True))
        (loss, _), gradients = compute(self.params, {}, (self.tables, batch), self.key)
        return float(loss), gradients
