"""The image framework's loss against float64 loops, and its laws."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax.frameworks import simclr
from mmix_jax.frameworks.simclr import (
    ImageSettings,
    ImageTables,
    make_loss,
    make_model,
    two_views,
)
from tests.frameworks import image_problem as problem
from tests.frameworks.changes import changed

pytestmark = pytest.mark.slow

every_case = pytest.mark.parametrize("case", problem.CASES)
NAMES = {"partners", "unmixed", "entropy", "cosine", "rank_correlation", "agreement"}


@pytest.fixture
def linear(x64, monkeypatch):
    """The parameters of a linear encoder, which losses read instead of the real one."""
    problem.use_linear(monkeypatch)
    return problem.linear_parameters()


def evaluate(settings: ImageSettings, params, *, rows=problem.ROWS, key=problem.KEY, stats=None):
    """((loss, Aux), gradient)."""
    batch = (problem.TABLES, jnp.asarray(rows))
    compute = jax.value_and_grad(make_loss(settings), has_aux=True)
    return compute(params, {} if stats is None else stats, batch, key)


def flat(tree) -> np.ndarray:
    return np.concatenate([np.asarray(leaf).reshape(-1) for leaf in jax.tree.leaves(tree)])


def assert_gradient(gradient, f, params) -> None:
    """Slopes of f, of parameters, along a random direction in each array of them."""
    draw = np.random.default_rng(4)
    leaves, structure = jax.tree.flatten(params)
    for place, (leaf, found) in enumerate(zip(leaves, jax.tree.leaves(gradient), strict=True)):
        direction = draw.normal(size=leaf.shape)

        def along(moved, place=place):
            return f(jax.tree.unflatten(structure, [*leaves[:place], moved, *leaves[place + 1 :]]))

        expected = naive.numerical_slope(along, leaf, direction)
        np.testing.assert_allclose(np.sum(found * direction), expected, rtol=1e-5, atol=1e-8)


# Values and gradients


@every_case
def test_loss_and_gradient_against_loops(linear, case):
    settings = changed(problem.BASE, **problem.CASES[case])
    (value, aux), gradient = evaluate(settings, linear)
    at = linear, problem.linear_outputs(linear)
    held = at if settings.mixing.stop_gradient else None

    def naive_loss(params):
        return problem.loss_of_outputs(settings, params, problem.linear_outputs(params), held)

    np.testing.assert_allclose(value, naive_loss(linear), rtol=1e-10)
    assert_gradient(gradient, naive_loss, linear)
    metrics = aux.metrics
    logged = {"contrast"} | {f"mixing/{name}" for name in NAMES}
    assert metrics.keys() == logged | ({"diversity"} if settings.mixing.rule == "mp" else set())
    assert np.isfinite(flat(metrics)).all()
    parts = metrics["contrast"] + settings.contrast.diversity_weight * metrics.get("diversity", 0.0)
    np.testing.assert_allclose(parts, value, rtol=1e-12)


def test_some_rows_are_mixed_and_some_are_not(linear):
    """The cases above tell candidates apart: by the threshold, and by the two scores."""
    z = problem.linear_outputs(linear)[0]
    kernels = (linear["projections"][name]["kernel"] for name in ("p_m", "p_n"))
    q, k = (z @ np.asarray(kernel) for kernel in kernels)
    for scores, threshold in ((naive.similarities(z, z), 0.3), (naive.similarities(q, k), 0.0)):
        sizes = [len(others) for others in naive.candidates_op(scores, threshold)]
        assert 3 <= max(sizes) < len(z)
        assert np.abs(scores - threshold).min() > 1e-4
    assert 1 in [len(c) for c in naive.candidates_op(naive.similarities(z, z), 0.3)]


def test_without_diversity_loss_the_detached_projections_learn_nothing(linear):
    options = {"mixing": "mp", "threshold": 0.0, "diversity_weight": 0.0}
    (value, aux), gradient = evaluate(changed(problem.BASE, **options), linear)
    assert not flat(gradient["projections"]).any() and flat(gradient["w"]).any()
    assert value == aux.metrics["contrast"] and aux.metrics["diversity"] < 0


def test_i_mix_against_loops(linear, monkeypatch):
    draw = np.random.default_rng(4)
    lam, partners = draw.uniform(size=8), draw.permutation(8)
    drawn = jnp.asarray(lam), jnp.asarray(partners)
    monkeypatch.setattr(simclr, "draw_partners", lambda *_: drawn)
    settings = changed(problem.BASE, mixing="i_mix", temperature=0.6)

    def naive_loss(params):
        z_b = problem.linear_outputs(params)[1]
        x = naive.i_mix_inputs(problem.VIEWS[0][problem.ROWS], lam, partners)
        z_a = x.reshape(8, -1) @ np.asarray(params["w"])
        return naive.virtual_labels(z_a, z_b, lam, partners, temperature=0.6)

    (value, aux), gradient = evaluate(settings, linear)
    np.testing.assert_allclose(value, naive_loss(linear), rtol=1e-10)
    assert_gradient(gradient, naive_loss, linear)
    assert aux.metrics["mixing/unmixed"] == 1.0  # of embeddings


def test_random_weights_are_drawn_by_key_and_know_nothing_of_the_embeddings(linear):
    settings = changed(problem.BASE, mixing="random", candidates="all")
    (value, aux), gradient = evaluate(settings, linear)
    (again, _), flowing = evaluate(changed(settings, stop_gradient=False), linear)
    (other, _), _ = evaluate(settings, linear, key=jax.random.key(8))
    assert value == again != other
    np.testing.assert_allclose(flat(flowing), flat(gradient), atol=1e-14)
    assert aux.metrics["mixing/partners"] == 7.0
    # nobody's cosine reaches the threshold: nothing is mixed
    (alone, _), _ = evaluate(changed(settings, candidates="op", threshold=0.999), linear)
    (unmixed, _), _ = evaluate(changed(settings, mixing="none"), linear)
    np.testing.assert_allclose(alone, unmixed, rtol=1e-14)


@pytest.mark.parametrize("case", ["mo_op", "mp_margin", "authors"])
def test_the_order_of_the_batch_is_of_no_effect(linear, case):
    settings = changed(problem.BASE, **problem.CASES[case])
    order = np.random.default_rng(6).permutation(8)
    (value, aux), gradient = evaluate(settings, linear)
    (permuted, measured), of_permuted = evaluate(settings, linear, rows=problem.ROWS[order])
    np.testing.assert_allclose(permuted, value, rtol=1e-12)
    np.testing.assert_allclose(flat(of_permuted), flat(gradient), atol=1e-12)
    np.testing.assert_allclose(flat(measured.metrics), flat(aux.metrics), atol=1e-12)


@pytest.mark.parametrize("case", ["mp_margin", "authors"])
def test_streamed_equals_dense(linear, case):
    """Blocks of three rows do not divide the batch."""
    settings = changed(problem.BASE, **problem.CASES[case])
    (value, aux), gradient = evaluate(settings, linear)
    (streamed, measured), of_streamed = evaluate(changed(settings, block_size=3), linear)
    np.testing.assert_allclose(streamed, value, rtol=1e-12)
    np.testing.assert_allclose(flat(of_streamed), flat(gradient), atol=1e-12)
    np.testing.assert_allclose(flat(measured.metrics), flat(aux.metrics), atol=1e-12)


def test_metrics_of_a_batch_made_by_hand(linear, monkeypatch):
    """Images in it more than once are partners: one thrice, one twice, three alone."""
    labels = jnp.array([0, 0, 1, 1, 1, -1, 0, 1])
    tables = ImageTables(problem.TABLES.images[jnp.array([2, 2, 2, 5, 5, 8, 0, 1])], labels)
    monkeypatch.setattr(problem, "TABLES", tables)
    settings = changed(problem.BASE, mixing="mo", threshold=0.9999)
    metrics = evaluate(settings, linear, rows=np.arange(8))[0][1].metrics
    three, two = -0.2 * np.log(0.2) - 0.8 * np.log(0.4), -0.2 * np.log(0.2) - 0.8 * np.log(0.8)
    expected = {
        "partners": (2 + 2 + 2 + 1 + 1) / 8,
        "unmixed": 3 / 8,
        "entropy": (3 * three + 2 * two) / 8,
        "cosine": 1.0,
        # 0.4 + 0.4 + 0 of the first three rows' 0.8 each, all of the next two rows' 0.8
        "agreement": (0.4 + 0.4 + 0.8 + 0.8) / (5 * 0.8),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[f"mixing/{name}"], value, rtol=1e-9, err_msg=name)
    metrics = evaluate(changed(settings, mixing="none"), linear, rows=np.arange(8))[0][1].metrics
    assert metrics["mixing/unmixed"] == 1.0 and metrics["mixing/partners"] == 0.0


# The encoder


def two_passes(settings: ImageSettings, variables: Any, views: np.ndarray):
    """(z^a, z^b, running statistics): view a passes the encoder first, then view b."""
    model, outputs = make_model(settings), []
    stats = variables["batch_stats"]
    for view in views:
        (z, _), state = model.apply(
            {**variables, "batch_stats": stats}, view, train=True, mutable=["batch_stats"]
        )
        outputs.append(z)
        stats = state["batch_stats"]
    return *outputs, stats


def test_one_pass_of_both_views_equals_two_passes(x64, monkeypatch):
    """Loss, gradient and running statistics, from head outputs of one view at a time."""
    monkeypatch.setattr(simclr, "two_views", problem.fixed_views)
    settings = changed(problem.BASE, mixing="mp", candidates="all")
    variables, views = problem.variables(settings), problem.VIEWS[:, problem.ROWS]
    run = jax.jit(lambda params: two_passes(settings, {**variables, "params": params}, views))
    params = variables["params"]
    *outputs, stats = run(params)
    held = params, np.asarray(outputs)

    def naive_loss(moved):
        return problem.loss_of_outputs(settings, moved, np.asarray(run(moved)[:2]), held)

    batch = (problem.TABLES, jnp.asarray(problem.ROWS))
    compute = jax.jit(jax.value_and_grad(make_loss(settings), has_aux=True))
    (value, aux), gradient = compute(params, variables["batch_stats"], batch, problem.KEY)
    np.testing.assert_allclose(value, naive_loss(params), rtol=1e-10)
    assert_gradient(gradient, naive_loss, params)
    assert jax.tree.structure(aux.batch_stats) == jax.tree.structure(variables["batch_stats"])
    np.testing.assert_allclose(flat(aux.batch_stats), flat(stats), rtol=1e-10)


def test_features_are_those_of_running_statistics_and_clean_images(x64):
    """An image's features do not depend on its batch, nor on the head; nothing is augmented."""
    augmentation = problem.PLAIN._replace(flip=1.0, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    settings = changed(problem.BASE, augmentation=augmentation)
    variables = problem.variables(settings)
    images = np.random.default_rng(0).integers(0, 256, (4, *problem.SHAPE)).astype(np.uint8)
    features_of = jax.jit(lambda variables, images: simclr.embed(settings, variables, images))
    found = features_of(variables, images)
    assert found.shape == (4, 4)
    x = (images / 255 - np.array(augmentation.mean)) / np.array(augmentation.std)
    encoder = make_model(settings).bind(variables).encoder
    np.testing.assert_allclose(found, encoder(jnp.asarray(x)), rtol=1e-5)
    np.testing.assert_allclose(
        found[1:], features_of(variables, images[[1, 2, 3, 3]])[:3], rtol=1e-12
    )
    headless = {**variables, "params": {**variables["params"], "head": {}}}
    np.testing.assert_array_equal(found, features_of(headless, images))


# The views


def flipped_images() -> tuple[ImageSettings, np.ndarray, np.ndarray]:
    """Settings that only flip, twelve images, and what normalisation makes of them."""
    images = np.random.default_rng(0).integers(0, 256, (12, *problem.SHAPE)).astype(np.uint8)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    settings = changed(
        problem.BASE, augmentation=problem.PLAIN._replace(flip=0.5, mean=mean, std=std)
    )
    return settings, images, (images / 255 - np.array(mean)) / np.array(std)


def test_both_views_are_drawn_for_each_image_apart():
    settings, images, x = flipped_images()
    settings = changed(settings, dtype="float32")
    draws = jax.jit(
        lambda images, first: two_views(settings, images, jax.random.key(0), first=first)
    )
    views = np.asarray(draws(images, 0))
    kept, mirrored = (
        np.isclose(views, y[None], atol=1e-5).all(axis=(2, 3, 4)) for y in (x, x[:, :, ::-1])
    )
    np.testing.assert_array_equal(kept, ~mirrored)
    assert 0 < kept[0].sum() < 12 and 0 < kept[1].sum() < 12 and (kept[0] != kept[1]).any()
    # a second device's images, at their places in the whole batch
    shard = np.asarray(draws(np.roll(images, -4, axis=0), 4))
    np.testing.assert_array_equal(shard[:, :8], views[:, 4:])


def test_the_loss_is_of_augmented_rows_of_the_tables(x64, monkeypatch):
    """It is that of some flips, others by another key."""
    monkeypatch.setattr(simclr, "make_model", problem.Linear)
    settings, images, x = flipped_images()
    settings = changed(settings, mixing="mo")
    params, rows = problem.linear_parameters(), np.array([7, 2])
    tables = ImageTables(jnp.asarray(images), jnp.full(12, -1))
    batch, loss_fn = (tables, jnp.asarray(rows)), make_loss(settings)
    draws = jax.jit(lambda key: loss_fn(params, {}, batch, key)[0])
    found = [float(draws(jax.random.key(seed))) for seed in range(4)]
    losses = []
    for flips in np.ndindex(2, 2, 2, 2):
        signs = np.array(flips).reshape(2, 2)
        views = np.where(signs[:, :, None, None, None], x[None, rows, :, ::-1], x[None, rows])
        outputs = problem.linear_outputs(params, np.arange(2), views)
        losses.append(problem.loss_of_outputs(settings, params, outputs))
    nearest = [np.abs(np.array(losses) - value).min() for value in found]
    np.testing.assert_allclose(nearest, 0.0, atol=1e-5)
    assert len(set(np.round(found, 4))) > 1
