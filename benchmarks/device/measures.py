"""What is measured on the device, each in a process of its own: `measures NAME FILE [--quick]`.

A measure yields rows; each is a line of FILE as soon as it is known.
"""

import functools
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import suite, tasks, timing
from benchmarks.parts import targets
from benchmarks.parts.roofline import matmul_peak
from benchmarks.parts.steps import flops_of_images
from benchmarks.scripts.images_vs_torch import operations
from benchmarks.suite import Options, Row
from mmix_jax.errors import MissingData
from mmix_jax.frameworks import simclr
from mmix_jax.losses import info_nce
from mmix_jax.mixing import mix_pairs

EPOCH = 50_000
RECIPE = 512  # the batch of the strong recipe
# What rounding may make of them.
GOLDEN_DIFFERS, STREAMED_DIFFERS = 1e-4, {"float32": 1e-3, "bfloat16": 3e-2}
GOLDEN = Path(__file__).parents[2] / "tests/golden/image_mix_b8d16.npz"


def checks(quick: bool) -> Iterator[Row]:
    """The authors' numbers of mixing and NT-Xent; the streamed loss beside the dense one."""
    with np.load(GOLDEN) as archive:
        golden = {name: archive[name].astype(np.float32) for name in archive.files}

    @jax.jit
    def mixed(out_1, out_2, threshold):
        z = mix_pairs(
            out_1, rule="mo", candidates="op", threshold=threshold, self_weight=None,
            mix_normalised=True, stop_gradient=True,
        ).z_mixed  # fmt: skip
        temperature = float(golden["temperature"])
        return z, info_nce(z, out_2, temperature=temperature, normalise=False)

    with jax.default_matmul_precision("highest"):
        for threshold in ("0.0", "0.3", "0.9"):
            z, loss = mixed(golden["out_1"], golden["out_2"], float(threshold))
            wanted = golden[f"f64_thr{threshold}_mixed_1"], golden[f"f64_thr{threshold}_loss"]
            difference = float(max(abs(z - wanted[0]).max(), abs(loss - wanted[1])))
            yield {
                "what": f"golden mixing and NT-Xent, threshold {threshold}",
                "difference": difference, "holds": difference < GOLDEN_DIFFERS,
            }  # fmt: skip
    rows, dimension = (64, 16) if quick else (8192, 256)
    draw = np.random.default_rng(0)
    u, v = (jnp.asarray(draw.standard_normal((rows, dimension), np.float32)) for _ in range(2))
    for dtype in ("float32", "bfloat16"):

        def of_rows(u, v, block_size):
            return info_nce(u, v, temperature=0.5, block_size=block_size)

        compute = jax.jit(jax.value_and_grad(of_rows), static_argnums=2)
        dense = compute(u.astype(dtype), v.astype(dtype), None)
        streamed = compute(u.astype(dtype), v.astype(dtype), rows // 4)
        gradients = [np.asarray(gradient, np.float64) for _, gradient in (dense, streamed)]
        value = abs(float(dense[0]) - float(streamed[0])) / float(dense[0])
        apart = np.linalg.norm(gradients[0] - gradients[1])
        gradient = float(apart / np.linalg.norm(gradients[0]))
        yield {
            "what": f"streamed less dense loss, {dtype}", "rows": rows, "dimension": dimension,
            "value_differs": value, "gradient_differs": gradient,
            "holds": max(value, gradient) < STREAMED_DIFFERS[dtype],
        }  # fmt: skip


@functools.cache
def _peak(quick: bool) -> float:
    size = 64 if quick else 8192
    return matmul_peak(jnp.float32 if quick else jnp.bfloat16, size=size)


def _step_on_images(
    rule: str, batch_size: int, quick: bool, chunk: int
) -> tuple[tasks.ImageStep, float]:
    """A dispatch of `chunk` steps, and the FLOP of it."""
    width, precision = (8, "float32") if quick else (64, "bfloat16")
    config = tasks.image_config(rule, batch_size=batch_size, precision=precision, width=width)
    if quick:
        config.stages = (1,)
    dataset = tasks.random_images(batch_size * chunk)
    flops = chunk * flops_of_images(batch_size, width, tuple(config.stages))
    return tasks.ImageStep(config, dataset, chunk=chunk), flops


def _epochs(quick: bool, batch_size: int) -> Iterator[Row]:
    """Seconds of an epoch of CIFAR-10's size, one dispatch, with and without mixing."""
    for rule in tasks.IMAGE_RULES:
        suite.say(f"epochs of {rule}, batches of {batch_size}")
        chunk = 2 if quick else EPOCH // batch_size
        step, flops = _step_on_images(rule, batch_size, quick, chunk)
        first, *seconds = timing.seconds_of_calls(step, 1 + tasks.WARM_UP)
        median = statistics.median(seconds[-2:])
        yield {
            "what": f"epoch, {rule}", "batch": batch_size, "first_seconds": first,
            "seconds": median, "n": len(seconds[-2:]),
            "images_per_s": chunk * batch_size / median,
            "share_of_peak": flops / median / _peak(quick),
            **{name: round(value) for name, value in timing.device_peak().items()},
        }  # fmt: skip


def epochs(quick: bool) -> Iterator[Row]:
    """At the batch of the strong recipe."""
    return _epochs(quick, 16 if quick else RECIPE)


def epochs_large(quick: bool) -> Iterator[Row]:
    """At batches of 2,048."""
    return _epochs(quick, 32 if quick else 2048)


def epochs_small(quick: bool) -> Iterator[Row]:
    """At the paper's batches of 256."""
    return _epochs(quick, 8 if quick else 256)


def versus_torch(quick: bool) -> Iterator[Row]:
    """The same steps by PyTorch, channels_last, autocast and compiled, in turns; a few of them."""
    if importlib.util.find_spec("torch") is None:
        yield {"what": "PyTorch is not installed here"}
        return
    device = suite.set_up_torch("images", None)
    from benchmarks.torch import images

    batch_size, chunk = (8, 2) if quick else (RECIPE, 20)
    for rule in tasks.IMAGE_RULES:
        step, _ = _step_on_images(rule, batch_size, quick, chunk)
        sides: dict[str, Callable[[], object]] = {
            "jax": step, "torch": images.reference_steps(step, device, eager=quick)
        }  # fmt: skip
        options = Options(repeats=3)
        row: Row = {"what": f"{chunk} steps, {rule}", "batch": batch_size}
        seconds = suite.median_seconds(sides, options, warm_up=tasks.WARM_UP)
        yield suite.with_torch(row, seconds, options)


def loss(quick: bool) -> Iterator[Row]:
    """The streamed loss over 131,072 rows of 256, and its share of the peak."""
    size = 64 if quick else 8192
    for dtype in ("float32", "bfloat16"):
        peaks = {dtype: matmul_peak(dtype, size=size)}
        options = Options(quick=quick, repeats=3, peaks=peaks)
        rows, dimension = targets.LOSS_ROWS, targets.LOSS_DIMENSION
        if quick:
            rows, dimension = 64, 16
        yield targets.loss_row(rows, dimension, dtype, options)


def graphs(quick: bool) -> Iterator[Row]:
    """Steps on the whole of Pubmed, drawn where its files are not there, and on 169,343 nodes."""
    options = Options(quick=quick, repeats=3)
    width, sizes = (8, (60, 80)) if quick else (256, (None, tasks.NODE_SHAPES["arxiv"].nodes))
    for name, size in zip(("pubmed", "arxiv"), sizes, strict=True):
        try:
            yield targets.step_row(name, size, width, options)
        except MissingData:
            yield targets.step_row(name, tasks.NODE_SHAPES[name].nodes, width, options)


def profile(quick: bool) -> Iterator[Row]:
    """Ten costliest kinds of operations in steps of mo-mix, and the steps' share of the peak."""
    step, flops = _step_on_images("mo_op", 8 if quick else RECIPE, quick, 2 if quick else 20)
    step(), step()
    (seconds,) = timing.seconds_of_calls(step, 1)
    yield {"what": "steps", "seconds": seconds, "share_of_peak": flops / seconds / _peak(quick)}
    images = step.tables.images[: step.config.batch_size]
    views = jax.jit(functools.partial(simclr.two_views, step.settings))
    keys = jax.random.split(jax.random.key(0), 1 + tasks.WARM_UP)
    *_, alone = [timing.seconds_of_calls(suite.waiting(views, images, key), 1)[0] for key in keys]
    yield {
        "what": "augmentation alone",
        "seconds": step.chunk * alone,
        "share": step.chunk * alone / seconds,
    }
    for operation in operations(step)[:10]:
        yield {
            "what": operation.kind, "share": operation.share, "seconds": operation.seconds,
            "calls": operation.calls,
        }  # fmt: skip


def machine(quick: bool) -> Iterator[Row]:
    """The machine that all of it ran on."""
    yield {"what": "machine", **timing.machine()}


MEASURES: dict[str, Callable[[bool], Iterator[Row]]] = {
    measure.__name__: measure
    for measure in (
        *(machine, checks, epochs, epochs_large, epochs_small, loss, graphs, profile),
        versus_torch,
    )
}


def main(name: str, path: str, *flags: str) -> int:
    """Append a measure's rows to the file, each when it is known; 1 where a check does not hold."""
    failed = []
    with open(path, "a", encoding="utf-8") as file:
        for row in MEASURES[name]("--quick" in flags):
            file.write(json.dumps(row) + "\n")
            file.flush()
            if not row.get("holds", True):
                failed.append(row["what"])
    if failed:
        print(f"error: does not hold here: {'; '.join(failed)}; see {path}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
