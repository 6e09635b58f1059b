"""Convolutions as matrix products on CPUs, where XLA's own are slow on large images."""

from functools import partial

import jax
import jax.numpy as jnp

from mmix_jax.ops.arrays import floats

# Numbers in the columns of a block of images: what stays in a CPU's cache.
_BLOCK = 1_200_000
# Numbers in an image from which on values and gradients of images go by columns too.
_LARGE = 65_536
_NHWC = ("NHWC", "HWIO", "NHWC")


def conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Cross-correlation [B, H, W, C] * [k, k, C, D] -> [B, ⌈H/s⌉, ⌈W/s⌉, D], zero-padded by ⌊k/2⌋.

    Value and gradients are those of `jax.lax.conv_general_dilated`, to rounding; k is odd. XLA's
    gradient with respect to the kernel runs at a twentieth of a CPU's speed on large images (jax
    0.10, 64 channels at 32 × 32), so there it is a sum over blocks of images of columnsᵀ · slope, a
    row of columns holding the k · k · C numbers that an output reads. Values and gradients with
    respect to x are columns · kernel where images are large, 1.5 times faster.
    """
    x, kernel = floats("x", x), floats("kernel", kernel)
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    return _conv(x.astype(dtype), kernel.astype(dtype), stride)


def _direct(x, kernel, stride):
    size = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), ((size, size), (size, size)), dimension_numbers=_NHWC
    )


def _value(x, kernel, stride):
    if stride > 1 or kernel.shape[0] == 1 or x[0].size < _LARGE:
        return _direct(x, kernel, stride)
    return jax.lax.platform_dependent(
        x, kernel, cpu=_value_by_columns, default=partial(_direct, stride=1)
    )


_conv = jax.custom_vjp(_value, nondiff_argnums=(2,))


def _forward(x, kernel, stride):
    return _value(x, kernel, stride), (x, kernel)


def _backward(stride, saved, slope):
    x, kernel = saved
    if stride == 1:
        of_x = _value(slope, jnp.swapaxes(kernel[::-1, ::-1], 2, 3), 1)
    else:
        of_x = jax.linear_transpose(lambda x: _direct(x, kernel, stride), x)(slope)[0]
    of_kernel = jax.lax.platform_dependent(
        x,
        kernel,
        slope,
        cpu=partial(_kernel_by_columns, stride=stride),
        default=partial(_kernel_directly, stride=stride),
    )
    return of_x, of_kernel


_conv.defvjp(_forward, _backward)


def _kernel_directly(x, kernel, slope, *, stride: int):
    return jax.linear_transpose(lambda kernel: _direct(x, kernel, stride), kernel)(slope)[0]


def _columns(x, size: int, stride: int):
    """What every output reads: [B, H, W, C] -> [B · H' · W', k · k · C]."""
    pad = size // 2
    height, width = (-(-side // stride) for side in x.shape[1:3])
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    ends = stride * (height - 1) + 1, stride * (width - 1) + 1
    shifted = [
        x[:, row : row + ends[0] : stride, column : column + ends[1] : stride]
        for row in range(size)
        for column in range(size)
    ]
    return jnp.concatenate(shifted, axis=-1).reshape(-1, size * size * x.shape[-1])


def _in_blocks(x, numbers: int, *others):
    """x and others [B, ...] as [blocks, B / blocks, ...], `numbers` in the columns of an image."""
    most = min(max(_BLOCK // numbers, 1), len(x))
    images = max(n for n in range(1, most + 1) if len(x) % n == 0)
    return tuple(y.reshape(-1, images, *y.shape[1:]) for y in (x, *others))


def _value_by_columns(x, kernel):
    flat = kernel.reshape(-1, kernel.shape[3])
    (blocks,) = _in_blocks(x, kernel.shape[0] ** 2 * x[0].size)
    y = jax.lax.map(lambda block: _columns(block, kernel.shape[0], 1) @ flat, blocks)
    return y.reshape(*x.shape[:3], -1)


def _kernel_by_columns(x, kernel, slope, *, stride: int):
    def add(total, block):
        x, slope = block
        slope = slope.reshape(-1, slope.shape[-1])
        columns = _columns(x, kernel.shape[0], stride)
        return total + jnp.matmul(columns.T, slope, preferred_element_type=total.dtype), None

    numbers = kernel.shape[0] ** 2 * x[0].size // stride**2
    # Blocks are added in float32 at least.
    wide = jnp.promote_types(slope.dtype, jnp.float32)
    start = jnp.zeros((kernel[..., 0].size, kernel.shape[3]), wide)
    total, _ = jax.lax.scan(add, start, _in_blocks(x, max(numbers, 1), slope))
    return total.reshape(kernel.shape).astype(kernel.dtype)
