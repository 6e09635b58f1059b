"""InfoNCE with intra-view and cross-view negatives: eq. 9–11 and NT-Xent are one function."""

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.losses.settings import Contrast
from mmix_jax.losses.terms import products, terms_of
from mmix_jax.ops.arrays import floats, indices, widened


def info_nce(
    u: jax.Array,
    v: jax.Array,
    *,
    temperature: float = Contrast.temperature,
    negatives: str = Contrast.negatives,
    mask: jax.Array | None = None,
    segments: jax.Array | None = None,
    axis_name: str | None = None,
    block_size: int | None = None,
    exchange: str = Contrast.exchange,
    normalise: bool = True,
    debiased: float = Contrast.debiased,
    hardness: float = Contrast.hardness,
    synthetic_u: jax.Array | None = None,
    synthetic_v: jax.Array | None = None,
) -> jax.Array:
    """(1/2N) Σ_i [L(u_i) + L(v_i)], L of eq. 9 (eq. 10 without L_div; NT-Xent of 2N vectors).

    L(u_i) = −log e^{u_i·v_i/τ} / (Σ_{j≠i} e^{u_i·u_j/τ} + Σ_j e^{u_i·v_j/τ}), L(v_i) its mirror.
    One sample alone has no negatives and loss 0. Padded rows change neither value nor gradient.

    Args:
      u, v: [N, D]; row i of both is a positive pair. bfloat16 vectors are multiplied as such and
        summed in float32; the loss is float32, gradients are bfloat16. Integers are float32.
      temperature: τ, at least 0.015. May be learned: a traced one below makes the loss NaN.
      negatives: `full` is eq. 9; `cross` leaves out the intra-view sums (the authors' graph code).
      mask: [N] bool, real rows.
      segments: [N], any integers; only equal ids are contrasted, and the loss is the mean over
        segments of the mean within (the second part of eq. 11).
      axis_name: the device axis inside pmap or shard_map. Every device then returns its own share
        of the loss over all devices' rows: sum (psum) the shares over devices, and in pmap the
        gradients, too. In shard_map the gradient by what all devices share is summed already,
        whether it is taken inside or through the sum of the shares.
      block_size: rows per block of the streamed form, O(N·D) memory, same numbers; None is dense.
      exchange: with an axis, `gather` brings all vectors to every device; `ring` passes blocks
        round, and a device holds its own rows and one block of another's.
      normalise: False contrasts the vectors as they are; meant for norms around 1 (mixtures of unit
        vectors): once a squared norm over τ passes 75 sums may underflow, and the loss is NaN.
      debiased, hardness: τ⁺ in [0, 1) and β ≥ 0, beyond the paper. Of an anchor's n negatives with
        s_j their sum is then n·max((mean_j w_j e^{s_j/τ} − τ⁺ e^{s_ii/τ})/(1 − τ⁺), e^{−1/τ}), with
        w_j = e^{β s_j/τ}/mean_k e^{β s_k/τ} (Chuang et al. 2020, Robinson et al. 2021).
        τ/(1 + β) must be at least 0.015. Either may be learned.
      synthetic_u, synthetic_v: [N, s, D], further negatives ñ_ik of the anchors u_i and v_i alone,
        such as those of `mixing.synthetic_negatives`: Σ_k e^{u_i·ñ_ik/τ} joins the denominator. A
        row of zeros is none.

    Returns:
      Scalar loss, nats.

    Raises:
      ValueError: shapes that do not fit, unknown negatives or exchange, a number out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmix_jax.losses import info_nce
      >>> u = jnp.eye(4)
      >>> float(info_nce(u, u)) < float(info_nce(u, u[::-1]))
      True
    """
    terms = terms_of(
        u,
        v,
        temperature=temperature,
        negatives=negatives,
        mask=mask,
        segments=segments,
        axis_name=axis_name,
        block_size=block_size,
        exchange=exchange,
        normalise_inputs=normalise,
        debiased=debiased,
        hardness=hardness,
        synthetic_u=synthetic_u,
        synthetic_v=synthetic_v,
    )
    return jnp.sum(terms.weight * (0.5 * (terms.lse_u + terms.lse_v) - terms.positive))


def anchor_info_nce(
    u: jax.Array,
    v: jax.Array,
    *,
    temperature: float = Contrast.temperature,
    negatives: str = Contrast.negatives,
    mask: jax.Array | None = None,
    segments: jax.Array | None = None,
    axis_name: str | None = None,
    block_size: int | None = None,
    exchange: str = Contrast.exchange,
    normalise: bool = True,
    debiased: float = Contrast.debiased,
    hardness: float = Contrast.hardness,
    synthetic_u: jax.Array | None = None,
) -> jax.Array:
    """(1/N) Σ_i L(u_i): anchors in view a only (eq. 11, graph level); options of `info_nce`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmix_jax.losses import anchor_info_nce
      >>> float(anchor_info_nce(jnp.zeros((4, 2)), jnp.zeros((4, 2)))) == float(jnp.log(7.0))
      True
    """
    terms = terms_of(
        u,
        v,
        temperature=temperature,
        negatives=negatives,
        mask=mask,
        segments=segments,
        axis_name=axis_name,
        block_size=block_size,
        exchange=exchange,
        normalise_inputs=normalise,
        debiased=debiased,
        hardness=hardness,
        synthetic_u=synthetic_u,
    )
    return jnp.sum(terms.weight * (terms.lse_u - terms.positive))


def virtual_labels(
    u: jax.Array,
    v: jax.Array,
    coefficients: jax.Array,
    partners: jax.Array,
    *,
    temperature: float = Contrast.temperature,
    negatives: str = Contrast.negatives,
    mask: jax.Array | None = None,
    segments: jax.Array | None = None,
    axis_name: str | None = None,
    block_size: int | None = None,
    exchange: str = Contrast.exchange,
    normalise: bool = True,
) -> jax.Array:
    """i-mix: (1/N) Σ_i [λ_i ℓ(i→i) + (1 − λ_i) ℓ(i→π(i))], anchors u_i in view a only.

    ℓ(i→j) = −u_i·v_j/τ + log of eq. 9's denominator for u_i. `coefficients [N]`, `partners [N]`
    come from `mixing.i_mix_inputs` on this device's rows; other options are those of `info_nce`. A
    concrete partner that is no row is refused; inside jit row 0 stands in its place.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmix_jax.losses import anchor_info_nce, virtual_labels
      >>> u, v = jnp.eye(3), jnp.ones((3, 3))
      >>> loss = virtual_labels(u, v, jnp.ones(3), jnp.array([1, 2, 0]))  # λ = 1: nothing is mixed
      >>> bool(loss == anchor_info_nce(u, v))
      True
    """
    terms = terms_of(
        u,
        v,
        temperature=temperature,
        negatives=negatives,
        mask=mask,
        segments=segments,
        axis_name=axis_name,
        block_size=block_size,
        exchange=exchange,
        normalise_inputs=normalise,
    )
    for name, of_rows in (("partners", partners), ("coefficients", coefficients)):
        if np.shape(of_rows) != terms.u.shape[:1]:
            raise ValueError(
                f"{name} must have shape {terms.u.shape[:1]}, one for each row of u, found "
                f"{np.shape(of_rows)}; flatten or repeat them"
            )
    partners, _ = indices("partners", partners, terms.v.shape[0], mask)
    # A traced temperature out of range: `positive` is NaN already.
    other = products(terms.u, terms.v[partners]) / temperature
    coefficients = widened(floats("coefficients", coefficients)).astype(other.dtype)
    target = coefficients * terms.positive + (1.0 - coefficients) * other
    return jnp.sum(terms.weight * (terms.lse_u - target))
