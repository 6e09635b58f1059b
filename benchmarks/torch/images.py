"""The PyTorch side of images: SimCLR with mo-mix, the authors' code in behaviour, written anew.

`resnet18_image.npz` and `image_mix_b8d16.npz` in tests/golden hold numbers of the authors' own
functions; `golden_difference` compares with them. Needs torch.
"""

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from flax import traverse_util
from torch import nn

from mmix_jax.convert import entry_table

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

Pairs = Iterator[tuple[torch.Tensor, np.ndarray]]  # found here, found by the authors' functions


class Block(nn.Module):
    """Two 3×3 convolutions with batch norm around a shortcut."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module = nn.Identity()
        if channels != width or stride != 1:
            convolution = nn.Conv2d(channels, width, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.downsample(x))


class Encoder(nn.Sequential):
    """ResNet-18 in its CIFAR form: images [B, 3, H, W] to the pooled last stage [B, D]."""

    def __init__(self, stages: tuple[int, ...] = (2, 2, 2, 2), width: int = 64):
        super().__init__(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.append(nn.ReLU())
        channels = width
        for stage, num_blocks in enumerate(stages):
            blocks = []
            for block in range(num_blocks):
                blocks.append(Block(channels, width * 2**stage, 2 if stage and not block else 1))
                channels = width * 2**stage
            self.append(nn.Sequential(*blocks))
        self.append(nn.AdaptiveAvgPool2d(1)).append(nn.Flatten())
        self.stages, self.width, self.channels = stages, width, channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class SimCLR(nn.Module):
    """The encoder f and its head g: unit features [B, D] and unit outputs [B, features]."""

    def __init__(
        self, *, features: int = 128, stages: tuple[int, ...] = (2, 2, 2, 2), width: int = 64
    ):
        super().__init__()
        self.f = Encoder(stages, width)
        size = self.f.channels
        hidden = nn.Linear(size, size, bias=False)
        self.g = nn.Sequential(hidden, nn.BatchNorm1d(size), nn.ReLU(), nn.Linear(size, features))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        feature = self.f(x)
        return _unit(feature), _unit(self.g(feature))


def _unit(x: torch.Tensor) -> torch.Tensor:
    """Rows of length one, in single precision at least."""
    return F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1)


def mix(
    out_1: torch.Tensor,
    *,
    threshold: float,
    self_weight: float | None,
    mixing: str,
    renormalise: bool = True,
) -> torch.Tensor:
    """Unit vectors [B, D] mixed by mo-mix-op (eq. 5, 7); no gradient through the weights.

    A row without candidates stays as it is.

    Args:
      threshold: θ. Candidates reach it, or in the authors' form exceed it.
      self_weight: C; None is the authors' form, in which self is a candidate like the others.
      mixing: "mo", or "none", which changes nothing.
      renormalise: mixtures of length one again (the paper), or as they come (the authors' code).
    """
    if mixing not in ("none", "mo"):
        raise ValueError(f"unknown mixing {mixing!r}; expected one of: mo, none")
    if mixing == "none":
        return out_1
    with torch.no_grad():
        cosines = out_1 @ out_1.T
        own = torch.eye(len(out_1), dtype=torch.bool, device=out_1.device)
        if self_weight is None:
            chosen, share = own | (cosines > threshold), 1.0
        else:
            chosen, share = ~own & (cosines >= threshold), 1 - self_weight
        # A row of −∞ alone gives NaN.
        weights = share * cosines.masked_fill(~chosen, -math.inf).softmax(1).nan_to_num(0.0)
        weights += torch.diag(1 - weights.sum(1))  # what a row's candidates leave is its own
    mixed = weights @ out_1
    return F.normalize(mixed, dim=-1) if renormalise else mixed


def nt_xent(u: torch.Tensor, v: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean cross entropy of the 2B vectors [u; v] [B, D]: each among all others, its pair found."""
    rows = torch.cat([u, v])
    own = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    logits = (rows @ rows.T / temperature).masked_fill(own, -math.inf)
    return F.cross_entropy(logits, torch.arange(len(rows), device=rows.device).roll(len(u)))


def make_step(
    model: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
    temperature: float,
    threshold: float,
    mixing: str,
    self_weight: float | None,
    renormalise: bool = True,
    one_pass: bool = False,
    device: str = "cpu",
    autocast: bool = False,
    channels_last: bool = False,
    compile: bool = False,
) -> Callable[[torch.Tensor, torch.Tensor], float]:
    """A function that takes an Adam step on two views [B, 3, H, W] and returns its loss.

    The loss is NT-Xent with the first view's outputs mixed. Parameters keep its gradients.

    Args:
      model: moved to `device`, and trained in place.
      weight_decay: added to the gradient.
      threshold, mixing, self_weight, renormalise: of `mix`.
      one_pass: both views through the model as one batch, with statistics of their union, which
        is another objective; otherwise one after the other, as the authors do.
      autocast: convolutions and linear layers in bfloat16; losses and parameters as they are.
      channels_last: memory layout of model and views.
      compile: forward pass and loss through torch.compile.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model.to(device).train()
    model.to(memory_format=layout)  # pyright: ignore[reportCallIssue]: torch's overloads lack it
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, weight_decay=weight_decay)

    options: dict[str, Any] = {
        "threshold": threshold,
        "self_weight": self_weight,
        "mixing": mixing,
        "renormalise": renormalise,
    }

    def loss_of(x_1: torch.Tensor, x_2: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x_1.device.type, torch.bfloat16, enabled=autocast):
            if one_pass:
                out_1, out_2 = model(torch.cat([x_1, x_2]))[1].chunk(2)
            else:
                out_1, out_2 = model(x_1)[1], model(x_2)[1]
        return nt_xent(mix(out_1, **options), out_2, temperature)

    compute = torch.compile(loss_of) if compile else loss_of

    def step(x_1: torch.Tensor, x_2: torch.Tensor) -> float:
        optimizer.zero_grad()
        loss = compute(*(x.to(device=device, memory_format=layout) for x in (x_1, x_2)))
        loss.backward()
        optimizer.step()
        return loss.item()  # copied after everything before it has run

    return step


def load_jax(model: SimCLR, params: Mapping[str, Any], batch_stats: Mapping[str, Any]) -> None:
    """Copy this library's parameters and statistics, trees with parts `encoder` and `head`."""
    leaves = traverse_util.flatten_dict({"params": params, "batch_stats": batch_stats})
    table = entry_table("authors", stages=model.f.stages, width=model.f.width)
    state = dict(model.state_dict())
    for name, entry in table.items():
        array = np.asarray(leaves[entry.path])
        order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]  # OIHW, (out, in)
        state[name] = torch.tensor(array.transpose(order))
    model.load_state_dict(state)


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
        mixed = mix(out_1, threshold=threshold, mixing="mo", **_AUTHORS)
        loss = nt_xent(mixed, out_2, float(golden["temperature"]))
        loss.backward()
        found = {"mixed_1": mixed, "loss": loss, "grad_1": out_1.grad, "grad_2": out_2.grad}
        yield from ((x, golden[f"f64_thr{threshold}_{name}"]) for name, x in found.items())


def _model_pairs(golden: Mapping[str, np.ndarray], state: dict[str, torch.Tensor]) -> Pairs:
    """Forward passes, losses of two steps, and what the second step leaves."""
    model, views = SimCLR().double(), [3 * _hashed((4, 3, 32, 32), n) - 1.5 for n in (9001, 9002)]
    x_1, x_2 = torch.tensor(views[0]), torch.tensor(0.8 * views[0] + 0.4 * views[1])
    model.load_state_dict(state)
    for mode in ("eval", "train"):
        feature, out = model.train(mode == "train")(x_1)
        yield feature, golden[f"f64_{mode}_feature"]
        yield out, golden[f"f64_{mode}_out"]
    for threshold, mixing in ((0.3, "mo"), (1.0, "none")):
        model.load_state_dict(state)
        settings = {"learning_rate": 1e-3, "weight_decay": 1e-6, "temperature": 0.4}
        step = make_step(model, threshold=threshold, mixing=mixing, **settings, **_AUTHORS)
        prefix, left = f"f64_thr{threshold}_", model.state_dict()
        losses = torch.tensor([step(x_1, x_2) for _ in range(2)], dtype=torch.float64)
        yield losses, golden[f"{prefix}loss_two_steps"]
        # Named "after1", they were recorded as views of torch's memory: values after step two.
        yield left["f.0.weight"].flatten()[:27], golden[f"{prefix}after1_conv1_first27"]
        yield left["f.1.running_mean"], golden[f"{prefix}after1_bn1_running_mean"]
        yield left["f.1.running_var"], golden[f"{prefix}after1_bn1_running_var"]


def golden_difference(path: str) -> float:
    """Largest relative difference to the authors' mixing, passes and two steps (float64).

    path: of resnet18_image.npz; the two files that belong to it stand in the same folder.
    """
    folder = Path(path).parent
    state = _golden_state(folder / "resnet18_state_order.json")
    mixing = _mixing_pairs(np.load(folder / "image_mix_b8d16.npz"))
    pairs = itertools.chain(mixing, _model_pairs(np.load(path), state))
    # One at a time: parameters and statistics change under the pairs that hold them.
    found = ((x.detach().numpy(), y) for x, y in pairs)
    return max(float(np.linalg.norm(x - y) / np.linalg.norm(y)) for x, y in found)
