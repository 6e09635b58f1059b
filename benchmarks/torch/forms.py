"""The same computations in plain PyTorch, as one writes them without this library. Needs torch.

Dense where PyTorch users are dense: the loss over [2N, 2N] similarities, attention over [N, N].
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.torch.side import default_device, tensor, wait


def info_nce(u, v, temperature: float, negatives: str) -> torch.Tensor:
    """`full`: both views as one [2N, 2N] matrix, its diagonal masked, 4 products and 8 backward.

    `cross`: cross entropy of u·v both ways, 1 product and 2 backward.
    """
    u, v = F.normalize(u, dim=1), F.normalize(v, dim=1)
    if negatives == "cross":
        logits = u @ v.T / temperature
        target = torch.arange(len(u), device=u.device)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    z = torch.cat([u, v])
    logits = z @ z.T / temperature
    logits = logits.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)
    positive = (u * v).sum(1).repeat(2) / temperature
    return (torch.logsumexp(logits, dim=1) - positive).mean()


def info_nce_side(
    u: Any, v: Any, temperature: float, negatives: str, gradient: bool
) -> Callable[[], float]:
    """The loss of two arrays, or the loss after its backward pass."""
    first, second = inputs = [tensor(x).requires_grad_(gradient) for x in (u, v)]

    def side() -> float:
        for x in inputs:
            x.grad = None
        loss = info_nce(first, second, temperature, negatives)
        if gradient:
            loss.backward()
        wait(loss.device)
        return loss.item()

    return side


def mix_pairs(z, q, k, rule: str, threshold: float | None, self_weight: float) -> torch.Tensor:
    """mo or mp over all pairs, or those whose score is at least `threshold`; dense [N, N]."""
    rows, columns = (q, k) if rule == "mp" else (z, z)
    scores = F.normalize(rows, dim=1) @ F.normalize(columns, dim=1).T
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    allowed = torch.ones_like(own) if threshold is None else scores >= threshold
    if rule == "mp":
        weights = torch.softmax(scores.masked_fill(~(allowed | own), -torch.inf), dim=1)
        return weights @ z
    weights = torch.softmax(scores.masked_fill(~allowed | own, -torch.inf), dim=1)
    alone = ~(allowed & ~own).any(dim=1)
    mixed = self_weight * z + (1 - self_weight) * torch.nan_to_num(weights) @ z
    return torch.where(alone[:, None], z, mixed)


def mix_edges(z, q, k, senders, receivers, rule: str, self_weight: float) -> torch.Tensor:
    """mo or mp along edges: a softmax over each receiver's edges by scatter, mixed by index_add."""
    rows, columns = (q, k) if rule == "mp" else (z, z)
    rows, columns = F.normalize(rows, dim=1), F.normalize(columns, dim=1)
    powers = torch.exp((rows[receivers] * columns[senders]).sum(1))  # of cosines: no overflow
    total = torch.zeros(len(z), device=z.device).index_add(0, receivers, powers)
    own = torch.zeros_like(total)
    if rule == "mp":
        own = torch.exp((rows * columns).sum(1))
        total = total + own
    weights = powers / total[receivers]
    mixed = torch.zeros_like(z).index_add(0, receivers, weights[:, None] * z[senders])
    if rule == "mp":
        return mixed + (own / total)[:, None] * z
    mixed = self_weight * z + (1 - self_weight) * mixed
    return torch.where((total == 0)[:, None], z, mixed)


def mixing_side(mix: Callable, z: Any, q: Any, k: Any, target: Any, gradient: bool) -> Callable:
    """`mix(z, q, k)`, or with the gradient of its product with `target`; returns the mixture."""
    inputs = [tensor(x).requires_grad_(gradient) for x in (z, q, k)]
    weight = tensor(target)

    def side() -> torch.Tensor:
        for x in inputs:
            x.grad = None
        mixed = mix(*inputs)
        if gradient:
            (mixed * weight).sum().backward()
        wait(mixed.device)
        return mixed.detach()

    return side


def power_side(
    operator: Any, x: np.ndarray, coefficients: np.ndarray
) -> Callable[[], torch.Tensor]:
    """Σ_k c_k Â^k x by as many products with a sparse matrix, a SciPy one given."""
    matrix = operator.tocsr()
    device = default_device()
    parts = (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data)
    sparse = torch.sparse_csr_tensor(
        *(torch.tensor(part) for part in parts), size=matrix.shape, device=device
    )
    start = tensor(x, device)

    def side() -> torch.Tensor:
        power, total = start, float(coefficients[0]) * start
        for coefficient in coefficients[1:]:
            power = sparse @ power
            total = total + float(coefficient) * power
        wait(device)
        return total

    return side


def convolution_side(x: np.ndarray, kernel: np.ndarray, gradients: bool, dtype: str) -> Callable:
    """A 3×3 convolution of NHWC images by an HWIO kernel, channels last; with both gradients of
    slopes like its value. Returns all of them, in the layout of what is given."""
    images = tensor(x).permute(0, 3, 1, 2).to(getattr(torch, dtype)).requires_grad_(gradients)
    weights = tensor(kernel).permute(3, 2, 0, 1).to(getattr(torch, dtype))
    weights = weights.contiguous(memory_format=torch.channels_last).requires_grad_(gradients)

    def side() -> list[torch.Tensor]:
        y = F.conv2d(images, weights, padding=1)
        of_x, of_kernel = (
            torch.autograd.grad(y, (images, weights), y.detach()) if gradients else (None, None)
        )
        wait(y.device)
        found = [y.detach().permute(0, 2, 3, 1)]
        if of_x is not None and of_kernel is not None:
            found += [of_x.permute(0, 2, 3, 1), of_kernel.permute(2, 3, 1, 0)]
        return found

    return side
