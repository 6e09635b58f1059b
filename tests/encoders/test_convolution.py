"""Convolutions and both their gradients against XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.encoders import convolution
from mmix_jax.encoders.convolution import conv

CHANNELS, WIDTH = 3, 4


def reference(x, kernel, stride: int = 1):
    """By XLA, which differentiates it by itself."""
    pad = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def make_inputs(size: int, shape, dtype=np.float64) -> tuple[jax.Array, jax.Array]:
    """Images [*shape, C] and a kernel."""
    draw = np.random.default_rng(size)
    x = draw.normal(size=(*shape, CHANNELS))
    kernel = draw.normal(size=(size, size, CHANNELS, WIDTH))
    return jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)


def with_gradients(function, x, kernel, stride: int = 1):
    """The output, and both gradients of its sum with random signs and sizes."""
    y, backward = jax.vjp(lambda x, kernel: function(x, kernel, stride), x, kernel)
    cotangent = np.random.default_rng(9).normal(size=y.shape)
    return y, *backward(jnp.asarray(cotangent, y.dtype))


def assert_same(found, expected, **tolerance) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, **tolerance)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_value_and_gradients(x64, size, stride):
    x, kernel = make_inputs(size, (5, 7, 6))  # an odd and an even length
    both = jax.jit(
        lambda x, kernel: [with_gradients(f, x, kernel, stride) for f in (conv, reference)]
    )
    found, expected = both(x, kernel)
    assert found[0].shape == (5, -(-7 // stride), -(-6 // stride), WIDTH)
    assert_same(found, expected, rtol=1e-12, atol=1e-12)


def test_an_image_smaller_than_the_kernel(x64):
    x, kernel = make_inputs(3, (2, 1, 1))
    found, expected = (with_gradients(f, x, kernel, 2) for f in (conv, reference))
    assert_same(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("num_images", "block"),
    [(6, 4), (7, 4), (6, 0), (1, 4)],
    ids=["three_of_six", "one_of_seven", "less_than_an_image", "one"],
)
def test_blocks_that_do_not_divide_the_batch(x64, monkeypatch, num_images, block):
    columns = 9 * CHANNELS * 5 * 5  # of an image
    monkeypatch.setattr(convolution, "_BLOCK", block * columns)
    x, kernel = make_inputs(3, (num_images, 5, 5))
    found, expected = (with_gradients(f, x, kernel) for f in (conv, reference))
    assert_same(found, expected, rtol=1e-12, atol=1e-12)


def test_inside_vmap(x64):
    """Over kernels and images, as for several models at once; and over kernels alone."""
    x, kernel = make_inputs(3, (2, 3, 4, 5))
    kernels = jnp.stack([kernel, 2 * kernel - 1])
    for axes, images in (((0, 0), x), ((None, 0), x[0])):
        over = jax.jit(jax.vmap(lambda x, kernel: with_gradients(conv, x, kernel, 2), axes))
        of_each = [
            with_gradients(reference, x[place if axes[0] == 0 else 0], kernels[place], 2)
            for place in range(2)
        ]
        expected = [jnp.stack(parts) for parts in zip(*of_each, strict=True)]
        assert_same(over(images, kernels), expected, rtol=1e-12, atol=1e-12)


def test_inside_scan(x64):
    """Steps down the slope of a loss, as in a loop of training steps."""
    x, kernel = make_inputs(3, (3, 5, 5))

    def descend(function):
        def step(kernel, x):
            def loss(kernel):
                return jnp.mean(function(x[None], kernel, 1) ** 2)

            value, gradient = jax.value_and_grad(loss)(kernel)
            return kernel - 0.1 * gradient, value

        return jax.lax.scan(step, kernel, x)

    assert_same(jax.jit(descend, static_argnums=0)(conv), descend(reference), rtol=1e-11)


def relative_errors(found, exact) -> list[float]:
    """Of bfloat16 results, by their lengths."""
    assert {ours.dtype for ours in found} == {jnp.dtype(jnp.bfloat16)}
    return [
        float(np.linalg.norm(ours.astype(jnp.float32) - theirs) / np.linalg.norm(theirs))
        for ours, theirs in zip(found, exact, strict=True)
    ]


def test_in_bfloat16():
    """Inputs are rounded to three digits, and outputs: sums in between are not."""
    x, kernel = (y.astype(jnp.bfloat16) for y in make_inputs(3, (64, 4, 4), np.float32))
    exact = with_gradients(reference, x.astype(jnp.float32), kernel.astype(jnp.float32))
    errors = relative_errors(with_gradients(conv, x, kernel), exact)
    assert min(errors) > 0 and max(errors) < 0.004


def test_blocks_in_bfloat16(monkeypatch):
    monkeypatch.setattr(convolution, "_BLOCK", 1)
    x, kernel = (y.astype(jnp.bfloat16) for y in make_inputs(3, (64, 4, 4), np.float32))
    exact = with_gradients(reference, x.astype(jnp.float32), kernel.astype(jnp.float32))
    assert max(relative_errors(with_gradients(conv, x, kernel), exact)) < 0.004
