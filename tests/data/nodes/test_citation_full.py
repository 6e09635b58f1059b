"""CitationFull sets: a written one in every form, the real DBLP where it is at hand."""

import hashlib
import io
import os
import pathlib
import pickle
import socket
import zipfile

import numpy as np
import pytest

from mmix_jax.data import random_split, statistics
from mmix_jax.data.nodes import citation_full
from mmix_jax.data.nodes.citation_full import load_citation_full
from mmix_jax.errors import InputError
from tests.data.nodes import citation_files
from tests.data.nodes.citation_files import LABELS, NUM_NODES, STATISTICS, UNDIRECTED
from tests.data.store.test_files import server  # noqa: F401, a fixture


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no other folder with data."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MMIX_DATA_DIR", raising=False)
    return tmp_path / "cache" / "mmix_jax"


@pytest.fixture(autouse=True)
def small(request, monkeypatch):
    """The small set's statistics are those of DBLP, but for tests of the real one."""
    if "data_dir" not in request.fixturenames:
        monkeypatch.setitem(statistics.EXPECTED, "dblp", STATISTICS)


@pytest.fixture
def load(tmp_path):
    """Loads the small set with changes to its arrays; None leaves one out."""

    def load(content=None, **changes):
        content = citation_files.arrays() if content is None else content
        citation_files.write(tmp_path / "dblp.npz", content | changes)
        return load_citation_full("dblp", data_dir=tmp_path)

    return load


class _Calls:
    """Pickles into a call of any function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


# What is read


@pytest.mark.parametrize("spelling", ["_", "_matrix."])
def test_a_set_has_its_nodes_edges_classes_and_names(load, spelling):
    dblp = load(citation_files.arrays(spelling))
    assert (dblp.name, dblp.num_classes, dblp.bag_of_words) == ("dblp", 3, False)
    graph = dblp.graph
    np.testing.assert_array_equal(graph.x, citation_files.features().astype(np.float32))
    edges = list(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))
    assert edges == sorted(UNDIRECTED, key=lambda edge: edge[::-1])
    assert (graph.edge_weight == 1).all()
    np.testing.assert_array_equal(dblp.labels, LABELS)
    assert [part.dtype for part in (*graph, dblp.labels)] == [
        np.float32,
        np.int32,
        np.int32,
        np.float32,
        np.int32,
    ]
    assert dblp.ids.tolist() == [str(9000 + i) for i in range(NUM_NODES)]


def test_weights_of_edges_are_left_out(load):
    weighted = load(adj_data=np.arange(1.0, STATISTICS.list_entries + 1))
    assert (weighted.graph.edge_weight == 1).all()


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (None, None),
        ({i: 100 + i for i in range(NUM_NODES)}, [str(100 + i) for i in range(NUM_NODES)]),
        (dict.fromkeys(range(NUM_NODES), "é\n"), ["é\n"] * NUM_NODES),
        (dict.fromkeys(range(NUM_NODES), 0.5), None),
        (dict.fromkeys(range(NUM_NODES - 1), "a"), None),
        ({i + 1: "a" for i in range(NUM_NODES)}, None),
        ({f"paper {i}": i for i in range(NUM_NODES)}, None),
        (np.array([f"a{i}" for i in range(NUM_NODES)], object), None),
        (np.array(["a"] * NUM_NODES), None),
    ],
    ids=["none", "ints", "text", "floats", "fewer", "from one", "inverse", "objects", "strings"],
)
def test_names_count_where_they_are_given_by_node(load, names, ids):
    found = load(idx_to_node=names).ids
    assert (found if found is None else found.tolist()) == ids


def test_the_split_is_drawn_by_the_seed(tmp_path):
    citation_files.write(tmp_path / "dblp.npz", citation_files.arrays())
    for split in ("default", "random"):
        found = load_citation_full("dblp", data_dir=tmp_path, split=split, split_seed=5).split
        for part, wanted in zip(found, random_split(LABELS, seed=5), strict=True):
            np.testing.assert_array_equal(part, wanted)


def test_a_split_that_no_set_has_is_told_before_anything_is_read(tmp_path):
    with pytest.raises(InputError, match=r"^cora_ml comes without a split, .* use 'random'"):
        load_citation_full("cora_ml", data_dir=tmp_path, split="public")


@pytest.mark.parametrize("below", ["citation_full", "."])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("dblp", "dblp.npz"),
        ("cora_full", "cora.npz"),
        ("cora_ml", "cora_ml.npz"),
        ("citeseer_full", "citeseer.npz"),
        ("pubmed_full", "pubmed.npz"),
    ],
)
def test_every_set_is_found_in_its_file(tmp_path, monkeypatch, name, file, below):
    monkeypatch.setitem(statistics.EXPECTED, name, STATISTICS)
    path = citation_files.write(tmp_path / below / file, citation_files.arrays())
    assert load_citation_full(name, data_dir=tmp_path).name == name
    assert os.listdir(path.parent).count(f"{file}.sha256") == 0  # of downloads only


# What is refused


def test_a_set_must_have_its_statistics(load, tmp_path, monkeypatch):
    content = citation_files.arrays()
    known = {field: n for field, n in STATISTICS._asdict().items() if n is not None}
    assert len(known) >= 10
    for field, value in known.items():
        wrong = (*value[:-1], value[-1] + 1) if isinstance(value, tuple) else value + 1
        other = STATISTICS._replace(**{field: wrong})
        monkeypatch.setitem(statistics.EXPECTED, "dblp", other)
        told = {"num_nodes": "adj_shape", "num_features": "attr_shape"}.get(field, field)
        with pytest.raises(InputError, match=rf"dblp.npz: dblp must have {told} .*: swapped or"):
            load(content)


def test_objects_are_never_executed_and_unwanted_ones_not_even_read(load, tmp_path):
    victim = tmp_path / "made"
    evil = np.array(_Calls(os.system, f"touch {victim}"), object)
    assert load(attr_text=evil, idx_to_attr=evil, idx_to_class=evil).num_classes == 3
    for bad in (evil, {0: evil.item()}, np.array([evil.item(), "a"], object)):
        with pytest.raises(InputError, match=r"found the global '(posix|nt)\.system'") as caught:
            load(idx_to_node=bad)
        assert str(caught.value).startswith(f"{tmp_path / 'dblp.npz'}: key 'idx_to_node': ")
        assert "\n" not in str(caught.value)
    assert not victim.exists()
    np.load(tmp_path / "dblp.npz", allow_pickle=True)["idx_to_node"]
    assert victim.exists()  # NumPy itself would have made it


def _itself():
    """A list inside itself holding what is not plain."""
    inside = [1 + 1j]
    inside.append(inside)
    return np.array({0: inside}, object)


@pytest.mark.parametrize(
    ("key", "change", "told"),
    [
        ("idx_to_node", lambda _: {0: {1, 2}}, "found the global 'builtins.set'|found set"),
        ("idx_to_node", lambda _: {0: pathlib.PurePosixPath("a")}, "found the global 'pathlib"),
        ("idx_to_node", lambda _: {0: np.arange(3)}, "lists, strings and numbers, found"),
        ("idx_to_node", lambda _: np.array([np.zeros(2), "a"], object), "numbers, found"),
        ("idx_to_node", lambda _: _itself(), "numbers, found complex|found the global"),
        ("labels", lambda labels: labels.astype(object), "found pickled objects"),
        ("adj_indices", lambda part: part.astype(object), "key 'adj_indices' .* pickled objects"),
        ("attr_shape", lambda part: np.array(part, object), "key 'attr_shape' .* pickled objects"),
        ("labels", lambda labels: labels[:-1], r"labels must have shape \(40,\), found \(39,\)"),
        ("labels", lambda labels: labels - 2, "labels must be whole numbers or texts, .* found -2"),
        ("labels", lambda labels: labels + 0.5, "labels must be whole numbers or texts"),
        ("labels", lambda _: None, "key 'labels' is missing, found adj_data, .*: another kind"),
        ("adj_indptr", lambda _: None, "key 'adj_indptr' is missing"),
        ("adj_indices", lambda part: part + NUM_NODES, "CSR parts adj_ must form a matrix"),
        ("adj_indices", lambda part: part - NUM_NODES, "CSR parts adj_ must form a matrix"),
        ("attr_indices", lambda part: part + 1, "CSR parts attr_ must form a matrix"),
        ("attr_indptr", lambda part: part[::-1], "CSR parts attr_ must form a matrix"),
        ("adj_data", lambda part: part[:-1], "CSR parts adj_ must form a matrix"),
        ("attr_data", lambda part: part * np.nan, "node features must be finite"),
        ("attr_data", lambda part: part.astype(str), "attr_ must form .*data must be numbers"),
        ("adj_indices", lambda part: part.astype(float), "adj_ must form .*whole numbers"),
        ("attr_shape", lambda part: [10**9, 10**9], r"must have attr_shape \[40, 6\], found \[10"),
        ("adj_shape", lambda part: [NUM_NODES], r"must have adj_shape \[40, 40\], found \[40\]"),
        ("adj_shape", lambda part: NUM_NODES, r"must have adj_shape \[40, 40\], found 40: "),
        ("adj_matrix.data", lambda _: np.ones(3), "'adj_data' in both spellings"),
    ],
)
def test_parts_that_do_not_fit_are_told_in_one_line(load, tmp_path, key, change, told):
    with pytest.raises(InputError, match=told) as caught:
        load(**{key: change(citation_files.arrays().get(key))})
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'dblp.npz'}: ")
    assert "\n" not in line


def _repack(path, name, change):
    """Writes the zip again with one member's bytes changed: its sums are right."""
    with zipfile.ZipFile(path) as archive:
        contents = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in contents.items():
            archive.writestr(member, change(content) if member == name else content)


@pytest.mark.parametrize(
    ("member", "change", "told"),
    [
        ("idx_to_node.npy", lambda c: c[:-20], "key 'idx_to_node': not a readable pickle"),
        ("idx_to_node.npy", lambda c: c[:128], "key 'idx_to_node': not a readable pickle"),
        ("idx_to_node.npy", lambda c: c[:60], "not a readable .npz file"),
        ("idx_to_node.npy", lambda c: b"", "not a readable .npz file"),
        (
            "idx_to_node.npy",
            lambda c: c[:128] + pickle.dumps(NUM_NODES * 1j),
            "found the global|found complex",
        ),
        ("labels.npy", lambda c: c[:-8], "not a readable .npz file"),
        ("labels.npy", lambda c: b"<html>", "must be an array in NumPy's format|not a readable"),
        ("adj_shape.npy", lambda c: b"<html>", "must be an array in NumPy's format|not a readable"),
    ],
)
def test_damaged_members_are_told_in_one_line(load, tmp_path, member, change, told):
    load()
    _repack(tmp_path / "dblp.npz", member, change)
    with pytest.raises(InputError, match=told) as caught:
        load_citation_full("dblp", data_dir=tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'dblp.npz'}: ")
    assert "\n" not in str(caught.value)


def test_damaged_files_are_told_in_one_line(load, tmp_path):
    load()
    path = tmp_path / "dblp.npz"
    whole = path.read_bytes()
    array = io.BytesIO()
    np.save(array, LABELS)
    start = whole.index(b"idx_to_node.npy")
    flipped = whole[: start + 400] + bytes([whole[start + 400] ^ 1]) + whole[start + 401 :]
    for damaged in (b"", b"<html>404</html>", whole[: len(whole) // 2], flipped, array.getvalue()):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"dblp\.npz: not a readable \.npz file") as caught:
            load_citation_full("dblp", data_dir=tmp_path)
        assert "\n" not in str(caught.value)


# Downloads


def test_the_sum_of_a_download_is_recorded_and_must_stay(server, cache, tmp_path):  # noqa: F811
    good = citation_files.write(tmp_path / "made.npz", citation_files.arrays()).read_bytes()
    path, record = (cache / "citation_full" / f"dblp.npz{end}" for end in ("", ".sha256"))
    server.contents = {"data/dblp.npz": good}
    for _ in range(2):
        assert load_citation_full("dblp", base_url=server.url("data/")).num_classes == 3
        assert record.read_text() == f"{hashlib.sha256(good).hexdigest()}  dblp.npz\n"
    assert len(server.asked) == 2  # one of them for the first byte
    assert sorted(os.listdir(path.parent)) == ["dblp.npz", "dblp.npz.sha256"]

    citation_files.write(path, citation_files.arrays("_matrix."))  # the same set, packed anew
    with pytest.raises(
        InputError, match=r"as when first read \(dblp.npz.sha256\), found"
    ) as caught:
        load_citation_full("dblp")
    assert "\n" not in str(caught.value)
    # Files elsewhere are not compared with it.
    os.replace(path, tmp_path / "dblp.npz")
    assert load_citation_full("dblp", data_dir=tmp_path).num_classes == 3


def test_a_file_that_proves_to_be_another_is_not_recorded(cache):
    content = citation_files.arrays() | {"labels": (LABELS + 1) % 3}
    path = citation_files.write(cache / "citation_full" / "dblp.npz", content)
    with pytest.raises(InputError, match="must have class_sizes"):
        load_citation_full("dblp")
    assert os.listdir(path.parent) == ["dblp.npz"]


def test_a_missing_file_is_told_with_its_place_and_source(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(InputError, match=f"found in none of {tmp_path}") as caught:
            load_citation_full("cora_full", data_dir=tmp_path, base_url=base_url)
    source = f"files from {base_url}cora.npz and put them into {tmp_path}/citation_full, or name"
    assert source in str(caught.value)


def test_addresses_are_those_of_the_published_files():
    file = citation_full.remote_file("citeseer_full")
    assert file.path == "citation_full/citeseer.npz"
    assert file.url == "https://github.com/abojchevski/graph2gauss/raw/master/data/citeseer.npz"


# The real set


def test_real_dblp_has_the_published_statistics(data_dir):
    dblp = load_citation_full("dblp", data_dir=data_dir)
    assert (dblp.graph.num_nodes, dblp.graph.num_edges) == (17_716, 105_734)
    assert dblp.graph.x.shape == (17_716, 1639)
    assert (~dblp.graph.x.any(axis=1)).sum() == 64
    assert np.bincount(dblp.labels).tolist() == [7920, 5645, 1982, 2169]
    assert [part.size for part in dblp.split] == [1771, 1771, 14_174]
    assert dblp.ids[:3].tolist() == ["95046", "96332", "95629"]
    assert np.unique(dblp.ids).size == 17_716
    # Weights of words, not counts: rows are already of length one.
    lengths = np.linalg.norm(dblp.graph.x, axis=1)
    np.testing.assert_allclose(lengths[lengths > 0], 1, rtol=1e-6)
