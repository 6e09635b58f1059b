"""Graphs of one's own in tables."""

import numpy as np
import pytest

from mmix_jax.data.nodes.graph_file import read_graph_file
from mmix_jax.errors import InputError

NODES = "id,age,height,label\n" + "".join(f"n{i},{i},{i / 2},{i % 2}\n" for i in range(30))
EDGES = "source,target\nn0,n1\nn1,n2\nn28,n0\n"


@pytest.fixture
def write(tmp_path):
    def write(nodes: str | bytes = NODES, edges: str | bytes | None = EDGES):
        for name, text in (("nodes.csv", nodes), ("edges.csv", edges)):
            if text is not None:
                content = text if isinstance(text, bytes) else text.encode()
                (tmp_path / name).write_bytes(content)
        return tmp_path

    return write


def _pairs(graph):
    return list(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))


def test_names_features_labels_and_edges(write):
    folder = write()
    mine = read_graph_file(folder)
    assert mine.name == read_graph_file(folder / "edges.csv").name == folder.name
    np.testing.assert_array_equal(mine.ids, [f"n{i}" for i in range(30)])
    np.testing.assert_array_equal(mine.graph.x[:, 1], np.arange(30) / 2)
    np.testing.assert_array_equal(mine.labels, np.arange(30) % 2)
    assert set(_pairs(mine.graph)) == {(0, 1), (1, 0), (1, 2), (2, 1), (28, 0), (0, 28)}
    assert [part.size for part in mine.split] == [3, 3, 24]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("n1,", '"n1",'),
    ],
    ids=["byte order mark", "windows", "spaces", "empty lines", "quotes"],
)
def test_tables_as_programs_write_them(write, change):
    plain = read_graph_file(write())
    found = read_graph_file(write(change(NODES), change(EDGES)))
    np.testing.assert_array_equal(found.graph.x, plain.graph.x)
    np.testing.assert_array_equal(found.ids, plain.ids)
    assert _pairs(found.graph) == _pairs(plain.graph)


def test_headers_may_be_left_out_of_both(write):
    nodes = "\n".join(f"{i},{i / 2}" for i in range(5))
    mine = read_graph_file(write(nodes, "0,1\n3,4\n") / "edges.csv")
    assert mine.graph.x.shape == (5, 1)
    assert mine.labels is None
    assert set(_pairs(mine.graph)) == {(0, 1), (1, 0), (3, 4), (4, 3)}


def test_weights(write):
    mine = read_graph_file(write(edges="Source,Target,Weight\nn0,n1,0.5\nn1,n2,2\n"))
    assert dict(zip(_pairs(mine.graph), mine.graph.edge_weight.tolist(), strict=True)) == {
        (0, 1): 0.5,
        (1, 0): 0.5,
        (1, 2): 2.0,
        (2, 1): 2.0,
    }


def test_masks_and_unknown_labels(write):
    rows = ["id,f,Label,train_mask,val_mask,test_mask"]
    rows += [f"a{i},1,{i % 2},1,0,0" for i in range(4)]
    rows += ["v,1,1,0,1,0", "t,1,0,0,0,1", "u,1,,0,0,0", "w,1,-1,0,0,0"]
    mine = read_graph_file(write("\n".join(rows), "a0,v\n"))
    assert [part.tolist() for part in mine.split] == [[0, 1, 2, 3], [4], [5]]
    np.testing.assert_array_equal(mine.labels[-2:], [-1, -1])
    assert mine.graph.x.shape == (8, 1)


def test_array_of_features_with_numbered_nodes(write, tmp_path):
    np.save(tmp_path / "nodes.npy", np.ones((5, 2)))
    mine = read_graph_file(write(nodes=None, edges="0,1\n4,2\n"))
    assert mine.ids is None
    assert set(_pairs(mine.graph)) == {(0, 1), (1, 0), (4, 2), (2, 4)}


def test_no_edges_are_a_graph(write):
    assert read_graph_file(write(edges="source,target\n")).graph.num_edges == 0


@pytest.mark.parametrize(
    ("nodes", "edges", "told"),
    [
        (NODES, "n0,n1\nn0,nobody\n", "found 'nobody' on line 2"),
        (NODES, "n0\n", "edges.csv line 1 must be source,target"),
        (NODES, "n0 n1\n", "edges.csv line 1 must be source,target"),
        (NODES, "n0,n1,1,2\n", "edges.csv line 1 .* found 4 cells"),
        (NODES, "n0,n1,heavy\n", "edges.csv line 1 must hold numbers, found 'heavy'"),
        (NODES, "n0,n1,1\nn1,n2\n", "a weight on every line or on none, found 1 on 2"),
        (NODES, "n0,n1,-1\n", "edge weights must be positive"),
        (NODES, "n0,n1,nan\n", "edge weights must be finite"),
        (NODES, None, "needs edges.csv, found no such file"),
        (None, EDGES, "one of nodes.csv and nodes.npy beside it, found neither"),
        ("", EDGES, "one line per node, found none"),
        ("id,age\n", EDGES, "one line per node, found none"),
        ("id,label\nn0,1\n", EDGES, "must have feature columns"),
        ("n0\nn1\n", EDGES, "must have feature columns"),
        (NODES + "n7,1,1,0\n", EDGES, "found 'n7' twice"),
        (NODES + "m,1,1\n", EDGES, "nodes.csv line 32 must have 4 cells, found 3"),
        (NODES + "m,1,tall,1\n", EDGES, "nodes.csv line 32 must hold numbers, found 'tall'"),
        (NODES + "m,1,,1\n", EDGES, "nodes.csv line 32 must hold numbers, found ''"),
        (NODES + "m,1,nan,1\n", EDGES, "node features must be finite"),
        (NODES + "m,1,1,cat\n", EDGES, "nodes.csv line 32: a label must be an integer"),
        (NODES + "m,1,1,0.5\n", EDGES, "nodes.csv line 32: a label must be an integer"),
        (NODES + "m,1,1," + "9" * 30 + "\n", EDGES, "a label must be an integer"),
        (NODES + 'm,"1,1,1\n', EDGES, "must be a table in UTF-8"),
        (NODES.encode("utf-16"), EDGES, "must be a table in UTF-8"),
    ],
)
def test_bad_tables_are_told_in_one_line(write, nodes, edges, told):
    with pytest.raises(InputError, match=told) as caught:
        read_graph_file(write(nodes, edges))
    assert "\n" not in str(caught.value)


def test_bad_arrays_of_features_are_told(write, tmp_path):
    folder = write()
    np.save(tmp_path / "nodes.npy", np.ones((5, 2)))
    with pytest.raises(InputError, match="found both"):
        read_graph_file(folder)
    (tmp_path / "nodes.csv").unlink()
    for content in (b"", b"text", (tmp_path / "nodes.npy").read_bytes()[:-8]):
        (tmp_path / "nodes.npy").write_bytes(content)
        with pytest.raises(InputError, match=r"nodes\.npy must be an array"):
            read_graph_file(folder)
