"""The step on one and on four devices, for a loss whose gradient is known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.training.step import AXIS, init_state, make_optimizer, make_step


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
        state, measured = step(state, jnp.float32(2.0), shards, jax.random.key(1))
        metrics.append({name: float(value) for name, value in measured.items()})
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
