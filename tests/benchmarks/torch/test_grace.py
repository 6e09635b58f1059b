"""GRACE in plain PyTorch: its loss against float64 loops, in blocks too, and that it trains."""

import math

import numpy as np
import pytest

import naive

torch = pytest.importorskip("torch", reason="needs PyTorch, which is optional")

from benchmarks.torch import gcn, grace  # noqa: E402


def naive_loss(h_a: np.ndarray, h_b: np.ndarray, temperature: float) -> float:
    """Mean of both directions; negatives are all others of both views."""
    total = 0.0
    for anchors, partners in ((h_a, h_b), (h_b, h_a)):
        for i, anchor in enumerate(anchors):
            between = [math.exp(naive.cosine(anchor, other) / temperature) for other in partners]
            within = [math.exp(naive.cosine(anchor, other) / temperature) for other in anchors]
            total -= math.log(between[i] / (sum(between) + sum(within) - within[i]))
    return total / (2 * len(h_a))


def _views():
    values = np.random.default_rng(0).normal(size=(2, 7, 4))
    return values, [torch.tensor(h, requires_grad=True) for h in values]


@pytest.mark.parametrize("block_size", [0, 3, 7, 100])
def test_loss_and_gradient_against_loops(block_size):
    values, views = _views()
    loss = grace.backward(*views, 0.4, block_size)
    assert loss == pytest.approx(naive_loss(*values, 0.4), rel=1e-12)
    for which, view in enumerate(views):

        def of_view(h, which=which):
            changed = values.copy()
            changed[which] = h
            return naive_loss(*changed, 0.4)

        expected = naive.numerical_gradient(of_view, values[which])
        np.testing.assert_allclose(view.grad.numpy(), expected, rtol=1e-5, atol=1e-8)


def test_published_settings():
    cora, pubmed = grace.PUBLISHED["cora"], grace.PUBLISHED["pubmed"]
    assert (cora.epochs, cora.width, cora.head_width) == (200, 128, 128)
    assert (cora.drop_edge, cora.drop_feature) == ((0.2, 0.4), (0.3, 0.4))
    assert (cora.temperature, cora.learning_rate, cora.weight_decay) == (0.4, 5e-4, 1e-5)
    assert (pubmed.epochs, pubmed.width, pubmed.head_width) == (1500, 256, 256)
    assert (pubmed.drop_edge, pubmed.drop_feature) == ((0.4, 0.1), (0.0, 0.2))
    assert (pubmed.temperature, pubmed.learning_rate, pubmed.weight_decay) == (0.7, 1e-3, 1e-5)


def test_training_moves_the_encoder_and_follows_its_seed():
    rng = np.random.default_rng(0)
    ends = rng.integers(30, size=(2, 90))
    arrays = {"x": rng.random((30, 12), np.float32), "senders": ends[0], "receivers": ends[1]}
    graph = gcn.graph_of(arrays, "cpu")
    settings = grace.Settings(5, 8, 8, (0.2, 0.4), (0.0, 0.2), 0.5, 1e-2, block_size=16)

    def embeddings(seed: int) -> list[torch.Tensor]:
        return [embed() for _, embed in grace.train(graph, settings, seed)]

    first, second, other = embeddings(0), embeddings(0), embeddings(1)
    assert len(first) == 6
    assert first[0].shape == (30, 8)
    assert (first[-1] >= 0).all()  # ReLU is last
    assert not torch.equal(first[0], first[-1])
    assert torch.equal(first[-1], second[-1])
    assert not torch.equal(first[0], other[0])
