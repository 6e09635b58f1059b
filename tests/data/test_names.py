"""One list of names for all readers."""

import logging
import types

import networkx
import numpy as np
import pytest
from scipy import sparse

from mmix_jax.data.libraries import from_pyg, from_scipy
from mmix_jax.data.names import NAMES, by_meaning
from mmix_jax.data.networkx_graphs import from_networkx
from mmix_jax.data.nodes.graph_file import read_graph_file

N = 12
X = np.random.RandomState(0).rand(N, 3).astype(np.float32)
Y = np.arange(N) % 3
MASKS = {
    "train_mask": np.arange(N) < 6,
    "val_mask": (np.arange(N) >= 6) & (np.arange(N) < 8),
    "test_mask": np.arange(N) >= 8,
}
EDGES = np.array([[0, 1, 2, 5], [1, 2, 0, 9]])


def _networkx(folder, parts):
    graph = networkx.Graph(EDGES.T.tolist())
    graph.add_nodes_from(range(N))
    for node in range(N):
        graph.nodes[node]["x"] = X[node]
        graph.nodes[node].update(
            {name: np.asarray(of)[node : node + 1].tolist()[0] for name, of in parts.items()}
        )
    order = networkx.Graph()
    order.add_nodes_from((node, graph.nodes[node]) for node in range(N))
    order.add_edges_from(graph.edges)
    return from_networkx(order)


def _pyg(folder, parts):
    return from_pyg(types.SimpleNamespace(x=X, edge_index=EDGES, **parts))


def _npz(folder, parts):
    np.savez(folder / "mine.npz", x=X, edge_index=EDGES, **parts)
    return read_graph_file(folder / "mine.npz")


def _csv(folder, parts):
    lines = [",".join(["id", "a", "b", "c", *parts])]
    for node in range(N):
        values = [np.asarray(of)[node : node + 1].tolist()[0] for of in parts.values()]
        values = [int(value) if isinstance(value, bool) else value for value in values]
        lines.append(",".join(map(str, [node, *X[node], *values])))
    (folder / "nodes.csv").write_text("\n".join(lines))
    edges = "\n".join(f"{a},{b}" for a, b in EDGES.T)
    (folder / "edges.csv").write_text(f"source,target\n{edges}\n")
    return read_graph_file(folder)


READERS = pytest.mark.parametrize("reader", [_networkx, _pyg, _npz, _csv])


@pytest.fixture
def expected(tmp_path):
    return _npz(tmp_path, {"y": Y, **MASKS})


def _same(found, wanted):
    for part, other in zip(found.graph, wanted.graph, strict=True):
        np.testing.assert_array_equal(part, other)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    for part, other in zip(found.split, wanted.split, strict=True):
        np.testing.assert_array_equal(part, other)


@READERS
@pytest.mark.parametrize("label", NAMES["label"])
def test_a_label_has_the_same_names_everywhere(reader, label, tmp_path, expected):
    found = reader(tmp_path, {label: Y, **MASKS})
    _same(found, expected)
    assert found.graph.x.shape == (N, 3)


@READERS
@pytest.mark.parametrize(
    "names",
    [
        ("train_mask", "valid_mask", "test_mask"),
        ("train", "val", "test"),
        ("is_train", "is_val", "is_test"),
        ("Train_Mask", "Val_Mask", "TEST_MASK"),
        ("training_mask", "validation_mask", "testing_mask"),
    ],
)
def test_masks_have_the_same_names_everywhere(reader, names, tmp_path, expected):
    masks = dict(zip(names, MASKS.values(), strict=True))
    _same(reader(tmp_path, {"y": Y, **masks}), expected)


@READERS
def test_a_split_may_be_words(reader, tmp_path, expected):
    words = np.array(["train"] * 6 + ["Valid", "dev"] + ["test"] * 4)
    _same(reader(tmp_path, {"label": Y, "split": words}), expected)
    with pytest.raises(ValueError, match=r"must be train, val or test on every node.* 'later'"):
        reader(tmp_path, {"label": Y, "split": np.where(words == "dev", "later", words)})


@READERS
@pytest.mark.parametrize("names", [{"Label": Y + 1}, {"target": Y * 10}])
def test_classes_are_those_that_occur(reader, names, tmp_path):
    found = reader(tmp_path, {**names, **MASKS})
    np.testing.assert_array_equal(found.labels, Y)
    assert found.num_classes == 3
    np.testing.assert_array_equal(found.classes, np.unique(next(iter(names.values()))))


@READERS
@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"label": Y, "class": Y}, "label must be given once, found 'label' and 'class'"),
        ({"y": Y, "train": MASKS["train_mask"], **MASKS}, "train_mask must be given once"),
        ({"y": Y, "split": np.full(N, "test"), **MASKS}, "a split must be given once"),
        ({"y": Y, "mask_of_training": MASKS["train_mask"]}, "a split must have a known name"),
        ({"y": Y, "train_set": MASKS["train_mask"]}, "a split must have a known name"),
        ({"y": Y, "fold": Y}, "a split must have a known name"),
        ({"class_id": Y}, "a label must have a known name, found .* 'class_id'"),
        ({"labels_of_nodes": Y}, "a label must have a known name"),
    ],
)
def test_names_that_may_mean_a_part_are_refused(reader, parts, told, tmp_path):
    with pytest.raises(ValueError, match=told) as caught:
        reader(tmp_path, parts)
    assert "\n" not in str(caught.value)


@READERS
@pytest.mark.parametrize("value", [2, -1, float("nan"), "maybe", 0.5])
def test_masks_must_be_zero_or_one_everywhere(reader, value, tmp_path):
    odd = np.array([value] + [0] * (N - 1), object if isinstance(value, str) else float)
    if reader is _npz:
        odd = odd.astype(str) if isinstance(value, str) else odd
    with pytest.raises(ValueError, match="test_mask must be 0 or 1, true or false, found"):
        reader(tmp_path, {"y": Y, **MASKS, "test_mask": odd})


@pytest.mark.parametrize("reader", [_networkx, _pyg, _npz])
def test_what_is_not_used_is_named(reader, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    reader(tmp_path, {"y": Y, **MASKS, "colour": Y})
    assert "not used: " in caplog.text
    assert "'colour'" in caplog.text


def test_masks_of_scipy_have_the_same_names():
    adjacency = sparse.coo_array((np.ones(4), EDGES), shape=(N, N))
    names = dict(zip(("Train", "valid", "is_test"), MASKS.values(), strict=True))
    found = from_scipy(adjacency, X, Y, masks=names)
    assert [part.tolist() for part in found.split] == [
        np.flatnonzero(mask).tolist() for mask in MASKS.values()
    ]
    with pytest.raises(ValueError, match=r"masks must be named .* found 'first'"):
        from_scipy(adjacency, X, Y, masks={"first": MASKS["train_mask"]})


def test_meanings_do_not_overlap():
    names = [name for of in NAMES.values() for name in of]
    assert len(names) == len(set(names))
    assert by_meaning(["Y ", "Test Mask", "x"]) == {"label": "Y ", "test_mask": "Test Mask"}
