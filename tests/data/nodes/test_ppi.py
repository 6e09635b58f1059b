"""PPI's two forms give the same graphs, wherever they are found."""

import socket
import tarfile
import time

import numpy as np
import pytest

from mmix_jax.data import load_nodes, read_ppi, statistics
from mmix_jax.data.nodes import ppi
from mmix_jax.data.nodes.ppi_files import GRAPHSAGE, PER_SPLIT
from mmix_jax.data.store import download
from mmix_jax.errors import InputError
from tests.data.nodes import ppi_files

WRITERS = {"per_split": ppi_files.write_per_split, "graphsage": ppi_files.write_graphsage}
SPLIT_SIZES = (51, 12, 12)


@pytest.fixture(params=WRITERS)
def folder(request, tmp_path):
    """A folder `mine` in either form."""
    return WRITERS[request.param](tmp_path / "mine")


@pytest.fixture
def per_split(tmp_path):
    return ppi_files.write_per_split(tmp_path / "mine")


@pytest.fixture
def graphsage(tmp_path):
    return ppi_files.write_graphsage(tmp_path / "mine")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, no other folder with data, and no proxy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MMIX_DATA_DIR", raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    return tmp_path / "cache" / "mmix_jax"


def _same(found, wanted):
    for field in ("labels", "node_graph"):
        np.testing.assert_array_equal(getattr(found, field), getattr(wanted, field), strict=True)
    for field in ("graph", "split"):
        for value, other in zip(getattr(found, field), getattr(wanted, field), strict=True):
            np.testing.assert_array_equal(value, other, strict=True)


def test_nodes_edges_and_graphs_are_as_written(folder):
    found, rows = read_ppi(folder), ppi_files.make_rows()
    assert (found.name, found.num_classes) == ("mine", ppi_files.NUM_LABELS)
    assert (found.ids, found.bag_of_words) == (None, False)
    order = np.lexsort((np.arange(rows.graph.size), rows.graph))
    np.testing.assert_array_equal(found.graph.x, rows.x[order].astype(np.float32), strict=True)
    np.testing.assert_array_equal(found.labels, rows.labels[order].astype(np.uint8), strict=True)
    index = rows.graph[order].astype(np.int32)
    np.testing.assert_array_equal(found.node_graph, index, strict=True)
    place = np.argsort(order)
    pairs = [tuple(place[list(link)].tolist()) for link in rows.links if link[0] != link[1]]
    edges = set(zip(found.graph.senders.tolist(), found.graph.receivers.tolist(), strict=True))
    assert edges == {*pairs, *((j, i) for i, j in pairs)}
    starts = np.cumsum((0, *SPLIT_SIZES))
    assert found.split is not None
    for part, first, last in zip(found.split, starts[:-1], starts[1:], strict=True):
        np.testing.assert_array_equal(part, np.arange(first, last, dtype=np.int32), strict=True)


def test_statistics_of_the_written_graphs(folder):
    found = statistics.node_statistics(read_ppi(folder))
    assert (found.split_sizes, found.graph_sizes) == (SPLIT_SIZES, ppi_files.NUM_GRAPHS)
    assert found.class_sizes == tuple(ppi_files.make_rows().labels.sum(axis=0))
    assert found.num_edges == 6 * (12 + 3) + 1  # a ring and chords each, and the pair


def test_archives_and_folders_inside_are_read(folder, tmp_path):
    wanted = read_ppi(folder)
    packed = ppi_files.write_zip(folder, tmp_path / "other.zip", inside="ppi/")
    _same(read_ppi(packed), wanted)
    assert read_ppi(packed).name == "other"
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as tar:
        tar.add(folder, "data/ppi")
    _same(read_ppi(tmp_path / "other.tar.gz"), wanted)
    _same(read_ppi(folder.parent), wanted)  # a folder around the one with the files


def test_the_complete_form_comes_first_then_the_one_per_split(per_split):
    ppi_files.write_graphsage(per_split, seed=1)
    one, other = (ppi_files.make_rows(seed).x[0] for seed in (0, 1))
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(read_ppi(per_split).graph.x[0], one)
    (per_split / "valid_labels.npy").unlink()
    np.testing.assert_array_equal(read_ppi(per_split).graph.x[0], other)


def test_a_part_of_small_components_is_one_graph(graphsage):
    links = [link for link in ppi_files.make_rows().links.tolist() if link[0] < 63]
    ppi_files.edit(graphsage, "ppi-G.json", lambda g: g | {"links": ppi_files.make_links(links)})
    found = read_ppi(graphsage)
    assert statistics.node_statistics(found).graph_sizes == (4, 1, 1)
    assert found.graph.num_edges == 2 * (5 * 15 + 1)


def test_nodes_are_found_by_their_ids(graphsage):
    """Names for ids, links by name or by position, rows of features in another order."""
    wanted, rows = read_ppi(graphsage), ppi_files.make_rows()
    order = np.random.default_rng(0).permutation(len(rows.x))
    names = [f"n{i}" for i in range(len(rows.x))]

    def rename(graph):
        for node, name in zip(graph["nodes"], names, strict=True):
            node["id"] = name
        return graph

    ppi_files.edit(graphsage, "ppi-G.json", rename)
    labels = dict(reversed(list(zip(names, rows.labels.tolist(), strict=True))))
    ppi_files.edit(graphsage, "ppi-class_map.json", lambda _: labels)
    rows_of = {name: int(row) for name, row in zip(names, np.argsort(order), strict=True)}
    ppi_files.edit(graphsage, "ppi-id_map.json", lambda _: rows_of)
    np.save(graphsage / "ppi-feats.npy", rows.x[order])
    _same(read_ppi(graphsage), wanted)
    links = ppi_files.make_links((f"n{i}", f"n{j}") for i, j in rows.links)

    def newer(graph):  # NetworkX 3.4 writes edges for links
        return {"nodes": graph["nodes"], "edges": links}

    ppi_files.edit(graphsage, "ppi-G.json", newer)
    _same(read_ppi(graphsage), wanted)


# Where it is found


@pytest.mark.parametrize("place", ["ppi", "ppi/ppi", "."])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("where", ["argument", "variable", "cache"])
def test_it_is_searched_for(place, packed, where, tmp_path, cache, monkeypatch):
    root = cache if where == "cache" else tmp_path / "data"
    target = root / place
    target.mkdir(parents=True)
    if packed:
        folder = ppi_files.write_graphsage(tmp_path / "mine")
        ppi_files.write_zip(folder, target / "ppi.zip", inside="ppi/")
    else:
        ppi_files.write_graphsage(target)
    if where == "variable":
        monkeypatch.setenv("MMIX_DATA_DIR", str(root))
    found = ppi.find_source(data_dir=root if where == "argument" else None)
    assert found == (target / "ppi.zip" if packed else target)


def test_other_graphs_are_refused_by_their_statistics(folder, monkeypatch):
    with pytest.raises(InputError, match="mine: ppi must have num_nodes 56944, found 75"):
        ppi.load_ppi(data_dir=folder)
    found = statistics.node_statistics(read_ppi(folder))
    monkeypatch.setitem(statistics.EXPECTED, "ppi", found)
    _same(load_nodes("ppi", data_dir=folder), read_ppi(folder))
    assert load_nodes("ppi", data_dir=folder).name == "ppi"
    monkeypatch.setitem(statistics.EXPECTED, "ppi", found._replace(graph_sizes=(20, 2, 2)))
    with pytest.raises(InputError, match=r"graph_sizes \(20, 2, 2\), found \(4, 1, 1\)"):
        load_nodes("ppi", data_dir=folder)


def test_absent_files_are_told_with_their_place_and_sources(tmp_path, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setattr(ppi, "BASE_URL", f"{address}/one/")
        monkeypatch.setattr(ppi, "SECOND_URL", f"{address}/two/")
        start = time.monotonic()
        with pytest.raises(InputError) as caught:
            ppi.load_ppi(data_dir=tmp_path)
        assert time.monotonic() - start < 5
        with pytest.raises(InputError, match=rf"files from {address}/mine/ppi.zip and put "):
            ppi.load_ppi(data_dir=tmp_path, base_url=f"{address}/mine")
    line = str(caught.value)
    assert "\n" not in line
    assert "(train_graph.json and 11 more, or ppi-G.json and 3 more, or ppi.zip) must" in line
    assert line.count("refused") == 2
    assert f"from {address}/one/ppi.zip or {address}/two/ppi.zip and put them into" in line
    assert f"put them into {tmp_path / 'ppi'}, or name the folder" in line


def test_the_second_address_is_asked_where_the_first_fails(graphsage, cache, monkeypatch):
    asked = []

    def probe(url, *, seconds):
        asked.append((url, seconds))
        if url.startswith(ppi.BASE_URL):
            raise download.DownloadFailed("no answer")

    def fetch(files, folder):
        assert [(file.path, file.url, file.size) for file in files] == [
            ("ppi/ppi.zip", "https://snap.stanford.edu/graphsage/ppi.zip", 27_029_260)
        ]
        path = ppi_files.write_zip(graphsage, folder / files[0].path, inside="ppi/")
        return {files[0].path: path}

    monkeypatch.setattr(download, "probe", probe)
    monkeypatch.setattr(download, "download", fetch)
    assert ppi.find_source() == cache / "ppi" / "ppi.zip"
    assert [url for url, _ in asked] == [
        "https://data.dgl.ai/dataset/ppi.zip",
        "https://snap.stanford.edu/graphsage/ppi.zip",
    ]
    assert sum(seconds for _, seconds in asked) < 10
    assert ppi.find_source() == cache / "ppi" / "ppi.zip"  # from the cache
    assert len(asked) == 2


def test_the_real_set_has_the_published_statistics(data_dir):
    places = (data_dir / "ppi", data_dir / "ppi" / "ppi", data_dir)
    files = ("ppi.zip", PER_SPLIT[0], GRAPHSAGE[0])
    if not any((place / file).is_file() for place in places for file in files):
        pytest.skip(f"needs PPI's files in {data_dir}")
    found = load_nodes("ppi", data_dir=data_dir)
    assert found.labels is not None
    assert found.labels.sum() == 2_102_769
