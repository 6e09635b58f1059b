"""What is missing, damaged or wrong in PPI's files is told in one line."""

import io

import numpy as np
import pytest

from mmix_jax.data import read_ppi
from mmix_jax.data.nodes.ppi_files import GRAPHSAGE, PER_SPLIT
from mmix_jax.errors import InputError
from tests.data.nodes import ppi_files

WRITERS = {"per_split": ppi_files.write_per_split, "graphsage": ppi_files.write_graphsage}


@pytest.fixture
def per_split(tmp_path):
    return ppi_files.write_per_split(tmp_path / "mine")


@pytest.fixture
def graphsage(tmp_path):
    return ppi_files.write_graphsage(tmp_path / "mine")


def _told(folder):
    with pytest.raises(InputError) as caught:
        read_ppi(folder)
    line = str(caught.value)
    assert "\n" not in line
    return line


def _with(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def _add_link(source, target):
    link = {"source": source, "target": target}
    return lambda graph: graph | {"links": [*graph["links"], link]}


def _npy(value):
    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=True)
    return stream.getvalue()


BAD_PER_SPLIT = [
    (
        "train_labels.npy",
        lambda y: y[:-1],
        "for each of 51 nodes and a column or more, found shape",
    ),
    ("test_labels.npy", lambda y: y[:, 0], "for each of 12 nodes"),
    ("test_labels.npy", lambda y: y[:, :0], "for each of 12 nodes and a column or more, found sh"),
    ("valid_labels.npy", lambda y: y + 1, "labels of a matrix must be 0 or 1, found 2"),
    ("valid_labels.npy", lambda y: y / 0.3, "labels of a matrix must be 0 or 1, found 3.3"),
    ("valid_labels.npy", lambda y: np.where(y, np.nan, 0), "must be 0 or 1, found nan"),
    ("valid_labels.npy", lambda y: y[:, :-1], "must hold 5 labels, as train_labels.npy, found 4"),
    ("valid_labels.npy", lambda y: y.astype(str), "must hold numbers, found dtype <U21"),
    ("train_graph_id.npy", lambda g: g[:-1], "the graph of each of 51 nodes, found shape (50,)"),
    ("train_graph_id.npy", lambda g: g[::-1], "numbers of graphs that never fall, found 3 after 4"),
    ("test_graph_id.npy", lambda g: g + 0.5, "whole numbers of graphs, found dtype float64"),
    ("train_feats.npy", lambda x: x[1:], "a row for each of 51 nodes, found shape (50, 8)"),
    (
        "train_feats.npy",
        lambda x: _with(x, (3, 1), np.nan),
        "finite features, found 1 that are not",
    ),
    ("valid_feats.npy", lambda x: x[:, 1:], "must hold 8 features, as train_feats.npy, found 7"),
    ("test_feats.npy", b"\x93NUMPY\x01\x00v\x00{", "an array in .npy format, found otherwise"),
    ("test_feats.npy", b"", "an array in .npy format, found otherwise"),
    ("test_feats.npy", _npy(np.ones((12, 8)))[:-5], "an array in .npy format, found otherwise"),
    ("test_feats.npy", _npy(np.array([{}])), "an array in .npy format, found otherwise (Object"),
    ("train_graph.json", b'{"nodes": [', "must hold JSON, found otherwise (Expecting value"),
    ("train_graph.json", b"\xff\xfe\xfd", "must hold JSON, found otherwise"),
    ("train_graph.json", b"[" * 100_000, "must hold JSON, found otherwise"),
    ("train_graph.json", b"[1]", "must hold a JSON object, found a list"),
    ("train_graph.json", b"{}", "nodes that have an id, and links"),
    ("train_graph.json", lambda g: g | {"links": [[0, 1]]}, "nodes that have an id, and links"),
    ("train_graph.json", lambda g: g | {"links": [{"source": 1}]}, "and links that have a source"),
    ("train_graph.json", lambda g: g | {"nodes": [{"id": 0}] * 51}, "different ids, found 50 repe"),
    ("train_graph.json", _add_link(0, 51), "links between its 51 nodes, found an end '51'"),
    ("train_graph.json", _add_link(-1, 0), "links between its 51 nodes, found an end '-1'"),
    ("train_graph.json", _add_link([], 0), "links between its 51 nodes, found an end '[]'"),
    ("train_graph.json", _add_link(0, 50), "links within one graph each, found one between node 0"),
]


@pytest.mark.parametrize(("file", "change", "told"), BAD_PER_SPLIT)
def test_bad_files_per_split_are_told(per_split, file, change, told):
    ppi_files.edit(per_split, file, change)
    line = _told(per_split)
    assert line.startswith(f"{file} in {per_split}: ")
    assert told in line


def test_a_split_without_nodes_is_told(per_split):
    for kind in ("feats", "labels", "graph_id"):
        ppi_files.edit(per_split, f"valid_{kind}.npy", lambda values: values[:0])
    ppi_files.edit(per_split, "valid_graph.json", lambda _: {"nodes": [], "links": []})
    assert "split part 'valid' must hold one node at least" in _told(per_split)


def _mark(**marks):
    return lambda graph: graph | {"nodes": [graph["nodes"][0] | marks, *graph["nodes"][1:]]}


BAD_GRAPHSAGE = [
    ("ppi-G.json", _mark(val=True), "links within one part each, found one between node 0 and"),
    ("ppi-G.json", _mark(val=1), "or one of them true, found val 1 and test false"),
    ("ppi-G.json", _mark(test=None), "or one of them true, found val false and test null"),
    ("ppi-G.json", _mark(val=True, test=True), "one of them true, found val true and test true"),
    ("ppi-G.json", _add_link(0, 75), "links between its 75 nodes, found an end '75'"),
    ("ppi-G.json", _add_link("0", 1), "links between its 75 nodes, found an end '0'"),
    ("ppi-G.json", _add_link(0, 74), "links within one part each, found one between node 0 and"),
    ("ppi-feats.npy", lambda x: x[:-1], "a row for each of 75 nodes, found shape (74, 8)"),
    ("ppi-feats.npy", lambda x: x + np.inf, "finite features, found 600 that are not"),
    ("ppi-id_map.json", lambda m: {k: m[k] for k in m if k != "7"}, "75 nodes, found none for '7'"),
    ("ppi-id_map.json", lambda m: m | {"75": 75}, "entries for 75 nodes, found 76"),
    ("ppi-id_map.json", lambda m: m | {"3": 4}, "rows of features 0 … 74, each once"),
    ("ppi-id_map.json", lambda m: m | {"3": 3.5}, "rows of features 0 … 74, each once"),
    ("ppi-id_map.json", lambda m: m | {"3": "3"}, "rows of features 0 … 74, each once"),
    ("ppi-id_map.json", lambda m: {k: [m[k]] for k in m}, "rows of features 0 … 74, each once"),
    ("ppi-class_map.json", lambda m: {k: m[k] for k in m if k != "7"}, "found none for '7'"),
    ("ppi-class_map.json", lambda m: m | {"3": [1, 0]}, "equally many numbers 0 or 1"),
    ("ppi-class_map.json", lambda m: m | {"3": ["a"] * 5}, "equally many numbers 0 or 1"),
    ("ppi-class_map.json", lambda m: m | {"3": [7] * 5}, "labels of a matrix must be 0 or 1, foun"),
    ("ppi-class_map.json", dict.fromkeys, "equally many numbers 0 or 1"),
    ("ppi-class_map.json", lambda m: dict.fromkeys(m, 1), "found shape (75,)"),
]


@pytest.mark.parametrize(("file", "change", "told"), BAD_GRAPHSAGE)
def test_bad_files_of_graphsage_are_told(graphsage, file, change, told):
    ppi_files.edit(graphsage, file, change)
    line = _told(graphsage)
    assert line.startswith(f"{file} in {graphsage}: ")
    assert told in line


def test_features_beyond_float32_are_told(graphsage):
    ppi_files.edit(graphsage, "ppi-feats.npy", lambda x: x * 1e300)
    assert f"{graphsage}: node features must be finite in float32" in _told(graphsage)


@pytest.mark.parametrize("form", [PER_SPLIT, GRAPHSAGE], ids=WRITERS)
def test_a_missing_file_is_named(form, tmp_path):
    folder = WRITERS["per_split" if form is PER_SPLIT else "graphsage"](tmp_path / "mine")
    for file in form:
        other = form[0] if file != form[0] else form[1]
        content = (folder / file).read_bytes()
        (folder / file).unlink()
        assert _told(folder) == f"{folder}: {file} must lie beside {other}, found none; add it"
        (folder / file).write_bytes(content)


def test_a_place_without_files_is_told(tmp_path):
    line = _told(tmp_path)
    assert "test_graph_id.npy, or ppi-G.json" in line
    assert "found none of them; check the path" in line
    assert "must be a folder or a file that ends in .zip" in _told(tmp_path / "nowhere")


def test_damaged_archives_are_told(graphsage, tmp_path):
    path = ppi_files.write_zip(graphsage, tmp_path / "ppi.zip")
    path.write_bytes(path.read_bytes()[:-30])
    assert "not a readable archive" in _told(path)
