"""CCA-SSG (Zhang et al. 2021, "From Canonical Correlation Analysis to Self-supervised Graph Neural
Networks") in plain PyTorch: settings, loss and order of its published code, without DGL.
"""

from dataclasses import dataclass

import torch

from benchmarks.torch.gcn import GCN, Graph, Progress, drop_edges, drop_features, operator


@dataclass(frozen=True)
class Settings:
    """As published, but for what a data set changes. trade_off: lambda, of the decorrelation."""

    epochs: int
    drop_feature: float
    drop_edge: float
    width: int = 512
    depth: int = 2
    trade_off: float = 1e-3
    learning_rate: float = 1e-3
    weight_decay: float = 0.0


PUBLISHED = {
    "cora": Settings(epochs=50, drop_feature=0.1, drop_edge=0.4),
    "pubmed": Settings(epochs=100, drop_feature=0.3, drop_edge=0.5),
}


def standardise(h: torch.Tensor) -> torch.Tensor:
    """Columns of mean 0 and deviation 1, with N - 1 as in their code."""
    return (h - h.mean(dim=0)) / h.std(dim=0)


def loss_of(h_a: torch.Tensor, h_b: torch.Tensor, trade_off: float) -> torch.Tensor:
    """Minus the correlations of like columns, plus trade_off times how far columns of each view are
    from uncorrelated."""
    z_a, z_b, num_nodes = standardise(h_a), standardise(h_b), h_a.shape[0]
    identity = torch.eye(z_a.shape[1], dtype=z_a.dtype, device=z_a.device)
    # Their code forms all of z_a' z_b and reads its diagonal; the sum is the same.
    invariance = (z_a * z_b).sum() / num_nodes
    decorrelation = sum((z.T @ z / num_nodes - identity).square().sum() for z in (z_a, z_b))
    return trade_off * decorrelation - invariance


def train(graph: Graph, settings: Settings, seed: int) -> Progress:
    """Yields before the first epoch and after each."""
    torch.manual_seed(seed)
    sizes = [graph.x.shape[1], *[settings.width] * settings.depth]
    encoder = GCN(sizes, activate_last=False).to(graph.x.device)
    optimizer = torch.optim.Adam(
        encoder.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    whole = operator(graph, senders_by="out")

    def view() -> torch.Tensor:
        dropped = drop_features(drop_edges(graph, settings.drop_edge), settings.drop_feature)
        return encoder(dropped.x, operator(dropped, senders_by="out"))

    @torch.no_grad()
    def embed() -> torch.Tensor:
        return encoder(graph.x, whole)

    yield 0, embed
    for epoch in range(1, settings.epochs + 1):
        optimizer.zero_grad()
        loss_of(view(), view(), settings.trade_off).backward()
        optimizer.step()
        yield epoch, embed
