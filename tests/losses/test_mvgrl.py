"""The original MVGRL objective."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import losses

MASK = np.array([True, True, False, True, True])


def make_nodes():
    draws = np.random.default_rng(4)
    return draws.normal(size=(4, 5, 3)), draws.normal(size=(3, 3))


def naive_loss(nodes, bilinear, form, mask):
    """Nodes of one view with the sigmoid of the other's mean; the shuffled ones are false."""
    rows = naive.real_rows(5, mask)
    z_a, z_b, shuffled_a, shuffled_b = (view[rows] for view in nodes)
    summaries = [[1 / (1 + math.exp(-mean)) for mean in z.mean(axis=0)] for z in (z_a, z_b)]
    positive = naive.node_graph_scores(z_b, summaries[0], bilinear)
    positive += naive.node_graph_scores(z_a, summaries[1], bilinear)
    negative = naive.node_graph_scores(shuffled_b, summaries[0], bilinear)
    negative += naive.node_graph_scores(shuffled_a, summaries[1], bilinear)
    return naive.discriminator_loss(positive, negative, form)


@pytest.mark.parametrize(
    ("form", "with_matrix", "masked"),
    [("bce", True, True), ("bce", False, False), ("jsd", True, True)],
)
def test_value_and_gradient_match_the_loops(x64, form, with_matrix, masked):
    nodes, matrix = make_nodes()
    mask = MASK if masked else None

    def loss(nodes, matrix):
        options = {"bilinear": matrix if with_matrix else None, "form": form}
        return losses.discrimination(
            *nodes, mask=None if mask is None else jnp.asarray(mask), **options
        )

    def expected(nodes, matrix):
        return naive_loss(nodes, matrix if with_matrix else None, form, mask)

    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(nodes, matrix)
    np.testing.assert_allclose(value, expected(nodes, matrix), rtol=1e-12)
    numerical = naive.numerical_gradient(lambda nodes: expected(nodes, matrix), nodes)
    np.testing.assert_allclose(gradients[0], numerical, atol=1e-9)
    numerical = naive.numerical_gradient(lambda matrix: expected(nodes, matrix), matrix)
    np.testing.assert_allclose(gradients[1], numerical, atol=1e-9)


@pytest.mark.parametrize(("form", "chance"), [("bce", math.log(2)), ("jsd", 0.0)])
def test_a_discriminator_that_knows_nothing_scores_chance(form, chance):
    nodes, _ = make_nodes()
    value = losses.discrimination(*jnp.asarray(nodes), bilinear=jnp.zeros((3, 3)), form=form)
    np.testing.assert_allclose(value, chance, atol=1e-6)


@pytest.mark.parametrize("form", ["bce", "jsd"])
def test_true_pairs_pull_and_false_ones_push(form):
    """Views that agree with their summaries and false nodes that oppose them cost less."""
    ones = jnp.ones((4, 3))
    loss = functools.partial(losses.discrimination, form=form)
    assert loss(ones, ones, -ones, -ones) < loss(ones, ones, ones, ones)


def test_unknown_forms_are_named():
    nodes, _ = make_nodes()
    with pytest.raises(ValueError, match=r"hinge.*bce, jsd") as caught:
        losses.discrimination(*jnp.asarray(nodes), form="hinge")
    assert "\n" not in str(caught.value)


# Whole graphs

NODE_GRAPH = np.array([0, 0, 1, 2, 2])
GRAPH_MASK = np.array([True, True, True, False])


def make_graphs():
    draws = np.random.default_rng(6)
    nodes, readouts = draws.normal(size=(2, 5, 3)), draws.normal(size=(2, 4, 3))
    return nodes, readouts, draws.normal(size=(3, 3))


def naive_graph_loss(nodes, readouts, bilinear, form):
    """Every node of one view with every readout of the other; its own graph's is true."""
    total = 0.0
    for z, h in ((nodes[0], readouts[1]), (nodes[1], readouts[0])):
        positive, negative = [], []
        for g in np.flatnonzero(GRAPH_MASK):
            scores = naive.node_graph_scores(z, h[g], bilinear)
            for i in np.flatnonzero(MASK):
                (positive if NODE_GRAPH[i] == g else negative).append(scores[i])
        if form == "jsd":
            total += naive.discriminator_loss(positive, negative, "jsd")
        else:  # each group counts half, whatever its size
            total += 0.5 * np.mean([naive.softplus(-s) for s in positive])
            total += 0.5 * np.mean([naive.softplus(s) for s in negative])
    return total / 2


@pytest.mark.parametrize(("form", "with_matrix"), [("bce", True), ("jsd", True), ("jsd", False)])
def test_whole_graphs_match_the_loops(x64, form, with_matrix):
    nodes, readouts, matrix = make_graphs()

    def loss(nodes, readouts, matrix):
        return losses.discrimination_of_graphs(
            *nodes,
            *readouts,
            jnp.asarray(NODE_GRAPH),
            bilinear=matrix if with_matrix else None,
            form=form,
            node_mask=jnp.asarray(MASK),
            graph_mask=jnp.asarray(GRAPH_MASK),
        )

    def expected(nodes, readouts, matrix):
        return naive_graph_loss(nodes, readouts, matrix if with_matrix else None, form)

    value, gradients = jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(nodes, readouts, matrix)
    np.testing.assert_allclose(value, expected(nodes, readouts, matrix), rtol=1e-12)
    parts = [nodes, readouts, matrix]
    for place, gradient in enumerate(gradients):

        def of_part(part, place=place):
            return expected(*parts[:place], part, *parts[place + 1 :])

        np.testing.assert_allclose(
            gradient, naive.numerical_gradient(of_part, parts[place]), atol=1e-8
        )


def test_one_graph_alone_has_no_false_pairs(x64):
    nodes, readouts, _ = make_graphs()
    zeros = jnp.zeros(5, jnp.int32)
    value = losses.discrimination_of_graphs(*nodes, *readouts[:, :1], zeros)
    scores = np.concatenate([nodes[0] @ readouts[1, 0], nodes[1] @ readouts[0, 0]])
    np.testing.assert_allclose(value, 0.5 * np.mean([naive.softplus(-s) for s in scores]))
