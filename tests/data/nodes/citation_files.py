"""A small set in the form of graph2gauss's `.npz` files, and what must come of it."""

import pathlib

import numpy as np
from scipy import sparse

from mmix_jax.data.statistics import NodeStatistics

NUM_NODES, NUM_FEATURES = 40, 6
FEATURELESS = (3, 17)
# Directed: one of both directions, both of them, and a self-loop.
EDGES = [(i, (7 * i + 1) % NUM_NODES) for i in range(NUM_NODES)] + [(1, 0), (5, 5), (20, 39)]
UNDIRECTED = {(i, j) for a, b in EDGES for i, j in ((a, b), (b, a)) if i != j}
LABELS = np.arange(NUM_NODES) % 3

STATISTICS = NodeStatistics(
    num_nodes=NUM_NODES,
    num_edges=len(UNDIRECTED) // 2,
    num_features=NUM_FEATURES,
    num_classes=3,
    num_unlabelled=0,
    class_sizes=(14, 13, 13),
    split_sizes=(4, 4, 32),
    list_entries=len(set(EDGES)),
    self_loops=sum(i == j for i, j in set(EDGES)),
    zero_rows=2,
)


def features() -> np.ndarray:
    """Weights of words, float64 [40, 6]."""
    x = np.random.default_rng(0).uniform(0.1, 1.0, (NUM_NODES, NUM_FEATURES))
    x[FEATURELESS, :] = 0
    x[:, 2] = 0
    x[8, 2] = 0.25
    return x


def arrays(spelling: str = "_") -> dict:
    """The content of a file; `spelling` stands between a matrix and its part."""
    senders, receivers = np.array(sorted(set(EDGES))).T
    shape = (NUM_NODES, NUM_NODES)
    matrices = {
        "adj": sparse.csr_matrix((np.ones(senders.size), (senders, receivers)), shape),
        "attr": sparse.csr_matrix(features()),
    }
    parts = {
        f"{name}{spelling}{part}": getattr(matrix, part)
        for name, matrix in matrices.items()
        for part in ("data", "indices", "indptr", "shape")
    }
    # As published: names and numbers are NumPy's, dictionaries arrays without axes.
    return parts | {
        "labels": LABELS,
        "idx_to_node": {i: np.str_(9000 + i) for i in range(NUM_NODES)},
        "idx_to_attr": {np.int64(j): f"word {j}" for j in range(NUM_FEATURES)},
        "idx_to_class": {0: "theory", 1: "practice", 2: "other"},
        "attr_text": np.array([f"title {i}" for i in range(NUM_NODES)], object),
    }


def write(path: pathlib.Path, content: dict) -> pathlib.Path:
    """Writes the file; keys whose value is None are left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    return path
