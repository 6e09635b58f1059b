"""Exported entries in plain PyTorch models: loaded with strict=True, the same numbers come out."""

import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.encoders.gcn import GCN, along_edges
from mmix_jax.encoders.heads import NodeHead, Predictor, ProjectionHead
from mmix_jax.encoders.resnet import ResNet18
from mmix_jax.graphs import make_graph
from mmix_jax.graphs.padding import pad_graph
from mmix_jax.interop.torch_export import torch_tensors
from tests.interop.export_models import D, F, gat, images, mvgrl
from tests.interop.test_torch_resnet import build

DRAW = np.random.default_rng(3)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="needs PyTorch, which reads what is exported")


def loaded(torch, model, tensors, prefix: str = ""):
    """The model in evaluation, with the entries under a prefix: all of them and no others."""
    state = {
        name.removeprefix(prefix): torch.from_numpy(np.array(x))
        for name, x in tensors.items()
        if name.startswith(prefix)
    }
    model.load_state_dict(state, strict=True)
    return model.eval()


def test_a_resnet_of_torch_has_our_features(torch):
    params, stats = images(stages=(2, 1), width=8)
    model, encoder, _ = build(torch, "torchvision", stages=(2, 1), width=8)
    nn = torch.nn
    model.fc = nn.Identity()  # without entries, as whoever wants features has it
    hidden = nn.Linear(16, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU()
    model.head = nn.Sequential(*hidden, nn.Linear(16, 7))
    loaded(torch, model, torch_tensors(params, stats))  # the file as it is
    pixels = DRAW.normal(size=(4, 12, 12, 3)).astype(np.float32)
    variables = {
        part: {"params": params[part], "batch_stats": stats[part]} for part in ("encoder", "head")
    }
    features = ResNet18((2, 1), 8).apply(variables["encoder"], jnp.asarray(pixels))
    outputs = ProjectionHead(7).apply(variables["head"], features)
    with torch.no_grad():
        theirs = encoder.eval()(torch.from_numpy(pixels).permute(0, 3, 1, 2))
        np.testing.assert_allclose(features, theirs, rtol=1e-4)
        np.testing.assert_allclose(outputs, model.head(theirs), rtol=1e-4)


def test_graph_convolutions_of_torch_have_our_outputs(torch):
    """Beside them the predictor, a plain sequence."""
    from benchmarks.torch.gcn import Graph, operator

    nn = torch.nn

    class Conv(nn.Module):
        def __init__(self, before: int, width: int):
            super().__init__()
            self.lin = nn.Linear(before, width, bias=False)
            self.bias = nn.Parameter(torch.zeros(width))

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.convs = nn.ModuleList([Conv(F, 4), Conv(4, D)])
            self.prelus = nn.ModuleList([nn.PReLU(), nn.PReLU()])

        def forward(self, x, along):
            for conv, prelu in zip(self.convs, self.prelus, strict=True):
                x = prelu(torch.sparse.mm(along, conv.lin(x)) + conv.bias)
            return x

    x = DRAW.normal(size=(9, F)).astype(np.float32)
    graph = make_graph(x, *DRAW.integers(9, size=(2, 20)))
    edges = (torch.from_numpy(ends).long() for ends in (graph.senders, graph.receivers))
    along = operator(Graph(torch.from_numpy(x), *edges), senders_by="in")
    params, stats = mvgrl()
    tensors = torch_tensors(params, stats)
    padded = pad_graph(graph)
    for view in ("encoder_a", "encoder_b"):
        model = loaded(torch, Encoder(), tensors, f"{view}.")
        ours = GCN((4, D)).apply({"params": params[view]}, padded.nodes, along_edges(padded))
        with torch.no_grad():
            theirs = model(torch.from_numpy(x), along)
        np.testing.assert_allclose(ours[:9], theirs, rtol=1e-5, atol=1e-5)
    layers = nn.Linear(D, D, bias=False), nn.PReLU(), nn.Linear(D, D, bias=False)
    predictor = loaded(torch, nn.Sequential(*layers), tensors, "predictor.")
    u = Predictor(D).apply({"params": params["predictor"]}, theirs.numpy())
    np.testing.assert_allclose(u, predictor(theirs).detach(), rtol=1e-5, atol=1e-5)


def test_the_head_of_nodes_is_a_sequence_of_torch(torch):
    nn = torch.nn
    params, stats = gat()
    layers = nn.Linear(D, 3), nn.ELU(), nn.Linear(3, D)
    head = loaded(torch, nn.Sequential(*layers), torch_tensors(params, stats), "head.")
    z = DRAW.normal(size=(4, D)).astype(np.float32)
    ours = NodeHead(3).apply({"params": params["head"]}, z)
    np.testing.assert_allclose(ours, head(torch.from_numpy(z)).detach(), rtol=1e-5, atol=1e-5)
