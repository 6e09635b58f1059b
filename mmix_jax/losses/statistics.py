"""What a contrast does with its negatives: hardness, false negatives, alignment, uniformity."""

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.fields import POSITIVE
from mmix_jax.losses.settings import NEGATIVES, Contrast
from mmix_jax.ops.arrays import floats, ids_of, mask_of, widened
from mmix_jax.ops.numbers import real_number, whole_number
from mmix_jax.ops.similarity import normalise


def contrast_statistics(
    u: jax.Array,
    v: jax.Array,
    *,
    temperature: float = Contrast.temperature,
    negatives: str = Contrast.negatives,
    mask: jax.Array | None = None,
    segments: jax.Array | None = None,
    labels: jax.Array | None = None,
    num_anchors: int = 512,
) -> dict[str, jax.Array]:
    """How eq. 9 treats the anchors u_i and v_i: means over both views, of the first real rows.

    The gradient of L(u_i) by u_i is (1/τ) Σ_j p_j (x_j − v_i) over the negatives x_j, where p_j is
    the share e^{u_i·x_j/τ} has in the denominator: what follows is of these weights, whatever
    corrections or synthetic negatives a loss has beside them.

    Args:
      u, v: [N, D] contrasted vectors, normalised here.
      temperature, negatives, mask, segments: as in `info_nce`.
      labels: [N] classes, −1 unknown.
      num_anchors: anchors at most; all rows are their negatives. O(num_anchors · N) memory.

    Returns:
      Scalars by name. `weight`: Σ_j p_j, what negatives have of the denominator; the rest is the
      positive's: ∂L/∂(u_i·v_i) = −weight/τ. `hardness`: Σ_j p_j s_j/Σ_j p_j, the negatives' cosine
      as it is weighed. `cosine`: their plain mean. `effective`: e^{entropy of p_j/Σ p}, how many
      negatives count. `alignment`: mean ‖u_i − v_i‖². `uniformity`: log of the mean e^{−2‖x − y‖²}
      over pairs within a view (both: Wang and Isola 2020; lower is better). With labels
      `false_negatives`: the share of Σ_j p_j on samples of the anchor's own class, and
      `same_class`: their plain share.

    Raises:
      ValueError: shapes that do not fit, or unknown negatives.

    Example:
      >>> import jax
      >>> from mmix_jax.losses import contrast_statistics
      >>> u = jax.random.normal(jax.random.key(0), (50, 8))
      >>> print(contrast_statistics(u, u)["alignment"])
      0.0
    """
    if negatives not in NEGATIVES:
        raise ValueError(
            f"unknown negatives {negatives!r}; expected one of: {', '.join(NEGATIVES)}"
        )
    u, v = (jax.lax.stop_gradient(widened(floats(n, x))) for n, x in (("u", u), ("v", v)))
    if u.ndim != 2 or u.shape != v.shape:
        raise ValueError(f"u and v must have one shape [N, D], found {u.shape} and {v.shape}")
    num_rows = u.shape[0]
    for name, of_rows in (("mask", mask), ("segments", segments), ("labels", labels)):
        if of_rows is not None and np.shape(of_rows) != (num_rows,):
            raise ValueError(f"{name} must have shape ({num_rows},), found {np.shape(of_rows)}")
    temperature = real_number("temperature", temperature, POSITIVE, "1.0 is the paper's on graphs")
    num_anchors = whole_number("num_anchors", num_anchors, 1, "512 is usual")
    real = jnp.ones((num_rows,), bool) if mask is None else mask_of("mask", mask)
    u, v = (normalise(jnp.where(real[:, None], x, 0.0)) for x in (u, v))
    # Real rows before padding, in their order.
    rows = jnp.argsort(~real, stable=True)[: min(num_anchors, num_rows)]
    others = real[None, :] & real[rows][:, None] & (jnp.arange(num_rows)[None, :] != rows[:, None])
    if segments is not None:
        segments = ids_of("segments", segments)
        others &= segments[None, :] == segments[rows][:, None]
    known = same = None
    if labels is not None:
        labels = ids_of("labels", labels)
        known = others & (labels[None, :] >= 0) & (labels[rows] >= 0)[:, None]
        same = known & (labels[None, :] == labels[rows][:, None])
    views = [
        _of_view(x, y, rows, others, known, same, temperature, negatives == "full")
        for x, y in ((u, v), (v, u))
    ]
    stats = {name: 0.5 * (views[0][name] + views[1][name]) for name in views[0]}
    distances = jnp.sum((u - v) ** 2, axis=1)
    stats["alignment"] = jnp.sum(jnp.where(real, distances, 0.0)) / jnp.maximum(jnp.sum(real), 1)
    return stats


def _of_view(own, other, rows, others, known, same, temperature, within: bool):
    """The scalars for the anchors of one view."""
    cosines = own[rows] @ other.T
    inside = own[rows] @ own.T
    positive = jnp.sum(own[rows] * other[rows], axis=1)
    sides = [(cosines, others), (inside, others)] if within else [(cosines, others)]
    highest = jnp.maximum(
        positive,
        jnp.max(jnp.stack([jnp.max(jnp.where(o, s, -1.0), axis=1) for s, o in sides]), axis=0),
    )
    powers = [jnp.where(o, jnp.exp((s - highest[:, None]) / temperature), 0.0) for s, o in sides]
    negative = sum(jnp.sum(p, axis=1) for p in powers)
    total = jnp.exp((positive - highest) / temperature) + negative
    some = negative > 0
    count = jnp.maximum(jnp.sum(some), 1)

    def mean(x):
        return jnp.sum(jnp.where(some, x, 0.0)) / count

    share = jnp.where(some, negative, 1.0)[:, None]
    shares = [p / share for p in powers]
    logs = [jnp.log(jnp.where(p > 0, p, 1.0)) for p in shares]
    entropy = -sum(jnp.sum(p * log, axis=1) for p, log in zip(shares, logs, strict=True))
    num_others = jnp.maximum(jnp.sum(others, axis=1), 1)
    apart = jnp.where(others, jnp.exp(-4.0 * (1.0 - inside)), 0.0)  # ‖x − y‖² = 2 − 2 cos
    stats = {
        "weight": mean(negative / total),
        "hardness": mean(
            sum(jnp.sum(p * s, axis=1) for p, (s, _) in zip(shares, sides, strict=True))
        ),
        "cosine": mean(
            sum(jnp.sum(jnp.where(o, s, 0.0), axis=1) for s, o in sides) / (len(sides) * num_others)
        ),
        "effective": mean(jnp.exp(entropy)),
        "uniformity": jnp.log(jnp.maximum(jnp.sum(apart), 1e-30) / jnp.maximum(jnp.sum(others), 1)),
    }
    if known is not None:
        judged = sum(jnp.sum(jnp.where(known, p, 0.0), axis=1) for p in shares)
        false = sum(jnp.sum(jnp.where(same, p, 0.0), axis=1) for p in shares)
        stats["false_negatives"] = jnp.sum(false) / jnp.maximum(jnp.sum(judged), 1e-30)
        stats["same_class"] = jnp.sum(same) / jnp.maximum(jnp.sum(known), 1)
    return stats
