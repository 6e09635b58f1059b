"""Sets in TUDataset's format: written ones in every form, the real ones where they are at hand."""

import logging
import socket
import zipfile

import numpy as np
import pytest

from mmix_jax.data import statistics
from mmix_jax.data.graphs import OFFICIAL
from mmix_jax.data.graphs.tudataset import find_source, load_tudataset, read_tudataset
from mmix_jax.data.types import names_of_labels
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import make_graph
from tests.data.graphs import tu_files
from tests.data.graphs.tu_files import MINIMAL, TOY


@pytest.fixture
def read(tmp_path):
    """Reads a toy set whose parts are changed; a change to None leaves the part out."""

    def read(parts=TOY, features="auto", max_degree=64, **changes):
        parts = {part: text for part, text in (parts | changes).items() if text is not None}
        source = tu_files.write_zip(tmp_path, "TOY", parts)
        return read_tudataset(source, "TOY", features=features, max_degree=max_degree)

    return read


@pytest.fixture
def no_other_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MMIX_DATA_DIR", raising=False)


def _edges(graph):
    return list(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))


def test_graphs_have_their_nodes_edges_and_classes(read):
    toy = read()
    assert (toy.name, toy.num_classes, toy.features, toy.ids) == ("TOY", 2, "labels", None)
    assert [graph.num_nodes for graph in toy.graphs] == [3, 0, 2, 1]
    triangle, empty, pair, single = toy.graphs
    assert _edges(triangle) == [(1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2)]
    assert _edges(pair) == [(1, 0), (0, 1)]
    assert (empty.num_edges, single.num_edges) == (0, 0)
    np.testing.assert_array_equal(toy.labels, [1, 0, 0, 1])
    assert toy.labels.dtype == np.int32
    for graph in toy.graphs:
        dtypes = [part.dtype for part in graph]
        assert dtypes == [np.float32, np.int32, np.int32, np.float32]
        assert (graph.edge_weight == 1).all()
        assert graph.x.shape == (graph.num_nodes, 3)


@pytest.mark.parametrize(("copies", "both"), [(1, False), (1, True), (2, True)])
def test_every_graph_is_what_make_graph_makes_of_it(read, copies, both):
    parts, wanted = tu_files.random_parts(40, 3, copies=copies, both=both)
    found = read(parts)
    assert found.features == "degree"
    for graph, (num_nodes, edges) in zip(found.graphs, wanted, strict=True):
        ends = np.array(edges, np.int64).reshape(-1, 2).T
        other = make_graph(graph.x, *ends)
        assert graph.num_nodes == num_nodes
        for part, other_part in zip(graph, other, strict=True):
            np.testing.assert_array_equal(part, other_part, strict=True)
        np.testing.assert_array_equal(
            graph.x.argmax(axis=1), np.bincount(ends.ravel(), None, num_nodes)
        )


def test_self_loops_are_dropped(read):
    wanted = [_edges(graph) for graph in read().graphs]
    assert [_edges(graph) for graph in read(A=TOY["A"] + "6, 6\n1, 1\n").graphs] == wanted


def test_sets_without_any_edge(read):
    assert [graph.num_edges for graph in read(A="").graphs] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("lines", "classes"),
    [("-1 1 1 -1", [0, 1, 1, 0]), ("0 0 1 1", [0, 0, 1, 1]), ("3 1 2 9", [2, 0, 1, 3])],
)
def test_classes_are_numbered_in_the_order_of_the_file_s_numbers(read, lines, classes):
    found = read(graph_labels=lines.replace(" ", "\n"))
    np.testing.assert_array_equal(found.labels, classes)
    given = [int(float(line)) for line in lines.split()]
    assert names_of_labels(found).tolist() == given  # under their own names again
    assert found.num_classes == max(classes) + 1


def test_one_class_is_no_set_to_classify(read):
    with pytest.raises(InputError, match="two classes or more, found class 0 only"):
        read(graph_labels="7\n7\n7\n7\n")


# Features


def _rows(dataset):
    return np.concatenate([graph.x for graph in dataset.graphs])


LABELS = np.eye(3)[[1, 2, 1, 0, 1, 2]]  # of −2, 3 and 7


def _standardised():
    column = np.array([0.5, 1.5, -1, 20, 0, 0])
    varying = (column - sum(column) / 6) / np.sqrt(sum((column - sum(column) / 6) ** 2) / 6)
    return np.stack([varying, np.zeros(6)], axis=1)


def test_label_features(read):
    np.testing.assert_array_equal(_rows(read(features="labels")), LABELS)


def test_attribute_features_are_standardised_over_the_set(read):
    found = read(features="attributes")
    assert found.features == "attributes"
    np.testing.assert_allclose(_rows(found), _standardised(), rtol=1e-6)
    assert found.graphs[1].x.shape == (0, 2)


def test_labels_stand_before_attributes(read):
    found = read(features="labels+attributes")
    assert found.features == "labels+attributes"
    wanted = np.concatenate([LABELS, _standardised()], axis=1)
    np.testing.assert_allclose(_rows(found), wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", ["labels", "attributes"])
def test_degrees_stand_behind(read, kind):
    found = read(features=f"{kind}+degree", max_degree=2)
    assert found.features == f"{kind}+degree"
    wanted = [LABELS if kind == "labels" else _standardised(), np.eye(3)[[2, 2, 2, 1, 1, 0]]]
    np.testing.assert_allclose(_rows(found), np.concatenate(wanted, axis=1), rtol=1e-6)


@pytest.mark.parametrize(("max_degree", "columns"), [(1, [1, 1, 0]), (2, [2, 1, 0])])
def test_degree_features_share_the_last_column(read, max_degree, columns):
    triangle, _, pair, single = read(features="degree", max_degree=max_degree).graphs
    for graph, column in zip((triangle, pair, single), columns, strict=True):
        np.testing.assert_array_equal(graph.x, np.eye(max_degree + 1)[[column] * graph.num_nodes])


def test_several_columns_of_node_labels_stand_side_by_side(read):
    found = read(node_labels="0, 5\n1, 5\n0, 6\n0, 8\n0, 5\n0, 5\n")
    wanted = np.concatenate([np.eye(2)[[0, 1, 0, 0, 0, 0]], np.eye(3)[[0, 0, 1, 2, 0, 0]]], axis=1)
    np.testing.assert_array_equal(_rows(found), wanted)


@pytest.mark.parametrize(
    ("without", "chosen"),
    [
        ((), "labels"),
        (("node_labels",), "attributes"),
        (("node_labels", "node_attributes"), "degree"),
    ],
)
def test_automatic_features(read, without, chosen):
    assert read(**dict.fromkeys(without)).features == chosen


@pytest.mark.parametrize(
    ("features", "without", "told"),
    [
        ("label", [], "unknown node features 'label'; expected one of: auto, labels, attributes"),
        ("labels", ["node_labels"], "found otherwise in TOY; .* auto, attributes, attributes"),
        ("attributes", ["node_attributes"], "one of: auto, labels, labels\\+degree, degree$"),
        ("labels+attributes", ["node_labels"], "expected one of: auto, attributes, attributes"),
        ("labels+degree", ["node_labels"], "attributes, attributes\\+degree, degree$"),
        ("degree+labels", [], "unknown node features"),
    ],
)
def test_features_that_cannot_be_made_are_told(read, features, without, told):
    with pytest.raises(InputError, match=told):
        read(features=features, **dict.fromkeys(without))


BROKEN = {"node_labels": "C\nO\n", "node_attributes": "broken", "edge_labels": "x"}


@pytest.mark.parametrize("features", ["degree", "labels", "attributes", "labels+degree"])
def test_parts_that_the_features_do_not_use_need_not_be_right(read, features):
    used = {f"node_{kind}" for kind in features.split("+")}
    found = read(features=features, **{p: text for p, text in BROKEN.items() if p not in used})
    np.testing.assert_array_equal(_rows(found), _rows(read(features=features)))
    for part in used & BROKEN.keys():
        with pytest.raises(InputError, match=f"TOY_{part}.txt in "):
            read(features=features, **{part: BROKEN[part]})


def test_unused_parts_of_an_archive_may_be_damaged(tmp_path):
    source = tu_files.write_zip(tmp_path, "TOY", TOY)
    with zipfile.ZipFile(source, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("TOY_edge_attributes.txt", b"damaged")
    source.write_bytes(source.read_bytes().replace(b"damaged", b"DAMAGED"))
    with zipfile.ZipFile(source, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("other/TOY_node_attributes.txt", b"1")  # twice, and not asked for
    assert read_tudataset(source, "TOY").features == "labels"
    with pytest.raises(InputError, match="a second time"):
        read_tudataset(source, "TOY", features="attributes")


def test_a_set_without_classes_has_no_labels(read):
    found = read(graph_labels=None)
    assert (found.labels, found.num_classes, len(found.graphs)) == (None, 0, 4)


# By name


@pytest.mark.parametrize("below", ["tu", "."])
def test_any_set_is_found_by_its_official_name(tmp_path, below, no_other_folders):
    (tmp_path / below).mkdir(exist_ok=True)
    tu_files.write_zip(tmp_path / below, "Letter-toy", TOY)
    tu_files.write_folder(tmp_path / below, "TOY_2", MINIMAL)
    assert load_tudataset("Letter-toy", data_dir=tmp_path).name == "Letter-toy"
    assert load_tudataset("TOY_2", data_dir=tmp_path, max_degree=3).graphs[0].x.shape == (3, 4)


def test_the_first_folder_counts_and_empty_ones_do_not(tmp_path, monkeypatch, no_other_folders):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first / "TOY", second):
        folder.mkdir(parents=True)
    monkeypatch.setenv("MMIX_DATA_DIR", str(second))
    zipped = tu_files.write_zip(second, "TOY", TOY)
    assert find_source("TOY", data_dir=first) == zipped
    unpacked = tu_files.write_folder(first / "tu", "TOY", TOY)
    assert find_source("TOY", data_dir=first) == unpacked


@pytest.mark.parametrize("inside", ["TOY/raw", "TOY/TOY", "tu/TOY/raw", "raw", "."])
def test_folders_of_other_libraries_are_found(tmp_path, inside, no_other_folders):
    (tmp_path / inside).mkdir(parents=True, exist_ok=True)
    for path in tu_files.write_folder(tmp_path / "written", "TOY", TOY).iterdir():
        path.rename(tmp_path / inside / path.name)
    assert load_tudataset("TOY", data_dir=tmp_path).features == "labels"


@pytest.mark.parametrize("name", ["../TOY", "a/b", "", "a b", ".", "ä"])
def test_names_that_cannot_be_a_set_s_are_told(name):
    with pytest.raises(InputError, match=r"expected one of: mutag, .*, or the official name of a"):
        load_tudataset(name)


@pytest.mark.parametrize(
    ("name", "official", "ending"),
    [("mutag", "MUTAG", "MMIX_DATA_DIR"), ("mutagg", "mutagg", "name one of: mutag, ptc_mr, .*")],
)
def test_a_missing_set_is_told_with_its_place_and_source(
    tmp_path, no_other_folders, name, official, ending
):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(InputError, match=f"{ending}$") as caught:
            load_tudataset(name, data_dir=tmp_path, base_url=base_url)
    line = str(caught.value)
    assert line.startswith(f"data file tu/{official}.zip, or unpacked as {official}/{official}_A.t")
    assert f" found in none of {tmp_path}, " in line
    assert f"files from {base_url}{official}.zip and put them into {tmp_path}/tu, " in line
    assert "--config.data_dir or MMIX_DATA_DIR" in line
    assert "\n" not in line


# Known sets

NUM_GRAPHS = 30


@pytest.fixture
def imdb_multi(tmp_path):
    """A small set in the form of IMDB-MULTI's files and under its name."""
    parts, graphs = tu_files.random_parts(NUM_GRAPHS, 3)
    tu_files.write_zip(tmp_path, "IMDB-MULTI", parts)
    return statistics.GraphStatistics(
        num_graphs=NUM_GRAPHS,
        num_nodes=sum(num_nodes for num_nodes, _ in graphs),
        num_edges=sum(len(edges) for _, edges in graphs),
        class_sizes=(10, 10, 10),
    )


def test_imdb_multi_s_form_is_read(imdb_multi, tmp_path):
    found = read_tudataset(tmp_path / "IMDB-MULTI.zip", "IMDB-MULTI")
    assert (found.num_classes, found.features) == (3, "degree")
    np.testing.assert_array_equal(found.labels[:4], [2, 1, 0, 2])
    assert sum(graph.num_nodes for graph in found.graphs) == imdb_multi.num_nodes
    assert sum(graph.num_edges for graph in found.graphs) == 2 * imdb_multi.num_edges


def test_a_known_set_must_have_its_statistics(imdb_multi, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="imdb_multi must have num_graphs 1500, found 30: swapped"):
        load_tudataset("imdb_multi", data_dir=tmp_path)
    for field, value in imdb_multi._asdict().items():
        if field == "num_isolated":
            continue
        wrong = (10, 10, 11) if field == "class_sizes" else value + 1
        monkeypatch.setitem(
            statistics.EXPECTED, "imdb_multi", imdb_multi._replace(**{field: wrong})
        )
        with pytest.raises(InputError, match=f"must have {field} "):
            load_tudataset("IMDB-MULTI", data_dir=tmp_path)


def test_a_known_set_must_have_its_classes_and_no_more_than_the_parts_it_uses(
    imdb_multi, tmp_path, monkeypatch
):
    parts, _ = tu_files.random_parts(NUM_GRAPHS, 3)
    expected = imdb_multi._replace(num_node_labels=3, num_attributes=2)
    monkeypatch.setitem(statistics.EXPECTED, "imdb_multi", expected)
    broken = {"node_labels": "C", "node_attributes": "broken"}
    tu_files.write_zip(tmp_path, "IMDB-MULTI", parts | broken)
    assert load_tudataset("imdb_multi", data_dir=tmp_path, features="degree").features == "degree"
    with pytest.raises(InputError, match=r"IMDB-MULTI_node_labels.txt in .*found 'C'"):
        load_tudataset("imdb_multi", data_dir=tmp_path)
    del parts["graph_labels"]
    tu_files.write_zip(tmp_path, "IMDB-MULTI", parts)
    with pytest.raises(InputError, match=r"IMDB-MULTI_graph_labels.txt must be in it"):
        load_tudataset("imdb_multi", data_dir=tmp_path)


def test_other_sums_are_warned_of_once(imdb_multi, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(statistics.EXPECTED, "imdb_multi", imdb_multi)
    for name in ("imdb_multi", "IMDB-MULTI"):
        caplog.clear()
        assert load_tudataset(name, data_dir=tmp_path).name == "imdb_multi"
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "SHA-256 of IMDB-MULTI_A.txt, IMDB-MULTI_graph_indicator.txt" in record.message


def test_every_known_set_is_pinned():
    sums = []
    for name, official in OFFICIAL.items():
        assert isinstance(statistics.EXPECTED[name], statistics.GraphStatistics)
        without = {"A"} if name == "reddit_binary" else set()
        parts = {"A", "graph_indicator", "graph_labels"} - without
        pinned = statistics.PUBLISHED[name]["files"]
        assert {f"{official}_{part}.txt" for part in parts} <= pinned.keys()
        sums += [file["sha256"] for file in pinned.values()]
    assert len(set(sums)) == len(sums)
    assert {len(value) for value in sums} == {64}


@pytest.mark.parametrize(
    ("name", "features", "width"),
    [
        ("mutag", "labels", 7),
        ("ptc_mr", "labels", 18),
        ("imdb_binary", "degree", 65),
        ("coil_del", "attributes", 2),
        ("reddit_binary", "degree", 65),
    ],
)
def test_real_sets_have_the_published_statistics(name, features, width, data_dir, caplog):
    dataset = load_tudataset(name, data_dir=data_dir)
    wanted = statistics.EXPECTED[name]
    assert (dataset.name, dataset.features) == (name, features)
    assert len(dataset.graphs) == wanted.num_graphs
    assert sum(graph.num_nodes for graph in dataset.graphs) == wanted.num_nodes
    assert sum(graph.num_edges for graph in dataset.graphs) == 2 * wanted.num_edges
    assert tuple(np.bincount(dataset.labels)) == wanted.class_sizes
    assert {graph.x.shape[1] for graph in dataset.graphs} == {width}
    for graph in dataset.graphs:
        assert graph.num_edges == 0 or graph.receivers[-1] < graph.num_nodes
    assert caplog.records == []  # all pinned sums agree


def test_real_mutag_agrees_with_a_plain_reading(data_dir):
    with zipfile.ZipFile(data_dir / "tu" / "MUTAG.zip") as archive:

        def lines(part):
            return archive.read(f"MUTAG//MUTAG_{part}.txt").decode().split("\n")[:-1]

        graph_of = [int(line) for line in lines("graph_indicator")]
        node_labels = [int(line) for line in lines("node_labels")]
        classes = [int(line) for line in lines("graph_labels")]
        edges = {tuple(int(node) for node in line.split(",")) for line in lines("A")}

    mutag = load_tudataset("mutag", data_dir=data_dir)
    np.testing.assert_array_equal(mutag.labels, [(c + 1) // 2 for c in classes])
    for number in (1, 2, 97, 188):
        nodes = [i for i, graph in enumerate(graph_of, start=1) if graph == number]
        graph = mutag.graphs[number - 1]
        wanted = [(j - nodes[0], i - nodes[0]) for i in nodes for j in nodes if (j, i) in edges]
        assert _edges(graph) == wanted
        # The labels of MUTAG are 0 … 6.
        assert graph.x.argmax(axis=1).tolist() == [node_labels[i - 1] for i in nodes]
        assert (graph.x.sum(axis=1) == 1).all()
