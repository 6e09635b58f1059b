"""Our parameters under torch's names: all are there, and torch's formulas make the same numbers."""

import pathlib
import re
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.encoders.gat import GAT
from mmix_jax.encoders.gcn import GCN, along_edges
from mmix_jax.encoders.heads import Predictor
from mmix_jax.graphs import Graph
from mmix_jax.graphs.padding import pad_graph
from mmix_jax.interop.torch_export import flax_tensors, torch_tensors
from mmix_jax.interop.torch_resnet import entry_table, from_state_dict
from mmix_jax.ops.sparse import sparse_pattern
from tests.interop.export_models import MODELS, D, F, H, gat, gcn, images, mvgrl

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "export.md"
X = np.random.default_rng(1).normal(size=(5, F)).astype(np.float32)
# A directed path with a branch, and a node by itself: a transposed operator gives other numbers.
SENDERS, RECEIVERS = np.array([0, 1, 3, 2, 0]), np.array([1, 2, 1, 1, 2])
GRAPH = Graph(X, SENDERS, RECEIVERS, np.ones(5, np.float32))


def shapes(tensors):
    return {name: x.shape for name, x in tensors.items()}


def of_gcn(prefix: str) -> dict[str, tuple[int, ...]]:
    return {
        f"{prefix}.convs.0.lin.weight": (4, F), f"{prefix}.convs.0.bias": (4,),
        f"{prefix}.prelus.0.weight": (1,),
        f"{prefix}.convs.1.lin.weight": (D, 4), f"{prefix}.convs.1.bias": (D,),
        f"{prefix}.prelus.1.weight": (1,),
    }  # fmt: skip


PROJECTION = {"projection.p_m.weight": (D, D), "projection.p_n.weight": (D, D)}
NODE_HEAD = {
    "head.0.weight": (3, D), "head.0.bias": (3,), "head.2.weight": (D, 3), "head.2.bias": (D,)
}  # fmt: skip


def test_names_of_the_mvgrl_style():
    predictor = {
        "predictor.0.weight": (D, D), "predictor.1.weight": (1,), "predictor.2.weight": (D, D)
    }  # fmt: skip
    expected = of_gcn("encoder_a") | of_gcn("encoder_b") | PROJECTION | predictor
    assert shapes(torch_tensors(*mvgrl())) == expected | {"bilinear": (D, D)}


def test_names_of_the_grace_style():
    assert shapes(torch_tensors(*gcn())) == of_gcn("encoder") | NODE_HEAD | PROJECTION
    assert shapes(torch_tensors(*gat())) == NODE_HEAD | {
        "encoder.convs.0.lin.weight": (4, F), "encoder.convs.0.bias": (4,),
        "encoder.convs.0.att_src": (1, H, 2), "encoder.convs.0.att_dst": (1, H, 2),
        "encoder.convs.1.lin.weight": (H * D, 4), "encoder.convs.1.bias": (D,),
        "encoder.convs.1.att_src": (1, H, D), "encoder.convs.1.att_dst": (1, H, D),
    }  # fmt: skip


def test_names_of_images_are_torchvisions_and_a_head():
    table = entry_table("torchvision", stages=(1, 1), width=4)
    norm = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (8,))
    head = {"head.0.weight": (8, 8), "head.3.weight": (7, 8), "head.3.bias": (7,)}
    head |= {f"head.1.{name}": shape for name, shape in norm.items()}
    expected = {name: entry.shape for name, entry in table.items()} | head
    found = shapes(torch_tensors(*images()))
    assert found == expected
    assert found["conv1.weight"] == (4, 3, 3, 3) and "layer2.0.downsample.1.running_var" in found


def test_matrices_and_convolutions_are_transposed_and_nothing_else():
    params, stats = images()
    tensors = torch_tensors(params, stats)
    there, here = tensors["layer2.0.conv1.weight"], params["encoder"]["stage_1_block_0"]["conv_1"]
    o, i, row, column = 5, 2, 0, 1
    assert there[o, i, row, column] == here["kernel"][row, column, i, o]
    np.testing.assert_array_equal(tensors["head.0.weight"], params["head"]["hidden"]["kernel"].T)
    np.testing.assert_array_equal(tensors["bn1.running_var"], stats["encoder"]["norm"]["var"])
    params, stats = mvgrl()
    tensors = torch_tensors(params, stats)
    np.testing.assert_array_equal(tensors["bilinear"], params["bilinear"])
    p_m = params["projections"]["p_m"]["kernel"]
    np.testing.assert_array_equal(tensors["projection.p_m.weight"], p_m.T)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_by_our_names_arrays_stay_as_they_are(model):
    params, stats = model()
    tensors = flax_tensors(params, stats)
    assert len(tensors) == len(torch_tensors(params, stats))
    for name, x in tensors.items():
        inner = {"params": params, "batch_stats": stats}
        for key in name.split("."):
            inner = inner[key]
        np.testing.assert_array_equal(x, inner, strict=True)


def test_what_has_no_counterpart_keeps_its_path():
    other = np.arange(6.0).reshape(2, 3)
    (found,) = torch_tensors({"memory": {"keys": other}}, {}).items()
    assert found[0] == "memory.keys"
    np.testing.assert_array_equal(found[1], other)


def general(name: str) -> str:
    """A name as docs/export.md writes it: letters for numbers, … for what a norm has."""
    name = re.sub(r"\b(dense|bias|prelu|to_sender|to_receiver)_\d+", r"\1_i", name)
    name = re.sub(r"\b(convs|prelus)\.\d+", r"\1.i", name)
    name = re.sub(r"stage_\d+_block_\d+", "stage_s_block_b", name)
    name = re.sub(r"layer\d+\.\d+", "layer(s+1).b", name)
    return re.sub(r"((?:norm(?:_\d)?|bn\d|downsample\.1|\bhead\.1)\.)\w+$", r"\1…", name)


def test_the_page_lists_every_parameter_and_no_other():
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", DOCS.read_text("utf-8"), re.MULTILINE)
    pairs = set()
    for model in MODELS.values():
        here = flax_tensors(*model())
        names = [name.partition(".")[2] for name in here]
        pairs |= set(zip(map(general, names), map(general, torch_tensors(*model())), strict=True))
    assert set(rows) == pairs


def prelu(x, slope):
    return np.where(x > 0, x, slope * x)


def test_graph_convolutions_by_the_formula_of_gcn_conv():
    """x' = D̂^-1/2 (A + I) D̂^-1/2 x Wᵀ + b, row i collecting for i, degrees of receivers."""
    params, stats = mvgrl()
    tensors = torch_tensors(params, stats)
    adjacency = np.eye(5)
    adjacency[RECEIVERS, SENDERS] = 1.0
    scale = adjacency.sum(1) ** -0.5
    h = X
    for layer in range(2):
        weight, bias, slope = (
            tensors[f"encoder_a.{name}"]
            for name in (
                f"convs.{layer}.lin.weight",
                f"convs.{layer}.bias",
                f"prelus.{layer}.weight",
            )
        )
        h = prelu(scale[:, None] * adjacency * scale @ (h @ weight.T) + bias, slope)
    padded = pad_graph(GRAPH)
    ours = GCN((4, D)).apply({"params": params["encoder_a"]}, padded.nodes, along_edges(padded))
    np.testing.assert_allclose(ours[:5], h, rtol=1e-5, atol=1e-6)


def test_attention_by_the_formula_of_gat_conv():
    """α_ij over j → i and i itself of LeakyReLU(att_dst·h_i + att_src·h_j); heads side by side,
    in the last layer averaged."""
    params, stats = gat()
    tensors = torch_tensors(params, stats)
    h, receives = X.astype(np.float64), np.eye(5, dtype=bool)
    receives[RECEIVERS, SENDERS] = True
    for layer, concat in ((0, True), (1, False)):
        weight, bias, source, destination = (
            tensors[f"encoder.convs.{layer}.{name}"]
            for name in ("lin.weight", "bias", "att_src", "att_dst")
        )
        h = (h @ weight.T).reshape(5, H, -1)
        of_source, of_destination = (h * source).sum(-1), (h * destination).sum(-1)
        scores = of_destination[:, None] + of_source[None]  # [i, j, head]
        scores = np.exp(prelu(scores, 0.2)) * receives[:, :, None]
        attention = scores / scores.sum(1, keepdims=True)
        h = np.einsum("ijh,jhd->ihd", attention, h)
        h = np.maximum((h.reshape(5, -1) if concat else h.mean(1)) + bias, 0.0)
    graph = SimpleNamespace(senders=GRAPH.senders, receivers=GRAPH.receivers)
    pattern = sparse_pattern(GRAPH.receivers, GRAPH.senders, 5, 5)
    ours = GAT((4, D), H, "relu").apply(
        {"params": params["encoder"]}, jnp.asarray(X), graph, pattern, jnp.ones(5, bool)
    )
    np.testing.assert_allclose(ours, h, rtol=1e-5, atol=1e-6)


def test_the_predictor_is_a_sequence():
    params, stats = mvgrl()
    tensors = torch_tensors(params, stats)
    z = np.random.default_rng(2).normal(size=(3, D)).astype(np.float32)
    first, slope, second = (tensors[f"predictor.{place}.weight"] for place in range(3))
    ours = Predictor(D).apply({"params": params["predictor"]}, z)
    np.testing.assert_allclose(ours, prelu(z @ first.T, slope) @ second.T, rtol=1e-5)


def test_a_resnet_comes_back_bit_for_bit():
    params, stats = images()
    back = from_state_dict(torch_tensors(params, stats), stages=(1, 1), width=4)
    for found, expected in ((back.params, params), (back.batch_stats, stats)):
        found, expected = flax_tensors(found["encoder"], {}), flax_tensors(expected["encoder"], {})
        assert found.keys() == expected.keys()
        for name, x in found.items():
            np.testing.assert_array_equal(x, expected[name], strict=True)
    assert back.notes[1].startswith("left out heads: head.")
