"""scikit-learn's handwritten digits as a graph; needs no file and no network."""

import numpy as np

from mmix_jax.data.splits import stratified_split
from mmix_jax.data.statistics import check_statistics, node_statistics
from mmix_jax.data.types import NodeDataset, make_dataset
from mmix_jax.graphs.types import make_graph

NUM_NEIGHBOURS = 10


def load_digits_graph(*, split: str = "default", split_seed: int = 0) -> NodeDataset:
    """1,797 images of 8 × 8 pixels, each joined to its ten nearest others.

    Features are pixels / 16, in [0, 1]. Distances are Euclidean; of equally near images the one
    with the lower index is taken, so that every machine builds the same graph. An edge stands
    where either end has the other among its nearest.

    Args:
      split: `"default"`: 20 training nodes per class, 500 for validation, the rest tests;
        `"random"`: 10/10/80.
      split_seed: of either split.

    Raises:
      ValueError: the split is unknown or `"public"`.
      InputError: scikit-learn's copy is another one.
    """
    from sklearn.datasets import load_digits

    pixels, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    senders, receivers = nearest_neighbours(pixels, NUM_NEIGHBOURS)
    graph = make_graph(pixels / 16.0, senders, receivers)
    given = stratified_split(labels, seed=split_seed) if split == "default" else None
    dataset = make_dataset(
        "digits_graph", graph, labels, given=given, split=split, split_seed=split_seed
    )
    if split == "default":
        check_statistics("digits_graph", node_statistics(dataset))
    return dataset


def nearest_neighbours(x: np.ndarray, num_neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges into every row from its nearest other rows, ties to the lower index.

    Returns:
      Senders and receivers, [N · num_neighbours] each.
    """
    squares = np.einsum("nf,nf->n", x, x)
    # The pixels are small integers: these squared distances are exact, and so are ties.
    distances = squares[:, None] + squares[None, :] - 2.0 * (x @ x.T)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :num_neighbours]
    return nearest.ravel(), np.repeat(np.arange(x.shape[0]), num_neighbours)
