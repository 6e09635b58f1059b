"""SimCLR with mo-mix in PyTorch: the authors' image code in behaviour, written anew."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


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
            out_1, out_2 = model(x_1)[1], model(x_2)[1]  # one after the other, as the authors do
        return nt_xent(mix(out_1, **options), out_2, temperature)

    compute = torch.compile(loss_of) if compile else loss_of

    def step(x_1: torch.Tensor, x_2: torch.Tensor) -> float:
        optimizer.zero_grad()
        loss = compute(*(x.to(device=device, memory_format=layout) for x in (x_1, x_2)))
        loss.backward()
        optimizer.step()
        return loss.item()  # copied after everything before it has run

    return step
