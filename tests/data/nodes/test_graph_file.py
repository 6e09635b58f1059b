"""Graphs of one's own in .npz files: every form is read, every fault told in one line."""

import numpy as np
import pytest
from scipy import sparse

from mmix_jax.data.nodes.graph_file import read_graph_file
from mmix_jax.errors import InputError

N = 40


def _parts(**changes):
    """A good file's arrays; a change to None removes a key."""
    rng = np.random.RandomState(0)
    masks = np.arange(N) % 4
    parts = {
        "edge_index": np.array([np.arange(N - 2), np.arange(1, N - 1)]),  # the last is isolated
        "x": rng.rand(N, 3),
        "y": np.arange(N) % 2,
        "train_mask": masks < 2,
        "val_mask": masks == 2,
        "test_mask": masks == 3,
    }
    return {key: value for key, value in (parts | changes).items() if value is not None}


NO_MASKS = dict.fromkeys(("train_mask", "val_mask", "test_mask"))


@pytest.fixture
def save(tmp_path):
    def save(**parts):
        np.savez(tmp_path / "mine.npz", **parts)
        return tmp_path / "mine.npz"

    return save


def _adjacency(weight=1.0):
    return sparse.csr_matrix(sparse.eye(N, k=1) * weight)


def _csr(matrix, prefix=""):
    parts = {key: getattr(matrix, key) for key in ("data", "indices", "indptr")}
    return {prefix + key: value for key, value in (parts | {"shape": matrix.shape}).items()}


def test_edge_list_with_masks(save):
    mine = read_graph_file(save(**_parts(ids=np.array([f"n{i}" for i in range(N)]))))
    assert (mine.name, mine.num_classes, mine.graph.num_nodes) == ("mine", 2, N)
    assert mine.graph.num_edges == 2 * (N - 2)
    np.testing.assert_array_equal(mine.split.valid, np.arange(2, N, 4))
    assert mine.ids[3] == "n3"
    assert mine.graph.x.dtype == np.float32
    assert not mine.bag_of_words


def test_directed_graphs_stay_directed_on_request(save):
    mine = read_graph_file(save(**_parts()), undirected=False)
    np.testing.assert_array_equal(mine.graph.senders, np.arange(N - 2))
    np.testing.assert_array_equal(mine.graph.receivers, np.arange(1, N - 1))


def test_edge_weights(save):
    mine = read_graph_file(save(**_parts(edge_weight=np.full(N - 2, 0.5))))
    assert (mine.graph.edge_weight == 0.5).all()


@pytest.mark.parametrize("prefix", ["", "adj_"])
def test_csr_adjacency(save, prefix):
    matrix = _adjacency(weight=2.0)
    matrix.data[0] = 0.0  # a stored zero is no edge
    mine = read_graph_file(save(**_parts(edge_index=None), **_csr(matrix, prefix)))
    assert mine.graph.num_edges == 2 * (N - 2)
    assert (mine.graph.edge_weight == 2.0).all()
    assert 0 not in mine.graph.senders


def test_file_by_scipy_with_features_added(save, tmp_path):
    sparse.save_npz(tmp_path / "scipy.npz", _adjacency())
    with np.load(tmp_path / "scipy.npz") as stored:
        mine = read_graph_file(save(**_parts(edge_index=None), **stored))
    assert mine.graph.num_edges == 2 * (N - 1)


def test_citation_file_with_sparse_features_and_objects_aside(save):
    features = sparse.csr_matrix(np.eye(N, 5))
    mine = read_graph_file(
        save(
            **_csr(_adjacency(), "adj_"),
            **_csr(features, "attr_"),
            labels=np.arange(N) % 3,
            idx_to_node=np.array({0: "never read"}, dtype=object),
        )
    )
    np.testing.assert_array_equal(mine.graph.x, features.toarray())
    assert mine.num_classes == 3


def test_real_citation_file(data_dir):
    dblp = read_graph_file(data_dir / "citation_full" / "dblp.npz", undirected=False)
    assert dblp.graph.x.shape == (17_716, 1639)
    assert dblp.graph.num_edges == 105_734
    np.testing.assert_array_equal(np.bincount(dblp.labels), [7920, 5645, 1982, 2169])


def test_without_masks_the_split_is_drawn_by_seed(save):
    path = save(**_parts(**NO_MASKS))
    first, again, other = (read_graph_file(path, split_seed=seed).split for seed in (0, 0, 1))
    assert [part.size for part in first] == [4, 4, 32]
    np.testing.assert_array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)


@pytest.mark.parametrize("y", [None, np.full(N, -1)])
def test_without_labels_there_is_no_split(save, y):
    mine = read_graph_file(save(**_parts(y=y)))
    assert (mine.labels, mine.num_classes, mine.split) == (None, 0, None)


def test_unknown_labels_are_minus_one_and_float_labels_are_taken(save):
    y = (np.arange(N) % 2).astype(np.float64)[:, None]
    y[:8] = -1
    mine = read_graph_file(save(**_parts(**NO_MASKS, y=y)))
    assert mine.labels.dtype == np.int32
    assert (mine.labels[:8] == -1).all()
    assert np.concatenate(mine.split).min() == 8


def _with(array, index, value):
    array = array.copy()
    array[index] = value
    return array


X, Y, EDGES = _parts()["x"], _parts()["y"], _parts()["edge_index"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"x": _with(X, (3, 1), np.nan)}, "node features must be finite"),
        ({"x": _with(X, (3, 1), np.inf)}, "node features must be finite"),
        ({"x": X[0]}, r"node features must be an \[N, F\] array"),
        ({"x": X.astype(str)}, "node features must be numbers"),
        ({"x": X.astype(object)}, "key 'x' must be an array of numbers or strings"),
        ({"x": None, **dict.fromkeys(("y", "train_mask", "val_mask", "test_mask"))}, "must have "),
        (_csr(sparse.csr_matrix(X), "attr_"), "node features must be given once, .* found both"),
        ({"edge_index": None}, "edges must be given once"),
        (_csr(_adjacency(), "adj_"), "edges must be given once"),
        ({"edge_index": _with(EDGES, (0, 0), -1)}, r"must lie in \[0, 40\), found -1"),
        ({"edge_index": _with(EDGES, (1, 0), N)}, r"must lie in \[0, 40\), found 40"),
        ({"edge_index": EDGES.astype(float)}, "must be a vector of integers"),
        ({"edge_index": EDGES.T}, r"shape \[2, E\]"),
        ({"edge_weight": np.ones(3)}, "edge weights must have shape"),
        ({"edge_weight": np.zeros(N - 2)}, "edge weights must be positive"),
        ({"edge_weight": np.full(N - 2, np.nan)}, "edge weights must be finite"),
        ({"y": Y + 0.5}, "labels must be whole numbers or texts"),
        ({"y": np.where(Y == 1, np.inf, 0.0)}, "labels must be whole numbers .* found inf"),
        ({"y": Y.astype("M8[D]")}, "labels must be whole numbers .* found dtype datetime64"),
        ({"y": Y - 2}, "labels must be whole numbers .* found -2"),
        ({"y": np.arange(N) * 10**12}, "found 40 different ones on 40 nodes"),
        ({"y": Y[:-1]}, "labels must have shape"),
        ({"y": np.zeros(N, int)}, "labels must name two classes"),
        ({"labels": Y}, "label must be given once, found 'y' and 'labels'"),
        ({"train_mask": np.arange(N) % 4 == 0}, "training nodes must be of two classes"),
        ({"val_mask": np.arange(N) % 4 == 3}, "must be disjoint, found node 3"),
        ({"test_mask": np.zeros(N, bool)}, "'test' must hold one node"),
        ({"test_mask": None}, "masks must be given for all .* found no test_mask"),
        ({"test_mask": np.zeros((N, 2), bool)}, "test_mask must have shape"),
        ({"ids": np.arange(3)}, "ids must have shape"),
    ],
)
def test_bad_arrays_are_told_in_one_line(save, changes, told):
    with pytest.raises(InputError, match=told) as caught:
        read_graph_file(save(**_parts(**changes)))
    assert "mine.npz: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"indptr": None}, "key 'indptr' is missing"),
        ({"indices": np.full(N - 1, N)}, "CSR parts .* must form a matrix"),
        ({"indices": np.full(N - 1, -1)}, "CSR parts .* must form a matrix"),
        ({"indptr": np.zeros(3, int)}, "CSR parts .* must form a matrix"),
        ({"shape": np.array([N])}, "CSR parts .* must form a matrix"),
        ({"shape": np.array([N, N + 1])}, "an adjacency must be square"),
        ({"data": -np.ones(N - 1)}, "edge weights must be positive"),
        ({"format": np.array(b"csc")}, "a sparse adjacency must be CSR, found csc"),
        ({"edge_weight": np.ones(N - 1)}, "edge_weight belongs to edge_index"),
    ],
)
def test_bad_csr_parts_are_told(save, changes, told):
    with pytest.raises(InputError, match=told):
        read_graph_file(save(**_parts(**{"edge_index": None, **_csr(_adjacency()), **changes})))


def test_an_adjacency_larger_than_the_features_is_told(save):
    with pytest.raises(InputError, match="must lie in"):
        read_graph_file(save(**_parts(edge_index=None, x=X[:-1]), **_csr(_adjacency())))


def test_damaged_and_foreign_files_are_told(save, tmp_path):
    whole = save(**_parts()).read_bytes()
    middle = len(whole) // 2
    contents = {
        "truncated": whole[:middle],
        "empty": b"",
        "text": b"not a zip file",
        "flipped": whole[:300] + bytes(b ^ 255 for b in whole[300:900]) + whole[900:],
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"not a readable \.npz file") as caught:
            read_graph_file(path)
        assert "\n" not in str(caught.value)
    np.save(tmp_path / "array.npy", X)
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    with pytest.raises(InputError, match=r"not a readable \.npz file"):
        read_graph_file(tmp_path / "array.npz")


def test_paths_that_are_no_graph_are_told(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_graph_file(tmp_path / "missing.npz")
    (tmp_path / "graph.txt").write_text("0 1")
    with pytest.raises(InputError, match=r"found suffix '\.txt'"):
        read_graph_file(tmp_path / "graph.txt")
