"""What the scripts share of graph tasks: a set of graphs, real or drawn, and the library's step."""

from typing import Any, NamedTuple

import jax
import numpy as np

from mmix_jax.data.catalog import load_graphs
from mmix_jax.data.raw import degree_features, one_hot
from mmix_jax.data.types import GraphDataset, make_graph_dataset
from mmix_jax.experiments.defaults import Config
from mmix_jax.experiments.graphs.inputs import make_sampler
from mmix_jax.experiments.graphs.task import graph_settings, start, task_of
from mmix_jax.experiments.runs import keys_of
from mmix_jax.frameworks.mvgrl_graphs import make_graph_loss
from mmix_jax.graphs import Graph, make_graph
from mmix_jax.training.step import AXIS, make_optimizer, make_step, replicate


class Shape(NamedTuple):
    """Sizes of a set of graphs: what decides time and memory. features: 0 is one-hot degrees."""

    graphs: int
    mean: float
    deviation: float
    smallest: int
    largest: int
    edges_per_node: float
    features: int


SHAPES = {
    "mutag": Shape(188, 17.9, 4.6, 10, 28, 1.104, 7),
    "ptc_mr": Shape(344, 14.3, 9.0, 2, 64, 1.028, 18),
    "reddit_binary": Shape(2000, 429.6, 554.0, 6, 3782, 1.159, 0),
}


def load(name: str, data_dir: str | None, num_graphs: int | None) -> GraphDataset:
    """The data set `name`, or with `num_graphs` random graphs of like sizes."""
    if num_graphs is None:
        return load_graphs(name, data_dir=data_dir)
    shape, draw = SHAPES[name], np.random.default_rng(0)
    ratio = shape.mean / shape.deviation
    sizes = draw.gamma(ratio**2, shape.mean / ratio**2, num_graphs).round().astype(int)
    sizes = np.clip(sizes, shape.smallest, shape.largest)
    sizes[0] = shape.largest  # it decides how far dense arrays are padded
    graphs = [_draw_graph(shape, int(size), draw) for size in sizes]
    return make_graph_dataset(f"random graphs like {name}", graphs, np.arange(num_graphs) % 2)


def _draw_graph(shape: Shape, size: int, draw: np.random.Generator) -> Graph:
    """A random tree and as many edges more as the set has for its nodes, about."""
    child = np.arange(1, size)
    parent = (draw.random(size - 1) * child).astype(int)
    extra = max(round(shape.edges_per_node * size) - (size - 1), 0)
    ends = draw.integers(size, size=(2, extra))
    num_columns = max(shape.features, 1)
    x = one_hot(draw.integers(num_columns, size=size), num_columns)
    graph = make_graph(x, np.append(child, ends[0]), np.append(parent, ends[1]))
    return graph if shape.features else graph._replace(x=degree_features(graph))


def describe(dataset: GraphDataset) -> str:
    """The data set in a line."""
    sizes = [graph.num_nodes for graph in dataset.graphs]
    return (
        f"data      {dataset.name}: {len(sizes)} graphs of {min(sizes)} to {max(sizes)} nodes "
        f"(mean {np.mean(sizes):.1f}), {dataset.graphs[0].x.shape[1]} features"
    )


class LibraryStep:
    """The training step of a config on one device, as `mmix_jax.main` runs it: a call is a step.

    Every graph is seen once in `sampler.num_batches` of them, an epoch.
    """

    def __init__(self, config: Config, dataset: GraphDataset):
        config.num_devices = 1
        task = task_of(config, dataset)
        self.sampler = make_sampler(config, task.union, config.seed, num_devices=1)
        self.settings = graph_settings(config, self.sampler.buckets)
        self.key = keys_of(config.seed)[1]
        state = start(task, config.seed)
        self.params = state.params
        loss_fn = make_graph_loss(self.settings, AXIS)
        optimizer = make_optimizer(config.learning_rate, config.weight_decay)
        self._step = make_step(loss_fn, optimizer, devices=task.devices)
        self.tables = replicate(task.tables, task.devices)
        self._state = replicate(state, task.devices)
        self._number = 0

    def __call__(self) -> float:
        """One step; returns its loss, and with it waits for the step."""
        batch = self.sampler.batch(self._number)
        self._state, metrics = self._step(self._state, self.tables, batch, self.key)
        self._number += 1
        return float(metrics["loss"])

    def epoch(self) -> float:
        """All steps of an epoch; returns the loss of the last."""
        return [self() for _ in range(self.sampler.num_batches)][-1]

    def loss_and_gradients(self) -> tuple[float, Any, np.ndarray]:
        """Of the initial parameters on the first batch, and the places of its graphs in the set."""
        batch = jax.tree.map(lambda x: x[0], self.sampler.batch(0))  # without the device axis
        compute = jax.jit(jax.value_and_grad(make_graph_loss(self.settings), has_aux=True))
        (loss, _), gradients = compute(self.params, {}, (self.tables, batch), self.key)
        return float(loss), gradients, batch.globals["graph"][batch.globals["mask"]]
