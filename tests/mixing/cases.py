"""One small mixing problem, and every rule over every candidate set as one function of it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import naive
from mmix_jax import mixing

THRESHOLD = 0.25
TEMPERATURE = 0.6
ISOLATED = 6


class Problem(NamedTuple):
    """Vectors, two projections and a graph; row `ISOLATED` is nobody's candidate but its own."""

    z: Any  # [N, D]
    p_m: Any  # [D, D]
    p_n: Any  # [D, D]
    senders: Any  # [E]
    receivers: Any  # [E]
    edge_mask: Any  # [E]
    edge_weight: Any  # [E]
    self_edge_weight: Any  # [N]
    mask: Any  # [N]


class Setting(NamedTuple):
    rule: str
    candidates: str
    self_weight: float | None = 0.2

    def __str__(self) -> str:
        return f"{self.rule}{'' if self.self_weight else '_no_C'}-{self.candidates}"


RULES = ("mo", "mp", "random", "binary", "none", "neighbour_mean")
SETTINGS = [Setting(rule, candidates) for rule in RULES for candidates in ("wp", "op", "all")]
SETTINGS += [Setting("mo", candidates, None) for candidates in ("wp", "op", "all")]
SETTINGS += [Setting("propagate", "wp")]


def make_problem(seed: int = 3) -> Problem:
    """Seven rows in five dimensions, the last dimension being the isolated row's own."""
    draws = np.random.default_rng(seed)
    z = draws.normal(size=(7, 5)) + 0.3
    p_m, p_n = draws.normal(size=(2, 5, 5))
    for matrix in (p_m, p_n):
        matrix[4, :] = matrix[:, 4] = 0.0
        matrix[4, 4] = 1.0
    z[:, 4] = 0.0
    z[ISOLATED] = 0.02 * z[ISOLATED]  # a little of the rest, so that no two cosines are equal
    z[ISOLATED, 4] = 1.7
    # both directions of five edges, one more in one direction, and a self-loop on node 2
    senders = np.array([0, 1, 0, 2, 1, 2, 3, 4, 4, 5, 1, 2])
    receivers = np.array([1, 0, 2, 0, 2, 1, 4, 3, 5, 4, 5, 2])
    return Problem(
        z=z,
        p_m=p_m,
        p_n=p_n,
        senders=senders,
        receivers=receivers,
        edge_mask=np.ones(12, bool),
        edge_weight=np.where(senders == receivers, 0.0, draws.uniform(0.1, 1.0, size=12)),
        self_edge_weight=np.append(draws.uniform(0.1, 1.0, size=6), 1.0),
        mask=np.ones(7, bool),
    )


def pad(problem: Problem) -> Problem:
    """Three padded rows, and four padded edges that point at real rows as well as padded ones."""
    draws = np.random.default_rng(11)
    return Problem(
        z=np.concatenate([problem.z, 5 * draws.normal(size=(3, 5))]),
        p_m=problem.p_m,
        p_n=problem.p_n,
        senders=np.append(problem.senders, [3, 0, 9, ISOLATED]),
        receivers=np.append(problem.receivers, [0, ISOLATED, 1, 9]),
        edge_mask=np.append(problem.edge_mask, [False] * 4),
        edge_weight=np.append(problem.edge_weight, [3.0, 1.0, 2.0, 1.0]),
        self_edge_weight=np.append(problem.self_edge_weight, [1.0] * 3),
        mask=np.append(problem.mask, [False] * 3),
    )


def permute(problem: Problem, order: np.ndarray) -> Problem:
    """Row `order[i]` becomes row i; the edges come in another order too."""
    new_index = np.argsort(order)
    edges = np.arange(len(problem.senders))[::-1]
    return problem._replace(
        z=problem.z[order],
        senders=new_index[problem.senders[edges]],
        receivers=new_index[problem.receivers[edges]],
        edge_mask=problem.edge_mask[edges],
        edge_weight=problem.edge_weight[edges],
        self_edge_weight=problem.self_edge_weight[order],
        mask=problem.mask[order],
    )


def as_arrays(problem: Problem) -> Problem:
    """As JAX arrays: without the x64 fixture these are float32."""
    return Problem(*(jnp.asarray(field) for field in problem))


def mix(problem: Problem, setting: Setting, **options) -> mixing.Mixture:
    """The library's mixture, q and k being the two projections of z."""
    keywords: dict[str, Any] = {"rule": setting.rule, "temperature": TEMPERATURE}
    if setting.rule == "mo":
        keywords["self_weight"] = setting.self_weight
    if setting.rule == "mp":
        keywords |= {"q": problem.z @ problem.p_m, "k": problem.z @ problem.p_n}
    if setting.rule == "random":
        keywords["key"] = jax.random.key(5)
    keywords |= options
    if setting.candidates == "wp":
        if setting.rule == "propagate":
            keywords["edge_weight"] = problem.edge_weight
            keywords["self_edge_weight"] = problem.self_edge_weight
        return mixing.mix_edges(
            problem.z, problem.senders, problem.receivers, problem.edge_mask, **keywords
        )
    return mixing.mix_pairs(
        problem.z,
        candidates=setting.candidates,
        threshold=THRESHOLD,
        mask=problem.mask,
        **keywords,
    )


def dense_weights(mixture: mixing.Mixture, problem: Problem, setting: Setting) -> np.ndarray:
    """The library's Λ as [R, N], put together from the edges where it has one weight per edge."""
    if setting.candidates != "wp":
        return np.asarray(mixture.weights)
    num_rows = len(mixture.self_weights)
    weights = np.zeros((num_rows, len(problem.z)))
    for e, weight in enumerate(np.asarray(mixture.weights)):
        if weight != 0:
            weights[int(problem.receivers[e]), int(problem.senders[e])] += weight
    weights[np.arange(num_rows), np.arange(num_rows)] += np.asarray(mixture.self_weights)
    return weights


def candidate_sets(problem: Problem, setting: Setting) -> list[set[int]]:
    num_rows = len(problem.z)
    if setting.candidates == "wp":
        return naive.candidates_wp(num_rows, problem.senders, problem.receivers, problem.edge_mask)
    if setting.candidates == "all":
        return naive.candidates_all(num_rows, problem.mask)
    scores = naive.similarities(problem.z, problem.z)
    if setting.rule == "mp":
        scores = naive.similarities(problem.z @ problem.p_m, problem.z @ problem.p_n)
    return naive.candidates_op(scores, THRESHOLD, problem.mask)


def naive_weights(problem: Problem, setting: Setting) -> np.ndarray:
    """Λ of a rule without randomness."""
    sets = candidate_sets(problem, setting)
    if setting.rule == "mo":
        return naive.mo_weights(
            problem.z, sets, self_weight=setting.self_weight, temperature=TEMPERATURE
        )
    if setting.rule == "mp":
        q, k = problem.z @ problem.p_m, problem.z @ problem.p_n
        return naive.mp_weights(q, k, sets, temperature=TEMPERATURE)
    if setting.rule == "binary":
        return naive.binary_weights(problem.z, sets)
    if setting.rule == "neighbour_mean":
        return naive.neighbour_mean_weights(sets)
    if setting.rule == "propagate":
        edges = problem.senders, problem.receivers, problem.edge_weight
        return naive.propagate_weights(len(problem.z), *edges, problem.self_edge_weight)
    return naive.none_weights(sets)
