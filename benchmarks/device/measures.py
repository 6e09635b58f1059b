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
from mmix_jax.frameworks import simclr
from mmix_jax.losses import info_nce
from mmix_jax.mixing import mix_pairs

EPOCH = 50_000
RECIPE = 512  # the batch of the strong recipe
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
            yield {
                "what": f"golden mixing and NT-Xent, threshold {threshold}",
                "difference": float(max(abs(z - wanted[0]).max(), abs(loss - wanted[1]))),
            }
    rows, dimension = (64, 16) if quick else (8192, 256)
    draw = np.random.default_rng(0)
    u, v = (jnp.asarray(draw.standard_normal((rows, dimension), np.float32)) for _ in range(2))
    for dtype in ("float32", "bfloat16"):

        def loss(u, v, block_size):
            return info_nce(u, v, temperature=0.5, block_size=block_size)

        compute = jax.jit(jax.value_and_grad(loss), static_argnums=2)
        dense = compute(u.astype(dtype), v.astype(dtype), None)
        streamed = compute(u.astype(dtype), v.astype(dtype), rows // 4)
        gradients = [np.asarray(gradient, np.float64) for _, gradient in (dense, streamed)]
        yield {
            "what": f"streamed less dense loss, {dtype}", "rows": rows, "dimension": dimension,
            "value_differs": abs(float(dense[0]) - float(streamed[0])) / float(dense[0]),
            "gradient_differs": float(
                np.linalg.norm(gradients[0] - gradients[1]) / np.linalg.norm(gradients[0])
            ),
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


def epochs(quick: bool) -> Iterator[Row]:
    """Seconds of an epoch of CIFAR-10's size, one dispatch, with and without mixing."""
    for batch_size in (16, 8) if quick else (RECIPE, 2048, 256):
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


def large(quick: bool) -> Iterator[Row]:
    """The streamed loss over 131,072 rows, steps on the whole of Pubmed and of 169,343 nodes."""
    yield from targets.rows_of(Options(quick=quick, repeats=3))


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
    measure.__name__: measure for measure in (machine, checks, epochs, large, profile, versus_torch)
}


def main(name: str, path: str, *flags: str) -> None:
    """Append a measure's rows to the file, each when it is known."""
    with open(path, "a", encoding="utf-8") as file:
        for row in MEASURES[name]("--quick" in flags):
            file.write(json.dumps(row) + "\n")
            file.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
