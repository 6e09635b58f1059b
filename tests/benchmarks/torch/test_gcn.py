"""Plain PyTorch graph convolutions against float64 loops."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch, which is optional")

from benchmarks.torch import gcn  # noqa: E402

# (sender, receiver); 0-1 and 1-2 both ways, 3 -> 1 one way, as after dropping; 4 is alone.
EDGES = [(0, 1), (1, 0), (1, 2), (2, 1), (3, 1)]


@pytest.fixture
def graph():
    x = np.random.default_rng(0).random((5, 3)) + 0.1
    x[4] = 0
    senders, receivers = np.array(EDGES).T
    return gcn.graph_of({"x": x, "senders": senders, "receivers": receivers}, "cpu")


def _operator(senders_by: str) -> np.ndarray:
    """D^-1/2 (A + I) D'^-1/2 edge by edge, row i collecting for node i."""
    links = [*EDGES, *((i, i) for i in range(5))]
    dense = np.zeros((5, 5))
    for sender, receiver in links:
        received = sum(1 for _, other in links if other == receiver)
        place = 1 if senders_by == "in" else 0
        of_sender = sum(1 for link in links if link[place] == sender)
        dense[receiver, sender] += 1 / math.sqrt(received * of_sender)
    return dense


@pytest.mark.parametrize("senders_by", ["in", "out"])
def test_operator(graph, senders_by):
    ours = gcn.operator(graph, senders_by=senders_by).to_dense().numpy()
    np.testing.assert_allclose(ours, _operator(senders_by), rtol=1e-12)


def test_the_two_ways_of_counting_differ_where_a_direction_is_dropped(graph):
    assert np.abs(_operator("in") - _operator("out")).max() > 0.1


@pytest.mark.parametrize("activate_last", [False, True])
def test_layers(graph, activate_last):
    torch.manual_seed(0)
    encoder = gcn.GCN([3, 4, 2], activate_last=activate_last).double()
    with torch.no_grad():
        for bias in encoder.biases:
            bias.normal_()
        z = encoder(graph.x, gcn.operator(graph, senders_by="in")).numpy()
    expected = graph.x.numpy()
    for layer in range(2):
        weight = encoder.weights[layer].detach().numpy()
        bias = encoder.biases[layer].detach().numpy()
        expected = _operator("in") @ expected @ weight + bias
        if layer == 0 or activate_last:
            expected = np.maximum(expected, 0)
    np.testing.assert_allclose(z, expected, rtol=1e-10, atol=1e-12)
    assert (z < 0).any() is not np.bool_(activate_last)


def test_rows_of_features_sum_to_one_or_stay_zero(graph):
    np.testing.assert_allclose(graph.x.sum(dim=1).numpy(), [1, 1, 1, 1, 0])


def test_edges_and_features_are_dropped_at_their_rates():
    senders, receivers = np.arange(20_000) % 100, np.arange(20_000) // 200
    arrays = {"x": np.ones((100, 10_000)), "senders": senders, "receivers": receivers}
    graph = gcn.graph_of(arrays, "cpu")
    torch.manual_seed(0)
    dropped = gcn.drop_edges(graph, 0.3)
    assert abs(len(dropped.senders) / 20_000 - 0.7) < 0.02
    pairs = set(zip(senders.tolist(), receivers.tolist(), strict=True))
    kept = zip(dropped.senders.tolist(), dropped.receivers.tolist(), strict=True)
    assert set(kept) <= pairs
    zero = (gcn.drop_features(graph, 0.3).x == 0).numpy()
    assert abs(zero[0].mean() - 0.3) < 0.02
    assert (zero == zero[0]).all()  # whole columns
    assert gcn.drop_edges(graph, 0.0).senders.shape == graph.senders.shape
