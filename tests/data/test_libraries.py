"""Objects of networkx, SciPy and PyTorch Geometric become the same data set."""

import types

import networkx
import numpy as np
import pytest
from scipy import sparse

from mmix_jax.data.libraries import from_pyg, from_scipy
from mmix_jax.data.networkx_graphs import from_networkx, from_networkx_graphs

N = 12
X = np.random.RandomState(0).rand(N, 3).astype(np.float32)
Y = np.arange(N) % 3
EDGES = np.array([[0, 1, 2, 5], [1, 2, 0, 9]])
WEIGHT = np.array([1.0, 2.0, 0.5, 1.0])
MASKS = {
    "train_mask": np.arange(N) < 6,
    "val_mask": (np.arange(N) >= 6) & (np.arange(N) < 8),
    "test_mask": np.arange(N) >= 8,
}


def _scipy(edges=EDGES, **options):
    adjacency = sparse.csr_array((WEIGHT, edges), shape=(N, N))
    return from_scipy(adjacency, X, Y, masks=MASKS, **options)


def _networkx(kind=networkx.Graph, **options):
    graph = kind()
    for i in range(N):
        masks = {name: True for name, mask in MASKS.items() if mask[i]}
        graph.add_node(i, x=X[i], y=int(Y[i]), **masks)
    for source, target, weight in zip(*EDGES.tolist(), WEIGHT, strict=True):
        graph.add_edge(source, target, weight=weight)
    return from_networkx(graph, **options)


def _pyg_object(convert=np.asarray, **changes):
    parts = {"x": X, "edge_index": EDGES, "y": Y, "edge_weight": WEIGHT, **MASKS, **changes}
    return types.SimpleNamespace(
        **{key: None if part is None else convert(part) for key, part in parts.items()}
    )


@pytest.mark.parametrize(
    "convert",
    [_networkx, lambda **options: from_pyg(_pyg_object(), **options)],
    ids=["networkx", "pyg"],
)
@pytest.mark.parametrize("undirected", [True, False])
def test_all_three_agree(convert, undirected):
    kind = {} if convert is not _networkx or undirected else {"kind": networkx.DiGraph}
    found = convert(undirected=undirected, **kind)
    wanted = _scipy(undirected=undirected)
    for part, other in zip(found.graph, wanted.graph, strict=True):
        np.testing.assert_array_equal(part, other)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    for part, other in zip(found.split, wanted.split, strict=True):
        np.testing.assert_array_equal(part, other)
    assert wanted.graph.num_edges == (8 if undirected else 4)
    assert found.num_classes == 3


def test_pyg_reads_torch_tensors():
    torch = pytest.importorskip("torch")
    found = from_pyg(_pyg_object(torch.as_tensor, x=torch.tensor(X, requires_grad=True)))
    wanted = _scipy()
    for part, other in zip(found.graph, wanted.graph, strict=True):
        np.testing.assert_array_equal(part, other)
    half = torch.zeros(N, 2, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match="'x' must be a dense array"):
        from_pyg(_pyg_object(x=half, convert=lambda part: part))


def test_pyg_parts_that_may_be_missing():
    bare = types.SimpleNamespace(x=X, edge_index=EDGES)
    found = from_pyg(bare)
    assert (found.labels, found.split) == (None, None)
    assert (found.graph.edge_weight == 1).all()
    column = from_pyg(_pyg_object(y=Y[:, None]))
    np.testing.assert_array_equal(column.labels, Y)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"x": None, "y": None}, "without x must say how many nodes it has, found no num_nodes"),
        ({"edge_index": None}, "must have 'edge_index'"),
        ({"edge_index": EDGES.T}, r"shape \[2, E\]"),
        ({"edge_index": EDGES + 5}, "must lie in"),
        ({"y": np.ones((N, 4))}, "labels must have shape"),
        ({"val_mask": None}, "found no val_mask"),
        ({"train_mask": np.ones((N, 10), bool)}, "train_mask must have shape"),
    ],
)
def test_bad_pyg_objects_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        from_pyg(_pyg_object(**changes))


def test_scipy_takes_sparse_features_sums_repeats_and_drops_zeros():
    entries = ([1.0, 1.0, 0.0], ([0, 0, 2], [1, 1, 3]))
    found = from_scipy(sparse.coo_array(entries, shape=(N, N)), sparse.csr_array(X))
    np.testing.assert_array_equal(found.graph.x, X)
    np.testing.assert_array_equal(found.graph.senders, [1, 0])
    np.testing.assert_array_equal(found.graph.edge_weight, [2.0, 2.0])


@pytest.mark.parametrize(
    ("adjacency", "told"),
    [
        (np.ones(N), "adjacency must be a matrix of numbers"),
        (np.full((N, N), "a"), "adjacency must be a matrix of numbers"),
        (sparse.eye_array(N + 1), "adjacency must have shape"),
        (sparse.eye_array(N, N + 1), "adjacency must be square"),
        (-sparse.eye_array(N, k=1), "edge weights must be positive"),
    ],
)
def test_bad_adjacencies_are_refused(adjacency, told):
    with pytest.raises(ValueError, match=told):
        from_scipy(adjacency, X)


def test_networkx_keeps_names_and_takes_other_attributes():
    graph = networkx.Graph([("a", "b"), ("b", "c"), ("c", "c")])
    for i, node in enumerate(graph):
        graph.nodes[node].update(size=i)
    graph.nodes["a"]["kind"], graph.nodes["b"]["kind"] = 0, 1
    with pytest.raises(ValueError, match="'test' must hold one node"):
        from_networkx(graph, features="size", label="kind")
    found = from_networkx(graph, features="size", label="absent")
    np.testing.assert_array_equal(found.ids, ["a", "b", "c"])
    np.testing.assert_array_equal(found.graph.x, [[0], [1], [2]])
    assert found.graph.num_edges == 4
    assert found.labels is None


def test_networkx_takes_multigraphs_and_odd_names():
    graph = networkx.MultiGraph()
    for node in (("a", 1), 2, "b"):
        graph.add_node(node, x=[1.0])
    graph.add_edge(2, "b", weight=1.0)
    graph.add_edge(2, "b", weight=3.0)
    found = from_networkx(graph)
    np.testing.assert_array_equal(found.ids, ["('a', 1)", "2", "b"])
    np.testing.assert_array_equal(found.graph.edge_weight, [3.0, 3.0])


def test_bad_networkx_features_are_refused():
    graph = networkx.path_graph(3)
    graph.nodes[1]["x"] = 1.0
    with pytest.raises(ValueError, match="attribute 'x', found none on 0"):
        from_networkx(graph)
    with pytest.raises(ValueError, match="attribute 'size', found none on 0"):
        from_networkx(graph, features="size")
    for node in graph:
        graph.nodes[node]["x"] = [0.0] * (node + 1)
    with pytest.raises(ValueError, match="one length, found shapes"):
        from_networkx(graph)
    networkx.set_node_attributes(graph, [1.0], "x")
    networkx.set_node_attributes(graph, {0: [1, 2]}, "y")
    with pytest.raises(ValueError, match=r"labels must be .* found \[1, 2\] \(list\)"):
        from_networkx(graph)
    with pytest.raises(ValueError, match="two classes or more, found class 'red' only"):
        networkx.set_node_attributes(graph, "red", "y")
        from_networkx(graph)
    with pytest.raises(ValueError, match="one node or more, found none"):
        from_networkx(networkx.Graph())


# Sets of graphs


def _path(num_nodes, **attributes):
    graph = networkx.path_graph(num_nodes)
    for key, value in attributes.items():
        networkx.set_node_attributes(graph, value, key)
    return graph


def test_networkx_graphs_are_the_same_one_by_one():
    graphs = [_path(3, x=[1.0, 2.0]), _path(2, x=[0.0, 1.0])]
    graphs[0].edges[0, 1]["weight"] = 2.5
    found = from_networkx_graphs(iter(graphs), [1, 0], ids=["a", "b"], name="paths")
    assert (found.name, found.num_classes, found.features) == ("paths", 2, "given")
    np.testing.assert_array_equal(found.labels, [1, 0])
    assert found.ids.tolist() == ["a", "b"]
    for graph, source in zip(found.graphs, graphs, strict=True):
        for part, other in zip(graph, from_networkx(source).graph, strict=True):
            np.testing.assert_array_equal(part, other, strict=True)
    assert sorted(found.graphs[0].edge_weight) == [1.0, 1.0, 2.5, 2.5]


def test_networkx_graphs_with_other_attributes_and_directions():
    graph = networkx.DiGraph([("b", "a", {"w": 2.0})])
    networkx.set_node_attributes(graph, {"a": 1, "b": 5}, "size")
    options = {"features": "size", "weight": "w"}
    (found,) = from_networkx_graphs([graph], undirected=False, **options).graphs
    np.testing.assert_array_equal(found.x, [[5], [1]])
    assert [part.tolist() for part in found[1:]] == [[0], [1], [2.0]]
    (found,) = from_networkx_graphs([graph], **options).graphs
    assert [part.tolist() for part in found[1:]] == [[1, 0], [0, 1], [2.0, 2.0]]


def test_networkx_graphs_without_nodes():
    none = networkx.Graph()
    found = from_networkx_graphs([none, _path(2, x=[0.0, 1.0])])
    assert [graph.x.shape for graph in found.graphs] == [(0, 2), (2, 2)]
    found = from_networkx_graphs([_path(3), none], features=None, max_degree=4)
    assert found.features == "degree"
    assert found.graphs[1].x.shape == (0, 5)
    np.testing.assert_array_equal(found.graphs[0].x, np.eye(5)[[1, 2, 1]])


@pytest.mark.parametrize(
    ("graphs", "options", "told"),
    [
        ([_path(2, x=1.0), _path(2)], {}, "^graph 1: every node must have the attribute 'x'"),
        ([_path(2, x=1.0), _path(2, x={0: 1.0, 1: [1.0, 2.0]})], {}, "^graph 1: .* one length"),
        ([_path(2, x=1.0), _path(2, x=[1.0, 2.0])], {}, "same number of features, found 1 and 2"),
        ([_path(2, x=np.inf)], {}, "^graph 0: node features must be finite"),
        ([], {}, "one or more, found none"),
        ([_path(2, x=1.0)] * 2, {"labels": [0]}, r"labels must have shape \(2,\)"),
        ([_path(2, x=1.0)] * 2, {"ids": [0]}, r"ids must have shape \(2,\)"),
    ],
)
def test_networkx_graphs_that_do_not_fit_are_told(graphs, options, told):
    with pytest.raises(ValueError, match=told):
        from_networkx_graphs(graphs, **options)


def test_what_networkx_graphs_have_and_nothing_reads_is_named(caplog):
    graph = _path(3, x=1.0, colour="red")
    networkx.set_edge_attributes(graph, 2.0, "capacity")
    graph.graph["label"] = 1
    from_networkx(graph)
    from_networkx_graphs([graph, graph])
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "warning: not used: edge attribute 'capacity'",
        "warning: not used: attribute 'colour'",
        "warning: not used: attribute of graphs (labels= takes their classes) 'label'",
        "warning: not used: node attribute 'colour'",
        "warning: not used: edge attribute 'capacity'",
    ]
    caplog.clear()
    from_networkx(_path(3, x=1.0))
    assert not caplog.records


def test_names_of_nodes_of_every_kind_are_kept():
    graph = networkx.Graph()
    for node in (2**70, 1, -5):
        graph.add_node(node, x=1.0)
    np.testing.assert_array_equal(from_networkx(graph).ids, [str(2**70), "1", "-5"])
    graph = networkx.Graph()
    for node in (1, "1", 1.5):
        graph.add_node(node, x=1.0)
    np.testing.assert_array_equal(from_networkx(graph).ids, ["1", "'1'", "1.5"])


KINDS = pytest.mark.parametrize("kind", ["<f2", ">f2", ">f4", ">f8", ">i2", "u1", "i1", "?", "<u8"])


@KINDS
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr"])
def test_narrow_and_foreign_types_are_taken(kind, form):
    adjacency = sparse.coo_array((np.ones(2), ([0, 2], [1, 3])), shape=(N, N)).asformat(form)
    x = sparse.coo_array(np.eye(N, 3)).asformat(form)
    for matrix in (adjacency, x):
        matrix.data = matrix.data.astype(kind)  # SciPy makes no matrix of some of these
    labels = Y.astype("u1" if kind == "?" else kind)
    found = from_scipy(adjacency, x, labels, masks=MASKS)
    assert found.graph.edge_weight.tolist() == [1.0] * 4
    np.testing.assert_array_equal(found.graph.x, np.eye(N, 3))
    np.testing.assert_array_equal(found.labels, Y)


@KINDS
def test_repeats_of_narrow_types_are_summed_beyond_their_range(kind):
    ends = (np.zeros(5000, int), np.ones(5000, int))
    adjacency = sparse.coo_array((np.ones(5000), ends), shape=(N, N))
    adjacency.data = adjacency.data.astype(kind)
    assert from_scipy(adjacency, X).graph.edge_weight.tolist() == [5000.0, 5000.0]


@pytest.mark.parametrize("thing", [None, [], {}, 3, np.eye(3)])
def test_what_is_no_graph_is_told(thing):
    with pytest.raises(ValueError, match="a networkx graph is needed, found"):
        from_networkx(thing)
    with pytest.raises(ValueError, match=r"networkx graph is needed|one or more"):
        from_networkx_graphs(thing)
    with pytest.raises(ValueError, match="a PyTorch Geometric graph must have"):
        from_pyg(thing)


@pytest.mark.parametrize("x", [3, "abc", np.ones(N), np.ones(N, "m8[s]")])
def test_features_that_are_none_are_told(x):
    with pytest.raises(ValueError, match=r"; ") as caught:
        from_scipy(sparse.eye_array(N, k=1), x)
    assert "\n" not in str(caught.value)


def test_masked_values_are_unknown_labels_and_no_features():
    adjacency = sparse.eye_array(N, k=1)
    known = MASKS | {"train_mask": MASKS["train_mask"] & (np.arange(N) >= 3)}
    found = from_scipy(adjacency, X, np.ma.array(Y, mask=np.arange(N) < 3), masks=known)
    assert found.num_classes == 3
    assert (found.labels[:3] == -1).all()
    with pytest.raises(ValueError, match="must have all its values, found masked ones"):
        from_scipy(adjacency, np.ma.array(X, mask=X < 0.1))
    with pytest.raises(ValueError, match="train_mask must be 0 or 1"):
        mask = np.ma.array(MASKS["train_mask"], mask=np.arange(N) < 2)
        from_scipy(adjacency, X, Y, masks=MASKS | {"train_mask": mask})


@pytest.mark.parametrize("seed", ["1", 1.5, None, -1, 2**32, True])
def test_seeds_that_are_none_are_told(seed):
    with pytest.raises(ValueError, match="split_seed must lie in"):
        from_scipy(sparse.eye_array(N, k=1), X, Y, split="random", split_seed=seed)
