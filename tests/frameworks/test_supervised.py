"""The supervised baseline against loops over nodes, and its laws."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax.evaluation.edit_distance import cosine_similarities, triplet_accuracy
from mmix_jax.frameworks import supervised
from mmix_jax.frameworks.supervised import embed_graphs, train_triplets
from mmix_jax.graphs.edits import Triplet, induced_subgraph, make_triplets
from mmix_jax.graphs.types import Graph, make_graph

KEY = jax.random.key(3)


def planar_graphs(num: int, num_nodes: int, seed: int) -> list[Graph]:
    """Random points, each joined to its four nearest; features are the coordinates."""
    rng = np.random.default_rng(seed)
    graphs = []
    for _ in range(num):
        x = 100 * rng.random((num_nodes, 2))
        distance = np.linalg.norm(x[:, None] - x[None, :], axis=-1)
        nearest = np.argsort(distance, axis=1)[:, 1:5]
        graphs.append(make_graph(x, np.repeat(np.arange(num_nodes), 4), nearest.ravel()))
    return graphs


def triplets_of(num: int, size: int, seed: int) -> list[Triplet]:
    return make_triplets(planar_graphs(num, size + 2, seed), size, num=num).triplets


SMALL = triplets_of(4, 6, seed=0)


def small_model(dtype: Any = np.float64):
    model = train_triplets(SMALL, width=5, num_steps=0, key=KEY)
    draw = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf + 0.1 * draw.normal(), dtype), model)


def embed_by_loops(model, graph: Graph) -> np.ndarray:
    """Mean over nodes of PReLU(Â h W + b), layer by layer."""
    dense = np.eye(graph.num_nodes)
    for s, r, weight in zip(graph.senders, graph.receivers, graph.edge_weight, strict=True):
        dense[r, s] += weight
    degree = dense.sum(axis=1)
    h = (graph.x - np.asarray(model.shift)) * np.asarray(model.scale)
    for layer in range(2):
        kernel = np.asarray(model.gcn[f"dense_{layer}"]["kernel"], np.float64)
        slope = float(model.gcn[f"prelu_{layer}"]["negative_slope"])
        rows = []
        for i in range(graph.num_nodes):
            row = np.asarray(model.gcn[f"bias_{layer}"], np.float64)
            for j in range(graph.num_nodes):
                row = row + dense[i, j] / (degree[i] * degree[j]) ** 0.5 * (h[j] @ kernel)
            rows.append(np.where(row >= 0, row, slope * row))
        h = np.stack(rows)
    return h.mean(axis=0)


def loss_of(model, triplets, margin: float = 1e-3):
    """What training descends, of all triplets at once."""
    return supervised._loss(model, supervised._stack_triplets(triplets), margin)


def loss_by_loops(model, triplets, margin: float) -> float:
    total = 0.0
    for triplet in triplets:
        anchor, near, far = (embed_by_loops(model, graph) for graph in triplet)
        total += max(0.0, margin - naive.cosine(anchor, near) + naive.cosine(anchor, far))
    return total / len(triplets)


def test_embeddings_against_loops(x64):
    model = small_model()
    graphs = [graph for triplet in SMALL for graph in triplet]
    expected = [embed_by_loops(model, graph) for graph in graphs]
    np.testing.assert_allclose(embed_graphs(model, graphs), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("margin", [0.001, 0.5])
def test_loss_and_gradient_against_loops(x64, margin):
    model = small_model()
    loss, gradient = jax.value_and_grad(loss_of)(model, SMALL, margin)
    np.testing.assert_allclose(loss, loss_by_loops(model, SMALL, margin), atol=1e-6)
    leaves, structure = jax.tree.flatten(model.gcn)
    draw = np.random.default_rng(2)
    for index, leaf in enumerate(leaves):
        direction = draw.normal(size=leaf.shape)

        def along(value, index=index):
            gcn = jax.tree.unflatten(structure, [*leaves[:index], value, *leaves[index + 1 :]])
            return loss_by_loops(model._replace(gcn=gcn), SMALL, margin)

        slope = naive.numerical_slope(along, leaf, direction)
        found = float(jnp.sum(jax.tree.leaves(gradient.gcn)[index] * direction))
        assert found == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_graphs_of_other_sizes_beside_it_change_nothing():
    model = small_model(np.float32)
    small, large = SMALL[0].anchor, planar_graphs(1, 11, seed=5)[0]
    together = embed_graphs(model, [small, large])
    for graph, row in zip([small, large], together, strict=True):
        np.testing.assert_allclose(embed_graphs(model, [graph])[0], row, rtol=1e-5, atol=1e-6)


def test_numbering_of_the_nodes_does_not_matter():
    model = small_model(np.float32)
    graph = SMALL[0].far
    moved = induced_subgraph(graph, np.random.default_rng(6).permutation(graph.num_nodes))
    np.testing.assert_allclose(
        embed_graphs(model, [moved]), embed_graphs(model, [graph]), rtol=1e-4, atol=1e-6
    )


def test_features_are_standardised_over_the_training_nodes():
    constant = [Triplet(*(g._replace(x=g.x * [[1, 0]] + 7) for g in t)) for t in SMALL]
    model = train_triplets(constant, width=5, num_steps=0, key=KEY)
    nodes = np.concatenate([graph.x for triplet in constant for graph in triplet])
    np.testing.assert_allclose(model.shift, nodes.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(model.scale, [1 / nodes[:, 0].std(), 1], rtol=1e-5)


def test_training_lowers_the_loss_and_ranks_triplets_of_other_graphs():
    train, other = triplets_of(60, 10, seed=1), triplets_of(60, 10, seed=2)
    untrained, trained = (
        train_triplets(train, width=16, num_steps=steps, learning_rate=1e-2, key=KEY)
        for steps in (0, 150)
    )
    assert loss_of(trained, train) < 0.8 * loss_of(untrained, train)
    anchor, near, far = (embed_graphs(trained, graphs) for graphs in zip(*other, strict=True))
    accuracy = triplet_accuracy(cosine_similarities(anchor, near), cosine_similarities(anchor, far))
    assert accuracy.half_credit > 0.7


def test_training_follows_from_the_key():
    first, again, other = (
        train_triplets(SMALL, width=5, num_steps=3, key=jax.random.key(seed)) for seed in (0, 0, 1)
    )
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not np.array_equal(first.gcn["dense_0"]["kernel"], other.gcn["dense_0"]["kernel"])


def test_features_that_do_not_fit_are_told():
    model = small_model(np.float32)
    wide = SMALL[0].anchor._replace(x=np.ones((6, 3), np.float32))
    with pytest.raises(ValueError, match="2 features of the training, found 3"):
        embed_graphs(model, [wide])
    with pytest.raises(ValueError, match=r"found 2 graphs with \[2, 3\]"):
        embed_graphs(model, [SMALL[0].anchor, wide])
    with pytest.raises(ValueError, match="found 0 graphs"):
        train_triplets([], key=KEY)
