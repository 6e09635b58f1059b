"""Sets of graphs of one's own, an .npz file each: every form is read, every fault told."""

import numpy as np
import pytest
from scipy import sparse

from mmix_jax.data import read_graph_folder
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import make_graph

EDGES = np.array([[0, 1], [1, 2]])
X = np.arange(8.0).reshape(4, 2)  # the last node is isolated


def _adjacency(size=4):
    return sparse.csr_matrix(([1.0, 1.0], EDGES), shape=(size, size))


def _csr(matrix, prefix=""):
    parts = {key: getattr(matrix, key) for key in ("data", "indices", "indptr")}
    return {prefix + key: value for key, value in (parts | {"shape": matrix.shape}).items()}


@pytest.fixture
def read(tmp_path):
    """Writes each file's parts, given by its name, and reads the folder."""

    def read(options=None, **files):
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        for name, parts in files.items():
            np.savez(folder / f"{name}.npz", **parts)
        return read_graph_folder(folder, **(options or {}))

    return read


GOOD = {"edge_index": EDGES, "x": X}


def test_graphs_come_in_the_order_of_file_names(read, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "._a.npz").write_bytes(b"the system's")
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    found = read(
        b={**GOOD, "y": 0},
        a={**GOOD, "x": X + 1, "y": np.array([1])},
        a10={"edge_index": np.zeros((2, 0)), "x": np.ones((1, 2)), "labels": 1.0},
    )
    assert (found.name, found.num_classes, found.features) == ("mine", 2, "given")
    assert found.ids.tolist() == ["a", "a10", "b"]
    np.testing.assert_array_equal(found.labels, np.array([1, 1, 0], np.int32), strict=True)
    assert [graph.num_nodes for graph in found.graphs] == [4, 1, 4]
    for part, other in zip(found.graphs[2], make_graph(X, *EDGES), strict=True):
        np.testing.assert_array_equal(part, other, strict=True)


@pytest.mark.parametrize("prefix", ["", "adj_"])
def test_all_forms_are_the_same_graph(read, prefix):
    found = read(
        a=GOOD | {"edge_weight": [1.0, 1.0]},
        b={"x": X, **_csr(_adjacency(), prefix)},
        c={"edge_index": EDGES, **_csr(sparse.csr_matrix(X), "attr_"), "num_nodes": 4},
    )
    for graph in found.graphs:
        for part, other in zip(graph, found.graphs[0], strict=True):
            np.testing.assert_array_equal(part, other, strict=True)
    assert found.labels is None


def test_weights_and_directions(read):
    found = read({"undirected": False}, a=GOOD | {"edge_weight": [2.0, 3.0]})
    np.testing.assert_array_equal(found.graphs[0].senders, EDGES[0])
    np.testing.assert_array_equal(found.graphs[0].edge_weight, [2.0, 3.0])


def test_without_features_x_is_the_degree(read):
    found = read({"max_degree": 2}, a={"edge_index": EDGES, "num_nodes": 4}, b=_csr(_adjacency(5)))
    assert found.features == "degree"
    np.testing.assert_array_equal(found.graphs[0].x, np.eye(3)[[1, 2, 1, 0]])
    np.testing.assert_array_equal(found.graphs[1].x, np.eye(3)[[1, 2, 1, 0, 0]])


def test_degrees_on_request(read):
    found = read({"features": "degree", "max_degree": 1}, a=GOOD)
    assert found.features == "degree"
    np.testing.assert_array_equal(found.graphs[0].x, np.eye(2)[[1, 1, 1, 0]])


def test_graphs_without_nodes(read):
    none = np.zeros((2, 0), np.int64)
    found = read(a=GOOD, b={"edge_index": none, "x": np.zeros((0, 2))})
    assert [graph.x.shape for graph in found.graphs] == [(4, 2), (0, 2)]
    found = read({"features": "degree", "max_degree": 3})
    assert [graph.x.shape for graph in found.graphs] == [(4, 4), (0, 4)]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"edge_index": EDGES}, r"b\.npz: the number of nodes must be told, .*; add num_nodes"),
        (
            {"edge_index": EDGES, "num_nodes": 4},
            r"features x, found it in a\.npz and not in b\.npz",
        ),
        (GOOD | {"num_nodes": 5}, r"b\.npz: .* found 4 by the features, 5 by num_nodes"),
        ({"x": X, **_csr(_adjacency(5))}, "found 5 by the adjacency, 4 by the features"),
        (GOOD | {"num_nodes": -1}, r"num_nodes must be one integer, 0 or more, found \[-1\]"),
        (GOOD | {"num_nodes": [2, 2]}, r"num_nodes must be one integer.* found \[2, 2\]"),
        (GOOD | {"num_nodes": 4.0}, r"num_nodes must be one integer.* found \[4\.0\]"),
        (GOOD | {"x": X[:, :1]}, r"found 2 in a\.npz and 1 in b\.npz"),
        (GOOD | {"x": X[:2]}, r"b\.npz: receivers must lie in \[0, 2\), found 2"),
        (GOOD | {"x": X[:0]}, r"b\.npz: a graph without nodes must have no edges, found 2"),
        (GOOD | {"x": X[0]}, r"b\.npz: node features must be an \[N, F\] array"),
        (GOOD | {"x": np.array(1.0)}, r"b\.npz: node features must be an \[N, F\] array"),
        (GOOD | {"x": X * np.nan}, r"b\.npz: node features must be finite"),
        (GOOD | {"x": X.astype(object)}, r"b\.npz: key 'x' .* found pickled objects"),
        (GOOD | _csr(sparse.csr_matrix(X), "attr_"), "features must be given once, .* found both"),
        ({"x": X}, r"b\.npz: edges must be given once"),
        (GOOD | _csr(_adjacency()), r"b\.npz: edges must be given once"),
        (GOOD | {"edge_index": EDGES.T[:1]}, r"b\.npz: edge_index must have shape \[2, E\]"),
        (GOOD | {"edge_weight": [1.0]}, r"b\.npz: edge weights must have shape"),
        (GOOD | {"y": 0}, r"must have a y, found it in b\.npz and not in a\.npz"),
        (GOOD | {"y": [0, 1, 0, 1]}, r"b\.npz: y must be one number.* of shape \(4,\)"),
        (GOOD | {"y": 0, "labels": 0}, r"b\.npz: label must be given once, found 'y' and 'labels'"),
    ],
)
def test_bad_files_are_told(read, parts, told):
    with pytest.raises(InputError, match=told) as caught:
        read(a=GOOD, b=parts)
    assert "\n" not in str(caught.value)
    assert "mine: " in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ((0, -5), "found -5; number the classes"),
        ((1, 1), "two classes"),
        ((0, "good"), r"whole numbers or texts, .* found 0 \(int\) among texts"),
    ],
)
def test_bad_labels_are_told(read, labels, told):
    with pytest.raises(InputError, match=f"mine: .*{told}"):
        read(a=GOOD | {"y": labels[0]}, b=GOOD | {"y": labels[1]})


def test_damaged_files_are_told(read, tmp_path):
    read(a=GOOD)
    path = tmp_path / "mine" / "b.npz"
    path.write_bytes((tmp_path / "mine" / "a.npz").read_bytes()[:-30])
    with pytest.raises(InputError, match=r"b\.npz: not a readable \.npz file"):
        read()


def test_bad_folders_and_options_are_told(tmp_path):
    with pytest.raises(InputError, match=r"must be a folder of \.npz files, found none"):
        read_graph_folder(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"must hold \.npz files, one per graph, found none"):
        read_graph_folder(tmp_path)
    with pytest.raises(InputError, match=r"unknown features 'labels' .* one of: auto, degree"):
        read_graph_folder(tmp_path, features="labels")
