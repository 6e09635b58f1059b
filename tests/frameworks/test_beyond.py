"""Frameworks with mixtures among their negatives, against loops on what they contrast.

With one member out of the one hardest candidate nothing is left to chance: every synthetic negative
is that candidate.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
import naive_beyond
from mmix_jax.experiments.mechanism import without_mixing
from mmix_jax.frameworks import grace, mvgrl_graphs, mvgrl_nodes, simclr
from mmix_jax.mixing import synthetic_negatives
from tests.frameworks import (
    grace_problem,
    graph_problem,
    image_problem,
    problem,
    test_mvgrl_graphs,
)
from tests.frameworks.changes import changed

HARDEST = {
    "mixing": "mo",
    "candidates": "all",
    "mix_into": "negatives",
    "num_synthetic": 2,
    "num_mixed": 1,
    "num_hardest": 1,
}


def of_mvgrl(monkeypatch, **changes):
    settings = changed(problem.BASE, **changes)
    batch = (problem.propagated(), problem.everything())
    return mvgrl_nodes.make_loss(settings), problem.parameters(settings), batch


def of_grace(monkeypatch, **changes):
    settings = changed(grace_problem.BASE, **changes)
    batch = (grace_problem.tables(), grace_problem.batch(np.arange(grace_problem.N)))
    return grace.make_loss(settings), grace_problem.parameters(settings), batch


def of_images(monkeypatch, **changes):
    image_problem.use_linear(monkeypatch)
    settings = changed(image_problem.BASE, **changes)
    batch = (image_problem.TABLES, jnp.asarray(image_problem.ROWS))
    return simclr.make_loss(settings), image_problem.linear_parameters(), batch


FRAMEWORKS = {"mvgrl": of_mvgrl, "grace": of_grace, "simclr": of_images}
KEY = jax.random.key(7)


def hardest(scores: np.ndarray, rows: np.ndarray, excluded=None) -> np.ndarray:
    """Of each anchor, its best candidate twice: [N, 2, D]."""
    pools = naive_beyond.pools(scores, num_hardest=1, excluded=excluded)
    none = np.zeros(rows.shape[1])
    return np.stack([[rows[pool[0]] if pool else none] * 2 for pool in pools])


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_hardest_candidate_joins_the_negatives(x64, monkeypatch, name):
    loss_fn, params, batch = FRAMEWORKS[name](monkeypatch, **HARDEST, debiased=0.1, hardness=0.5)
    loss, aux = jax.jit(loss_fn)(params, {}, batch, KEY)
    u, v = (naive.normalise(np.asarray(x)) for x in aux.seen[:2])
    temperature = {"mvgrl": 1.0, "grace": 0.7, "simclr": 0.4}[name]
    wanted = naive_beyond.info_nce(
        u, v, temperature=temperature, debiased=0.1, hardness=0.5,
        synthetic_u=hardest(u @ v.T, v), synthetic_v=hardest(v @ u.T, u),
    )  # fmt: skip
    np.testing.assert_allclose(loss, wanted, rtol=1e-9)
    assert float(aux.metrics["synthetic/members"]) == 1.0


def test_candidates_near_in_the_graph_are_skipped(x64, monkeypatch):
    loss_fn, params, batch = of_mvgrl(monkeypatch, **HARDEST, skip_hops=1)
    loss, aux = jax.jit(loss_fn)(params, {}, batch, KEY)
    u, v = (naive.normalise(np.asarray(x)) for x in aux.seen[:2])
    graph = problem.GRAPH
    near = [set() for _ in range(problem.N)]
    for sender, receiver in zip(graph.senders, graph.receivers, strict=True):
        near[receiver].add(int(sender))
    found = [
        hardest(own @ other.T, other, excluded) for own, other in ((u, v), (v, u))
        for excluded in (near, None)
    ]  # fmt: skip
    assert any((found[i] != found[i + 1]).any() for i in (0, 2))  # some neighbour is the hardest
    wanted = naive_beyond.info_nce(u, v, synthetic_u=found[0], synthetic_v=found[2])
    np.testing.assert_allclose(loss, wanted, rtol=1e-9)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_projections_score_the_other_view(x64, monkeypatch, name):
    """mp: a candidate's score is the anchor's q by its own k, of the encoders' outputs."""
    loss_fn, params, batch = FRAMEWORKS[name](
        monkeypatch, **(HARDEST | {"mixing": "mp", "diversity_weight": 0.0})
    )
    loss, aux = jax.jit(loss_fn)(params, {}, batch, KEY)
    u, v = (naive.normalise(np.asarray(x)) for x in aux.seen[:2])
    if name == "mvgrl":
        outputs = problem.views(params)
    elif name == "simclr":
        outputs = image_problem.linear_outputs(params)
    else:
        # Heads are not undone: the loss with mp's scores differs from that with mo's.
        other_fn = FRAMEWORKS[name](monkeypatch, **HARDEST)[0]
        other = jax.jit(lambda params: other_fn(params, {}, batch, KEY)[0])(params)
        assert abs(float(other) - float(loss)) > 1e-6
        return
    (q_a, k_a), (q_b, k_b) = (
        map(naive.normalise, problem.project(params["projections"], z)) for z in outputs
    )
    wanted = naive_beyond.info_nce(
        u, v, temperature=0.4 if name == "simclr" else 1.0,
        synthetic_u=hardest(q_a @ k_b.T, v), synthetic_v=hardest(q_b @ k_a.T, u),
    )  # fmt: skip
    np.testing.assert_allclose(loss, wanted, rtol=1e-9)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_anchors_stay_and_without_mixing_nothing_joins(x64, monkeypatch, name):
    make = FRAMEWORKS[name]
    none, params, batch = make(monkeypatch, mixing="none")
    _, plain = jax.jit(none)(params, {}, batch, KEY)
    for changes in (HARDEST, HARDEST | {"mixing": "none"}):
        loss_fn = make(monkeypatch, **changes)[0]
        loss, aux = jax.jit(loss_fn)(params, {}, batch, KEY)
        for found, wanted in zip(aux.seen[:2], plain.seen[:2], strict=True):
            np.testing.assert_array_equal(found, wanted)
        assert (float(loss) == float(plain.metrics["contrast"])) == (changes["mixing"] == "none")


@pytest.mark.parametrize("mixing", ["mo", "mp"])
def test_a_graphs_own_nodes_join_its_negatives(x64, mixing):
    """And both levels of equation 11 are debiased; metrics are means over graphs that have any."""
    views = changed(
        graph_problem.VIEWS, **(HARDEST | {"mixing": mixing, "diversity_weight": 0.0}),
        debiased=0.2,
    )  # fmt: skip
    settings = graph_problem.settings_of(graph_problem.sampler(), views)
    params = problem.parameters(settings.views)
    batch = graph_problem.tables(), test_mvgrl_graphs.batch_of_all()
    found, aux = jax.jit(mvgrl_graphs.make_loss(settings))(params, {}, batch, problem.KEY)
    wanted = cosine = 0.0
    for graph in graph_problem.GRAPHS:
        if not graph.num_nodes:
            continue
        z_a, z_b = problem.views(params, graph)
        u = naive.normalise(problem.predict(params["predictor"], z_a))
        v = naive.normalise(z_b)
        scores = u @ v.T, v @ u.T
        if mixing == "mp":
            (q_a, k_a), (q_b, k_b) = (
                map(naive.normalise, problem.project(params["projections"], z)) for z in (z_a, z_b)
            )
            scores = q_a @ k_b.T, q_b @ k_a.T
        of_u, of_v = hardest(scores[0], v), hardest(scores[1], u)
        wanted += naive_beyond.info_nce(
            u, v, debiased=0.2, synthetic_u=of_u, synthetic_v=of_v
        ) / len(graph_problem.GRAPHS)
        if graph.num_nodes > 1:
            cosines = [np.sum(z[:, None] * made, 2) for z, made in ((u, of_u), (v, of_v))]
            cosine += np.mean(cosines) / sum(g.num_nodes > 1 for g in graph_problem.GRAPHS)
    without = graph_problem.settings_of(graph_problem.sampler(), views.__class__(
        **(views.__dict__ | {"mixing": views.mixing.before_start()})
    ))  # fmt: skip
    h_a, h_b = graph_problem.readouts(without, params)
    wanted += naive_beyond.anchor_info_nce(
        h_a, h_b, temperature=settings.graph_temperature, debiased=0.2
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    np.testing.assert_allclose(aux.metrics["synthetic/cosine"], cosine, rtol=1e-9)
    np.testing.assert_allclose(aux.metrics["synthetic/members"], 1.0, rtol=1e-9)


def test_both_views_draw_apart(x64, monkeypatch):
    """With equal views and one draw of two candidates, equal draws would be equal negatives."""
    drawn = []
    monkeypatch.setattr(
        "mmix_jax.frameworks.base.synthetic_negatives",
        lambda u, v, *, key, **options: drawn.append(key) or synthetic_negatives(
            u, v, key=key, **options
        ),
    )  # fmt: skip
    loss_fn, params, batch = of_images(monkeypatch, **HARDEST)
    loss_fn(params, {}, batch, KEY)
    assert len(drawn) == 2
    assert not np.array_equal(*(jax.random.key_data(key) for key in drawn))


def test_settings_without_mixing():
    settings = changed(problem.BASE, **HARDEST)
    assert without_mixing(settings) == changed(settings, mixing="none")
