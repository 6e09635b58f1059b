"""The step on one and on four devices, for a loss whose gradient is known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.training.step import (
    AXIS,
    Optimization,
    init_state,
    learning_rate_at,
    make_optimizer,
    make_step,
    make_steps,
    replicate,
)


class Aux(NamedTuple):
    metrics: dict
    batch_stats: dict


def share(params, batch_stats, batch, key):
    """This device's share of ½ ‖w − t‖² + noise · Σw, t being the mean of all devices' rows."""
    target, rows = batch
    mean = jax.lax.psum(jnp.sum(rows, axis=0), AXIS) / 8
    noise = jax.random.normal(key)
    whole = 0.5 * jnp.sum((params["w"] - target * mean) ** 2) + noise * jnp.sum(params["w"])
    loss = whole / jax.lax.axis_size(AXIS)
    seen = {"seen": batch_stats["seen"] + jax.lax.psum(len(rows), AXIS)}
    return loss, Aux({"noise": noise / jax.lax.axis_size(AXIS)}, seen)


ROWS = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
W = np.array([1.0, -2.0, 0.5], np.float32)


def run(num_devices: int, num_steps: int, weight_decay: float = 0.0):
    optimizer = make_optimizer(0.1, weight_decay)
    step = make_step(share, optimizer, devices=jax.devices()[:num_devices])
    state = init_state({"w": jnp.asarray(W)}, optimizer, {"seen": jnp.zeros((), jnp.int32)})
    shards = ROWS.reshape(num_devices, -1, 3)
    metrics = []
    for _ in range(num_steps):
        state, of_step = step(state, jnp.float32(2.0), shards, jax.random.key(1))
        metrics.append({name: float(value) for name, value in of_step.items()})
    return state, metrics


def adam(gradient_of, num_steps: int, weight_decay: float) -> np.ndarray:
    """Torch's Adam: weight decay is added to the gradient."""
    w, first, second = W.astype(np.float64), 0.0, 0.0
    for t in range(1, num_steps + 1):
        g = gradient_of(w, t - 1) + weight_decay * w
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        ratio = np.sqrt(second / (1 - 0.999**t)) + 1e-8
        w = w - 0.1 * first / (1 - 0.9**t) / ratio
    return w


@pytest.mark.parametrize(("num_devices", "weight_decay"), [(1, 0.0), (4, 0.3)])
def test_shares_and_gradients_are_summed_and_adam_takes_them(num_devices, weight_decay):
    state, metrics = run(num_devices, 3, weight_decay)
    noise = [float(jax.random.normal(jax.random.fold_in(jax.random.key(1), t))) for t in range(3)]

    def gradient_of(w, step):
        return w - 2.0 * ROWS.mean(axis=0) + noise[step]

    np.testing.assert_allclose(
        state.params["w"], adam(gradient_of, 3, weight_decay), rtol=1e-4, atol=1e-5
    )
    first = gradient_of(W, 0)
    expected = 0.5 * np.sum((first - noise[0]) ** 2) + noise[0] * W.sum()
    np.testing.assert_allclose(metrics[0]["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(metrics[0]["gradient_norm"], np.linalg.norm(first), rtol=1e-5)
    np.testing.assert_allclose([m["noise"] for m in metrics], noise, rtol=1e-5)
    assert (int(state.step), int(state.batch_stats["seen"])) == (3, 24)
    # plain arrays, as a checkpoint wants them
    assert state.params["w"].shape == (3,)


# Several steps a dispatch


def counted(loss_fn):
    """The loss function, and a list that grows each time it is traced."""
    traces = []

    def traced(*args):
        traces.append(args)
        return loss_fn(*args)

    return traced, traces


@pytest.mark.parametrize("num_devices", [1, 4])
def test_steps_of_one_dispatch_equal_single_steps(num_devices):
    """Three of three given, then two of three, without a second program."""
    devices = jax.devices()[:num_devices]
    optimizer = make_optimizer(Optimization(0.1, 0.3, warmup_steps=4))
    rows = np.random.default_rng(3).normal(size=(num_devices, 3, 8 // num_devices, 3))
    rows = rows.astype(np.float32)
    loss_fn, traces = counted(share)
    single = make_step(share, optimizer, devices=devices)
    several = make_steps(loss_fn, optimizer, devices=devices)
    batch_stats = {"seen": jnp.zeros((), jnp.int32)}
    start = init_state({"w": jnp.asarray(W)}, optimizer, batch_stats)
    expected = state = replicate(start, devices)
    target, key = replicate((jnp.float32(2.0), jax.random.key(1)), devices)
    num_traces = []
    for count in (3, 2):
        state, means = several(state, target, rows, count, key)
        num_traces.append(len(traces))
        metrics = []
        for number in range(count):
            expected, of_step = single(expected, target, rows[:, number], key)
            metrics.append(of_step)
        for actual, one in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(actual, one, rtol=1e-6)
            assert actual.dtype == one.dtype
        assert means.keys() == metrics[0].keys() >= {"loss", "gradient_norm", "noise"}
        for name, mean in means.items():
            values = [float(of_step[name]) for of_step in metrics]
            np.testing.assert_allclose(mean, np.mean(values), rtol=1e-5, err_msg=name)
            assert np.std(values) > 1e-3
    assert num_traces[0] == num_traces[1]
    assert int(state.step) == 5


# Learning rates and optimizers


@pytest.mark.parametrize(("warmup", "cosine"), [(0, 0), (4, 0), (0, 10), (4, 10)])
def test_learning_rate_is_linear_then_half_a_cosine(warmup, cosine):
    rate = learning_rate_at(Optimization(0.4, warmup_steps=warmup, cosine_steps=cosine))
    actual = [float(rate(t)) if callable(rate) else rate for t in range(14)]
    expected = []
    for t in range(14):
        if t < warmup:
            expected.append(0.4 * t / warmup)
        elif cosine:
            share = min((t - warmup) / (cosine - warmup), 1.0)
            expected.append(0.2 * (1 + np.cos(np.pi * share)))
        else:
            expected.append(0.4)
    np.testing.assert_allclose(actual, expected, atol=1e-7)


def descend(settings: Optimization, num_steps: int) -> np.ndarray:
    """Parameters after steps on ½ ‖w‖² + Σ w."""
    optimizer, w = make_optimizer(settings), jnp.asarray(W)
    opt_state = optimizer.init(w)
    for _ in range(num_steps):
        updates, opt_state = optimizer.update(w + 1.0, opt_state, w)
        w = w + updates
    return np.asarray(w)


def test_sgd_has_the_momentum_of_nesterov_and_adds_weight_decay_to_the_gradient():
    """Torch's: buffer ← m · buffer + g, w ← w − rate · (g + m · buffer)."""
    settings = Optimization(0.1, 0.3, "sgd", momentum=0.8, warmup_steps=2, cosine_steps=8)
    w, momentum = W.astype(np.float64), np.zeros(3)
    for t in range(6):
        rate = 0.05 * t if t < 2 else 0.05 * (1 + np.cos(np.pi * (t - 2) / 6))
        g = w + 1.0 + 0.3 * w
        momentum = 0.8 * momentum + g
        w = w - rate * (g + 0.8 * momentum)
    np.testing.assert_allclose(descend(settings, 6), w, rtol=1e-5)


def test_lars_moves_matrices_by_their_own_length_and_vectors_plainly():
    """update = rate · momentum of (0.001 |w| / |g + λw|) (g + λw); of vectors of g alone."""
    settings = Optimization(0.5, 0.3, "lars", momentum=0.8)
    params = {"matrix": W.reshape(3, 1).astype(np.float32), "vector": W.astype(np.float32)}
    optimizer, found = make_optimizer(settings), jax.tree.map(jnp.asarray, params)
    state = optimizer.init(found)
    wanted = jax.tree.map(lambda x: x.astype(np.float64), params)
    momentum = jax.tree.map(np.zeros_like, wanted)
    for _ in range(3):
        updates, state = optimizer.update(jax.tree.map(lambda x: x + 1.0, found), state, found)
        found = jax.tree.map(jnp.add, found, updates)
        for name, w in wanted.items():
            g = w + 1.0
            if name == "matrix":
                g = g + 0.3 * w
                g = 1e-3 * np.linalg.norm(w) / np.linalg.norm(g) * g
            momentum[name] = 0.8 * momentum[name] + g
            wanted[name] = w - 0.5 * momentum[name]
    for name, w in wanted.items():
        np.testing.assert_allclose(found[name], w, rtol=1e-5)


def test_adam_of_an_optimization_is_that_of_two_numbers():
    settings = Optimization(0.1, 0.3)
    expected = adam(lambda w, _: w + 1.0, 4, 0.3)
    np.testing.assert_allclose(descend(settings, 4), expected, rtol=1e-4, atol=1e-5)
    # the same, with the rate of each step: the first is 0
    warm = Optimization(0.1, 0.3, warmup_steps=1)
    np.testing.assert_array_equal(descend(warm, 1), W)
