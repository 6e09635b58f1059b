"""Writes a small set in the original Planetoid format, with gaps like Citeseer's."""

import collections
import pathlib
import pickle
from typing import NamedTuple

import numpy as np
from scipy import sparse

NUM_TRAIN, NUM_ALLX, NUM_CLASSES, NUM_FEATURES = 12, 530, 6, 9
# Nodes without features and label: two between the test nodes, and the very last one.
GAPS = (533, 540, 551)
NUM_NODES = 552


class Written(NamedTuple):
    """What a reader must find again."""

    x: np.ndarray
    labels: np.ndarray
    edges: set[tuple[int, int]]
    test_index: np.ndarray


def write_planetoid(folder: pathlib.Path, name: str) -> Written:
    """Eight files `ind.<name>.*` as Python 2 would have written them."""
    rng = np.random.RandomState(0)
    test_nodes = np.setdiff1d(np.arange(NUM_ALLX, NUM_NODES), GAPS)
    test_index = rng.permutation(test_nodes)
    x = (rng.rand(NUM_NODES, NUM_FEATURES) < 0.3).astype(np.float32)
    labels = np.arange(NUM_NODES) % NUM_CLASSES
    x[list(GAPS)], labels[list(GAPS)] = 0, -1
    graph, edges = _graph(rng, test_nodes)

    one_hot = np.eye(NUM_CLASSES, dtype=np.int32)[labels]
    rows = {"": np.arange(NUM_TRAIN), "all": np.arange(NUM_ALLX), "t": test_index}
    for prefix, nodes in rows.items():
        _dump(sparse.csr_matrix(x[nodes]), folder / f"ind.{name}.{prefix}x")
        _dump(one_hot[nodes], folder / f"ind.{name}.{prefix}y")
    _dump(graph, folder / f"ind.{name}.graph")
    lines = "".join(f"{node}\n" for node in test_index)
    (folder / f"ind.{name}.test.index").write_text(lines)
    return Written(x, labels, edges, test_index)


def _graph(rng: np.random.RandomState, test_nodes: np.ndarray):
    """Neighbour lists with repeats and a self-loop, isolated nodes included, and the edges."""
    graph = collections.defaultdict(list, {node: [] for node in range(NUM_NODES)})
    edges = set()
    for i in [*range(NUM_ALLX), *test_nodes.tolist()]:
        j = int(rng.randint(NUM_ALLX))
        if i != j:
            edges |= {(i, j), (j, i)}
            graph[i] += [j, j]
            graph[j].append(i)
    graph[3].append(3)
    return graph, edges


def _dump(value, path: pathlib.Path) -> None:
    content = pickle.dumps(value, protocol=2, fix_imports=True)
    # The names that these classes had when the original files were written.
    content = content.replace(b"scipy.sparse._csr\n", b"scipy.sparse.csr\n")
    content = content.replace(b"numpy._core.multiarray\n", b"numpy.core.multiarray\n")
    path.write_bytes(content)
