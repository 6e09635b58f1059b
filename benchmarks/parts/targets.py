"""Part `targets`: the large sizes that an accelerator is for; on a CPU there is nothing to measure.

`share of peak` of the loss is against this run's own matrix products in bfloat16; the aim is half.
"""

import statistics

import jax.numpy as jnp
import numpy as np

from benchmarks import suite, tasks, timing
from benchmarks.parts import info_nce
from benchmarks.suite import Options, Row

LOSS_ROWS, LOSS_DIMENSION = 131_072, 256


def loss_row(num_rows: int, dimension: int, dtype: str, options: Options) -> Row:
    """Value and gradient of the streamed loss."""
    suite.say(f"streamed loss, N={num_rows}, {dtype}")
    draw = np.random.default_rng(0)
    u, v = (jnp.asarray(draw.standard_normal((num_rows, dimension), np.float32)) for _ in range(2))
    case = ("streamed", "full", info_nce.GRADIENT)
    side = info_nce.library_side(u, v, case, dtype, suite.block_size_of(options))
    seconds = suite.median_seconds({"loss": side}, options)["loss"]
    row: Row = {"what": "streamed loss, value and gradient", "rows": num_rows}
    row |= {"dimension": dimension, "dtype": dtype, "seconds": seconds, "n": options.repeats}
    flops = 2.0 * sum(info_nce.COUNTS[case]) * num_rows**2 * dimension
    return suite.add_work(row, options, flops=flops, dtype=dtype)


def step_row(name: str, num_nodes: int | None, width: int, options: Options) -> Row:
    """A full-graph MVGRL step with mp-mix, every node against every node.

    `num_nodes` None reads the data set; a number draws a graph in its proportions.
    """
    suite.say(f"full-graph step, {name}")
    dataset = tasks.load_nodes(name, options.data_dir, num_nodes)
    block_size = options.block_size or 0
    config = tasks.node_config(
        "pubmed", width=width, sampler="full", mixing="mp", block_size=block_size
    )
    step = tasks.NodeStep(config, dataset)
    first, *seconds = timing.seconds_of_calls(step, tasks.WARM_UP + options.repeats)
    seconds = seconds[tasks.WARM_UP - 1 :]
    row: Row = {"what": f"full-graph step, {dataset.name}", "rows": dataset.graph.num_nodes}
    row |= {"dimension": width, "dtype": "float32", "edges": dataset.graph.num_edges}
    row |= {"first_seconds": first, "seconds": statistics.median(seconds), "n": len(seconds)}
    row |= {name: round(peak) for name, peak in timing.device_peak().items()}
    return row


def rows_of(options: Options) -> list[Row]:
    """The loss in every dtype it has, Pubmed, and a graph of ogbn-arxiv's size."""
    num_rows, dimension, width = LOSS_ROWS, LOSS_DIMENSION, 256
    pubmed = None if suite.data_folder(options) else tasks.NODE_SHAPES["pubmed"].nodes
    arxiv = tasks.NODE_SHAPES["arxiv"].nodes
    if options.quick:
        num_rows, dimension, width, pubmed, arxiv = 64, 16, 8, 60, 80
    rows = [
        loss_row(size, dimension, dtype, options)
        for dtype in ("float32", "bfloat16")
        for size in (options.rows or [num_rows])
    ]
    rows.append(step_row("pubmed", pubmed, width, options))
    rows.append(step_row("arxiv", arxiv, width, options))
    return rows


def measure(options: Options) -> list[Row]:
    """Rows on an accelerator, none on a CPU."""
    if not suite.on_accelerator():
        suite.say("targets are sizes for an accelerator, and JAX has none here")
        return []
    return rows_of(options)
