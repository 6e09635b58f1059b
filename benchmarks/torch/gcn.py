"""What plain PyTorch methods on one graph share: its tensors, dropped edges and features, a GCN.

Neither torch_geometric nor DGL: a layer is a dense product, a sparse one and a bias. No JAX either,
which the processes that are timed would import for nothing.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

# Epochs done so far, from 0 on, and what computes the embedding [N, D] of all nodes then.
Progress = Iterator[tuple[int, Callable[[], torch.Tensor]]]


class Graph(NamedTuple):
    """x [N, F], rows summing to one; senders and receivers [E], both directions of every edge."""

    x: torch.Tensor
    senders: torch.Tensor
    receivers: torch.Tensor


def set_up(num_threads: int) -> str:
    """All threads, as JAX has them, and the device."""
    torch.set_num_threads(num_threads)
    return "cuda" if torch.cuda.is_available() else "cpu"


def graph_of(arrays: Mapping[str, np.ndarray], device: str) -> Graph:
    """The graph of x, senders and receivers, of a NumPy file or in memory."""
    x = torch.from_numpy(arrays["x"]).to(device)
    ends = (torch.from_numpy(arrays[name]).long().to(device) for name in ("senders", "receivers"))
    # Both methods' loaders do so, of DGL and of torch_geometric; rows without features stay zero.
    return Graph(x / x.sum(dim=1, keepdim=True).clamp(min=1e-12), *ends)


def drop_edges(graph: Graph, rate: float) -> Graph:
    """Each direction of an edge on its own, as both methods' code has it."""
    kept = torch.rand(graph.senders.shape, device=graph.x.device) >= rate
    return graph._replace(senders=graph.senders[kept], receivers=graph.receivers[kept])


def drop_features(graph: Graph, rate: float) -> Graph:
    """Whole columns become zero."""
    kept = torch.rand(graph.x.shape[1], device=graph.x.device) >= rate
    return graph._replace(x=graph.x * kept)


def operator(graph: Graph, *, senders_by: str) -> torch.Tensor:
    """Sparse D^-1/2 (A + I) D'^-1/2 [N, N], row i collecting for node i.

    Where one direction of an edge is dropped, degrees of senders can be counted two ways: "in",
    edges that a node receives (torch_geometric's GCNConv), or "out", those that it sends (DGL's
    GraphConv).
    """
    num_nodes, device = graph.x.shape[0], graph.x.device
    loops = torch.arange(num_nodes, device=device)
    senders, receivers = torch.cat([graph.senders, loops]), torch.cat([graph.receivers, loops])
    received = torch.bincount(receivers, minlength=num_nodes)
    sent = {"in": received, "out": torch.bincount(senders, minlength=num_nodes)}[senders_by]
    weights = (received[receivers] * sent[senders]).to(graph.x.dtype).rsqrt()
    indices = torch.stack([receivers, senders])
    size = (num_nodes, num_nodes)
    return torch.sparse_coo_tensor(indices, weights, size, check_invariants=False).coalesce()


class GCN(nn.Module):
    """Graph convolutions  Â x W + b  with ReLU between them, and with `activate_last` after."""

    def __init__(self, sizes: Sequence[int], *, activate_last: bool):
        super().__init__()
        pairs = list(itertools.pairwise(sizes))
        self.weights = nn.ParameterList([nn.init.xavier_uniform_(torch.empty(p)) for p in pairs])
        self.biases = nn.ParameterList([torch.zeros(size) for size in sizes[1:]])
        self.activated = len(pairs) - (not activate_last)

    def forward(self, x: torch.Tensor, operator: torch.Tensor) -> torch.Tensor:
        layers = zip(self.weights, self.biases, strict=True)
        for place, (weight, bias) in enumerate(layers):
            x = torch.sparse.mm(operator, x @ weight) + bias
            x = torch.relu(x) if place < self.activated else x
        return x
