"""Part `mixing`: every rule along edges and over pairs, beside plain PyTorch for mo and mp.

Timed is the mixture alone: the statistics beside it are not asked for, so the compiler leaves them
out. Gradients are those of Σ ẑ·g for a fixed g, in the embeddings and in both projections.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import suite
from benchmarks.suite import Options, Row
from mmix_jax.mixing import PAIR_CANDIDATES, RULES, mix_edges, mix_pairs

MEAN_DEGREE = 10
SELF_WEIGHT = 0.2
THRESHOLD = {"mp": 0.0}  # of candidates `op`; other rules: 0.9 would leave noise unmixed
OTHER_THRESHOLD = 0.05
TORCH_RULES = ("mo", "mp")
QUICK_RULES = ("mo", "mp", "random")  # compiling takes most of the time there
TORCH_ARRAYS = 10  # N×N float32 arrays that the torch side holds at its peak
FORWARD, GRADIENT = "forward", "forward and gradient"


class Inputs(NamedTuple):
    """Embeddings, both projections, and what mixtures are multiplied by: [N, D] each."""

    z: jax.Array
    q: jax.Array
    k: jax.Array
    target: jax.Array


def draw_inputs(num_rows: int, dimension: int) -> Inputs:
    draw = np.random.default_rng(0)
    shape = (num_rows, dimension)
    return Inputs(*(jnp.asarray(draw.standard_normal(shape, np.float32)) for _ in range(4)))


def draw_edges(num_nodes: int) -> tuple[jax.Array, jax.Array]:
    """Both directions of a random graph's edges, sorted by receiver as a `Graph`'s are."""
    draw = np.random.default_rng(0)
    one_way = draw.integers(num_nodes, size=(2, num_nodes * MEAN_DEGREE // 2))
    one_way = one_way[:, one_way[0] != one_way[1]]
    both = np.unique(np.concatenate([one_way, one_way[::-1]], axis=1), axis=1)
    receivers, senders = both.astype(np.int32)
    return jnp.asarray(senders), jnp.asarray(receivers)


def rules_of(options: Options) -> tuple[str, ...]:
    return QUICK_RULES if options.quick else tuple(RULES)


def products(rule: str, candidates: str, *, streamed: bool) -> tuple[int, int]:
    """N×N×D products that a rule over pairs needs: forward, and with the gradient.

    Scores where the rule or `op` reads them, and weights times rows. Backward: two of either for a
    rule whose weights carry a gradient, else one for the rows alone. Streamed: as
    `mixing.streamed` counts, where the best candidate is looked up; `random`, by rows, all anew.
    """
    if rule == "none":
        return 0, 0
    smooth = rule in TORCH_RULES
    if streamed and rule != "random":
        return {"binary": (1, 1), "neighbour_mean": (2, 4)}.get(rule, (2, 7))
    forward = 1 + (smooth or rule == "binary" or candidates == "op")
    return forward, forward * (2 if streamed else 1) + (4 if smooth else 1)


def library_side(
    mix: Callable[..., Any], rule: str, inputs: Inputs, asked: str
) -> Callable[[], Any]:
    """The mixture [N, D], or with its gradient, jitted."""

    def forward(z, q, k):
        projections = {"q": q, "k": k} if rule == "mp" else {}
        return mix(z, rule=rule, key=jax.random.key(0), **projections).z_mixed

    def product(z, q, k, target):
        mixed = forward(z, q, k)
        return jnp.sum(mixed * target), mixed

    if asked == FORWARD:
        return suite.waiting(jax.jit(forward), *inputs[:3])
    compute = jax.jit(jax.value_and_grad(product, argnums=(0, 1, 2), has_aux=True))
    return suite.waiting(compute, *inputs)


def mixture_of(output: Any) -> np.ndarray:
    """The mixture in what a side returned."""
    while isinstance(output, tuple):  # ((product, mixture), gradients)
        output = output[0][1]
    return np.asarray(output)


def rows_of_rule(
    rule: str, inputs: Inputs, mix: Callable, torch_mix: Callable | None, options: Options
) -> list[Row]:
    """Rows of a rule, forward and with the gradient; PyTorch in turns where it has the rule."""
    rows = []
    for asked in (FORWARD, GRADIENT):
        sides = {"jax": library_side(mix, rule, inputs, asked)}
        if torch_mix is not None and rule in TORCH_RULES:
            from benchmarks.torch import forms

            sides["torch"] = forms.mixing_side(
                partial(torch_mix, rule=rule), *inputs, asked == GRADIENT
            )
        first = {name: mixture_of(side()) for name, side in sides.items()}  # compiles
        seconds = suite.median_seconds(sides, options, warm_up=0)
        row: Row = {"what": f"{rule}, {asked}", "rows": inputs.z.shape[0]}
        row["dimension"] = inputs.z.shape[1]
        suite.with_torch(row, seconds, options)
        if "torch" in first:
            scale = float(np.linalg.norm(first["torch"]))
            row["difference"] = float(np.linalg.norm(first["jax"] - first["torch"])) / scale
        rows.append(row)
    return rows


def rows_of_edges(num_nodes: int, dimension: int, options: Options) -> list[Row]:
    """Every rule along the edges of a random graph."""
    inputs, (senders, receivers) = draw_inputs(num_nodes, dimension), draw_edges(num_nodes)
    mix = partial(mix_edges, senders=senders, receivers=receivers, self_weight=SELF_WEIGHT)
    torch_mix = None
    if suite.HAVE_TORCH:
        from benchmarks.torch import forms

        ends = [forms.tensor(x).long() for x in (senders, receivers)]
        torch_mix = partial(
            forms.mix_edges, senders=ends[0], receivers=ends[1], self_weight=SELF_WEIGHT
        )
    rows = []
    for rule in rules_of(options):
        suite.say(f"edges of {num_nodes} nodes, {rule}")
        of_rule = rows_of_rule(rule, inputs, mix, torch_mix, options)
        # Forward alone is counted: what a sender's row must be fetched for, scores and mixture.
        fetched = {"none": 0, "mo": 3, "mp": 3, "binary": 3}.get(rule, 1) * len(senders)
        suite.add_work(of_rule[0], options, nbytes=4.0 * dimension * (fetched + 2 * num_nodes))
        rows += [{"candidates": "wp", "edges": len(senders), **row} for row in of_rule]
    return rows


def rows_of_pairs(
    num_rows: int, dimension: int, block_size: int | None, options: Options
) -> list[Row]:
    """Every rule over pairs, all of them or those above a threshold."""
    inputs, rows = draw_inputs(num_rows, dimension), []
    for candidates in ("op",) if options.quick else PAIR_CANDIDATES:
        for rule in rules_of(options):
            if rule == "propagate":  # runs along edges
                continue
            suite.say(f"pairs of {num_rows} rows, {rule}, {candidates}")
            shared: dict[str, Any] = {
                "threshold": THRESHOLD.get(rule, OTHER_THRESHOLD),
                "self_weight": SELF_WEIGHT,
            }
            mix = partial(mix_pairs, candidates=candidates, block_size=block_size, **shared)
            torch_mix = None
            if suite.HAVE_TORCH and TORCH_ARRAYS * 4 * num_rows**2 <= options.limit_gb * 1e9:
                from benchmarks.torch import forms

                if candidates == "all":
                    shared["threshold"] = None
                torch_mix = partial(forms.mix_pairs, **shared)
            of_rule = rows_of_rule(rule, inputs, mix, torch_mix, options)
            counts = products(rule, candidates, streamed=block_size is not None)
            for row, count in zip(of_rule, counts, strict=True):
                suite.add_work(row, options, flops=2.0 * count * num_rows**2 * dimension)
            form = "dense" if block_size is None else f"blocks of {block_size}"
            rows += [{"candidates": candidates, "form": form, **row} for row in of_rule]
    return rows


def measure(options: Options) -> list[Row]:
    """Edges, dense pairs, and pairs in blocks."""
    edges, dense, streamed, dimension = 20_000, 2000, 10_000, 256
    block_size = min(suite.block_size_of(options), 1024)
    if options.quick:
        edges, dense, streamed, dimension, block_size = 60, 20, 40, 8, 16
    rows = rows_of_edges(edges, dimension, options)
    rows += rows_of_pairs(dense, dimension, None, options)
    rows += rows_of_pairs(streamed, dimension, block_size, options)
    # One order of columns for all three: what is mixed first.
    return [{"what": row["what"], **row} for row in rows]
