"""This library's side: data sets, real or drawn, and the training steps of configs on them.

All that the benchmarks take from the package's upper floors, configs, tasks and frameworks, is
taken here; the stages of part `scale` alone are its own.
"""

import dataclasses
import runpy
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax import experiments
from mmix_jax.data import catalog
from mmix_jax.data.raw import degree_features, one_hot
from mmix_jax.data.types import (
    GraphDataset,
    ImageDataset,
    NodeDataset,
    make_graph_dataset,
    make_image_dataset,
)
from mmix_jax.experiments.graphs import task as graphs
from mmix_jax.experiments.nodes.inputs import normalised_graph, scaling_of, settings_of
from mmix_jax.experiments.task import Training
from mmix_jax.frameworks import node_framework, simclr
from mmix_jax.graphs import Graph, Split, make_graph
from mmix_jax.losses import info_nce
from mmix_jax.training.step import (
    AXIS,
    Optimization,
    init_state,
    make_optimizer,
    make_step,
    make_steps,
    replicate,
)

# The second step may compile again, for a state that a step has placed.
WARM_UP = 2
IMAGE_SHAPE = (32, 32, 3)
GRAPH_BATCHES = {"mutag": 128, "ptc_mr": 64}
# "same objective" is the nearest to the authors' that this library has.
OBJECTIVES = {
    "same objective": {"node_contrast": "batch", "negatives": "cross", "stop_gradient": True},
    "equation 11": {},
}
IMAGE_RULES = ("none", "mo_op")


class NodeShape(NamedTuple):
    """Sizes of a citation graph: what decides time and memory."""

    nodes: int
    edges: int
    features: int
    density: float
    classes: int
    train: int


class GraphShape(NamedTuple):
    """Sizes of a set of graphs: what decides time and memory. features: 0 is one-hot degrees."""

    graphs: int
    mean: float
    deviation: float
    smallest: int
    largest: int
    edges_per_node: float
    features: int


NODE_SHAPES = {
    "cora": NodeShape(2708, 5278, 1433, 0.013, 7, 140),
    "pubmed": NodeShape(19717, 44324, 500, 0.1, 3, 60),
    "dblp": NodeShape(17716, 52867, 1639, 0.0032, 4, 1771),
    "arxiv": NodeShape(169343, 1157799, 128, 0.5, 40, 90941),  # drawn only: its files are not read
}
GRAPH_SHAPES = {
    "mutag": GraphShape(188, 17.9, 4.6, 10, 28, 1.104, 7),
    "ptc_mr": GraphShape(344, 14.3, 9.0, 2, 64, 1.028, 18),
    "reddit_binary": GraphShape(2000, 429.6, 554.0, 6, 3782, 1.159, 0),
}


def load_nodes(name: str, data_dir: str | None, num_nodes: int | None) -> NodeDataset:
    """The data set `name`, or with `num_nodes` a random graph in its proportions."""
    if num_nodes is None:
        return catalog.load_nodes(name, data_dir=data_dir)
    shape = NODE_SHAPES[name]
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


def load_graphs(name: str, data_dir: str | None, num_graphs: int | None) -> GraphDataset:
    """The data set `name`, or with `num_graphs` random graphs of like sizes."""
    if num_graphs is None:
        return catalog.load_graphs(name, data_dir=data_dir)
    shape, draw = GRAPH_SHAPES[name], np.random.default_rng(0)
    ratio = shape.mean / shape.deviation
    sizes = draw.gamma(ratio**2, shape.mean / ratio**2, num_graphs).round().astype(int)
    sizes = np.clip(sizes, shape.smallest, shape.largest)
    sizes[0] = shape.largest  # it decides how far dense arrays are padded
    graphs = [_draw_graph(shape, int(size), draw) for size in sizes]
    return make_graph_dataset(f"random graphs like {name}", graphs, np.arange(num_graphs) % 2)


def _draw_graph(shape: GraphShape, size: int, draw: np.random.Generator) -> Graph:
    """A random tree and as many edges more as the set has for its nodes, about."""
    child = np.arange(1, size)
    parent = (draw.random(size - 1) * child).astype(int)
    extra = max(round(shape.edges_per_node * size) - (size - 1), 0)
    ends = draw.integers(size, size=(2, extra))
    num_columns = max(shape.features, 1)
    x = one_hot(draw.integers(num_columns, size=size), num_columns)
    graph = make_graph(x, np.append(child, ends[0]), np.append(parent, ends[1]))
    return graph if shape.features else graph._replace(x=degree_features(graph))


def random_images(count: int) -> ImageDataset:
    """Noise of CIFAR's shape without labels: speed does not depend on what is in an image."""
    values = np.random.default_rng(0).integers(0, 256, (count, *IMAGE_SHAPE), np.uint8)
    return make_image_dataset("noise", values)


def config_of(path: str) -> Any:
    """The config of a file, PATH[:VARIANT]."""
    path, _, variant = path.partition(":")
    return runpy.run_path(path)["get_config"](variant)


def node_config(name: str, **changes: Any) -> Any:
    """The default settings of a node data set."""
    config = experiments.node_config(name)
    config.update(changes)
    return config


def graph_config(name: str, objective: str, *, mixing: str, width: int) -> Any:
    """The default settings of a set of graphs with one of `OBJECTIVES`."""
    config = experiments.graph_config(name)
    config.update(mixing=mixing, width=width, batch_size=GRAPH_BATCHES[name])
    config.update(OBJECTIVES[objective])
    return config


def image_config(rule: str, *, batch_size: int, precision: str, width: int) -> Any:
    """CIFAR-10's settings with one of `IMAGE_RULES`."""
    config = experiments.image_config("cifar10")
    config.update(experiments.IMAGE_VARIANTS[rule])
    config.update(batch_size=batch_size, precision=precision, width=width, num_devices=1)
    return config


class _Step:
    """The training step of a config on one device, as `mmix_jax.main` runs it.

    A call is a dispatch, of one step or of `chunk`.
    """

    def __init__(self, config: Any, training: Training):
        devices = jax.local_devices()[:1]
        self.config, self.settings, self.chunk = config, training.settings, training.chunk
        self.key = jax.random.key(config.seed)
        self.params, self.batch_stats = training.state.params, training.state.batch_stats
        self.tables = replicate(training.tables, devices)
        self._make_loss, self._batch = training.make_loss, training.batch
        make = make_step if self.chunk == 1 else make_steps
        optimizer = make_optimizer(training.optimization)
        self._step = make(training.make_loss(self.settings, AXIS), optimizer, devices=devices)
        self._state = replicate(training.state, devices)
        self._number = 0

    def __call__(self) -> float:
        """Take the step; returns its loss, of several their mean, and with it waits for them."""
        count = () if self.chunk == 1 else (self.chunk,)
        batch = self._batch(self._number)
        self._state, metrics = self._step(self._state, self.tables, batch, *count, self.key)
        self._number += self.chunk
        return float(metrics["loss"])

    def loss_and_gradients(self) -> tuple[float, Any, Any]:
        """Of the initial parameters on the first batch, and that batch."""
        batch = jax.tree.map(lambda x: x[0], self._batch(0))  # without the device axis
        compute = jax.jit(jax.value_and_grad(self._make_loss(self.settings), has_aux=True))
        (loss, _), gradients = compute(self.params, {}, (self.tables, batch), self.key)
        return float(loss), gradients, batch


class NodeStep(_Step):
    """A step on a graph; `tables` are the framework's, where they are there already."""

    def __init__(self, config: Any, dataset: NodeDataset, tables: Any = None):
        typed = experiments.read(config)
        self.framework = framework = node_framework(config.framework)
        self.graph = graph = normalised_graph(typed, dataset, scaling_of(typed, dataset))
        settings = settings_of(typed, graph.num_nodes)
        sizes = {name: config[name] for name in ("sampler", "batch_size", "num_windows", "seed")}
        self.sampler = framework.make_sampler(settings, graph, **sizes)
        optimization = Optimization(config.learning_rate, config.weight_decay)
        params = framework.init_params(settings, graph.x.shape[1], jax.random.key(config.seed))
        training = Training(
            init_state(params, make_optimizer(optimization)),
            optimization,
            framework.make_loss,
            settings,
            framework.make_tables(settings, graph) if tables is None else tables,
            self.sampler.batch,
            lambda state: (None, {}),
            config.batch_size,
        )
        super().__init__(config, training)

    def embeddings(self) -> jax.Array:
        """[N, width] of the untrained encoders, both views' mean; MVGRL alone."""
        compute = jax.jit(partial(self.framework.embed, self.settings))
        whole = self.framework.batch_to_embed(self.graph)
        return compute(self.params, self.tables, whole, self.key)[0]["mean"]


class GraphStep(_Step):
    """A step on a set of graphs, of which each is seen once in `sampler.num_batches` of them."""

    def __init__(self, config: Any, dataset: GraphDataset):
        config.num_devices = 1
        task = graphs.task_of(experiments.read(config, any_dataset=True), dataset)
        self.sampler = graphs.make_sampler(task.config, task.union, config.seed, 1)
        super().__init__(config, task.training(config.seed))

    def epoch(self) -> float:
        """All steps of an epoch; returns the loss of the last."""
        return [self() for _ in range(self.sampler.num_batches)][-1]


class ImageStep(_Step):
    """A step on images, its augmentation included."""

    def __init__(self, config: Any, dataset: ImageDataset, *, chunk: int = 1):
        config.chunk_steps = chunk
        task = experiments.task_of(config, dataset)
        self.images = task.dataset.train
        super().__init__(config, task.training(config.seed, None))

    def views(self) -> list[np.ndarray]:
        """Two views of a batch, float32 [B, H, W, C]."""
        images = self.tables.images[: self.config.batch_size]
        both = simclr.two_views(self.settings, images, jax.random.key(0))
        return [np.asarray(view, np.float32) for view in both]

    def loss_on(self, views: list[np.ndarray]) -> tuple[float, Any]:
        """Loss and gradients of the initial parameters on two views, in float32."""
        settings = dataclasses.replace(self.settings, dtype="float32")
        model = simclr.make_model(settings, views=2)
        x = jnp.concatenate([jnp.asarray(view) for view in views])

        def loss_fn(params):
            variables = {"params": params, "batch_stats": self.batch_stats}
            (z, _), _ = model.apply(variables, x, train=True, mutable=["batch_stats"])
            z_a, z_b = jnp.split(z, 2)
            mixed = simclr.mix_view(settings, z_a, None, jax.random.key(0)).z_mixed
            return info_nce(mixed, z_b, temperature=settings.contrast.temperature)

        with jax.default_matmul_precision("highest"):
            loss, gradients = jax.jit(jax.value_and_grad(loss_fn))(self.params)
        return float(loss), gradients
