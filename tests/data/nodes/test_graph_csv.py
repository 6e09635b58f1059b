"""Graphs of one's own in tables."""

import logging

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


BARE = "n0,1.5,2\nn1,3,4\nn2,5,6\n"


@pytest.mark.parametrize(
    "header",
    [
        ",0,1\n",  # as pandas writes a frame without names
        "node,2019,2020\n",
        "id,2019,2020\n",
        "Node ID,a,b\n",
        "person,age,height\n",
        "",
    ],
)
def test_a_line_of_names_is_no_node(write, header):
    mine = read_graph_file(write(header + BARE, "source,target\nn0,n1\nn2,n0\n"))
    np.testing.assert_array_equal(mine.graph.x, [[1.5, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(mine.ids, ["n0", "n1", "n2"])


@pytest.mark.parametrize("header", ["paper,2019,2020\n", "0,1,2\n", "7,1,0\n"])
def test_a_line_that_may_be_both_is_refused(write, header):
    with pytest.raises(InputError, match=r"nodes\.csv must begin with the names of its columns"):
        read_graph_file(write(header + BARE, "source,target\nn0,n1\n"))


def test_row_numbers_are_no_feature(write, caplog):
    caplog.set_level(logging.INFO)
    nodes = "".join(f"{i},n{i},{i},{i % 2}\n" for i in range(30))
    mine = read_graph_file(write(",id,age,label\n" + nodes))
    assert mine.graph.x.shape == (30, 1)
    assert "'' left out as row numbers" in caplog.text
    assert "nodes named by 'id'; label 'label'; features: age" in caplog.text
    later = "".join(f"{i},n{i},{i % 2}\n" for i in range(30))
    found = read_graph_file(write("age,id,label\n" + later))
    np.testing.assert_array_equal(found.ids, mine.ids)
    np.testing.assert_array_equal(found.graph.x, mine.graph.x)


@pytest.mark.parametrize(
    "edges",
    [
        "src,dst\nn0,n1\nn28,n0\n",
        "From,To\nn0,n1\nn28,n0\n",
        ",source,target\n0,n0,n1\n1,n28,n0\n",
        "target,source\nn1,n0\nn0,n28\n",
        "n0,n1\nn28,n0\n",
    ],
)
def test_edges_by_the_names_that_people_use(write, edges):
    mine = read_graph_file(write(edges=edges))
    assert set(_pairs(mine.graph)) == {(0, 1), (1, 0), (28, 0), (0, 28)}


def test_columns_of_edges_that_nothing_reads_are_named(write, caplog):
    mine = read_graph_file(write(edges="src,kind,dst\nn0,friend,n1\n"))
    assert _pairs(mine.graph) == [(1, 0), (0, 1)]
    assert "warning: not used: column kind of edges.csv" in caplog.text


def test_a_first_edge_that_may_be_names_is_told(write, caplog):
    nodes = "id,f\n" + "".join(f"{i},{i / 2}\n" for i in range(5))
    mine = read_graph_file(write(nodes, "0,1\n3,4\n"))
    assert set(_pairs(mine.graph)) == {(0, 1), (1, 0), (3, 4), (4, 3)}
    assert "begins with 0,1, taken for an edge" in caplog.text
    caplog.clear()
    read_graph_file(write(nodes, "3,4\n0,1\n"))
    assert not caplog.text


def test_an_unnamed_third_column_is_said_and_row_numbers_are_refused(write, caplog):
    caplog.set_level(logging.INFO)
    nodes = "id,f\n" + "".join(f"{i},{i / 2}\n" for i in range(20))
    mine = read_graph_file(write(nodes, "3,4,0.5\n1,2,2\n"))
    assert sorted(mine.graph.edge_weight.tolist()) == [0.5, 0.5, 2.0, 2.0]
    assert "edges.csv: no line of names; read as source, target, weight" in caplog.text
    with pytest.raises(InputError, match="must name its columns where the first counts the rows"):
        read_graph_file(write(nodes, "0,4,19\n1,2,9\n2,5,6\n"))


def test_row_numbers_of_two_savings_are_no_features(write):
    rows = "".join(f"{i},{i},n{i},{i / 2},{i % 2}\n" for i in range(30))
    mine = read_graph_file(write(",Unnamed: 0,id,height,label\n" + rows))
    assert mine.graph.x.shape == (30, 1)


def test_categories_and_truths_are_encoded_and_said(write, caplog):
    caplog.set_level(logging.INFO)
    rows = [
        f"n{i},{i},{'fm'[i % 2]},{'true' if i % 3 else 'False'},{'ab'[i % 2]}" for i in range(30)
    ]
    mine = read_graph_file(write("id,age,gender,member,class\n" + "\n".join(rows)))
    wanted = [[i, i % 2 == 0, i % 2, i % 3 > 0] for i in range(30)]
    np.testing.assert_array_equal(mine.graph.x, np.array(wanted, np.float32))
    assert mine.classes.tolist() == ["a", "b"]
    assert "features: age, gender, member (gender one-hot (2); member as 0 and 1)" in caplog.text
    assert (
        "30 nodes (26 without an edge), 4 features, 3 undirected edges of 3 listed" in caplog.text
    )
    assert "2 classes (a, b; 0 nodes without), random split 3 / 3 / 24" in caplog.text


def test_all_faults_are_told_at_once(write):
    rows = [f"n{i},{i or ''},2020-01-{i + 1:02},person {i},{i % 2}" for i in range(30)]
    nodes = "id,age,joined,name,label\n" + "\n".join([*rows, "n3,1,1", "n4,1,2020-02-01,x,2.5"])
    with pytest.raises(InputError) as caught:
        read_graph_file(write(nodes, "from,to,weight\nn0,n1,1\nn0,n99,2\nn1,n2,\n"))
    told = str(caught.value)
    assert "\n" not in told
    for fault in (
        "8 faults",
        "nodes.csv line 32 must have 5 cells, found 3",
        "found 'n4' twice",
        "column 'age' is blank on line 2",
        "column 'joined' holds dates such as '2020-01-01'",
        "column 'name' holds 31 different texts in 31 rows",
        "labels must be whole numbers or texts, −1 or empty for unknown, found 2.5",
        "found 'n99' on line 3; add",
        "column 'weight' is blank on line 4",
    ):
        assert fault in told, fault


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_separators_are_told(write, mark):
    with pytest.raises(InputError, match="must be separated by commas, found"):
        read_graph_file(write(NODES.replace(",", mark)))
    with pytest.raises(InputError, match="must be separated by commas, found"):
        read_graph_file(write(edges=EDGES.replace(",", mark)))


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
        (NODES, "n0\n", "edges.csv must begin with .* found 'n0' in 1 cells"),
        (NODES, "n0 n1\n", "edges.csv must begin with .* found 'n0 n1' in 1 cells"),
        (NODES, "n0,n1,1,2\n", "edges.csv must begin with .* found 'n0,n1,1,2' in 4 cells"),
        (NODES, "n0,n1,heavy\n", "edges.csv must begin with .* found 'n0,n1,heavy'"),
        (NODES, "n0,n1,1\nn1,n2\n", "edges.csv line 2 must have 3 cells, found 2"),
        (NODES, "n0,n1,-1\n", "edge weights must be positive"),
        (NODES, "n0,n1,nan\nn0,n2,1\n", "'weight' is blank on line 1"),
        (NODES, None, "needs edges.csv, found no such file"),
        (None, EDGES, "one of nodes.csv and nodes.npy beside it, found neither"),
        ("", EDGES, "one line per node, found none"),
        ("id,age\n", EDGES, "one line per node, found none"),
        (NODES + "n7,1,1,0\n", EDGES, "found 'n7' twice"),
        (NODES + "m,1,1\n", EDGES, "nodes.csv line 32 must have 4 cells, found 3"),
        (
            NODES + "m,1,tall,1\n",
            EDGES,
            "'height' must hold numbers .* found 'tall' among numbers on line 32",
        ),
        (NODES + "m,1,,1\n", EDGES, "column 'height' is blank on line 32"),
        (NODES + "m,1,nan,1\n", EDGES, "column 'height' is blank on line 32"),
        (NODES + "m,1,-inf,1\n", EDGES, "column 'height' is not finite on line 32"),
        (NODES + "m,1,1,cat\n", EDGES, "labels must be .* found '0' and 'cat'"),
        (NODES + "m,1,1,0.5\n", EDGES, "labels must be whole numbers .* found 0.5"),
        (NODES + "m,1,1," + "9" * 30 + "\n", EDGES, "labels must be whole numbers"),
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
