"""Losses over four devices with a quarter of the batch each equal one device with all of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax import losses

NUM_DEVICES, NUM, DIM = 4, 12, 5
MASK = np.arange(NUM) % 5 != 2  # devices hold unequal numbers of real rows
SEGMENTS = np.array([0, 1, 1, 0, 2, 1, 0, 0, 2, 2, 1, 1])  # segments lie across devices
LOSSES = {
    "info_nce full": (losses.info_nce, {"negatives": "full"}),
    "info_nce cross segments": (losses.info_nce, {"negatives": "cross", "segments": SEGMENTS}),
    "virtual_labels": (losses.virtual_labels, {"negatives": "full"}),
}


def make_batch():
    """Inputs of both views, one matrix that encodes both, and i-mix's labels within a device."""
    draws = np.random.default_rng(0)
    x_a, x_b = draws.normal(size=(2, NUM, DIM))
    matrix, coefficients = draws.normal(size=(DIM, DIM)), draws.uniform(size=NUM)
    return matrix, x_a, x_b, MASK, SEGMENTS, coefficients


def value_and_gradients(
    matrix, x_a, x_b, mask, segments, coefficients, partners, *, axis_name=None, block_size=None
):
    """Every loss and its gradient by the shared matrix and by the inputs of view a."""

    def run(name):
        loss_function, options = LOSSES[name]
        arguments = (coefficients, partners) if name == "virtual_labels" else ()
        options = options | ({"segments": segments} if "segments" in options else {})

        def loss(matrix, x_a):
            return loss_function(
                x_a @ matrix,
                x_b @ matrix,
                *arguments,
                temperature=0.5,
                mask=mask,
                axis_name=axis_name,
                block_size=block_size,
                **options,
            )

        share, (by_matrix, by_x) = jax.value_and_grad(loss, argnums=(0, 1))(matrix, x_a)
        if axis_name is None:
            return share, by_matrix, by_x
        return jax.lax.psum(share, axis_name), jax.lax.psum(by_matrix, axis_name), by_x

    return {name: run(name) for name in LOSSES}


@functools.cache
def on_one_device():
    partners = np.arange(NUM).reshape(NUM_DEVICES, -1)[:, ::-1].ravel()
    return jax.jit(value_and_gradients)(*map(jnp.asarray, (*make_batch(), partners)))


@functools.cache
def on_four_devices(block_size):
    """Blocks of five rows lie across the devices' three."""
    matrix, *rows = make_batch()
    shards = [np.stack(np.split(array, NUM_DEVICES)) for array in rows]
    partners = np.tile(np.arange(NUM // NUM_DEVICES)[::-1], (NUM_DEVICES, 1))
    run = functools.partial(value_and_gradients, axis_name="devices", block_size=block_size)
    return jax.pmap(run, axis_name="devices", in_axes=(None, 0, 0, 0, 0, 0, 0))(
        matrix, *shards, partners
    )


@pytest.mark.parametrize("block_size", [None, 5], ids=["dense", "streamed"])
@pytest.mark.parametrize("name", LOSSES)
def test_four_devices_equal_one(x64, name, block_size):
    value, by_matrix, by_x = on_one_device()[name]
    value_four, by_matrix_four, by_x_four = on_four_devices(block_size)[name]
    for device in range(NUM_DEVICES):  # every device ends with the same sums
        np.testing.assert_allclose(value_four[device], value, rtol=1e-12)
        np.testing.assert_allclose(by_matrix_four[device], by_matrix, atol=1e-13)
    np.testing.assert_allclose(np.concatenate(by_x_four), by_x, atol=1e-13)


def test_diversity_and_the_mvgrl_objective_add_up_over_devices(x64):
    _, x_a, x_b, mask, *_ = make_batch()
    matrix = np.random.default_rng(1).normal(size=(DIM, DIM))

    def both(matrix, x_a, x_b, mask, axis_name=None):
        q, k = x_a @ matrix, x_b @ matrix.T
        apart = losses.diversity(q, k, mask=mask, margin=-0.5, axis_name=axis_name)
        nodes = losses.discrimination(q, k, k - 1, q + 1, mask=mask, axis_name=axis_name)
        return apart, nodes

    def run(*batch, axis_name=None):
        results = []
        for place in (0, 1):
            loss = lambda *batch, place=place: both(*batch, axis_name=axis_name)[place]  # noqa: E731
            results.append(jax.value_and_grad(loss)(*batch))
        return results if axis_name is None else jax.lax.psum(results, axis_name)

    expected = jax.jit(run)(matrix, x_a, x_b, mask)
    shards = [np.stack(np.split(array, NUM_DEVICES)) for array in (x_a, x_b, mask)]
    over_devices = functools.partial(run, axis_name="devices")
    results = jax.pmap(over_devices, axis_name="devices", in_axes=(None, 0, 0, 0))(matrix, *shards)
    for (value, gradient), (value_four, gradient_four) in zip(expected, results, strict=True):
        np.testing.assert_allclose(value_four[0], value, rtol=1e-12)
        np.testing.assert_allclose(gradient_four[0], gradient, atol=1e-12)
