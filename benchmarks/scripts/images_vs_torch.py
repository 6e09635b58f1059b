"""Pretraining on images: this library against SimCLR in PyTorch, the authors' code in behaviour.

    python -m benchmarks.scripts.images_vs_torch   # a CPU: a step of 64 images
    python -m benchmarks.scripts.images_vs_torch --batch_sizes 256 512 2048   # a GPU: whole epochs
    python -m benchmarks.scripts.images_vs_torch --profile  # where this library's step goes

Prints whether both sides compute the same, then seconds per step (and per epoch of 50,000 images),
measured in turns in this one process. This library's step holds its augmentation; PyTorch's gets
its views ready on a CPU, and augments on the device itself on a GPU, with channels_last, bfloat16
autocast and torch.compile. Without torch only this library is measured.
"""

import argparse
import collections
import gzip
import json
import re
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from benchmarks import suite, tasks, timing
from benchmarks.parts.roofline import matmul_peak
from benchmarks.parts.steps import flops_of_images

EPOCH = 50_000
SHOWN = 14
# Spans that hold others, or wait for them.
OUTER = re.compile(
    r"^(\$|np\.asarray|Thunk|Pjit|Tfrt|Execute|Await|Slinky|while)|block_until_ready|::"
)


class Operation(NamedTuple):
    """A kind of operation: its share of all operations' time, its seconds and calls."""

    kind: str
    share: float
    seconds: float
    calls: int


def operations(function: Callable[[], object]) -> list[Operation]:
    """What a call spends its time on, the costliest kind first.

    Kinds are the compiler's names without their numbers. Times of operations that run side by side
    add up, so shares are of work, not of the clock.
    """
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, create_perfetto_trace=True):
            function()
        (path,) = Path(folder).rglob("perfetto_trace.json.gz")
        with gzip.open(path) as stream:
            events = json.load(stream)["traceEvents"]
    seconds: dict[str, float] = collections.defaultdict(float)
    calls: dict[str, int] = collections.defaultdict(int)
    for event in events:
        if event.get("ph") == "X" and not OUTER.search(event["name"]):
            kind = re.sub(r"[.\d]+(\.clone)?$", "", event["name"])
            seconds[kind] += event["dur"] / 1e6
            calls[kind] += 1
    whole = sum(seconds.values())
    ordered = sorted(seconds, key=lambda kind: -seconds[kind])
    return [Operation(kind, seconds[kind] / whole, seconds[kind], calls[kind]) for kind in ordered]


def print_times(args, device: str, batch_size: int, peak: float) -> None:
    """One table: steps of a batch size, for every rule."""
    chunk = args.chunk or (1 if jax.default_backend() == "cpu" else EPOCH // batch_size)
    dataset = tasks.random_images(max(batch_size, min(EPOCH, chunk * batch_size)))
    precision = args.precision or ("float32" if jax.default_backend() == "cpu" else "bfloat16")
    for rule in args.rules:
        config = tasks.image_config(
            rule, batch_size=batch_size, precision=precision, width=args.width
        )
        step = tasks.ImageStep(config, dataset, chunk=chunk)
        print(
            f"\n{rule}: {chunk} steps of {batch_size} images, two views each, {precision}; "
            f"medians of n={args.repeats}"
        )
        sides: dict[str, Callable[[], object]] = {"jax": step}
        if suite.HAVE_TORCH:
            from benchmarks.torch import images

            print(f"  {images.check_same(step)}")
            sides["torch"] = images.reference_steps(step, device, eager=args.eager)
        seconds = timing.alternate(sides, repeats=args.repeats, warm_up=args.warm_up, pause=1.0)
        print("\n".join(timing.ratio_lines(seconds, "jax")))
        for side, values in seconds.items():
            per_step = statistics.median(values) / chunk
            share = flops_of_images(batch_size, args.width) / per_step / peak
            print(
                f"  {side:<6}{batch_size / per_step:>10.0f} images/s, "
                f"{EPOCH // batch_size * per_step:.2f} s an epoch of {EPOCH:,}, "
                f"{100 * share:.0f} % of the products' peak",
                flush=True,
            )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Training steps on images, against PyTorch.")
    on_cpu = jax.default_backend() == "cpu"
    parser.add_argument(
        "--batch_sizes", nargs="+", type=int, default=[64] if on_cpu else [256, 512, 2048]
    )
    parser.add_argument(
        "--rules", nargs="+", choices=tasks.IMAGE_RULES, default=list(tasks.IMAGE_RULES)
    )
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--precision", choices=("float32", "bfloat16"))
    parser.add_argument("--chunk", type=int, help="steps a dispatch; default: 1, on a GPU an epoch")
    parser.add_argument("--repeats", type=int, default=5, help="timed dispatches of each side")
    parser.add_argument("--warm_up", type=int, default=1, help="dispatches before, which compile")
    parser.add_argument("--torch_device", help="default: cuda where torch finds it, else cpu")
    parser.add_argument("--eager", action="store_true", help="no torch.compile")
    parser.add_argument("--profile", action="store_true", help="operations of one step, and end")
    return parser.parse_args()


def main() -> None:
    args = parse()
    print(timing.header())
    if args.profile:
        size = args.batch_sizes[0]
        config = tasks.image_config(
            args.rules[0], batch_size=size, precision=args.precision or "float32", width=args.width
        )
        step = tasks.ImageStep(config, tasks.random_images(size))
        step()
        for operation in operations(step)[:SHOWN]:
            kind, share, seconds, calls = operation
            print(f"  {100 * share:5.1f} %  {seconds:8.4f} s  {calls:>6}  {kind}")
        return
    device = suite.set_up_torch("images", args.torch_device)
    on_cpu = jax.default_backend() == "cpu"
    dtype = jnp.float32 if on_cpu else jnp.bfloat16
    peak = matmul_peak(dtype, size=2048 if on_cpu else 8192)
    print(f"peak      {peak / 1e12:.3g} TFLOP/s, products of square {dtype.__name__} matrices")
    for batch_size in args.batch_sizes:
        print_times(args, device, batch_size, peak)


if __name__ == "__main__":
    main()
