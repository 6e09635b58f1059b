"""Joins both sides: the library's parameters and data on the PyTorch side, and the check that
both compute the same. Needs torch.
"""

from collections.abc import Callable

import jax
import numpy as np
import torch

from benchmarks import timing
from benchmarks.nodes import LibraryStep
from benchmarks.torch import reference
from benchmarks.torch.reference import NodeModel, Views
from mmix_jax.graphs import Graph, Split, diffusion_matrix, gcn_weights
from mmix_jax.graphs.normalize import sparse_operator

GOLDEN = "tests/golden/node_model.npz"
TOLERANCE = 1e-10
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


def set_up(
    device: str | None,
    precision: str,
    *,
    golden: str = GOLDEN,
    compare: Callable[[str], float] = reference.golden_difference,
) -> str:
    """All threads, and the precision of float32 products; returns the device, and says so.

    `compare(golden)` is the difference to the authors' functions; one to be seen ends the script.
    """
    torch.set_num_threads(timing.num_threads())
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    difference = compare(golden)
    print(f"torch     {torch.get_num_threads()} threads, device {device}")
    print(f"          against the authors' own functions ({golden}): {difference:.1e}")
    if not difference < TOLERANCE:
        raise SystemExit(f"the PyTorch side must compute what {golden} holds, to {TOLERANCE}")
    return device


def dense_views(graph: Graph, device: str) -> Views:
    """Features, dense Â and dense personalised PageRank, float32, as a batch of one graph."""
    edges, size = (graph.senders, graph.receivers), graph.num_nodes
    weights = gcn_weights(*edges, size, graph.edge_weight)
    adj = sparse_operator(*edges, *weights, size, np.float32).toarray()
    diffusion = diffusion_matrix(*edges, size, edge_weight=graph.edge_weight)
    return (
        torch.tensor(graph.x, device=device)[None],
        torch.tensor(adj, device=device)[None],
        torch.tensor(diffusion, dtype=torch.float32, device=device)[None],
    )


def as_torch(tree, weights: dict[str, tuple[str, ...]] = WEIGHTS) -> dict[str, np.ndarray]:
    """The library's parameters, or gradients, under the torch side's names and in its layout."""
    found = {}
    for name, path in weights.items():
        leaf = tree
        for key in path:
            leaf = leaf[key]
        found[name] = np.asarray(leaf).T
    return found


def make_model(step: LibraryStep, views: Views, order: str) -> NodeModel:
    """A torch model with the library's initial parameters."""
    num_features, width = views[0].shape[-1], step.settings.widths[-1]
    mixing = step.settings.mixing != "none"
    model = NodeModel(num_features, width, mixing=mixing, order=order)
    reference.load_weights(model, as_torch(step.params))
    return model.to(views[0].device)


def check_same(step: LibraryStep, views: Views) -> str:
    """Loss and gradients of both sides at the same parameters, in the order that both can do."""
    model = make_model(step, views, order="paper")
    loss, gradients = step.loss_and_gradients()
    found, theirs = reference.loss_and_gradients(model, views, step.settings.negatives)
    return differences(loss, found, as_torch(gradients), theirs)


def differences(
    loss: float, found: float, ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]
) -> str:
    """How far the losses of both sides are apart, and the gradients that torch has."""
    relative = {
        name: np.linalg.norm(ours[name].ravel() - value.ravel()) / np.linalg.norm(value)
        for name, value in theirs.items()
    }
    worst = max(relative, key=lambda name: relative[name])
    return (
        f"loss jax {loss:.6f}, torch {found:.6f}, difference {loss - found:.1e}; gradients differ "
        f"by {relative[worst]:.1e} of their norm at most ({worst})"
    )


def reference_step(step: LibraryStep, views: Views, learning_rate: float) -> Callable[[], float]:
    """The authors' training step for the library's settings."""
    model = make_model(step, views, order="reference")
    return reference.training_step(model, views, step.settings.negatives, learning_rate)


def reference_logistic(
    z: jax.Array, labels: np.ndarray, split: Split, device: str, **options: int
) -> Callable[[], float]:
    """The reference's loop over classifiers, its inputs on the device."""
    tensors = [
        torch.tensor(np.asarray(array), device=device)
        for array in (z, labels.astype(np.int64), split.train, split.test)
    ]
    return lambda: reference.logistic_loop(*tensors, **options)
