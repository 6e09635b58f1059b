"""The PyTorch side: the authors' node code in behaviour, written anew for the comparison.

Dense adjacency and dense diffusion, attention over all N x N pairs masked by a large negative
constant, cosines of all pairs. `tests/golden/node_model.npz` holds numbers of the authors' own
functions; `golden_difference` compares with them.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

Views = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # features, adjacency, diffusion; [B, N, …]


class Block(nn.Module):
    """One graph convolution with the attention and the value MLP that may follow it."""

    def __init__(self, num_features: int, width: int):
        super().__init__()
        self.fc = nn.Linear(num_features, width, bias=False)
        self.act = nn.PReLU()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(width, width, bias=False)
        self.to_v = nn.Sequential(
            nn.Linear(width, width, bias=False), nn.PReLU(), nn.Linear(width, width, bias=False)
        )

    def propagate(self, x: torch.Tensor, operator: torch.Tensor) -> torch.Tensor:
        return torch.bmm(operator, self.fc(x))

    def attend(self, h: torch.Tensor, adj: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Neighbours mixed by softmax(q k^T), and the mean squared distance of q and k."""
        q, k = F.normalize(self.to_q(h), dim=-1), F.normalize(self.to_k(h), dim=-1)
        scores = torch.bmm(q, k.transpose(1, 2))
        attention = torch.softmax(torch.where(adj > 0, scores, -9e15), dim=-1)
        return torch.bmm(attention, h), (q - k).square().sum(-1).mean()


class NodeModel(nn.Module):
    """Two blocks: adjacency (mixed, if `mixing`) against diffusion.

    order: "reference" is the authors': attention, then the value MLP, then the activation; without
    mixing the plain convolution, and no MLP. "paper" is this library's: the activation comes first,
    then mixing, and the MLP last, with and without mixing.
    """

    def __init__(self, num_features: int, width: int, *, mixing: bool, order: str = "reference"):
        super().__init__()
        self.mixing, self.order = mixing, order
        self.gcn1, self.gcn2 = Block(num_features, width), Block(num_features, width)

    def forward(self, x, adj, diffusion):
        a, b = self.gcn1, self.gcn2
        h, distance = a.propagate(x, adj), 0.0
        if self.order == "paper":
            h = a.act(h)
        if self.mixing:
            h, distance = a.attend(h, adj)
        if self.mixing or self.order == "paper":
            h = a.to_v(h)
        if self.order == "reference":
            h = a.act(h)
        return h, b.act(b.propagate(x, diffusion)), distance


def contrast(a: torch.Tensor, b: torch.Tensor, negatives: str) -> torch.Tensor:
    """`cross`: cross entropy of the cosines a·b both ways; `full`: intra-view negatives too."""
    a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    between = torch.bmm(a, b.transpose(1, 2))
    if negatives == "cross":
        target = torch.arange(a.shape[1], device=a.device).repeat(a.shape[0])
        rows, columns = between.flatten(0, 1), between.transpose(1, 2).flatten(0, 1)
        return (F.cross_entropy(rows, target) + F.cross_entropy(columns, target)) / 2
    powers = torch.exp(between)
    sum_a, sum_b = powers.sum(2) + _others(a), powers.sum(1) + _others(b)
    positive = between.diagonal(dim1=1, dim2=2)
    return ((torch.log(sum_a) + torch.log(sum_b)) / 2 - positive).mean()


def _others(x: torch.Tensor) -> torch.Tensor:
    """Σ_{j≠i} e^{x_i·x_j}."""
    powers = torch.exp(torch.bmm(x, x.transpose(1, 2)))
    return powers.sum(2) - powers.diagonal(dim1=1, dim2=2)


def loss_of(model: NodeModel, views: Views, negatives: str) -> torch.Tensor:
    a, b, distance = model(*views)
    return contrast(a, b, negatives) - distance


def training_step(
    model: NodeModel, views: Views, negatives: str, learning_rate: float
) -> Callable[[], float]:
    """A function that takes one Adam step and returns its loss."""
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of(model, views, negatives)
        loss.backward()
        optimizer.step()
        return loss.item()  # copied after everything before it has run

    return step


def load_weights(model: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """Copy parameters by name; those that the forward pass does not use may be missing."""
    own = {name: parameter.shape for name, parameter in model.named_parameters()}
    tensors = {name: torch.tensor(w).reshape(own[name]) for name, w in weights.items()}
    model.load_state_dict(tensors, strict=False)


def loss_and_gradients(
    model: NodeModel, views: Views, negatives: str
) -> tuple[float, dict[str, np.ndarray]]:
    """The loss, and its gradient by parameter where there is one."""
    loss = loss_of(model, views, negatives)
    loss.backward()
    found = {n: p.grad.cpu().numpy() for n, p in model.named_parameters() if p.grad is not None}
    return loss.item(), found


def golden_difference(path: str) -> float:
    """Largest relative difference of loss and gradients to the authors' functions (float64)."""
    golden = np.load(path)
    prefix = "f64_attn_used_"
    model = NodeModel(golden["seq"].shape[-1], golden["w_gcn1.bias"].shape[0], mixing=True).double()
    names = [name for name, _ in model.named_parameters()]
    load_weights(model, {name: golden[f"w_{name}"] for name in names})
    views = torch.tensor(golden["seq"]), torch.tensor(golden["adj"]), torch.tensor(golden["diff"])
    loss, gradients = loss_and_gradients(model, views, "cross")
    pairs = [(loss, golden[f"{prefix}loss"])]
    pairs += [(found, golden[f"{prefix}grad_{name}"]) for name, found in gradients.items()]
    return max(float(np.linalg.norm(x - y) / np.linalg.norm(y)) for x, y in pairs)


def logistic_loop(
    z: torch.Tensor,
    labels: torch.Tensor,
    train: torch.Tensor,
    test: torch.Tensor,
    *,
    num_classes: int,
    num_runs: int,
    num_steps: int,
) -> float:
    """The reference's protocol, one classifier after another: mean test accuracy."""
    accuracies = []
    for _ in range(num_runs):
        classifier = nn.Linear(z.shape[1], num_classes, device=z.device)
        nn.init.xavier_uniform_(classifier.weight)
        nn.init.zeros_(classifier.bias)
        optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-2)
        z_train, labels_train = z[train], labels[train]
        for _ in range(num_steps):
            optimizer.zero_grad()
            F.cross_entropy(classifier(z_train), labels_train).backward()
            optimizer.step()
        with torch.no_grad():
            found = classifier(z[test]).argmax(dim=1) == labels[test]
        accuracies.append(found.float().mean().item())
    return float(np.mean(accuracies))
