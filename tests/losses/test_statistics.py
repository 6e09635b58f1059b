"""What is logged of a contrast, against loops over its negatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import losses

N, D = 9, 4
LABELS = np.array([0, 1, 0, 1, 1, 0, -1, 0, 1])
MASK = np.array([1, 1, 1, 0, 1, 1, 1, 1, 1], bool)
SEGMENTS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1])


def make():
    return np.random.default_rng(0).normal(size=(2, N, D))


def loops(u, v, temperature, negatives, mask, segments, num_anchors):
    u, v = naive.normalise(u), naive.normalise(v)
    rows = [i for i in range(N) if mask[i]]
    sums = {name: [] for name in ("weight", "hardness", "cosine", "effective")}
    false, judged, pairs, apart = [0.0, 0.0], [0.0, 0.0], [], [[], []]
    for view, (own, other) in enumerate(((u, v), (v, u))):
        for i in rows[:num_anchors]:
            near = [j for j in rows if j != i and segments[i] == segments[j]]
            terms = [(own[i] @ other[j], j) for j in near]
            if negatives == "full":
                terms += [(own[i] @ own[j], j) for j in near]
            apart[view] += [np.exp(-2 * np.sum((own[i] - own[j]) ** 2)) for j in near]
            powers = np.array([np.exp(s / temperature) for s, _ in terms])
            shares = powers / powers.sum()
            positive = np.exp(own[i] @ other[i] / temperature)
            sums["weight"].append(powers.sum() / (positive + powers.sum()))
            sums["hardness"].append(sum(p * s for p, (s, _) in zip(shares, terms, strict=True)))
            sums["cosine"].append(np.mean([s for s, _ in terms]))
            sums["effective"].append(np.exp(-sum(p * np.log(p) for p in shares)))
            for p, (_, j) in zip(shares, terms, strict=True):
                if LABELS[i] >= 0 and LABELS[j] >= 0:
                    judged[view] += p
                    false[view] += p * (LABELS[i] == LABELS[j])
            pairs += [LABELS[i] == LABELS[j] for j in near if LABELS[i] >= 0 and LABELS[j] >= 0]
    found = {name: np.mean(values) for name, values in sums.items()}
    found["uniformity"] = np.mean([np.log(np.mean(x)) for x in apart])
    found["alignment"] = np.mean([np.sum((u[i] - v[i]) ** 2) for i in rows])
    found["false_negatives"] = np.mean([f / j for f, j in zip(false, judged, strict=True)])
    return found | {"same_class": np.mean(pairs)}


@pytest.mark.parametrize("negatives", ["full", "cross"])
@pytest.mark.parametrize(
    ("mask", "segments", "num_anchors"),
    [(np.ones(N, bool), np.zeros(N, int), 512), (MASK, SEGMENTS, 5)],
)
def test_matches_the_loops(x64, negatives, mask, segments, num_anchors):
    u, v = make()
    found = jax.jit(
        lambda u, v: losses.contrast_statistics(
            u, v, temperature=0.3, negatives=negatives, mask=mask, segments=segments,
            labels=LABELS, num_anchors=num_anchors,
        )
    )(u, v)  # fmt: skip
    wanted = loops(u, v, 0.3, negatives, mask, segments, num_anchors)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, err_msg=name)


def test_the_weight_is_the_slope_of_the_loss(x64):
    """By the positive's cosine alone: ∂L(u_i)/∂(u_i·v_i) = −weight/τ."""
    u, v = map(jnp.asarray, make())
    weight = losses.contrast_statistics(u, v, temperature=0.5)["weight"]
    unit_u, unit_v = (x / jnp.linalg.norm(x, axis=1, keepdims=True) for x in (u, v))

    def loss(shift):
        across = (unit_u @ unit_v.T + shift * jnp.eye(N)) / 0.5
        total = 0.0
        for own, cosines in ((unit_u, across), (unit_v, across.T)):
            within = jnp.where(jnp.eye(N, dtype=bool), -jnp.inf, own @ own.T / 0.5)
            terms = jnp.concatenate([cosines, within], axis=1)
            total += jnp.mean(jax.nn.logsumexp(terms, axis=1) - jnp.diag(cosines)) / 2
        return total

    np.testing.assert_allclose(loss(0.0), losses.info_nce(u, v, temperature=0.5), rtol=1e-12)
    np.testing.assert_allclose(jax.grad(loss)(0.0), -weight / 0.5, rtol=1e-9)


def test_one_sample_has_no_negatives():
    stats = losses.contrast_statistics(np.ones((1, 3)), np.ones((1, 3)), labels=np.zeros(1, int))
    assert float(stats["weight"]) == float(stats["hardness"]) == 0.0
    assert all(np.isfinite(float(value)) for value in stats.values())


def test_bad_input():
    with pytest.raises(ValueError, match="one shape"):
        losses.contrast_statistics(np.ones((2, 3)), np.ones((3, 3)))
    for name in ("mask", "segments", "labels"):
        with pytest.raises(ValueError, match=rf"{name} must have shape \(4,\), found \(3,\)"):
            losses.contrast_statistics(np.ones((4, 3)), np.ones((4, 3)), **{name: np.ones(3, int)})
    with pytest.raises(ValueError, match="num_anchors"):
        losses.contrast_statistics(np.ones((4, 3)), np.ones((4, 3)), num_anchors=0)
    with pytest.raises(ValueError, match="unknown negatives 'none'"):
        losses.contrast_statistics(np.ones((2, 3)), np.ones((2, 3)), negatives="none")
