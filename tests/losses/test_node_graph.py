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
        return losses.node_graph(
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
    value = losses.node_graph(*jnp.asarray(nodes), bilinear=jnp.zeros((3, 3)), form=form)
    np.testing.assert_allclose(value, chance, atol=1e-6)


@pytest.mark.parametrize("form", ["bce", "jsd"])
def test_true_pairs_pull_and_false_ones_push(form):
    """Views that agree with their summaries and false nodes that oppose them cost less."""
    ones = jnp.ones((4, 3))
    loss = functools.partial(losses.node_graph, form=form)
    assert loss(ones, ones, -ones, -ones) < loss(ones, ones, ones, ones)


def test_unknown_forms_are_named():
    nodes, _ = make_nodes()
    with pytest.raises(ValueError, match=r"hinge.*bce, jsd") as caught:
        losses.node_graph(*jnp.asarray(nodes), form="hinge")
    assert "\n" not in str(caught.value)
