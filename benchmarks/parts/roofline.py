"""Peaks of this machine: the best rate of large matrix products, and the bandwidth of a copy.

They are what XLA reaches here with nothing else in the way, not what a data sheet promises; the
other parts name their rates as shares of them.
"""

import statistics
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import suite, timing
from benchmarks.parts import info_nce
from benchmarks.suite import Options, Row


def matmul_seconds(dtype: Any, size: int, *, inner: int, repeats: int) -> list[float]:
    """Seconds of a product of two square matrices, `inner` of them a call."""
    a = jnp.ones((size, size), dtype)

    @jax.jit
    def products(a):
        # Each product feeds the next, scaled back to ones.
        return jax.lax.fori_loop(0, inner, lambda _, x: x @ a * (1.0 / size), a)

    side = suite.waiting(products, a)
    seconds = timing.alternate({"products": side}, repeats=repeats, warm_up=1)["products"]
    return [value / inner for value in seconds]


def thin_rows(dtype: str, tile: int, options: Options) -> list[Row]:
    """Products with one side of 256, either way round: what a loss or an encoder computes."""
    dimension = 16 if options.quick else 256
    x = jnp.ones((2 * tile, dimension), dtype)
    kinds = info_nce.plain_products(x, x, tile)
    names = (f"[N, {dimension}] by [{dimension}, N]", f"[N, N] by [N, {dimension}]")
    medians = suite.median_seconds(dict(zip(names, kinds, strict=True)), options)
    rows = []
    for name, seconds in medians.items():
        row = {"what": f"product {name}", "dtype": dtype, "size": tile}
        row |= {"seconds": seconds, "n": options.repeats}
        rows.append(suite.add_work(row, options, flops=2.0 * (2 * tile) ** 2 * dimension))
    return rows


def copy_seconds(nbytes: int, *, inner: int, repeats: int) -> list[float]:
    """Seconds in which every float32 of an array is read, and written one larger."""
    x = jnp.zeros((nbytes // 4,), jnp.float32)
    copies = jax.jit(lambda x: jax.lax.fori_loop(0, inner, lambda _, x: x + 1, x))
    sides = {"copies": suite.waiting(copies, x)}
    seconds = timing.alternate(sides, repeats=repeats, warm_up=1)["copies"]
    return [value / inner for value in seconds]


def matmul_peak(dtype: Any, *, size: int, repeats: int = 3) -> float:
    """Measured FLOP/s of products of square matrices of `size`."""
    return 2 * size**3 / min(matmul_seconds(dtype, size, inner=10, repeats=repeats))


def measure(options: Options) -> list[Row]:
    """Products in float32 and bfloat16 at several sizes, and copies of two arrays."""
    accelerator = suite.on_accelerator()
    if options.quick:
        sizes, arrays, inner = [64, 128], [2**20], 2
    elif accelerator:
        sizes, arrays, inner = [4096, 8192, 16384], [2**28, 2**31], 10
    else:
        sizes, arrays, inner = [512, 1024, 2048, 4096], [2**26, 2**29], 4
    rows = []
    for dtype in ("float32", "bfloat16"):
        for size in sizes:
            suite.say(f"{dtype} products of {size} x {size}")
            seconds = matmul_seconds(dtype, size, inner=inner, repeats=options.repeats)
            row = {"what": "matrix product", "dtype": dtype, "size": size}
            row |= {"seconds": statistics.median(seconds), "n": len(seconds)}
            rows.append(suite.add_work(row, options, flops=2.0 * size**3))
        rows += thin_rows(dtype, sizes[-1], options)
    for nbytes in arrays:
        seconds = copy_seconds(nbytes, inner=inner, repeats=options.repeats)
        row = {"what": "copy", "dtype": "float32", "size": nbytes}
        row |= {"seconds": statistics.median(seconds), "n": len(seconds)}
        rows.append(suite.add_work(row, options, nbytes=2.0 * nbytes))
    return rows
