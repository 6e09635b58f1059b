"""The same data in every form give the same data set."""

import types

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import sparse

from mmix_jax.data import from_edges, graph_dataset, image_dataset, make_graph_dataset, node_dataset
from mmix_jax.graphs import Split, make_graph
from tests.experiments.nodes import small

PARTS = small.arrays()
N, X, EDGES, Y = small.N, PARTS["x"].astype(np.float32), PARTS["edge_index"], PARTS["y"]
MASKS = {name: PARTS[name] for name in ("train_mask", "val_mask", "test_mask")}
GRAPH = make_graph(X, *EDGES)


def adjacency() -> np.ndarray:
    matrix = np.zeros((N, N))
    matrix[tuple(EDGES)] = 1
    return matrix


def networkx_graph(*, features: bool = True) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(N))
    graph.add_edges_from(EDGES.T.tolist())
    if features:
        nx.set_node_attributes(graph, dict(enumerate(X)), "x")
    return graph


def frames(*, features: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    nodes = pd.DataFrame({f"f{i}": column for i, column in enumerate(X.T)} if features else {})
    nodes.insert(0, "id", np.arange(N))
    return nodes, pd.DataFrame({"source": EDGES[0], "target": EDGES[1]})


def pyg(**parts) -> types.SimpleNamespace:
    return types.SimpleNamespace(edge_index=EDGES, **parts)


WITH_FEATURES = {
    "Graph": GRAPH,
    "networkx": networkx_graph(),
    "sparse": (sparse.csr_array(adjacency()), X),
    "dense": (adjacency(), X),
    "lists": (adjacency().tolist(), X.tolist()),
    "sparse features": (sparse.coo_array(adjacency()), sparse.csr_array(X)),
    "booleans": (adjacency() > 0, X),
    "pyg": pyg(x=X),
    "frames": frames(),
}
WITHOUT = {
    "networkx": networkx_graph(features=False),
    "sparse": sparse.csr_array(adjacency()),
    "dense": adjacency(),
    "lists": adjacency().tolist(),
    "pyg": pyg(num_nodes=N),
    "frames": frames(features=False),
    "Graph": make_graph(np.zeros((N, 0)), *EDGES),
}


@pytest.mark.parametrize("form", WITH_FEATURES)
def test_every_form_of_a_graph(form):
    found = node_dataset(WITH_FEATURES[form], Y, MASKS)
    for mine, theirs in zip(found.graph, GRAPH, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(found.labels, Y)
    np.testing.assert_array_equal(found.split.train, np.flatnonzero(MASKS["train_mask"]))
    assert (found.name, found.own, found.split_given, found.structure) == ("graph", True, True, "")


@pytest.mark.parametrize("structure", ["both", "positions", "roles"])
@pytest.mark.parametrize("form", WITHOUT)
def test_every_form_without_features(form, structure):
    found = node_dataset(WITHOUT[form], structure=structure)
    wanted = from_edges(EDGES.T, num_nodes=N, structure=structure)
    assert found.structure == structure
    for mine, theirs in zip(found.graph, wanted.graph, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert found.labels is None


def test_a_path_and_a_data_set(tmp_path):
    path = small.save(tmp_path / "rings.npz")
    found = node_dataset(path)
    assert found.split_given
    assert node_dataset(found) is found
    assert node_dataset(str(path), missing="mean").gaps is not None
    other = node_dataset(found, 1 - Y)  # whose split was that of other labels
    np.testing.assert_array_equal(other.labels, 1 - Y)
    assert other.split is None


def test_masks_of_a_graph_without_labels_are_those_of_labels_beside_it():
    graph = networkx_graph()
    for mask, values in MASKS.items():
        nx.set_node_attributes(graph, dict(enumerate(values)), mask)
    found = node_dataset(graph, Y)
    assert found.split_given
    np.testing.assert_array_equal(found.split.train, np.flatnonzero(MASKS["train_mask"]))
    assert node_dataset(graph).split is None
    with pytest.raises(ValueError, match="split part 'valid' must have labels, found node 1"):
        node_dataset(graph, np.where(MASKS["val_mask"], -1, Y))


def test_a_split_of_other_labels_is_said_to_be_left_out(tmp_path, caplog):
    node_dataset(node_dataset(small.save(tmp_path / "rings.npz")), 1 - Y)
    assert "the split of the data's own labels is left out" in caplog.text


def test_a_series_in_another_order_is_refused():
    nodes, edges = frames()
    nodes["id"] = names = [f"n{i}" for i in range(N)]
    edges = edges.map(lambda i: f"n{i}")
    series = pd.Series(Y, index=names)
    np.testing.assert_array_equal(node_dataset((nodes, edges), series).labels, Y)
    np.testing.assert_array_equal(node_dataset((nodes, edges), pd.Series(Y)).labels, Y)
    with pytest.raises(ValueError, match="y must stand in the graph's order of nodes"):
        node_dataset((nodes, edges), series[::-1])
    masks = {name: pd.Series(mask, index=names)[::-1] for name, mask in MASKS.items()}
    with pytest.raises(ValueError, match="train_mask must stand in the graph's order"):
        node_dataset((nodes, edges), series, masks)


def test_no_split_is_drawn():
    assert node_dataset(WITH_FEATURES["dense"], Y).split is None
    assert node_dataset(pyg(x=X, y=Y)).split is None  # nor where the data have the labels
    split = Split(*(np.arange(i, N, 3) for i in range(3)))
    found = node_dataset(WITH_FEATURES["dense"], Y, split)
    np.testing.assert_array_equal(found.split.test, split.test)


@pytest.mark.parametrize(
    ("data", "options", "told"),
    [
        (3, {}, r"a graph must be a networkx graph, .* found int; convert it"),
        (None, {}, "found NoneType"),
        (pd.DataFrame(adjacency()), {}, "must list edges, .* found an adjacency matrix"),
        ((networkx_graph(), X), {}, "adjacency must be a matrix of numbers"),
        (np.ones((4, 3)), {}, r"adjacency must be square, .* found shape \(4, 3\)"),
        ((adjacency(), X[:5]), {}, r"must have shape \(5, 5\), as x has 5 rows"),
        (EDGES.T, {}, r"must be square, .* edges listed by their ends to from_edges"),
        (pyg(), {}, "must say how many nodes it has, found no num_nodes"),
        (networkx_graph(), {"colour": 1}, "unknown option 'colour' of from_networkx; expected one"),
        (adjacency(), {"skip_columns": "a"}, "unknown option 'skip_columns' of from_scipy"),
        (adjacency(), {"structure": "place"}, "unknown structure 'place'"),
        ((adjacency(), np.where(X > 1, np.nan, X)), {}, "node features must be finite, found"),
        ("nowhere.npz", {}, "does not exist; check the path"),
    ],
    ids=lambda value: None,
)
def test_what_is_no_graph_is_told(data, options, told):
    with pytest.raises(ValueError, match=told):
        node_dataset(data, **options)


@pytest.mark.parametrize(
    ("split", "told"),
    [
        (3, "split must be a Split or masks"),
        ({"colour": MASKS["train_mask"]}, "masks must be named train_mask, val_mask and test_mask"),
        ({"train_mask": MASKS["train_mask"]}, "masks must be given for all"),
        (Split(*([0, 1], [1, 2], [3, 4])), "must be disjoint"),
        (Split(*([0.5, 1], [2], [3])), "must be whole numbers, of nodes, found float64"),
        (Split(*(np.arange(N) % 3 == i for i in range(3))), "found bool; give masks as"),
    ],
    ids=["number", "name", "one", "shared", "floats", "truth"],
)
def test_what_is_no_split_is_told(split, told):
    with pytest.raises(ValueError, match=told):
        node_dataset(adjacency(), Y, split)


# Sets of graphs

FEW = [
    make_graph(np.eye(3)[:, :2], [0, 1], [1, 2]),
    make_graph(np.ones((4, 2)), [0, 0, 0], [1, 2, 3]),
    make_graph(np.ones((1, 2)), [], []),
]


def forms_of(graph, *, features: bool):
    matrix = np.zeros((graph.num_nodes,) * 2)
    matrix[graph.senders, graph.receivers] = 1
    other = nx.from_numpy_array(matrix)
    if features:
        nx.set_node_attributes(other, dict(enumerate(graph.x)), "x")
    edges = np.stack([graph.senders, graph.receivers])
    more = {"x": graph.x} if features else {"num_nodes": graph.num_nodes}
    return {
        "Graph": graph if features else graph._replace(x=graph.x[:, :0]),
        "networkx": other,
        "dense": (matrix, graph.x) if features else matrix,
        "sparse": (sparse.csr_array(matrix), graph.x) if features else sparse.csr_array(matrix),
        "pyg": types.SimpleNamespace(edge_index=edges, **more),
    }


@pytest.mark.parametrize("features", [True, False])
@pytest.mark.parametrize("form", ["Graph", "networkx", "dense", "sparse", "pyg"])
def test_every_form_of_a_set(form, features):
    found = graph_dataset([forms_of(g, features=features)[form] for g in FEW], ["a", "b", "a"])
    assert found.features == ("given" if features else "degree")
    assert found.classes.tolist() == ["a", "b"]
    for mine, theirs in zip(found.graphs, FEW, strict=True):
        np.testing.assert_array_equal(mine.senders, theirs.senders)
        if features:
            np.testing.assert_array_equal(mine.x, theirs.x)
        else:
            degrees = np.bincount(theirs.receivers, minlength=theirs.num_nodes)
            np.testing.assert_array_equal(mine.x.argmax(axis=1), degrees)


def test_attributes_that_a_set_does_not_read_are_named(caplog):
    graphs = [nx.path_graph(3), nx.star_graph(3)]
    nx.set_node_attributes(graphs[0], 1.0, "charge")
    graph_dataset(graphs)
    assert "not used: node attribute 'charge'" in caplog.text


def test_a_set_stays_and_may_get_other_labels():
    made = make_graph_dataset("few", FEW, [0, 1, 1])
    assert graph_dataset(made) is made
    assert graph_dataset(made, [1, 1, 0]).labels.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("graphs", "told"),
    [
        (networkx_graph(), r"must be a list of them, found one \(Graph\)"),
        (sparse.eye_array(3), "must be a list of them, found one"),
        (3, "must be a list of graphs, or a path, found int"),
        ([], "one or more, found none"),
        ([nx.Graph()] * 2, "must have a node, found none in all 2"),
        ([FEW[0], 3], "graph 1: a graph must be a networkx graph"),
        ([FEW[0], np.zeros((3, 3))], "must all have features, or none, found none in graph 1"),
        ([FEW[0], (np.zeros((2, 2)), np.ones((2, 5)))], "the same number of features, found 2 and"),
    ],
    ids=["one", "matrix", "number", "none", "empty", "mixed", "some", "widths"],
)
def test_what_is_no_set_is_told(graphs, told):
    with pytest.raises(ValueError, match=told):
        graph_dataset(graphs)


# Images

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
IMAGES = {
    "array": PIXELS,
    "wide integers": PIXELS.astype(np.int64),
    "list": list(PIXELS),
    "PIL": [Image.fromarray(image) for image in PIXELS],
    "PIL with alpha": [Image.fromarray(image).convert("RGBA") for image in PIXELS],
}


@pytest.mark.parametrize("form", IMAGES)
def test_every_form_of_images(form):
    np.testing.assert_array_equal(image_dataset(IMAGES[form]).train, PIXELS)


def test_grey_images_have_one_channel():
    grey = PIXELS[..., 0]
    for form in (grey, list(grey), [Image.fromarray(image) for image in grey]):
        np.testing.assert_array_equal(image_dataset(form).train, grey[..., None])


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (PIXELS / 255, r"must be uint8, 0 to 255, found float64 from 0 to 1; convert them: \(255"),
        (PIXELS[0, ..., 0], "images must be many, found one"),
        (Image.fromarray(PIXELS[0]), "images must be many, found one"),
        ([PIXELS[0], PIXELS[0, :4]], r"must have one size, found 2 \(\(4, 8, 3\), \(8, 8, 3\)\)"),
        ([], "must have one size, found 0"),
        (PIXELS.transpose(0, 3, 1, 2), r"channels last.*use x\.transpose\(0, 2, 3, 1\)"),
        (PIXELS > 100, "must be uint8, 0 to 255, found bool"),
        (3, "images must be"),
        ("nowhere", "nowhere"),
    ],
    ids=["floats", "one", "PIL", "sizes", "none", "channels", "truth", "number", "path"],
)
def test_what_are_no_images_is_told(images, told):
    with pytest.raises(ValueError, match=told):
        image_dataset(images)


def test_a_folder_of_images(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(PIXELS):
        Image.fromarray(image).save(folder / f"{number}.png")
    np.testing.assert_array_equal(image_dataset(folder, size=8).train, PIXELS)
