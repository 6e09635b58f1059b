"""The original MVGRL objective: nodes of one view against the graph summary of the other."""

import jax
import jax.numpy as jnp

from mmix_jax.ops.collectives import total

FORMS = ("bce", "jsd")


def node_graph(
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
      Scalar.
    """
    if form not in FORMS:
        raise ValueError(
            f"unknown discriminator form {form!r}; expected one of: {', '.join(FORMS)}"
        )
    real = (jnp.ones(z_a.shape[:1], bool) if mask is None else mask).astype(z_a.dtype)
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

    if form == "bce":
        return 0.5 * (mean(jax.nn.softplus(-true)) + mean(jax.nn.softplus(false)))
    return mean(jax.nn.softplus(-false) + false - jnp.log(2.0)) - mean(
        jnp.log(2.0) - jax.nn.softplus(-true)
    )
