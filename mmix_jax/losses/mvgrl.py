"""The original MVGRL objective: nodes of one view against graph summaries of the other."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from mmix_jax.losses.settings import DISCRIMINATORS
from mmix_jax.ops.arrays import floats, indices, mask_of, widened
from mmix_jax.ops.collectives import device_index, gather, total


def discrimination(
    z_a: jax.Array,
    z_b: jax.Array,
    shuffled_a: jax.Array,
    shuffled_b: jax.Array,
    *,
    bilinear: jax.Array | None = None,
    form: str = "bce",
    mask: jax.Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Tell nodes of the graph from nodes with shuffled features by the other view's summary.

    Summaries s^a = σ(mean z^a), s^b = σ(mean z^b); scores D(z, s) = zᵀ W s, four groups: (z^b, s^a)
    and (z^a, s^b) true, (z̃^b, s^a) and (z̃^a, s^b) false. `bce`: mean binary cross-entropy over
    the groups. `jsd`: E_false[softplus(−D) + D − ln 2] − E_true[ln 2 − softplus(−D)], the
    Jensen–Shannon form, shifted so that a discriminator of 0 scores 0.

    Args:
      z_a, z_b: [N, D] nodes of both views.
      shuffled_a, shuffled_b: [N, D] the same encoders on row-shuffled features.
      bilinear: [D, D] W; None is the dot product.
      form: `bce` or `jsd`.
      mask: [N] bool, real nodes.
      axis_name: device axis; each device returns its share, to be summed over devices.

    Returns:
      Scalar, float32 at least.
    """
    _check(form)
    z_a, z_b, shuffled_a, shuffled_b, bilinear = _in_one_type(
        z_a=z_a, z_b=z_b, shuffled_a=shuffled_a, shuffled_b=shuffled_b, bilinear=bilinear
    )
    real = jnp.ones(z_a.shape[:1], bool) if mask is None else mask_of("mask", mask)
    real = real.astype(z_a.dtype)
    count = jnp.maximum(total(jnp.sum(real), axis_name), 1.0)

    def summary(z):
        mean = total(jnp.sum(z * real[:, None], axis=0), axis_name) / count
        vector = jax.nn.sigmoid(mean)
        return vector if bilinear is None else bilinear @ vector

    summary_a, summary_b = summary(z_a), summary(z_b)
    true = jnp.stack([z_b @ summary_a, z_a @ summary_b])
    false = jnp.stack([shuffled_b @ summary_a, shuffled_a @ summary_b])

    def mean(x):
        return jnp.sum(x * real[None, :]) / (2.0 * count)

    penalty = _PENALTIES[form]
    return mean(penalty(true, True)) + mean(penalty(false, False))


def discrimination_of_graphs(
    z_a: jax.Array,
    z_b: jax.Array,
    h_a: jax.Array,
    h_b: jax.Array,
    node_graph: jax.Array,
    *,
    bilinear: jax.Array | None = None,
    form: str = "bce",
    node_mask: jax.Array | None = None,
    graph_mask: jax.Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Tell a node's own graph from the other graphs of the batch by the other view's summary.

    Scores D(z_i, h_g) = z_iᵀ W h_g of every node with every graph, in two pairings, (z^a, h^b) and
    (z^b, h^a): true where g is i's graph, false else. `bce` and `jsd` as in `discrimination`, each
    group a mean over its pairs. One graph alone has no false pairs: their part is 0.

    Args:
      z_a, z_b: [N, D] nodes of both views.
      h_a, h_b: [M, D] readouts of both views.
      node_graph: [N] index in h of each node's graph; a traced one out of range is padding.
      bilinear: [D, D] W; None is the dot product.
      form: `bce` or `jsd`.
      node_mask, graph_mask: [N], [M] bool, real nodes and graphs.
      axis_name: device axis; graphs of all devices are negatives, each device returns its share.

    Returns:
      Scalar, float32 at least.
    """
    _check(form)
    z_a, z_b, h_a, h_b, bilinear = _in_one_type(
        z_a=z_a, z_b=z_b, h_a=h_a, h_b=h_b, bilinear=bilinear
    )
    penalty = _PENALTIES[form]
    real = jnp.ones(z_a.shape[:1], bool) if node_mask is None else mask_of("node_mask", node_mask)
    graphs = jnp.ones(h_a.shape[:1], bool)
    if graph_mask is not None:
        graphs = mask_of("graph_mask", graph_mask)
    node_graph, inside = indices("node_graph", node_graph, h_a.shape[0], real)
    real &= inside
    all_graphs = gather(graphs, axis_name)
    own = node_graph + device_index(axis_name) * h_a.shape[0]
    true = real[:, None] & (own[:, None] == jnp.arange(all_graphs.shape[0])[None, :])
    false = real[:, None] & all_graphs[None, :] & ~true

    def mean(values, pairs):
        count = total(jnp.sum(pairs.astype(values.dtype)), axis_name)
        return jnp.sum(jnp.where(pairs, values, 0.0)) / jnp.maximum(count, 1.0)

    def pairing(z, h):
        h = gather(h, axis_name)
        scores = z @ (h if bilinear is None else h @ bilinear.T).T
        return mean(penalty(scores, True), true) + mean(penalty(scores, False), false)

    return 0.5 * (pairing(z_a, h_b) + pairing(z_b, h_a))


def _in_one_type(**arrays) -> tuple[Any, ...]:
    """The arrays in the widest of their types, float32 at least; None stays."""
    given = {name: widened(floats(name, x)) for name, x in arrays.items() if x is not None}
    dtype = functools.reduce(jnp.promote_types, (x.dtype for x in given.values()))
    return tuple(given[name].astype(dtype) if name in given else None for name in arrays)


def _check(form: str) -> None:
    if form not in DISCRIMINATORS:
        raise ValueError(
            f"unknown discriminator form {form!r}; expected one of: {', '.join(DISCRIMINATORS)}"
        )


def _cross_entropy(scores: jax.Array, true: bool) -> jax.Array:
    return 0.5 * jax.nn.softplus(-scores if true else scores)


def _jensen_shannon(scores: jax.Array, true: bool) -> jax.Array:
    if true:
        return jax.nn.softplus(-scores) - jnp.log(2.0)
    return jax.nn.softplus(-scores) + scores - jnp.log(2.0)


_PENALTIES = {"bce": _cross_entropy, "jsd": _jensen_shannon}
