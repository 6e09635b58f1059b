"""GRACE (Zhu et al. 2020, "Deep Graph Contrastive Representation Learning") in plain PyTorch:
settings, loss and order of its published code, without torch_geometric.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.torch.gcn import GCN, Graph, Progress, drop_edges, drop_features, operator


@dataclass(frozen=True)
class Settings:
    """As published; pairs are of the two views.

    width: of the embedding, the first layer's is twice it. block_size: rows of the N x N
    similarities at a time, 0 for all at once.
    """

    epochs: int
    width: int
    head_width: int
    drop_edge: tuple[float, float]
    drop_feature: tuple[float, float]
    temperature: float
    learning_rate: float
    weight_decay: float = 1e-5
    block_size: int = 0


PUBLISHED = {
    "cora": Settings(
        epochs=200,
        width=128,
        head_width=128,
        drop_edge=(0.2, 0.4),
        drop_feature=(0.3, 0.4),
        temperature=0.4,
        learning_rate=5e-4,
    ),
    "pubmed": Settings(
        epochs=1500,
        width=256,
        head_width=256,
        drop_edge=(0.4, 0.1),
        drop_feature=(0.0, 0.2),
        temperature=0.7,
        learning_rate=1e-3,
        block_size=1024,  # all at once, gradients would hold six gigabytes and more
    ),
}


def head(width: int, head_width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, head_width), nn.ELU(), nn.Linear(head_width, width))


def semi_loss(
    a: torch.Tensor, b: torch.Tensor, temperature: float, rows: slice = slice(None)
) -> torch.Tensor:
    """[rows] of view a against all of view b, and of view a but itself; unit vectors [N, D]."""
    within = torch.exp(a[rows] @ a.T / temperature)
    between = torch.exp(a[rows] @ b.T / temperature)
    # A block's own nodes stand on a diagonal that begins at its first row.
    offset = rows.start or 0
    itself, pair = within.diagonal(offset), between.diagonal(offset)
    return -torch.log(pair / (within.sum(dim=1) + between.sum(dim=1) - itself))


def backward(h_a: torch.Tensor, h_b: torch.Tensor, temperature: float, block_size: int) -> float:
    """The mean over nodes of both directions' halves; adds its gradients, and returns it.

    By blocks, the gradient of each is taken as soon as it is there and summed at the unit vectors:
    it is that of the whole, in memory that grows with N. Their `batch_size` splits the same sum,
    but keeps all blocks for one gradient at the end.
    """
    num_nodes, total = h_a.shape[0], 0.0
    units = [F.normalize(h) for h in (h_a, h_b)]
    leaf_a, leaf_b = leaves = [unit.detach().requires_grad_() for unit in units]
    step = block_size or num_nodes
    for start in range(0, num_nodes, step):
        rows = slice(start, min(start + step, num_nodes))
        half_a = semi_loss(leaf_a, leaf_b, temperature, rows)
        half_b = semi_loss(leaf_b, leaf_a, temperature, rows)
        loss = (half_a.sum() + half_b.sum()) / (2 * num_nodes)
        loss.backward()
        total += float(loss.detach())
    torch.autograd.backward(units, [leaf.grad for leaf in leaves])
    return total


def train(graph: Graph, settings: Settings, seed: int) -> Progress:
    """Yields before the first epoch and after each."""
    torch.manual_seed(seed)
    sizes = [graph.x.shape[1], 2 * settings.width, settings.width]
    device = graph.x.device
    encoder = GCN(sizes, activate_last=True).to(device)
    project = head(settings.width, settings.head_width).to(device)
    optimizer = torch.optim.Adam(
        [*encoder.parameters(), *project.parameters()],
        settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    whole = operator(graph, senders_by="in")

    def view(which: int) -> torch.Tensor:
        dropped = drop_edges(graph, settings.drop_edge[which])
        dropped = drop_features(dropped, settings.drop_feature[which])
        return project(encoder(dropped.x, operator(dropped, senders_by="in")))

    @torch.no_grad()
    def embed() -> torch.Tensor:
        return encoder(graph.x, whole)

    yield 0, embed
    for epoch in range(1, settings.epochs + 1):
        optimizer.zero_grad()
        backward(view(0), view(1), settings.temperature, settings.block_size)
        optimizer.step()
        yield epoch, embed
