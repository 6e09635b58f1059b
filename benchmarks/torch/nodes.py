"""The PyTorch side of node tasks: the authors' node code in behaviour, written anew.

Dense adjacency and dense diffusion, attention over all N x N pairs masked by a large negative
constant, cosines of all pairs. `tests/golden/node_model.npz` holds numbers of the authors' own
functions; `golden_difference` compares with them.
"""

from collections.abc import Callable

import jax
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.tasks import NodeStep
from benchmarks.torch import side
from benchmarks.torch.side import Views
from mmix_jax.graphs import Split

GOLDEN = "tests/golden/node_model.npz"
# The torch side's name of each parameter, and where it stands in the library's.
WEIGHTS = {
    "gcn1.fc.weight": ("encoder_a", "dense_0", "kernel"),
    "gcn1.act.weight": ("encoder_a", "prelu_0", "negative_slope"),
    "gcn2.fc.weight": ("encoder_b", "dense_0", "kernel"),
    "gcn2.act.weight": ("encoder_b", "prelu_0", "negative_slope"),
    "gcn1.to_v.0.weight": ("predictor", "Dense_0", "kernel"),
    "gcn1.to_v.1.weight": ("predictor", "PReLU_0", "negative_slope"),
    "gcn1.to_v.2.weight": ("predictor", "Dense_1", "kernel"),
    "gcn1.to_q.weight": ("projections", "p_m", "kernel"),
    "gcn1.to_k.weight": ("projections", "p_n", "kernel"),
}


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


def golden_difference() -> float:
    """Largest relative difference of loss and gradients to the authors' functions (float64)."""
    golden = np.load(GOLDEN)
    prefix = "f64_attn_used_"
    model = NodeModel(golden["seq"].shape[-1], golden["w_gcn1.bias"].shape[0], mixing=True).double()
    names = [name for name, _ in model.named_parameters()]
    side.load_weights(model, {name: golden[f"w_{name}"] for name in names})
    views = torch.tensor(golden["seq"]), torch.tensor(golden["adj"]), torch.tensor(golden["diff"])
    loss = loss_of(model, views, "cross")
    pairs = [(loss.item(), golden[f"{prefix}loss"])]
    for name, gradient in side.gradients(model, loss).items():
        pairs.append((gradient, golden[f"{prefix}grad_{name}"]))
    return side.largest_difference(pairs)


def make_model(step: NodeStep, views: Views, order: str) -> NodeModel:
    """A torch model with the library's initial parameters."""
    num_features, width = views[0].shape[-1], step.settings.widths[-1]
    mixing = step.settings.mixing != "none"
    model = NodeModel(num_features, width, mixing=mixing, order=order)
    side.load_weights(model, side.as_torch(step.params, WEIGHTS))
    return model.to(views[0].device)


def check_same(step: NodeStep, views: Views) -> str:
    """Loss and gradients of both sides at the same parameters, in the order that both can do."""
    model = make_model(step, views, order="paper")
    loss, gradients, _ = step.loss_and_gradients()
    torch_loss = loss_of(model, views, step.settings.negatives)
    torch_gradients = side.gradients(model, torch_loss)
    ours = side.as_torch(gradients, WEIGHTS)
    return side.differences(loss, torch_loss.item(), ours, torch_gradients)


def reference_step(step: NodeStep, views: Views) -> Callable[[], float]:
    """The authors' training step for the library's settings: an Adam step, and its loss."""
    model = make_model(step, views, order="reference")
    optimizer = torch.optim.Adam(model.parameters(), lr=step.config.learning_rate)

    def take() -> float:
        optimizer.zero_grad()
        loss = loss_of(model, views, step.settings.negatives)
        loss.backward()
        optimizer.step()
        return loss.item()  # copied after everything before it has run

    return take


def reference_logistic(
    z: jax.Array,
    labels: np.ndarray,
    split: Split,
    device: str,
    *,
    num_classes: int,
    num_runs: int,
    num_steps: int,
) -> Callable[[], float]:
    """The reference's protocol, one classifier after another: mean test accuracy."""
    rows, classes, train, test = (
        side.tensor(x, device) for x in (z, labels.astype(np.int64), split.train, split.test)
    )

    def loop() -> float:
        accuracies = []
        for _ in range(num_runs):
            classifier = nn.Linear(rows.shape[1], num_classes, device=device)
            nn.init.xavier_uniform_(classifier.weight)
            nn.init.zeros_(classifier.bias)
            optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-2)
            train_rows, train_classes = rows[train], classes[train]
            for _ in range(num_steps):
                optimizer.zero_grad()
                F.cross_entropy(classifier(train_rows), train_classes).backward()
                optimizer.step()
            with torch.no_grad():
                correct = classifier(rows[test]).argmax(dim=1) == classes[test]
            accuracies.append(correct.float().mean().item())
        return float(np.mean(accuracies))

    return loop
