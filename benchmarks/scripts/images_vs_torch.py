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
import importlib.util
import statistics
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import images, timing
from benchmarks.parts import roofline
from benchmarks.scripts import profile

HAVE_TORCH = importlib.util.find_spec("torch") is not None
EPOCH = 50_000
RULES = ("none", "mo_op")
OURS, TORCH = "jax", "torch"


def set_up(device: str | None) -> str:
    """Threads and float32 products of the torch side; returns its device."""
    if not HAVE_TORCH:
        print("torch     not installed: only JAX is measured; pip install torch to compare")
        return ""
    from benchmarks.torch import images as torch_images
    from benchmarks.torch import side

    return side.set_up(
        device, "float32", golden=torch_images.GOLDEN, compare=torch_images.golden_difference
    )


def torch_options(step: images.LibraryStep) -> dict[str, Any]:
    """This library's settings under the torch side's names."""
    config = step.task.config
    return {
        "learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay,
        "temperature": config.temperature,
        "threshold": config.threshold,
        "mixing": config.mixing,
        "self_weight": config.self_weight,
        "renormalise": config.renormalise,
    }


def torch_model(step: images.LibraryStep):
    """The torch side's model with this library's parameters."""
    from benchmarks.torch import images as torch_images

    config = step.task.config
    model = torch_images.SimCLR(
        features=config.head_width, stages=tuple(config.stages), width=config.width
    )
    torch_images.load_jax(model, step.state.params, step.state.batch_stats)
    return model


def views_of(step: images.LibraryStep) -> list[np.ndarray]:
    """Two float32 views of a batch as torch wants them, [B, 3, H, W]."""
    from mmix_jax.frameworks.simclr import two_views

    rows = step.task.tables.images[: step.task.config.batch_size]
    views = two_views(step.task.settings, rows, jax.random.key(0))
    return [np.asarray(x, np.float32).transpose(0, 3, 1, 2).copy() for x in views]


def check_same(step: images.LibraryStep) -> str:
    """Losses and gradients of both sides on the same views, of 32 images in float32."""
    import torch

    from benchmarks.torch import images as torch_images
    from mmix_jax.frameworks.simclr import make_model, mix_view
    from mmix_jax.losses import info_nce

    settings = step.task.settings._replace(dtype="float32")
    model = make_model(settings, views=2)
    views = [x[:32] for x in views_of(step)]

    def loss_fn(params):
        x = jnp.concatenate([jnp.asarray(x).transpose(0, 2, 3, 1) for x in views])
        variables = {"params": params, "batch_stats": step.state.batch_stats}
        (z, _), _ = model.apply(variables, x, train=True, mutable=["batch_stats"])
        z_a, z_b = jnp.split(z, 2)
        mixed = mix_view(settings, z_a, None, jax.random.key(0)).z_mixed
        return info_nce(mixed, z_b, temperature=settings.temperature)

    with jax.default_matmul_precision("highest"):
        ours, gradient = jax.jit(jax.value_and_grad(loss_fn))(step.state.params)
    theirs = torch_model(step)
    options = torch_options(step) | {"learning_rate": 0.0}
    loss = torch_images.make_step(theirs, **options)(*(torch.tensor(x) for x in views))
    norm = float(sum(float(p.grad.double().square().sum()) for p in theirs.parameters())) ** 0.5
    own = float(sum(np.square(np.asarray(x, np.float64)).sum() for x in jax.tree.leaves(gradient)))
    return (
        f"loss jax {float(ours):.6f}, torch {loss:.6f}, difference {float(ours) - loss:.1e}; "
        f"norm of the gradient differs by {abs(own**0.5 / norm - 1):.1e} of it"
    )


def torch_steps(step: images.LibraryStep, device: str, args) -> Callable[[], float]:
    """The torch side's steps, as many a call as this library's."""
    import torch

    from benchmarks.torch import augment as torch_augment
    from benchmarks.torch import images as torch_images

    on_gpu = device != "cpu"
    fast = {"autocast": on_gpu, "channels_last": on_gpu, "compile": on_gpu and not args.eager}
    run = torch_images.make_step(torch_model(step), device=device, **torch_options(step), **fast)
    if not on_gpu:
        ready = [torch.tensor(x) for x in views_of(step)]
        return lambda: [run(*ready) for _ in range(step.chunk)][-1]
    size = step.task.config.batch_size
    pixels = torch.tensor(step.task.dataset.train.transpose(0, 3, 1, 2).copy(), device=device)
    generator = torch.Generator(device=device)
    augment = torch_augment.augment if args.eager else torch.compile(torch_augment.augment)

    def steps() -> float:
        loss = 0.0
        for _ in range(step.chunk):
            rows = torch.randint(len(pixels), (size,), device=device, generator=generator)
            batch = pixels[rows]
            loss = run(augment(batch, generator), augment(batch, generator))
        return loss

    return steps


def print_times(args, device: str, batch_size: int, peak: float) -> None:
    """One table: steps of a batch size, for every rule."""
    chunk = args.chunk or (1 if jax.default_backend() == "cpu" else EPOCH // batch_size)
    dataset = images.random_images(max(batch_size, min(EPOCH, chunk * batch_size)))
    precision = args.precision or ("float32" if jax.default_backend() == "cpu" else "bfloat16")
    for rule in args.rules:
        config = images.config_of(
            rule, batch_size=batch_size, precision=precision, width=args.width
        )
        step = images.LibraryStep(config, dataset, chunk=chunk)
        print(
            f"\n{rule}: {chunk} steps of {batch_size} images, two views each, {precision}; "
            f"medians of n={args.repeats}"
        )
        sides: dict[str, Callable[[], object]] = {OURS: step}
        if HAVE_TORCH:
            print(f"  {check_same(step)}")
            sides[TORCH] = torch_steps(step, device, args)
        seconds = timing.alternate(sides, repeats=args.repeats, warm_up=args.warm_up, pause=1.0)
        print("\n".join(timing.compare(seconds, OURS)))
        for side, values in seconds.items():
            per_step = statistics.median(values) / chunk
            share = images.flops_of_step(batch_size, args.width) / per_step / peak
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
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
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
        config = images.config_of(
            args.rules[0], batch_size=size, precision=args.precision or "float32", width=args.width
        )
        step = images.LibraryStep(config, images.random_images(size))
        step()
        print("\n".join(profile.operations(step)))
        return
    device = set_up(args.torch_device)
    on_cpu = jax.default_backend() == "cpu"
    dtype = jnp.float32 if on_cpu else jnp.bfloat16
    peak = roofline.matmul_peak(dtype, size=2048 if on_cpu else 8192)
    print(f"peak      {peak / 1e12:.3g} TFLOP/s, products of square {dtype.__name__} matrices")
    for batch_size in args.batch_sizes:
        print_times(args, device, batch_size, peak)


if __name__ == "__main__":
    main()
