"""What all of the PyTorch side shares: its device, arrays, and how both sides are compared."""

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import timing
from mmix_jax.graphs import Graph, diffusion_matrix, gcn_weights
from mmix_jax.graphs.normalize import sparse_operator

Views = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # features, adjacency, diffusion; [B, N, …]
TOLERANCE = 1e-10


def default_device() -> str:
    """The device of the suite, with all threads and PyTorch's fast float32, as JAX has them."""
    torch.set_num_threads(timing.num_threads())
    torch.set_float32_matmul_precision("high")  # on a CPU still float32
    return "cuda" if torch.cuda.is_available() else "cpu"


def set_up(authors: ModuleType, device: str | None, precision: str) -> str:
    """All threads, and the precision of float32 products; returns the device, and says so.

    Args:
      authors: the module of this room that computes what the authors' functions do. A difference
        to them that can be seen ends the script.
      device: None for the default one.
      precision: "float32" or "tf32".
    """
    device = device or default_device()
    torch.set_num_threads(timing.num_threads())
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    difference = authors.golden_difference()
    print(f"torch     {torch.get_num_threads()} threads, device {device}")
    print(f"          against the authors' own functions ({authors.GOLDEN}): {difference:.1e}")
    if not difference < TOLERANCE:
        raise SystemExit(
            f"the PyTorch side must compute what {authors.GOLDEN} holds, to {TOLERANCE}"
        )
    return device


def tensor(x: Any, device: str | None = None) -> torch.Tensor:
    """A copy of a NumPy or JAX array."""
    return torch.tensor(np.asarray(x), device=device or default_device())


def wait(device: str | torch.device) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def device_peak() -> dict[str, float]:
    """The device's own peak, where there is one beside the host."""
    if not torch.cuda.is_available():
        return {}
    return {"device_peak_mb": torch.cuda.max_memory_allocated() / 1e6}


def dense_views(graph: Graph, device: str) -> Views:
    """Features, dense Â and dense personalised PageRank, float32, as a batch of one graph."""
    edges, size = (graph.senders, graph.receivers), graph.num_nodes
    weights = gcn_weights(*edges, size, graph.edge_weight)
    adj = sparse_operator(*edges, *weights, size, np.float32).toarray()
    diffusion = diffusion_matrix(*edges, size, edge_weight=graph.edge_weight)
    return (
        torch.tensor(graph.x, device=device)[None],
        torch.tensor(adj, device=device)[None],
        torch.tensor(diffusion, dtype=torch.float32, device=device)[None],
    )


def load_weights(model: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """Copy parameters by name; those that the forward pass does not use may be missing."""
    own = {name: parameter.shape for name, parameter in model.named_parameters()}
    tensors = {name: torch.tensor(w).reshape(own[name]) for name, w in weights.items()}
    model.load_state_dict(tensors, strict=False)


def gradients(model: nn.Module, loss: torch.Tensor) -> dict[str, np.ndarray]:
    """Of the loss, by the name of the parameter, where it has one."""
    loss.backward()
    named = model.named_parameters()
    return {name: p.grad.cpu().numpy() for name, p in named if p.grad is not None}


def largest_difference(pairs: Iterable[tuple[Any, np.ndarray]]) -> float:
    """Of (value, expected), relative to the norm of what is expected."""
    return max(float(np.linalg.norm(x - y) / np.linalg.norm(y)) for x, y in pairs)


def as_torch(tree, weights: dict[str, tuple[str, ...]]) -> dict[str, np.ndarray]:
    """The library's parameters, or gradients, under the torch side's names and in its layout."""
    arrays = {}
    for name, path in weights.items():
        leaf = tree
        for key in path:
            leaf = leaf[key]
        arrays[name] = np.asarray(leaf).T
    return arrays


def differences(
    loss: float, torch_loss: float, ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]
) -> str:
    """How far the losses of both sides are apart, and the gradients that torch has."""
    relative = {
        name: np.linalg.norm(ours[name].ravel() - value.ravel()) / np.linalg.norm(value)
        for name, value in theirs.items()
    }
    worst = max(relative, key=lambda name: relative[name])
    return (
        f"loss jax {loss:.6f}, torch {torch_loss:.6f}, difference {loss - torch_loss:.1e}; "
        f"gradients differ by {relative[worst]:.1e} of their norm at most ({worst})"
    )
