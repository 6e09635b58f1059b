"""Graphs from pandas frames and lists of edges."""

import functools
import logging

import numpy as np
import pandas as pd
import pytest

from mmix_jax.data import from_edges, from_tables, read_graph_file

NODES = pd.DataFrame(
    {
        "id": [f"p{i}" for i in range(12)],
        "age": np.arange(12) * 3.0 + 20,
        "city": ["Oslo", "Rome", "Paris"] * 4,
        "member": [True, False] * 6,
        "class": ["a", "b"] * 6,
    }
)
EDGES = pd.DataFrame({"source": NODES["id"][:-1].tolist(), "target": NODES["id"][1:].tolist()})

# No split is drawn: there are too few labels.
tables = functools.partial(from_tables, split="given")


def test_frames_are_read_as_their_files_are(tmp_path):
    NODES.to_csv(tmp_path / "nodes.csv", index=False)
    EDGES.to_csv(tmp_path / "edges.csv", index=False)
    theirs, mine = (
        read_graph_file(tmp_path, split="given"),
        tables(NODES, EDGES, split="given"),
    )
    for a, b in zip(mine.graph, theirs.graph, strict=True):
        np.testing.assert_array_equal(a, b)
    assert mine.feature_names == theirs.feature_names
    assert mine.feature_names == ("age", "city=Oslo", "city=Paris", "city=Rome", "member")
    np.testing.assert_array_equal(mine.labels, theirs.labels)
    np.testing.assert_array_equal(mine.ids, theirs.ids)


@pytest.mark.parametrize(
    "change",
    [
        lambda n: n.set_index("id"),
        lambda n: n.assign(age=n["age"].astype("Int64")),
        lambda n: n.assign(city=n["city"].astype("category")),
        lambda n: n.assign(city=n["city"].astype("string")),
        lambda n: n.assign(member=n["member"].astype("boolean")),
        lambda n: n.assign(member=n["member"].map({True: "yes", False: "no"})),
        lambda n: n.rename(columns={"class": "Label", "id": "node_id"}),
        lambda n: n.reset_index(),
        lambda n: n.rename(columns={"id": "user_id"})[
            ["age", "user_id", "city", "member", "class"]
        ],
    ],
    ids=[
        "index",
        "Int64",
        "category",
        "string",
        "boolean",
        "words",
        "names",
        "row numbers",
        "unknown id",
    ],
)
def test_types_and_names_of_columns_do_not_matter(change):
    plain, mine = tables(NODES, EDGES), tables(change(NODES.copy()), EDGES)
    np.testing.assert_array_equal(mine.graph.x, plain.graph.x)
    np.testing.assert_array_equal(mine.labels, plain.labels)
    assert mine.ids.tolist() == plain.ids.tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.rename(columns={"source": "from", "target": "to"}),
        lambda e: e.rename(columns={"source": "person", "target": "friend"}),
        lambda e: e.assign(since=2000),
        lambda e: e[["target", "source"]],
    ],
    ids=["names", "unknown names", "more", "order"],
)
def test_columns_of_edges(change):
    plain, mine = tables(NODES, EDGES), tables(NODES, change(EDGES))
    np.testing.assert_array_equal(mine.graph.senders, plain.graph.senders)


def test_numbers_name_nodes_whatever_their_type():
    nodes = NODES.assign(id=np.arange(12) * 10)
    edges = pd.DataFrame({"source": [0.0, 10.0], "target": ["110", "20"], "weight": [2, 3.5]})
    found = tables(nodes, edges)
    assert found.ids.tolist() == (np.arange(12) * 10).tolist()
    pairs = zip(found.graph.receivers, found.graph.senders, found.graph.edge_weight, strict=True)
    assert [tuple(map(float, pair)) for pair in pairs] == [
        (0, 11, 2), (1, 2, 3.5), (2, 1, 3.5), (11, 0, 2),
    ]  # fmt: skip


def test_without_nodes_they_are_those_of_the_edges():
    found = tables(None, EDGES)
    assert found.ids.tolist() == NODES["id"].tolist()
    assert found.structure == "both"


def test_all_faults_are_told_at_once():
    nodes = NODES.assign(
        joined=pd.date_range("2020-01-01", periods=12),
        bio=[f"text {i}" for i in range(12)],
        age=NODES["age"].where(NODES.index != 3),
        empty=np.nan,
    )
    nodes.loc[5, "id"] = "p4"
    edges = pd.DataFrame({"source": ["p0"], "target": ["p99"]})
    with pytest.raises(ValueError, match=r"^6 faults: \(1\) ") as error:
        tables(nodes, edges)
    for words in (
        "nodes must name every node once in column 'id', found 'p4' twice",
        "column 'joined' holds dates such as '2020-01-01 00:00:00'; write them as numbers (days, "
        "years), or leave it out (skip_columns does)",
        "column 'bio' holds 12 different texts in 12 rows",
        "column 'age' is blank on row 3; fill it in, or set missing to mean, median or zero",
        "column 'empty' is empty; leave it out (skip_columns does)",
        "edges must join known nodes, found 'p99' on row 0",
    ):
        assert words in str(error.value)


def test_blanks_are_filled_and_columns_left_out_when_asked(caplog):
    caplog.set_level(logging.INFO)
    nodes = NODES.assign(bio=[f"text {i}" for i in range(12)])
    nodes.loc[3, "age"], nodes.loc[4, "city"] = np.nan, None
    found = tables(nodes, EDGES, missing="mean", skip_columns=["bio"])
    x = dict(zip(found.feature_names, found.graph.x.T, strict=True))
    assert x["age"][3] == pytest.approx(NODES["age"].drop(3).mean())
    assert [x[f"city={city}"][4] for city in ("Oslo", "Paris", "Rome")] == pytest.approx(
        [4 / 11, 4 / 11, 3 / 11], abs=1e-6
    )
    assert "left out: bio" in caplog.text
    assert "4 of 60 values unknown, in age, city=Oslo, city=Paris, city=Rome" in caplog.text
    again = tables(nodes, EDGES, missing="mean", skip_columns="bio")
    np.testing.assert_array_equal(again.graph.x, found.graph.x)


def test_a_known_category_need_not_repeat():
    few = NODES.iloc[:2].assign(city=["Lima", "Bern"], member=["yes", "yes"])
    edges = pd.DataFrame({"source": ["p0"], "target": ["p1"]})
    with pytest.raises(ValueError, match="draw none"):
        from_tables(few, edges)
    few = few.drop(columns="class")
    found = tables(few, edges, known=["age", "city=Oslo", "member"])
    assert found.feature_names == ("age", "city=Bern", "city=Lima", "member")


def test_a_known_category_stays_one_where_its_texts_are_truth_values():
    known = ["age", "city=maybe", "city=no", "city=yes"]
    found = tables(NODES.assign(city=["yes", "no"] * 6), EDGES, known=known)
    assert found.feature_names == ("age", "city=no", "city=yes", "member")
    assert tables(NODES.assign(city=["yes", "no"] * 6), EDGES).feature_names[1] == "city"


def test_another_word_in_a_column_of_yes_and_no_is_told():
    nodes = NODES.assign(member=["yes", "no", "maybe"] * 4)
    with pytest.raises(
        ValueError, match="'member' must hold numbers, or yes and no, as those that"
    ):
        tables(nodes, EDGES, known=["age", "member"])
    assert "member=maybe" in tables(nodes, EDGES).feature_names


@pytest.mark.parametrize(
    ("nodes", "edges", "told"),
    [
        (None, EDGES.replace("p3", None), "must name both ends, found a blank on row 3 and 1 more"),
        (NODES, NODES["id"], "edges must be a pandas frame, found Series"),
        ([1, 2], EDGES, "nodes must be a pandas frame, found list"),
        (NODES, EDGES[["source"]], "edges must have columns source and target, found source"),
        (NODES, EDGES.assign(src=1), "edges must have one column source, found 'source' and 'src'"),
        (NODES, EDGES.assign(weight="heavy"), "weights must be numbers, found 'heavy' on row 0"),
        (NODES, EDGES.assign(weight=np.nan), "column 'weight' is blank on row 0 and 10 more"),
        (NODES.assign(my_label=1).drop(columns="class"), EDGES, "must have a known name"),
        (NODES.rename(columns={"age": "city"}), EDGES, "must name every column once, found 'city'"),
    ],
    ids=["blank end", "series", "list", "one", "twice", "words", "blank", "label", "titles"],
)
def test_wrong_frames_are_told(nodes, edges, told):
    with pytest.raises(ValueError, match=told):
        tables(nodes, edges)


def test_columns_to_skip_must_be_there():
    with pytest.raises(ValueError, match="skip_columns must name columns of nodes, found 'bio'"):
        tables(NODES, EDGES, skip_columns="bio")


@pytest.mark.parametrize(
    ("edges", "options", "ids"),
    [
        ([("b", "a"), ("a", "c")], {}, ["b", "a", "c"]),
        ([("b", "a")], {"nodes": ["a", "b", "z"]}, ["a", "b", "z"]),
        (np.array([[5, 3], [3, 9]]), {}, [5, 3, 9]),
        ([(0, 1)], {"num_nodes": 4}, None),
        ([(0, 1, 2.0)], {"x": np.eye(4)}, None),
        ([], {"nodes": ["a", "b"]}, ["a", "b"]),
    ],
    ids=["texts", "order", "numbers", "count", "features", "none"],
)
def test_lists_of_edges(edges, options, ids):
    found = from_edges(edges, **options)
    assert found.graph.num_nodes == (4 if ids is None else len(ids))
    assert (None if found.ids is None else found.ids.tolist()) == ids
    assert found.graph.num_edges == 2 * len(edges)
    assert (found.structure == "") == ("x" in options)


@pytest.mark.parametrize(
    ("edges", "options", "told"),
    [
        ([("a",)], {}, "must be pairs .* found 1 entries"),
        ([("a", "b"), ("a", "b", 1)], {}, "found 2 and 3 entries"),
        ([("a", "b"), ("a", None)], {}, r"must name both ends, found \['a', None\] in edge 1"),
        (np.ones((2, 7), int), {}, r"must be pairs, \[E, 2\], found shape \(2, 7\); transpose"),
        ([("a", "q")], {"nodes": ["a", "b"]}, "must join known nodes, found 'q' in edge 0"),
        ([(0, 4)], {"num_nodes": 4}, "found 4 in edge 0; add it to the nodes"),
        ([("a", "b")], {"nodes": ["a", "a"]}, "names of their own, found 2 nodes with 1 names"),
        ([], {}, "one node or more, found none"),
    ],
    ids=["one", "mixed", "blank", "transposed", "unknown", "beyond", "twice", "none"],
)
def test_what_are_no_edges_is_told(edges, options, told):
    with pytest.raises(ValueError, match=told):
        from_edges(edges, **options)
