"""The PyTorch side of images: SimCLR's steps for the library's settings and parameters.

`resnet18_image.npz` and `image_mix_b8d16.npz` in tests/golden hold numbers of the authors' own
functions; `golden_difference` compares with them.
"""

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
from flax import traverse_util

from benchmarks.tasks import ImageStep
from benchmarks.torch import side, simclr
from benchmarks.torch.augment import augment
from mmix_jax.interop.torch_resnet import entry_table

GOLDEN = "tests/golden/resnet18_image.npz"  # two other files stand beside it
# Lowest and highest of each kind of entry in the golden state, where they do not follow its shape.
_RANGES = {
    "bn_weight": (0.5, 1.5),
    "bn_bias": (-0.2, 0.2),
    "bn_running_mean": (-0.1, 0.1),
    "bn_running_var": (0.5, 1.5),
    "lin_bias": (-0.1, 0.1),
    "zero": (0.0, 0.0),
}
_AUTHORS: dict[str, Any] = {"self_weight": None, "renormalise": False}

Pairs = Iterator[tuple[torch.Tensor, np.ndarray]]  # this side's, the authors'


def _hashed(shape: Sequence[int], number: int) -> np.ndarray:
    """The golden files' numbers in [0, 1)."""
    x = (np.arange(math.prod(shape), dtype=np.uint64) + number * 1000003) & 0xFFFFFFFF
    for _ in range(2):
        x = (x ^ (x >> 16)) * 0x45D9F3B & 0xFFFFFFFF
    return ((x ^ (x >> 16)) / 2**32).reshape(shape)


def _golden_state(path: Path) -> dict[str, torch.Tensor]:
    """The state that the golden numbers belong to."""
    state = {}
    for number, name, shape, kind in json.loads(path.read_text("utf-8"))["entries"]:
        bound = 0.7 * math.sqrt(6 / math.prod(shape[1:]))
        low, high = _RANGES.get(kind, (-bound, bound))
        state[name] = torch.tensor(low + (high - low) * _hashed(shape, number))
    return state


def _mixing_pairs(golden: Mapping[str, np.ndarray]) -> Pairs:
    """Mixtures, losses and gradients."""
    for threshold in (0.0, 0.3, 0.9, 1.0):
        out_1, out_2 = (torch.tensor(golden[n], requires_grad=True) for n in ("out_1", "out_2"))
        mixed = simclr.mix(out_1, threshold=threshold, mixing="mo", **_AUTHORS)
        loss = simclr.nt_xent(mixed, out_2, float(golden["temperature"]))
        loss.backward()
        values = {"mixed_1": mixed, "loss": loss, "grad_1": out_1.grad, "grad_2": out_2.grad}
        yield from ((x, golden[f"f64_thr{threshold}_{name}"]) for name, x in values.items())


def _model_pairs(golden: Mapping[str, np.ndarray], state: dict[str, torch.Tensor]) -> Pairs:
    """Forward passes, losses of two steps, and what the second step leaves."""
    model = simclr.SimCLR().double()
    views = [3 * _hashed((4, 3, 32, 32), n) - 1.5 for n in (9001, 9002)]
    x_1, x_2 = torch.tensor(views[0]), torch.tensor(0.8 * views[0] + 0.4 * views[1])
    model.load_state_dict(state)
    for mode in ("eval", "train"):
        feature, out = model.train(mode == "train")(x_1)
        yield feature, golden[f"f64_{mode}_feature"]
        yield out, golden[f"f64_{mode}_out"]
    for threshold, mixing in ((0.3, "mo"), (1.0, "none")):
        model.load_state_dict(state)
        settings = {"learning_rate": 1e-3, "weight_decay": 1e-6, "temperature": 0.4}
        step = simclr.make_step(model, threshold=threshold, mixing=mixing, **settings, **_AUTHORS)
        prefix, left = f"f64_thr{threshold}_", model.state_dict()
        losses = torch.tensor([step(x_1, x_2) for _ in range(2)], dtype=torch.float64)
        yield losses, golden[f"{prefix}loss_two_steps"]
        # Named "after1", they were recorded as views of torch's memory: values after step two.
        yield left["f.0.weight"].flatten()[:27], golden[f"{prefix}after1_conv1_first27"]
        yield left["f.1.running_mean"], golden[f"{prefix}after1_bn1_running_mean"]
        yield left["f.1.running_var"], golden[f"{prefix}after1_bn1_running_var"]


def golden_difference() -> float:
    """Largest relative difference to the authors' mixing, passes and two steps (float64)."""
    folder = Path(GOLDEN).parent
    state = _golden_state(folder / "resnet18_state_order.json")
    mixing = _mixing_pairs(np.load(folder / "image_mix_b8d16.npz"))
    pairs = itertools.chain(mixing, _model_pairs(np.load(GOLDEN), state))
    # One at a time: parameters and statistics change under the pairs that hold them.
    return side.largest_difference((x.detach().numpy(), y) for x, y in pairs)


def _options(step: ImageStep) -> dict[str, Any]:
    """The library's settings under the names of `simclr.make_step`."""
    names = ("learning_rate", "weight_decay", "temperature", "threshold", "mixing", "self_weight")
    return {name: step.config[name] for name in (*names, "renormalise")}


def _model(step: ImageStep) -> simclr.SimCLR:
    """A model with the library's parameters and statistics."""
    config, stages = step.config, tuple(step.config.stages)
    model = simclr.SimCLR(features=config.head_width, stages=stages, width=config.width)
    leaves = traverse_util.flatten_dict({"params": step.params, "batch_stats": step.batch_stats})
    state = dict(model.state_dict())
    for name, entry in entry_table("authors", stages=stages, width=config.width).items():
        array = np.asarray(leaves[entry.path])
        order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]  # OIHW, (out, in)
        state[name] = torch.tensor(array.transpose(order))
    model.load_state_dict(state)
    return model


def _as_torch(views: list[np.ndarray]) -> list[torch.Tensor]:
    """Views [B, H, W, C] as torch wants them, [B, C, H, W]."""
    return [torch.tensor(view.transpose(0, 3, 1, 2).copy()) for view in views]


def check_same(step: ImageStep) -> str:
    """Losses and gradients of both sides on the same views, of 32 images in float32."""
    views = [view[:32] for view in step.views()]
    ours, gradient = step.loss_on(views)
    model = _model(step)
    loss = simclr.make_step(model, **_options(step) | {"learning_rate": 0.0})(*_as_torch(views))
    norm = float(sum(float(p.grad.double().square().sum()) for p in model.parameters())) ** 0.5
    own = float(sum(np.square(np.asarray(x, np.float64)).sum() for x in jax.tree.leaves(gradient)))
    return (
        f"loss jax {ours:.6f}, torch {loss:.6f}, difference {ours - loss:.1e}; "
        f"norm of the gradient differs by {abs(own**0.5 / norm - 1):.1e} of it"
    )


def reference_steps(step: ImageStep, device: str, *, eager: bool) -> Callable[[], float]:
    """The torch side's steps, as many a call as the library's; `eager`: no torch.compile."""
    on_gpu = device != "cpu"
    fast = {"autocast": on_gpu, "channels_last": on_gpu, "compile": on_gpu and not eager}
    run = simclr.make_step(_model(step), device=device, **_options(step), **fast)
    if not on_gpu:
        ready = _as_torch(step.views())
        return lambda: [run(*ready) for _ in range(step.chunk)][-1]
    size = step.config.batch_size
    pixels = torch.tensor(step.images.transpose(0, 3, 1, 2).copy(), device=device)
    generator = torch.Generator(device=device)
    augmented = augment if eager else torch.compile(augment)

    def steps() -> float:
        loss = 0.0
        for _ in range(step.chunk):
            rows = torch.randint(len(pixels), (size,), device=device, generator=generator)
            batch = pixels[rows]
            loss = run(augmented(batch, generator), augmented(batch, generator))
        return loss

    return steps
