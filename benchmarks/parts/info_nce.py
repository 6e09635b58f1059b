"""Part `info_nce`: the loss and its gradient, streamed and dense, beside the products they need.

What an InfoNCE costs above all is N×N×D products of two kinds: similarities, [N, D] by [D, N], and
gradients, [N, N] by [N, D]. Both are timed alone, in turns with the loss; `/ products alone` is how
many times longer the loss takes than as many of them as its algorithm computes.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import suite
from benchmarks.suite import Options, Row
from mmix_jax.losses import info_nce

TEMPERATURE = 0.5
# N×N float32 arrays that the dense forms hold at their peak, forward and backward together.
ARRAYS = {"dense": 8, "torch": 16}
TILES = (1024, 2048, 4096)
VALUE, GRADIENT = "value", "value and gradient"


class Products(NamedTuple):
    """How many N×N×D products of either kind an algorithm computes."""

    similarities: int
    gradients: int = 0


# (form, negatives, what is asked for). The streamed form computes half of the symmetric matrix of
# all 2N vectors, and its similarities anew in the backward pass. PyTorch's: see torch/forms.py.
COUNTS = {
    ("streamed", "full", VALUE): Products(2),
    ("streamed", "full", GRADIENT): Products(4, 4),
    ("streamed", "cross", VALUE): Products(1),
    ("streamed", "cross", GRADIENT): Products(2, 2),
    ("dense", "full", VALUE): Products(3),
    ("dense", "full", GRADIENT): Products(3, 4),
    ("dense", "cross", VALUE): Products(1),
    ("dense", "cross", GRADIENT): Products(1, 2),
    ("torch", "full", VALUE): Products(4),
    ("torch", "full", GRADIENT): Products(4, 8),
    ("torch", "cross", VALUE): Products(1),
    ("torch", "cross", GRADIENT): Products(1, 2),
}
Case = tuple[str, str, str]


def plain_products(x: jax.Array, y: jax.Array, tile: int) -> tuple[Callable, Callable]:
    """Sides that compute one product of either kind, tile by tile, and nothing else.

    Nothing but the last tile, or a sum of [tile, D], is kept. N is rounded up to whole tiles of
    equal size, by less than a tile's number of rows in a thousand.
    """
    num_rows = x.shape[0]
    num_tiles = -(-num_rows // tile)
    tile = -(-num_rows // num_tiles)

    def cut(z, place):
        return jax.lax.dynamic_slice_in_dim(z, place * tile, tile)

    @jax.jit
    def similarities(x, y):
        def compute(place, _):
            rows, columns = cut(x, place // num_tiles), cut(y, place % num_tiles)
            return jnp.dot(rows, columns.T, preferred_element_type=jnp.float32)

        start = jnp.zeros((tile, tile), jnp.float32)
        return jax.lax.fori_loop(0, num_tiles**2, compute, start)

    @jax.jit
    def gradients(slopes, y):
        def compute(place, total):
            columns = cut(y, place % num_tiles)
            return total + jnp.dot(slopes, columns, preferred_element_type=jnp.float32)

        start = jnp.zeros((tile, y.shape[1]), jnp.float32)
        return jax.lax.fori_loop(0, num_tiles**2, compute, start)

    slopes = jnp.ones((tile, tile), x.dtype)
    return suite.waiting(similarities, x, y), suite.waiting(gradients, slopes, y)


def fastest_tile(x: jax.Array, y: jax.Array) -> int:
    """The tile with which both products together take least: the loss's competitor is its best."""
    sizes = sorted({min(tile, x.shape[0]) for tile in TILES})
    once = Options(repeats=1)

    def seconds(tile: int) -> float:
        sides = plain_products(x, y, tile)
        return sum(suite.median_seconds(dict(zip("ab", sides, strict=True)), once).values())

    return min(sizes, key=seconds) if len(sizes) > 1 else sizes[0]


def library_side(u, v, case: Case, dtype: str, block_size: int) -> Callable[[], object]:
    """This library's value, or value and gradient."""
    form, negatives, asked = case

    def loss(u, v):
        return info_nce(
            u,
            v,
            temperature=TEMPERATURE,
            negatives=negatives,
            block_size=block_size if form == "streamed" else None,
        )

    wanted = loss if asked == VALUE else jax.value_and_grad(loss, argnums=(0, 1))
    return suite.waiting(jax.jit(wanted), u.astype(dtype), v.astype(dtype))


def cases_of(num_rows: int, dtype: str, options: Options) -> list[Case]:
    """The forms that fit; the torch side has float32 alone."""

    def fits(form: str) -> bool:
        return ARRAYS[form] * 4 * num_rows**2 <= options.limit_gb * 1e9

    forms = ["streamed"]
    forms += ["dense"] if fits("dense") else []
    forms += ["torch"] if suite.HAVE_TORCH and dtype == "float32" and fits("torch") else []
    return [case for case in COUNTS if case[0] in forms]


def loss_of(output: object) -> float:
    """The loss in what a side returned."""
    return float(jax.tree.leaves(output)[0])


def rows_of_size(num_rows: int, dimension: int, dtype: str, options: Options) -> list[Row]:
    """A row per case, all sides in turns, the plain products among them."""
    suite.say(f"N={num_rows}, D={dimension}, {dtype}")
    draw = np.random.default_rng(0)
    u, v = (jnp.asarray(draw.standard_normal((num_rows, dimension), np.float32)) for _ in range(2))
    x, y = u.astype(dtype), v.astype(dtype)
    block_size = suite.block_size_of(options)
    sides: dict = {}
    for case in cases_of(num_rows, dtype, options):
        if case[0] == "torch":
            from benchmarks.torch import forms

            side = forms.info_nce_side(u, v, TEMPERATURE, case[1], case[2] == GRADIENT)
        else:
            side = library_side(u, v, case, dtype, block_size)
        sides[case] = side
    tile = fastest_tile(x, y)
    plain = dict(zip(Products._fields, plain_products(x, y, tile), strict=True))
    first = {name: side() for name, side in {**sides, **plain}.items()}  # compiles
    seconds = suite.median_seconds({**sides, **plain}, options, warm_up=0)
    shape = {"rows": num_rows, "dimension": dimension, "dtype": dtype}
    rows = []
    for case in sides:
        form, negatives, asked = case
        count = COUNTS[case]
        alone = sum(getattr(count, kind) * seconds[kind] for kind in plain)
        row = {"what": f"{form}, {asked}", "negatives": negatives, **shape}
        row |= {"seconds": seconds[case], "n": options.repeats, "products": sum(count)}
        row = suite.add_work(
            row, options, flops=2.0 * sum(count) * num_rows**2 * dimension, dtype=dtype
        )
        row["products_ratio"] = seconds[case] / alone
        torch_case = ("torch", negatives, asked)
        if torch_case in seconds and form != "torch":
            row["torch_ratio"] = seconds[torch_case] / seconds[case]
        row["difference"] = abs(
            loss_of(first[case]) / loss_of(first["streamed", negatives, asked]) - 1
        )
        rows.append(row)
    for kind in plain:
        row = {"what": f"plain product, {kind}", **shape, "tile": tile}
        row |= {"seconds": seconds[kind], "n": options.repeats, "products": 1}
        rows.append(suite.add_work(row, options, flops=2.0 * num_rows**2 * dimension, dtype=dtype))
    return rows


def measure(options: Options) -> list[Row]:
    """Every N and D; on an accelerator bfloat16 vectors too."""
    sizes = options.rows or ([64, 200] if options.quick else [1000, 4000, 10_000, 20_000])
    dimensions = options.dimensions or ([16] if options.quick else [128, 256])
    dtypes = ["float32"]
    if suite.on_accelerator():
        dtypes.append("bfloat16")
    return [
        row
        for dtype in dtypes
        for dimension in dimensions
        for num_rows in sizes
        for row in rows_of_size(num_rows, dimension, dtype, options)
    ]
