"""The method's equations as plain float64 loops, one function each, to hold the library against.

Everything here is written from the paper's formulas and for reading, not for speed. A candidate
set is a Python set of indices per row; `rows` are the real (unpadded) indices.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Sets = Sequence[set[int]]


# Similarity


def dot(u, v) -> float:
    total = 0.0
    for a, b in zip(u, v, strict=True):
        total += float(a) * float(b)
    return total


def unit(u) -> np.ndarray:
    """u / ‖u‖; the zero vector stays zero."""
    length = math.sqrt(dot(u, u))
    return np.asarray(u, np.float64) / length if length > 0 else np.zeros(len(u))


def normalise(z) -> np.ndarray:
    return np.stack([unit(row) for row in z])


def cosine(u, v) -> float:
    """H(u, v)."""
    return dot(unit(u), unit(v))


def similarities(u, v) -> np.ndarray:
    """All H(u_i, v_j) as [N, M]."""
    return np.array([[cosine(a, b) for b in v] for a in u])


# Candidate sets: which j may be mixed into i


def candidates_wp(num_nodes: int, senders, receivers, edge_mask=None) -> list[set[int]]:
    """The neighbours that send to i, and i itself."""
    sets = [{i} for i in range(num_nodes)]
    for e in range(len(senders)):
        if edge_mask is None or edge_mask[e]:
            sets[int(receivers[e])].add(int(senders[e]))
    return sets


def candidates_op(scores, threshold: float, mask=None) -> list[set[int]]:
    """Real j whose score is at least the threshold, and i itself whatever its score."""
    sets = []
    for i, everyone in enumerate(candidates_all(len(scores), mask)):
        sets.append({i} | {j for j in everyone if scores[i][j] >= threshold})
    return sets


def candidates_all(num_rows: int, mask=None) -> list[set[int]]:
    """Every real j; a padded row has only itself."""
    rows = real_rows(num_rows, mask)
    return [set(rows) if i in rows else {i} for i in range(num_rows)]


def real_rows(num_rows: int, mask=None) -> list[int]:
    return [i for i in range(num_rows) if mask is None or mask[i]]


# Weights Λ [N, N] of every rule; a row with no candidate but itself keeps λ_ii = 1


def softmax_over(scores: dict[int, float]) -> dict[int, float]:
    top = max(scores.values())
    exponentials = {j: math.exp(s - top) for j, s in scores.items()}
    total = sum(exponentials.values())
    return {j: e / total for j, e in exponentials.items()}


def weights_from(row_weights: Callable[[int, set[int]], dict[int, float]], sets: Sets):
    weights = np.zeros((len(sets), len(sets)))
    for i, candidates in enumerate(sets):
        row = row_weights(i, candidates) if candidates - {i} else {i: 1.0}
        for j, weight in row.items():
            weights[i, j] = weight
    return weights


def mo_weights(z, sets: Sets, *, self_weight: float | None = 0.2, temperature: float = 1.0):
    """Equations 5 and 7: λ_ii = C, the rest a softmax of H(z_i, z_j) over j ≠ i.

    With C None, i is an ordinary candidate of that softmax.
    """

    def row(i, candidates):
        if self_weight is None:
            return softmax_over({j: cosine(z[i], z[j]) / temperature for j in candidates | {i}})
        others = softmax_over({j: cosine(z[i], z[j]) / temperature for j in candidates - {i}})
        return {i: self_weight} | {j: (1 - self_weight) * w for j, w in others.items()}

    return weights_from(row, sets)


def mp_weights(q, k, sets: Sets, *, temperature: float = 1.0):
    """Equation 6: a softmax of q_i · k_j over the candidates, i itself an ordinary one."""

    def row(i, candidates):
        return softmax_over({j: dot(unit(q[i]), unit(k[j])) / temperature for j in candidates})

    return weights_from(row, sets)


def random_weights(draws, sets: Sets):
    """A softmax of standard normal draws [N, N] over the candidates, i itself included."""
    return weights_from(lambda i, c: softmax_over({j: draws[i][j] for j in c | {i}}), sets)


def binary_weights(z, sets: Sets):
    """One half to i, one half to the most similar other candidate (ties: the lowest index)."""

    def row(i, candidates):
        best, best_score = -1, -math.inf
        for j in sorted(candidates - {i}):
            if cosine(z[i], z[j]) > best_score:
                best, best_score = j, cosine(z[i], z[j])
        return {i: 0.5, best: 0.5}

    return weights_from(row, sets)


def neighbour_mean_weights(sets: Sets):
    return weights_from(lambda i, c: {j: 1 / len(c - {i}) for j in c - {i}}, sets)


def none_weights(sets: Sets):
    return weights_from(lambda i, _: {i: 1.0}, sets)


def propagate_weights(num_nodes: int, senders, receivers, edge_weight, self_edge_weight):
    """Â itself: the entries of the edges, and those of the diagonal."""
    weights = np.zeros((num_nodes, num_nodes))
    for j, i, weight in zip(senders, receivers, edge_weight, strict=True):
        weights[i, j] = weight
    for i in range(num_nodes):
        weights[i, i] = self_edge_weight[i]
    return weights


def mix(weights, z) -> np.ndarray:
    """Equation 2: ẑ_i = Σ_j λ_ij z_j."""
    z_mixed = np.zeros((len(weights), len(z[0])))
    for i in range(len(weights)):
        for j in range(len(z)):
            z_mixed[i] += weights[i][j] * np.asarray(z[j], np.float64)
    return z_mixed


def i_mix_inputs(x, coefficients, partners) -> np.ndarray:
    """x̃_i = λ_i x_i + (1 − λ_i) x_π(i)."""
    rows = zip(x, coefficients, partners, strict=True)
    return np.stack([own * row + (1 - own) * x[int(partner)] for row, own, partner in rows])


# Theorem 3.1


def mixture_similarity(row_weights, z, j: int) -> float:
    """ẑ · z_j of the mixture with these weights."""
    return sum(w * dot(z_m, z[j]) for w, z_m in zip(row_weights, z, strict=True))


def swap(row_weights, j: int, k: int) -> np.ndarray:
    swapped = np.array(row_weights, np.float64)
    swapped[j], swapped[k] = row_weights[k], row_weights[j]
    return swapped


# Losses


def diversity(q, k, *, mask=None, margin: float = -1.0) -> float:
    """Equation 8: −(1/N) Σ ‖q_i − k_i‖²; with a margin, as (2/N) Σ max(q_i · k_i, margin) − 2."""
    rows = real_rows(len(q), mask)
    total = 0.0
    for i in rows:
        if margin <= -1.0:
            total -= dot(q[i] - k[i], q[i] - k[i])
        else:
            total += 2 * max(dot(q[i], k[i]), margin) - 2
    return total / len(rows)


def log_probability(u, v, i: int, target: int, rows, temperature: float, negatives: str) -> float:
    """Log of equation 9's fraction for anchor u_i, with v_target in its numerator."""
    denominator = 0.0
    for j in rows:
        if negatives == "full" and j != i:
            denominator += math.exp(cosine(u[i], u[j]) / temperature)
        denominator += math.exp(cosine(u[i], v[j]) / temperature)
    return cosine(u[i], v[target]) / temperature - math.log(denominator)


def anchor_loss(u, v, i: int, rows, *, temperature: float = 1.0, negatives: str = "full") -> float:
    """Equation 9: L(u_i) among the given rows; L(v_i) is the same with u and v exchanged."""
    return -log_probability(u, v, i, i, rows, temperature, negatives)


def groups(num_rows: int, mask=None, segments=None) -> list[list[int]]:
    """The sets of real rows that are contrasted with each other: one per segment id."""
    rows = real_rows(num_rows, mask)
    if segments is None:
        return [rows]
    ids: Iterable[int] = sorted({int(segments[i]) for i in rows})
    return [[i for i in rows if segments[i] == s] for s in ids]


def info_nce(
    u, v, *, temperature: float = 1.0, negatives: str = "full", mask=None, segments=None
) -> float:
    """Equation 10 without L_div: (1/2N) Σ [L(u_i) + L(v_i)]; the mean of it over the segments."""
    means = []
    for rows in groups(len(u), mask, segments):
        total = 0.0
        for i in rows:
            total += anchor_loss(u, v, i, rows, temperature=temperature, negatives=negatives)
            total += anchor_loss(v, u, i, rows, temperature=temperature, negatives=negatives)
        means.append(total / (2 * len(rows)))
    return sum(means) / len(means)


def anchor_info_nce(
    u, v, *, temperature: float = 1.0, negatives: str = "full", mask=None, segments=None
) -> float:
    """Equation 11's graph level: the mean of L(u_i) alone."""
    means = []
    for rows in groups(len(u), mask, segments):
        losses = [
            anchor_loss(u, v, i, rows, temperature=temperature, negatives=negatives) for i in rows
        ]
        means.append(sum(losses) / len(rows))
    return sum(means) / len(means)


def graph_objective(h_a, h_b, z_a, z_b, node_graph, mask=None, *, temperature: float = 1.0):
    """Equation 11: (1/M) Σ_i [ L(h^a_i) + J_node(G_i) ], without L_div."""
    graphs = anchor_info_nce(h_a, h_b, temperature=temperature)
    return graphs + info_nce(z_a, z_b, temperature=temperature, mask=mask, segments=node_graph)


def nt_xent(
    u, v, *, temperature: float = 1.0, similarity: Callable[[Any, Any], float] = cosine
) -> float:
    """NT-Xent over the 2B vectors [u; v]: each one's positive is its partner, negatives all others.

    With `dot` for `similarity` lengths count.
    """
    vectors, num_pairs = [*u, *v], len(u)
    total = 0.0
    for i, anchor in enumerate(vectors):
        powers = [math.exp(similarity(anchor, w) / temperature) for w in vectors]
        positive = powers[(i + num_pairs) % len(vectors)]
        total -= math.log(positive / (sum(powers) - powers[i]))
    return total / len(vectors)


def virtual_labels(
    u, v, coefficients, partners, *, temperature: float = 1.0, negatives: str = "full", mask=None
) -> float:
    """i-mix: the mean of λ_i ℓ(i→i) + (1 − λ_i) ℓ(i→π(i)), anchors u only."""
    rows = real_rows(len(u), mask)
    total = 0.0
    for i in rows:
        own = log_probability(u, v, i, i, rows, temperature, negatives)
        other = log_probability(u, v, i, int(partners[i]), rows, temperature, negatives)
        total -= coefficients[i] * own + (1 - coefficients[i]) * other
    return total / len(rows)


def node_graph_scores(nodes, summary, bilinear=None) -> list[float]:
    """The discriminator's score of every node with one summary: z_i · s, or z_i · B s."""
    target = summary if bilinear is None else [dot(row, summary) for row in bilinear]
    return [dot(z, target) for z in nodes]


def discriminator_loss(positive, negative, form: str = "bce") -> float:
    """Binary cross-entropy of all scores, or the Jensen–Shannon form E⁻ − E⁺."""
    if form == "bce":
        losses = [softplus(-s) for s in positive] + [softplus(s) for s in negative]
        return sum(losses) / len(losses)
    e_positive = sum(math.log(2) - softplus(-s) for s in positive) / len(positive)
    e_negative = sum(softplus(-s) + s - math.log(2) for s in negative) / len(negative)
    return e_negative - e_positive


def softplus(s: float) -> float:
    return max(s, 0.0) + math.log1p(math.exp(-abs(s)))


# Derivatives


def numerical_gradient(f: Callable[[np.ndarray], float], x, step: float = 1e-6) -> np.ndarray:
    """Central differences of f at x, one coordinate at a time."""
    x = np.array(x, np.float64)
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        shift = np.zeros_like(x)
        shift[index] = step
        gradient[index] = (f(x + shift) - f(x - shift)) / (2 * step)
    return gradient


def numerical_slope(f: Callable[[np.ndarray], float], x, direction, step: float = 1e-6) -> float:
    """Central difference of f at x along one direction: ∇f(x) · direction."""
    x, shift = np.array(x, np.float64), step * np.asarray(direction, np.float64)
    return (f(x + shift) - f(x - shift)) / (2 * step)
