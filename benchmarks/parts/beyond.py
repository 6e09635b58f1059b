"""Part `beyond`: what the options beyond the paper cost, beside the plain loss.

The loss with its gradient, all options in turns; memory is what the compiled program sets aside
beside its inputs and outputs, which hangs on the program alone.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import suite
from benchmarks.suite import Options, Row
from mmix_jax.losses import info_nce
from mmix_jax.mixing import mix_pairs, synthetic_negatives

TEMPERATURE = 0.5
PLAIN = "plain"
# Options of the loss, and of the mixtures that join its negatives.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    PLAIN: ({}, None),
    "debiased": ({"debiased": 0.1}, None),
    "debiased, hardness 1": ({"debiased": 0.1, "hardness": 1.0}, None),
    "negatives, s = 16, m = 4": ({}, {}),
    "… and the hardest 1 % skipped": ({}, {"skip_hardest": 0.01}),
    "mo-mix of anchors (all)": ({}, None),
}


def loss_of(case: str, block_size: int | None) -> Callable:
    """(u, v, key) -> the loss with this option."""
    options, synthetic = CASES[case]
    options = options | {"temperature": TEMPERATURE, "block_size": block_size}

    def loss(u, v, key):
        if case.startswith("mo-mix"):
            u = mix_pairs(u, candidates="all", block_size=block_size).z_mixed
        if synthetic is None:
            return info_nce(u, v, **options)
        of_u, of_v = (
            synthetic_negatives(a, b, key=k, block_size=block_size, **synthetic).vectors
            for (a, b), k in zip(((u, v), (v, u)), jax.random.split(key), strict=True)
        )
        return info_nce(u, v, synthetic_u=of_u, synthetic_v=of_v, **options)

    return loss


def rows_of_size(num_rows: int, dimension: int, form: str, options: Options) -> list[Row]:
    """A row per case, all in turns."""
    suite.say(f"N={num_rows}, D={dimension}, {form}")
    draw = np.random.default_rng(0)
    u, v = (jnp.asarray(draw.standard_normal((num_rows, dimension), np.float32)) for _ in range(2))
    key = jax.random.key(0)
    block_size = suite.block_size_of(options) if form == "streamed" else None
    sides, memory = {}, {}
    for case in CASES:
        program = jax.jit(jax.value_and_grad(loss_of(case, block_size), argnums=(0, 1)))
        compiled = program.lower(u, v, key).compile()
        analysis = compiled.memory_analysis()
        memory[case] = None if analysis is None else analysis.temp_size_in_bytes / 1e6
        sides[case] = suite.waiting(compiled, u, v, key)
    seconds = suite.median_seconds(sides, options)
    rows = []
    for case in CASES:
        row: Row = {"what": case, "form": form, "rows": num_rows, "dimension": dimension}
        row |= {"seconds": seconds[case], "n": options.repeats}
        row |= {"plain_ratio": seconds[case] / seconds[PLAIN], "temporary_mb": memory[case]}
        rows.append(row)
    return rows


def measure(options: Options) -> list[Row]:
    """A batch of a citation graph in both forms, and a larger one streamed."""
    sizes = [(2048, "dense"), (2048, "streamed"), (8192, "streamed")]
    if options.quick:
        sizes = [(64, "dense"), (100, "streamed")]
        options = options._replace(block_size=32)
    dimension = 16 if options.quick else 256
    return [row for size, form in sizes for row in rows_of_size(size, dimension, form, options)]
