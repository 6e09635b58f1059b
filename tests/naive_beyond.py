"""Negatives beyond the paper as plain float64 loops: debiased, harder and synthetic ones.

Written from their definitions and for reading, as `naive.py` is. `rows` are the indices that are
contrasted with each other; a synthetic negative's members are a list, −1 where there is none.
"""

import math
from collections.abc import Sequence

import numpy as np

from naive import dot, groups, normalise, real_rows, softmax_over, unit

# Losses


def negative_scores(u, v, i: int, rows, negatives: str) -> list[float]:
    """Products of u_i with every term of equation 9's denominator but the positive pair."""
    scores = []
    for j in rows:
        if j == i:
            continue
        if negatives == "full":
            scores.append(dot(u[i], u[j]))
        scores.append(dot(u[i], v[j]))
    return scores


def weighted_mean(scores, temperature: float, hardness: float) -> float:
    """The mean of e^{s_j/τ}, each weighing e^{β s_j/τ} over the mean of these."""
    average = 0.0
    for score in scores:
        average += math.exp(hardness * score / temperature) / len(scores)
    total = 0.0
    for score in scores:
        weight = math.exp(hardness * score / temperature) / average
        total += weight * math.exp(score / temperature)
    return total / len(scores)


def debiased_mean(
    scores, positive: float, temperature: float, debiased: float, hardness: float
) -> float:
    """That mean without the share τ⁺ of the positive's class, at least e^{−1/τ}."""
    mean = weighted_mean(scores, temperature, hardness)
    true = (mean - debiased * math.exp(positive / temperature)) / (1 - debiased)
    return max(true, math.exp(-1 / temperature))


def floored(
    u, v, *, temperature: float = 1.0, negatives: str = "full", debiased=0.0, hardness=0.0
) -> list[bool]:
    """Whether e^{−1/τ} stands for the negatives of anchor u_i."""
    u, v = normalise(u), normalise(v)
    held = []
    for i in range(len(u)):
        scores = negative_scores(u, v, i, range(len(u)), negatives)
        mean = debiased_mean(scores, dot(u[i], v[i]), temperature, debiased, hardness)
        held.append(mean == math.exp(-1 / temperature))
    return held


def anchor_loss(
    u, v, i, rows, *, temperature, negatives, debiased, hardness, synthetic=None
) -> float:
    """L(u_i) of vectors as they are; L(v_i) is the same with u and v exchanged."""
    positive = math.exp(dot(u[i], v[i]) / temperature)
    denominator = positive
    scores = negative_scores(u, v, i, rows, negatives)
    if scores:
        denominator += len(scores) * debiased_mean(
            scores, dot(u[i], v[i]), temperature, debiased, hardness
        )
    for vector in [] if synthetic is None else synthetic[i]:
        if dot(vector, vector) > 0:
            denominator += math.exp(dot(u[i], vector) / temperature)
    return -math.log(positive / denominator)


def sum_of_anchors(u, v, rows, synthetic, options) -> float:
    return sum(anchor_loss(u, v, i, rows, synthetic=synthetic, **options) for i in rows)


def contrast(
    u, v, synthetic_u, synthetic_v, mask, segments, normalised: bool, both: bool, options
) -> float:
    """The mean over anchors, of one view or both; the mean of it over the segments."""
    if normalised:
        u, v = normalise(u), normalise(v)
        synthetic_u, synthetic_v = (
            None if x is None else [normalise(rows) for rows in x]
            for x in (synthetic_u, synthetic_v)
        )
    means = []
    for rows in groups(len(u), mask, segments):
        total = sum_of_anchors(u, v, rows, synthetic_u, options)
        if both:
            total += sum_of_anchors(v, u, rows, synthetic_v, options)
        means.append(total / (len(rows) * (2 if both else 1)))
    return sum(means) / len(means)


def info_nce(
    u,
    v,
    *,
    temperature: float = 1.0,
    negatives: str = "full",
    debiased: float = 0.0,
    hardness: float = 0.0,
    synthetic_u=None,
    synthetic_v=None,
    mask=None,
    segments=None,
    normalise: bool = True,
) -> float:
    """(1/2N) Σ_i [L(u_i) + L(v_i)]."""
    options = {"temperature": temperature, "negatives": negatives}
    options |= {"debiased": debiased, "hardness": hardness}
    return contrast(u, v, synthetic_u, synthetic_v, mask, segments, normalise, True, options)


def anchor_info_nce(
    u,
    v,
    *,
    temperature: float = 1.0,
    negatives: str = "full",
    debiased: float = 0.0,
    hardness: float = 0.0,
    synthetic_u=None,
    mask=None,
    segments=None,
    normalise: bool = True,
) -> float:
    """(1/N) Σ_i L(u_i)."""
    options = {"temperature": temperature, "negatives": negatives}
    options |= {"debiased": debiased, "hardness": hardness}
    return contrast(u, v, synthetic_u, None, mask, segments, normalise, False, options)


# Synthetic negatives: which rows may be drawn for an anchor


def rows_within(hops: int, receivers, ids, edge_mask, nodes) -> list[set[int]]:
    """The rows whose node lies within so many hops of row i's, by breadth-first search.

    Of a graph whose edges are listed for both of their ends, where these are rows.
    """
    adjacent: dict[int, set[int]] = {int(node): set() for node in nodes}
    for e in range(len(receivers)):
        if edge_mask[e]:
            node, other = int(nodes[receivers[e]]), int(ids[e])
            adjacent[node].add(other)
            adjacent.setdefault(other, set()).add(node)
    within = []
    for i in range(len(nodes)):
        reached = {int(nodes[i])}
        border = set(reached)
        for _ in range(hops):
            border = {other for node in border for other in adjacent[node]} - reached
            reached |= border
        within.append({j for j in range(len(nodes)) if int(nodes[j]) in reached})
    return within


def pools(
    scores,
    *,
    num_hardest: int = 64,
    skip_hardest: float = 0.0,
    threshold: float | None = None,
    excluded: Sequence[set[int]] | None = None,
    mask=None,
    segments=None,
) -> list[list[int]]:
    """The rows that are drawn from for anchor i, by falling score (ties: the lowest index)."""
    rows, drawn_from = real_rows(len(scores), mask), []
    for i in range(len(scores)):
        candidates = []
        for j in rows if i in rows else []:
            if j == i or (segments is not None and segments[i] != segments[j]):
                continue
            if threshold is not None and scores[i][j] < threshold:
                continue
            if excluded is None or j not in excluded[i]:
                candidates.append(j)
        candidates.sort(key=lambda j, i=i: (-scores[i][j], j))
        first = math.floor(skip_hardest * len(candidates))
        drawn_from.append(candidates[first : first + num_hardest])
    return drawn_from


# Their mixtures, of members that were drawn


def member_weights(scores, members, rule: str, temperature: float = 1.0) -> np.ndarray:
    """λ [N, s, m] of members [N, s, m]: a softmax of the scores among them, or one share each."""
    weights = np.zeros(np.shape(members))
    for i, k in np.ndindex(*np.shape(members)[:2]):
        of_anchor = {int(j): scores[i][int(j)] / temperature for j in members[i][k] if j >= 0}
        if not of_anchor:
            continue
        if rule == "neighbour_mean":
            shares = {j: 1 / len(of_anchor) for j in of_anchor}
        else:
            shares = softmax_over(of_anchor)
        for place, j in enumerate(members[i][k]):
            if j >= 0:
                weights[i, k, place] = shares[int(j)]
    return weights


def mixtures(v, members, weights) -> np.ndarray:
    """ñ_ik = normalise(Σ_j λ_ij v_j) of unit vectors v_j; zeros where there is no member."""
    vectors = np.zeros((*np.shape(members)[:2], len(v[0])))
    for i, k in np.ndindex(*np.shape(members)[:2]):
        mixed = np.zeros(len(v[0]))
        for place, j in enumerate(members[i][k]):
            if j >= 0:
                mixed += weights[i][k][place] * unit(v[int(j)])
        vectors[i, k] = unit(mixed)
    return vectors


def statistics(u, members, weights, vectors, *, mask=None, labels=None) -> dict[str, float]:
    """Means over the synthetic negatives that exist, and how many real anchors have none."""
    rows = real_rows(len(u), mask)
    count = missing = num_members = entropy = similarity = agreeing = known = 0.0
    for i in rows:
        missing += all(j < 0 for j in np.ravel(members[i]))
        for k in range(len(members[i])):
            present = [place for place, j in enumerate(members[i][k]) if j >= 0]
            if not present:
                continue
            count += 1
            num_members += len(present)
            similarity += dot(unit(u[i]), vectors[i][k])
            for place in present:
                weight, j = float(weights[i][k][place]), int(members[i][k][place])
                entropy -= weight * math.log(weight)
                if labels is not None and labels[i] >= 0 and labels[j] >= 0:
                    known += weight
                    agreeing += weight if labels[i] == labels[j] else 0.0
    stats = {"members": num_members / count, "missing": missing / len(rows)}
    stats |= {"entropy": entropy / count, "cosine": similarity / count}
    return stats if labels is None else stats | {"agreement": agreeing / known}
