"""The PyTorch side of graph tasks: the authors' graph code in behaviour, written anew.

Every graph is padded to the largest of the set: dense [N, N] adjacency and diffusion, attention
over all pairs of its rows, and cosines of all rows of the batch, padding included.
`tests/golden/graph_model.npz` holds numbers of the authors' own functions; `golden_difference`
compares with them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.tasks import Config, GraphStep
from benchmarks.torch import side
from benchmarks.torch.nodes import WEIGHTS as NODE_WEIGHTS
from benchmarks.torch.nodes import Block
from benchmarks.torch.side import Views
from mmix_jax.graphs import Graph

GOLDEN = "tests/golden/graph_model.npz"
WEIGHTS = NODE_WEIGHTS | {
    "gcn1.bias": ("encoder_a", "bias_0"),
    "gcn2.bias": ("encoder_b", "bias_0"),
}


class GraphBlock(Block):
    """A graph convolution with a bias, and attention whose scores pass no gradient."""

    def __init__(self, num_features: int, width: int):
        super().__init__(num_features, width)
        self.bias = nn.Parameter(torch.zeros(width))
        self.dropout = nn.Dropout(0.1)

    def attend(self, h: torch.Tensor, adj: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Neighbours mixed by softmax(q k^T), and the squared distances of q and k, [B, N]."""
        q, k = F.normalize(self.to_q(h), dim=-1), F.normalize(self.to_k(h), dim=-1)
        scores = torch.bmm(q, k.transpose(1, 2)).detach()
        attention = torch.softmax(torch.where(adj > 0, scores, -9e15), dim=-1)
        return torch.bmm(self.dropout(attention), h), (q - k).square().sum(-1)


class GraphModel(nn.Module):
    """Two blocks: adjacency (mixed, if `mixing`) against diffusion; [B, N, D] each.

    order: "reference" is the authors': attention, the value MLP, bias and activation; without
    mixing the plain convolution, and no MLP. "paper" is this library's: bias and activation come
    first, then mixing, and the MLP last, with and without mixing.
    """

    def __init__(self, num_features: int, width: int, *, mixing: bool, order: str = "reference"):
        super().__init__()
        self.mixing, self.order = mixing, order
        self.gcn1, self.gcn2 = GraphBlock(num_features, width), GraphBlock(num_features, width)

    def forward(self, x, adj, diffusion):
        a, b = self.gcn1, self.gcn2
        h, distance = a.propagate(x, adj), torch.zeros(x.shape[:2], dtype=x.dtype, device=x.device)
        if self.order == "paper":
            h = a.act(h + a.bias)
        if self.mixing:
            h, distance = a.attend(h, adj)
        if self.mixing or self.order == "paper":
            h = a.to_v(h)
        if self.order == "reference":
            h = a.act(h + a.bias)
        return h, b.act(b.propagate(x, diffusion) + b.bias), distance


def cosines(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of all rows with all rows."""
    return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T


def cross_entropy(logits: torch.Tensor) -> torch.Tensor:
    """Row i has found column i."""
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def terms_of(model: GraphModel, views: Views) -> dict[str, torch.Tensor]:
    """The authors' terms under their golden names: padding counts among nodes and in means."""
    a, b, distance = model(*views)
    nodes = cosines(a.flatten(0, 1), b.flatten(0, 1))
    graphs = cosines(a.mean(1), b.mean(1))
    return {
        "node_logits": nodes,
        "graph_logits": graphs,
        "ce_node": cross_entropy(nodes),
        "ce_graph": cross_entropy(graphs),
        "div_loss": distance.mean(),
    }


def masked_loss(model: GraphModel, views: Views, mask: torch.Tensor) -> torch.Tensor:
    """This library's loss with nodes contrasted over the batch, a.b alone: real nodes, both ways.

    mask: bool [B, N].
    """
    a, b, distance = model(*views)
    nodes = cosines(a[mask], b[mask])
    count = mask.sum(1, keepdim=True)
    means = [(x * mask[..., None]).sum(1) / count for x in (a, b)]
    both_ways = (cross_entropy(nodes) + cross_entropy(nodes.T)) / 2
    return both_ways + cross_entropy(cosines(*means)) - distance[mask].mean()


class Padded(NamedTuple):
    """A set of M graphs: features, Â and diffusion [M, N, …] padded with 0, real nodes [M, N]."""

    views: Views
    mask: torch.Tensor

    def take(self, places: np.ndarray) -> tuple[Views, torch.Tensor]:
        """Views and mask of the graphs at `places`."""
        index = torch.as_tensor(places, device=self.mask.device)
        x, adj, diffusion = self.views
        return (x[index], adj[index], diffusion[index]), self.mask[index]


def pad(graphs: Sequence[Graph], device: str) -> Padded:
    """Dense arrays of all graphs, as large as the largest graph wants them."""
    size = max(graph.num_nodes for graph in graphs)
    parts = []
    for graph in graphs:
        x, adj, diffusion = side.dense_views(graph, device)
        spare = size - graph.num_nodes
        square = (0, spare, 0, spare)
        parts.append((F.pad(x, (0, 0, 0, spare)), F.pad(adj, square), F.pad(diffusion, square)))
    x, adj, diffusion = (torch.cat(part) for part in zip(*parts, strict=True))
    counts = torch.tensor([graph.num_nodes for graph in graphs], device=device)
    return Padded((x, adj, diffusion), torch.arange(size, device=device) < counts[:, None])


def reference_epoch(padded: Padded, config: Config) -> Callable[[], float]:
    """The authors' epoch, of as many batches as the library's: the last one's loss."""
    num_graphs, _, num_features = padded.views[0].shape
    num_batches = -(-num_graphs // config.batch_size)
    model = GraphModel(num_features, config.width, mixing=config.mixing != "none")
    model = model.to(padded.mask.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    draw = np.random.default_rng(0)

    def epoch() -> float:
        last = 0.0
        for places in np.array_split(draw.permutation(num_graphs), num_batches):
            optimizer.zero_grad()
            terms = terms_of(model, padded.take(places)[0])
            loss = terms["ce_node"] + terms["ce_graph"] - terms["div_loss"]
            loss.backward()
            optimizer.step()
            last = loss.item()  # copied after everything before it has run
        return last

    return epoch


def golden_difference() -> float:
    """Largest relative difference of terms, loss and gradients to the authors' (float64)."""
    golden = np.load(GOLDEN)
    prefix = "f64_nodrop_"
    width, num_features = golden["w_gcn1.fc.weight"].shape
    model = GraphModel(num_features, width, mixing=True).double().eval()
    names = [name for name, _ in model.named_parameters()]
    side.load_weights(model, {name: golden[f"w_{name}"] for name in names})
    views = torch.tensor(golden["seq"]), torch.tensor(golden["adj"]), torch.tensor(golden["diff"])
    terms = terms_of(model, views)
    loss = terms["ce_node"] + terms["ce_graph"] + terms["div_loss"]  # the released sign
    values = {name: term.detach().numpy() for name, term in terms.items()}
    values["total_as_is"] = loss.detach().numpy()
    values |= {f"grad_{name}": value for name, value in side.gradients(model, loss).items()}
    expected = {name: golden[name] for name in golden.files if name.startswith(f"{prefix}grad_")}
    missing = sorted(set(expected) - {prefix + name for name in values})
    if missing:
        raise SystemExit(f"every golden gradient must be computed, missing: {', '.join(missing)}")
    return side.largest_difference((value, golden[prefix + name]) for name, value in values.items())


def check_same(step: GraphStep, padded: Padded) -> str:
    """Loss and gradients of both sides at the same parameters, in what both can do."""
    mixing, width = step.settings.views.mixing != "none", step.settings.views.widths[-1]
    model = GraphModel(padded.views[0].shape[-1], width, mixing=mixing, order="paper").eval()
    side.load_weights(model, side.as_torch(step.params, WEIGHTS))
    model = model.to(padded.mask.device)
    loss, gradients, batch = step.loss_and_gradients()
    places = batch.globals["graph"][batch.globals["mask"]]
    torch_loss = masked_loss(model, *padded.take(places))
    torch_gradients = side.gradients(model, torch_loss)
    ours = side.as_torch(gradients, WEIGHTS)
    return side.differences(loss, torch_loss.item(), ours, torch_gradients)
