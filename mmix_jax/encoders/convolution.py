"""Convolutions whose kernel gradient is a matrix product on CPUs, where XLA's own is slow."""

from functools import partial

import jax
import jax.numpy as jnp

# Numbers in the columns of a block of images: what stays in a CPU's cache.
_BLOCK = 2_400_000
_NHWC = ("NHWC", "HWIO", "NHWC")


def conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Cross-correlation [B, H, W, C] * [k, k, C, D] -> [B, ⌈H/s⌉, ⌈W/s⌉, D], zero-padded by ⌊k/2⌋.

    Value and gradients are those of `jax.lax.conv_general_dilated`, to rounding; k is odd. XLA's
    gradient with respect to the kernel runs at a twentieth of a CPU's speed on large images (jax
    0.10, one product of 64 channels at 32 × 32), so there it is taken as a sum over blocks of
    images of columnsᵀ · slope, a row of columns holding the k · k · C numbers that an output reads.
    """
    return _conv(x, kernel, stride)


def _direct(x, kernel, stride):
    size = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), ((size, size), (size, size)), dimension_numbers=_NHWC
    )


_conv = jax.custom_vjp(_direct, nondiff_argnums=(2,))


def _forward(x, kernel, stride):
    return _direct(x, kernel, stride), (x, kernel)


def _backward(stride, saved, slope):
    x, kernel = saved
    of_x = jax.vjp(lambda x: _direct(x, kernel, stride), x)[1](slope)[0]
    of_kernel = jax.lax.platform_dependent(
        x,
        kernel,
        slope,
        cpu=partial(_by_columns, stride=stride),
        default=partial(_by_convolution, stride=stride),
    )
    return of_x, of_kernel


def _by_convolution(x, kernel, slope, *, stride: int):
    return jax.linear_transpose(lambda kernel: _direct(x, kernel, stride), kernel)(slope)[0]


def _by_columns(x, kernel, slope, *, stride: int):
    height, width = slope.shape[1:3]
    size, channels = kernel.shape[0], x.shape[3]
    images = max(_BLOCK // (height * width * size * size * channels), 1)
    images = max(n for n in range(1, min(images, len(x)) + 1) if len(x) % n == 0)
    pad = size // 2

    def columns(x):
        x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        ends = stride * (height - 1) + 1, stride * (width - 1) + 1
        shifted = [
            x[:, row : row + ends[0] : stride, column : column + ends[1] : stride]
            for row in range(size)
            for column in range(size)
        ]
        return jnp.concatenate(shifted, axis=-1).reshape(-1, size * size * channels)

    def add(total, block):
        x, slope = block
        return total + columns(x).T @ slope.reshape(-1, slope.shape[-1]), None

    blocks = [y.reshape(-1, images, *y.shape[1:]) for y in (x, slope)]
    start = jnp.zeros((size * size * channels, slope.shape[3]), slope.dtype)
    return jax.lax.scan(add, start, tuple(blocks))[0].reshape(kernel.shape)


_conv.defvjp(_forward, _backward)
