"""Pairs mixed over four devices, a quarter of the batch each, equal one device with all of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax import mixing
from tests.mixing import cases

NUM_DEVICES = 4
SETTINGS = (
    cases.Setting("mo", "op"),
    cases.Setting("mp", "op"),
    cases.Setting("random", "all"),
)
LABELS = np.array([0, 1, 0, 1, 1, 1, 0, 1])


def make_batch():
    """Eight rows, the last one padding, with their projections."""
    problem = cases.make_problem()
    draws = np.random.default_rng(3)
    z = np.append(problem.z, draws.normal(size=(1, 5)), axis=0)
    return z, problem.p_m, problem.p_n, np.arange(8) < 7, draws.normal(size=z.shape)


def value_and_gradients(z, p_m, p_n, mask, cotangent, *, axis_name, block_size):
    """Of every setting: ẑ, Λ and λ_ii, and the gradients by z and by the projections."""

    def run(setting):
        def loss(inputs):
            z, p_m, p_n = inputs
            mixture = mixing.mix_pairs(
                z,
                rule=setting.rule,
                candidates=setting.candidates,
                threshold=cases.THRESHOLD,
                mask=mask,
                q=z @ p_m,
                k=z @ p_n,
                key=jax.random.key(2),
                axis_name=axis_name,
                block_size=block_size,
            )
            return jnp.sum(jnp.where(mask[:, None], mixture.z_mixed * cotangent, 0.0)), mixture[:3]

        (by_z, *by_projections), mixture = jax.grad(loss, has_aux=True)((z, p_m, p_n))
        if axis_name is not None:
            by_projections = jax.lax.psum(by_projections, axis_name)
        return mixture, by_z, by_projections

    return [run(setting) for setting in SETTINGS]


@functools.cache
def on_one_device():
    run = functools.partial(value_and_gradients, axis_name=None, block_size=None)
    return jax.jit(run)(*map(jnp.asarray, make_batch()))


@functools.cache
def on_four_devices(block_size):
    z, p_m, p_n, mask, cotangent = make_batch()
    shards = (np.split(array, NUM_DEVICES) for array in (z, mask, cotangent))
    z, mask, cotangent = (np.stack(shard) for shard in shards)
    run = functools.partial(value_and_gradients, axis_name="devices", block_size=block_size)
    return jax.pmap(run, axis_name="devices", in_axes=(0, None, None, 0, 0))(
        z, p_m, p_n, mask, cotangent
    )


@pytest.mark.parametrize("block_size", [None, 1], ids=["dense", "streamed"])
@pytest.mark.parametrize("place", range(len(SETTINGS)), ids=map(str, SETTINGS))
def test_four_devices_equal_one(x64, place, block_size):
    (z_mixed, weights, own), by_z, by_projections = on_one_device()[place]
    on_four = on_four_devices(block_size)[place]
    (z_four, weights_four, own_four), by_z_four, by_projections_four = on_four
    np.testing.assert_allclose(np.concatenate(z_four), z_mixed, atol=1e-12)
    np.testing.assert_allclose(np.concatenate(own_four), own, atol=1e-12)
    np.testing.assert_allclose(np.concatenate(by_z_four), by_z, atol=1e-12)
    if block_size is None:
        np.testing.assert_allclose(np.concatenate(weights_four), weights, atol=1e-12)
    for gradient_four, gradient in zip(by_projections_four, by_projections, strict=True):
        for device in range(NUM_DEVICES):
            np.testing.assert_allclose(gradient_four[device], gradient, atol=1e-12)


def test_statistics_are_those_of_each_devices_own_rows(x64):
    """Partners and labels are looked up among all devices' rows."""
    z = make_batch()[0]
    weights = naive.mo_weights(z, naive.candidates_all(8))

    def statistics(z, labels):
        options = {"candidates": "all", "axis_name": "devices", "labels": labels}
        return mixing.mix_pairs(z, **options).stats

    shards = np.split(z, NUM_DEVICES), np.split(LABELS, NUM_DEVICES)
    stats = jax.pmap(statistics, axis_name="devices")(*map(np.stack, shards))
    same = LABELS[:, None] == LABELS[None, :]
    others = weights * ~np.eye(8, dtype=bool)
    agreement = (others * same).sum(axis=1) / others.sum(axis=1)
    entropy = -(weights * np.log(weights)).sum(axis=1)
    np.testing.assert_allclose(stats["partners"], 7.0)
    np.testing.assert_allclose(stats["entropy"], entropy.reshape(NUM_DEVICES, 2).mean(axis=1))
    np.testing.assert_allclose(stats["agreement"], agreement.reshape(NUM_DEVICES, 2).mean(axis=1))
