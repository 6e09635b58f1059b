"""Part `diffusion`: PageRank and heat of features, beside as exact a power series in PyTorch.

The library truncates a Chebyshev series, PyTorch's side the plain power series (Neumann's for
PageRank, Taylor's for heat), each where the dropped coefficients sum to the same tolerance.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import suite
from benchmarks.parts.steps import citation_graph
from benchmarks.suite import Options, Row
from mmix_jax.graphs import diffuse, gcn_weights
from mmix_jax.graphs.diffusion import chebyshev_coefficients
from mmix_jax.graphs.normalize import sparse_operator

ALPHA, TIME, TOLERANCE = 0.2, 5.0, 1e-5
OURS_HOST, OURS_DEVICE, TORCH = "library, host", "library, device", "torch, power series"


def power_coefficients(kind: str) -> np.ndarray:
    """c_k of Σ c_k Â^k, as few as leave no more than the tolerance: their whole sum is 1."""
    k = np.arange(1000)
    if kind == "ppr":
        series = ALPHA * (1 - ALPHA) ** k
    else:
        logs = np.cumsum(np.log(np.maximum(k, 1)))  # of k!
        series = np.exp(-TIME + k * math.log(TIME) - logs)
    return series[: 1 + np.count_nonzero(np.cumsum(series) < 1 - TOLERANCE)]


def measure(options: Options) -> list[Row]:
    """Both kinds on the host (SciPy), on the device (XLA), and in PyTorch."""
    dataset = citation_graph("pubmed", options)
    name, graph = dataset.name, dataset.graph
    size, width = graph.x.shape
    edges = (graph.senders, graph.receivers)
    x = jnp.asarray(graph.x)
    traced = jax.jit(diffuse, static_argnames=("kind", "alpha", "t", "tol"))
    rows = []
    for kind in ("ppr", "heat"):
        suite.say(f"{kind} of {name}, {size} nodes")
        settings = {"kind": kind, "alpha": ALPHA, "t": TIME, "tol": TOLERANCE}
        power, terms = power_coefficients(kind), len(chebyshev_coefficients(*settings.values()))
        sides = {
            OURS_HOST: lambda settings=settings: diffuse(graph.x, *edges, **settings),
            OURS_DEVICE: lambda settings=settings: jax.block_until_ready(
                traced(x, *(jnp.asarray(end) for end in edges), **settings)
            ),
        }
        counts = {OURS_HOST: terms - 1, OURS_DEVICE: terms - 1}
        if suite.HAVE_TORCH:
            from benchmarks.torch import forms

            weights = gcn_weights(*edges, size, graph.edge_weight)
            operator = sparse_operator(*edges, *weights, size, np.float32)
            sides[TORCH] = forms.power_side(operator, graph.x, power)
            counts[TORCH] = len(power) - 1
        first = {side: np.asarray(call()) for side, call in sides.items()}  # compiles
        medians = suite.median_seconds(sides, options, warm_up=0)
        for side, seconds in medians.items():
            row = {"what": f"{kind}, {side}", "data": name, "rows": size, "features": width}
            row |= {"edges": graph.num_edges, "products": counts[side]}
            row |= {"seconds": seconds, "n": options.repeats}
            # A product reads a row of features for every entry of Â, and writes one for every node.
            entries = graph.num_edges + size
            suite.add_work(row, options, nbytes=4.0 * counts[side] * width * (entries + size))
            if TORCH in medians and side != TORCH:
                row["torch_ratio"] = medians[TORCH] / seconds
            apart = np.linalg.norm(first[side] - first[OURS_HOST])
            row["difference"] = float(apart / np.linalg.norm(first[OURS_HOST]))
            rows.append(row)
    return rows
