"""A set of small graphs, among them odd ones, and equation 11 on it as loops."""

from typing import Any

import numpy as np

import naive
from mmix_jax.data.raw import make_graph_or_empty
from mmix_jax.frameworks.mvgrl_graphs import GraphSettings, GraphTables
from mmix_jax.frameworks.mvgrl_nodes import MVGRLSettings
from mmix_jax.graphs.batches import GraphSampler, unite
from mmix_jax.graphs.types import Graph
from tests.frameworks import problem

VIEWS = problem.BASE


def make_graphs() -> list[Graph]:
    """Rings with chords of 5, 7, 4 and 6 nodes; one node; three nodes without edges; no node."""
    draw = np.random.default_rng(5)
    graphs = []
    for size, chords in ((5, 2), (1, 0), (7, 3), (3, -1), (0, -1), (4, 1), (6, 4)):
        x = draw.normal(size=(size, problem.F)).astype(np.float32)
        ring = np.arange(size if chords >= 0 and size > 1 else 0)
        ends = draw.integers(0, max(size, 1), size=(2, max(chords, 0)))
        senders = np.concatenate([ring, ends[0]]).astype(np.int64)
        receivers = np.concatenate([(ring + 1) % max(size, 1), ends[1]]).astype(np.int64)
        graphs.append(make_graph_or_empty(x, senders, receivers))
    return graphs


GRAPHS = make_graphs()


def sampler(graphs=GRAPHS, **options) -> GraphSampler:
    """All graphs in one batch, in slots of one size unless told otherwise."""
    return GraphSampler(unite(graphs), **({"batch_size": len(graphs), "max_buckets": 1} | options))


def tables(graphs=GRAPHS, dtype: Any = np.float64, *, deep: bool = False) -> GraphTables:
    """ÂX and SX of every graph from its own dense matrices, or X for deeper encoders."""
    if deep:
        x = np.concatenate([graph.x for graph in graphs]).astype(dtype)
        return problem.to_device(GraphTables(None, None, x), dtype)
    views = [
        np.concatenate([operator(graph) @ graph.x.astype(np.float64) for graph in graphs])
        for operator in (problem.adjacency, problem.diffusion)
    ]
    return problem.to_device(GraphTables(*views), dtype)


def one_device(batch: Any, dtype: Any = np.float64) -> Any:
    """A batch of one device, without its leading axis."""
    import jax

    return problem.to_device(jax.tree.map(lambda x: x[0], batch), dtype)


def settings_of(sampled: GraphSampler, views: MVGRLSettings = VIEWS, **options) -> GraphSettings:
    return GraphSettings(views, sampled.buckets, **options)


# The same as loops


def readouts(settings: GraphSettings, params, graphs=GRAPHS) -> tuple[np.ndarray, np.ndarray]:
    """h^a from g(ẑ^a) and h^b from z^b; zero for a graph without nodes."""
    h_a, h_b = [], []
    for graph in graphs:
        u, z_b, _ = branches(settings, params, graph)
        h_a.append(u.mean(axis=0) if len(u) else np.zeros(problem.D))
        h_b.append(z_b.mean(axis=0) if len(z_b) else np.zeros(problem.D))
    return np.array(h_a), np.array(h_b)


def branches(settings: GraphSettings, params, graph: Graph):
    """u, z^b and z^a of one graph."""
    z_a, z_b = problem.views(params, graph)
    if not len(z_a):
        return z_a, z_b, z_a
    mixed = problem.mixture(settings.views, params, z_a, graph)
    return problem.predict(params["predictor"], mixed), z_b, z_a


def node_level(settings: GraphSettings, params, graphs=GRAPHS) -> float:
    """(1/M) Σ_i J_node(G_i), with L_div for mp-mix; a graph without nodes has 0."""
    total = 0.0
    for graph in graphs:
        if graph.num_nodes:
            total += problem.loss(settings.views, params, graph)
    return total / len(graphs)


def graph_level(settings: GraphSettings, params, graphs=GRAPHS) -> float:
    """(1/M) Σ_i L(h^a_i), or with the mirror image."""
    h_a, h_b = readouts(settings, params, graphs)
    contrast = naive.info_nce if settings.symmetric_graph else naive.anchor_info_nce
    negatives = settings.views.contrast.negatives
    return contrast(h_a, h_b, temperature=settings.graph_temperature, negatives=negatives)


def mvgrl_level(settings: GraphSettings, params, graphs=GRAPHS) -> float:
    """MVGRL's own objective: nodes against readouts of the other view."""
    views = [problem.views(params, graph) for graph in graphs]
    zeros = np.zeros(problem.D)
    means = [[z.mean(axis=0) if len(z) else zeros for z in pair] for pair in views]
    value = 0.0
    for own, other in ((0, 1), (1, 0)):
        positive, negative = [], []
        for i, pair in enumerate(views):
            for g, mean in enumerate(means):
                scores = naive.node_graph_scores(pair[own], mean[other], params["bilinear"])
                (positive if i == g else negative).extend(scores)
        if settings.views.discriminator == "bce":
            value += 0.5 * sum(naive.softplus(-s) for s in positive) / len(positive)
            value += 0.5 * sum(naive.softplus(s) for s in negative) / len(negative)
        else:
            value += naive.discriminator_loss(positive, negative, "jsd")
    return value / 2


def loss(settings: GraphSettings, params, graphs=GRAPHS) -> float:
    """The whole objective."""
    if settings.objective == "mvgrl":
        return mvgrl_level(settings, params, graphs)
    value = 0.0
    if settings.objective in ("both", "node"):
        value += node_level(settings, params, graphs)
    if settings.objective in ("both", "graph"):
        value += graph_level(settings, params, graphs)
    return value
