"""CCA-SSG in plain PyTorch: its loss against float64 loops, and that it trains."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch, which is optional")

from benchmarks.torch import cca_ssg, gcn  # noqa: E402


def _columns(h: np.ndarray) -> list[list[float]]:
    """Standardised, with N - 1."""
    columns = []
    for column in h.T.tolist():
        mean = sum(column) / len(column)
        variance = sum((value - mean) ** 2 for value in column) / (len(column) - 1)
        columns.append([(value - mean) / math.sqrt(variance) for value in column])
    return columns


def _product(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / len(a)


def naive_loss(h_a: np.ndarray, h_b: np.ndarray, trade_off: float) -> float:
    views = _columns(h_a), _columns(h_b)
    loss = -sum(_product(a, b) for a, b in zip(*views, strict=True))
    for columns in views:
        for i, first in enumerate(columns):
            for j, second in enumerate(columns):
                loss += trade_off * ((i == j) - _product(first, second)) ** 2
    return loss


@pytest.mark.parametrize("trade_off", [0.0, 1e-3, 0.7])
def test_loss_against_loops(trade_off):
    h_a, h_b = np.random.default_rng(0).normal(2.0, 3.0, (2, 9, 4))
    loss = cca_ssg.loss_of(torch.tensor(h_a), torch.tensor(h_b), trade_off)
    assert float(loss) == pytest.approx(naive_loss(h_a, h_b, trade_off), rel=1e-12)


def test_published_settings():
    cora, pubmed = cca_ssg.PUBLISHED["cora"], cca_ssg.PUBLISHED["pubmed"]
    assert (cora.epochs, cora.drop_feature, cora.drop_edge) == (50, 0.1, 0.4)
    assert (pubmed.epochs, pubmed.drop_feature, pubmed.drop_edge) == (100, 0.3, 0.5)
    for settings in (cora, pubmed):
        assert (settings.width, settings.depth, settings.trade_off) == (512, 2, 1e-3)
        assert (settings.learning_rate, settings.weight_decay) == (1e-3, 0.0)


def test_training_lowers_the_loss_and_follows_its_seed():
    rng = np.random.default_rng(0)
    ends = rng.integers(30, size=(2, 90))
    arrays = {"x": rng.random((30, 12), np.float32), "senders": ends[0], "receivers": ends[1]}
    graph = gcn.graph_of(arrays, "cpu")
    # Without dropping, the loss of both views is that of the embedding with itself.
    settings = cca_ssg.Settings(20, 0.0, 0.0, width=8, learning_rate=1e-2)

    def embeddings(seed: int) -> list[torch.Tensor]:
        return [embed() for _, embed in cca_ssg.train(graph, settings, seed)]

    first, second, other = embeddings(0), embeddings(0), embeddings(1)
    assert len(first) == 21
    losses = [float(cca_ssg.loss_of(z, z, settings.trade_off)) for z in first]
    assert losses[-1] < losses[0] - 1e-3
    assert torch.equal(first[-1], second[-1])
    assert not torch.equal(first[0], other[0])
