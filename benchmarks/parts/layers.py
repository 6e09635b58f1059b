"""Part `layers`: what every 3×3 convolution of ResNet-18 runs at, beside PyTorch's.

A value, and a value with both gradients, of images that are there already; three times the products
of the value alone.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import suite
from benchmarks.suite import Options, Row
from mmix_jax.encoders.convolution import conv

IMAGES = 128
# Height and width, channels in and out: of each stage, behind its first convolution.
LAYERS = ((32, 64), (16, 128), (8, 256), (4, 512))
ASKED = {"value": 1, "value and gradients": 3}


def library_side(x: np.ndarray, kernel: np.ndarray, asked: str, dtype: str) -> Callable:
    """This library's convolution of NHWC images by an HWIO kernel."""
    images, weights = jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)
    if asked == "value":
        return suite.waiting(jax.jit(conv), images, weights)

    def both(x, kernel):
        y, pull = jax.vjp(conv, x, kernel)
        return y, pull(y)

    return suite.waiting(jax.jit(both), images, weights)


def difference(ours: Any, theirs: Any) -> float:
    """The largest between JAX's arrays and PyTorch's, relative to the largest number of each."""
    arrays = [y.float().cpu().numpy() for y in theirs]
    pairs = zip(jax.tree.leaves(ours), arrays, strict=True)
    return max(
        float(np.abs(np.asarray(x, np.float32) - y).max() / np.abs(y).max()) for x, y in pairs
    )


def measure(options: Options) -> list[Row]:
    """Two rows a layer, all sides in turns."""
    dtype = "bfloat16" if suite.on_accelerator() else "float32"
    count = 2 if options.quick else IMAGES
    rows, draw = [], np.random.default_rng(0)
    for size, channels in ((4, 8),) if options.quick else LAYERS:
        x = draw.standard_normal((count, size, size, channels), np.float32)
        kernel = draw.standard_normal((3, 3, channels, channels), np.float32)
        for asked, times in ASKED.items():
            suite.say(f"{size} x {size}, {channels} channels, {asked}")
            sides = {"jax": library_side(x, kernel, asked, dtype)}
            if suite.HAVE_TORCH:
                from benchmarks.torch import forms

                sides["torch"] = forms.convolution_side(x, kernel, asked != "value", dtype)
            seconds = suite.median_seconds(sides, options, warm_up=2)
            row: Row = {"what": f"3 x 3, {asked}", "images": count, "side": size}
            row |= {"channels": channels, "dtype": dtype}
            suite.with_torch(row, seconds, options)
            flops = 2.0 * times * count * size**2 * 9 * channels**2
            suite.add_work(row, options, flops=flops, dtype=dtype)
            if "torch" in sides:
                row["difference"] = difference(*(sides[name]() for name in ("jax", "torch")))
            rows.append(row)
    return rows
