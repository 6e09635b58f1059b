"""Planetoid sets: a written one with Citeseer's gaps, the real ones where they are at hand."""

import pickle
import shutil
import socket
import warnings

import numpy as np
import pytest

from mmix_jax.data import statistics
from mmix_jax.data.nodes import planetoid
from mmix_jax.data.store.checksums import sha256_of
from mmix_jax.errors import InputError
from tests.data.nodes import planetoid_files


@pytest.fixture
def written(tmp_path):
    return planetoid_files.write_planetoid(tmp_path, "toy")


def _read(folder):
    return planetoid.read_parts({part: folder / f"ind.toy.{part}" for part in planetoid.PARTS})


@pytest.fixture
def toy(tmp_path, written):
    return planetoid.to_dataset("toy", _read(tmp_path))


def test_rows_labels_and_edges_land_on_their_nodes(toy, written):
    np.testing.assert_array_equal(toy.graph.x, written.x)
    np.testing.assert_array_equal(toy.labels, written.labels)
    edges = set(zip(toy.graph.senders.tolist(), toy.graph.receivers.tolist(), strict=True))
    assert edges == written.edges
    assert toy.num_classes == planetoid_files.NUM_CLASSES
    assert toy.bag_of_words


def test_nodes_in_gaps_stay_without_label_and_out_of_the_split(toy):
    gaps = list(planetoid_files.GAPS)
    assert toy.graph.num_nodes == planetoid_files.NUM_NODES == max(gaps) + 1
    assert (toy.labels[gaps] == -1).all()
    assert (toy.graph.x[gaps] == 0).all()
    assert not np.isin(np.concatenate(toy.split), gaps).any()


def test_public_split(toy, written):
    np.testing.assert_array_equal(toy.split.train, np.arange(12))
    np.testing.assert_array_equal(toy.split.valid, np.arange(12, 512))
    np.testing.assert_array_equal(toy.split.test, np.sort(written.test_index))


def test_statistics_count_raw_lists_and_refuse_other_files(tmp_path, toy, monkeypatch):
    graph = _read(tmp_path)["graph"]
    as_citeseer = toy._replace(name="citeseer")
    with pytest.raises(InputError, match="num_nodes 3327, found 552: swapped or damaged file"):
        planetoid.check_planetoid(as_citeseer, graph)
    true = statistics.NodeStatistics(
        num_nodes=552,
        num_edges=toy.graph.num_edges // 2,
        num_features=9,
        num_classes=6,
        num_unlabelled=3,
        class_sizes=None,
        split_sizes=(12, 500, 19),
        list_entries=sum(map(len, graph.values())),
        self_loops=1,
    )
    for fault in ({}, {"list_entries": true.list_entries + 1}, {"self_loops": 0}):
        monkeypatch.setitem(statistics.EXPECTED, "citeseer", true._replace(**fault))
        if not fault:
            planetoid.check_planetoid(as_citeseer, graph)
            continue
        with pytest.raises(InputError, match=next(iter(fault))):
            planetoid.check_planetoid(as_citeseer, graph)


@pytest.mark.parametrize("name", ["cora", "pubmed"])
def test_real_sets_have_the_published_statistics(name, data_dir):
    dataset = planetoid.load_planetoid(name, data_dir=data_dir)
    found = statistics.node_statistics(dataset)._asdict()
    wanted = statistics.EXPECTED[name]._asdict()
    raw = {"list_entries", "self_loops"}
    assert {k: v for k, v in found.items() if k not in raw} == {
        k: v for k, v in wanted.items() if k not in raw
    }
    train_sizes = np.bincount(dataset.labels[dataset.split.train])
    np.testing.assert_array_equal(train_sizes, 20)


def test_real_cora_agrees_with_a_plain_reading(data_dir):
    def plain(part):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = (data_dir / "planetoid" / f"ind.cora.{part}").read_bytes()
            return pickle.loads(content, encoding="latin1")

    cora = planetoid.load_planetoid("cora", data_dir=data_dir)
    lines = (data_dir / "planetoid/ind.cora.test.index").read_text().split()
    index = [int(line) for line in lines]
    np.testing.assert_array_equal(cora.graph.x[index], plain("tx").toarray())
    np.testing.assert_array_equal(cora.graph.x[:140], plain("x").toarray())
    np.testing.assert_array_equal(cora.labels[index], plain("ty").argmax(axis=1))
    graph = plain("graph")
    for node in (0, 1, 1000, 2707):
        near = cora.graph.senders[cora.graph.receivers == node]
        np.testing.assert_array_equal(near, sorted(set(graph[node])))


def test_random_split_keeps_everything_else(data_dir):
    public = planetoid.load_planetoid("cora", data_dir=data_dir)
    drawn = planetoid.load_planetoid("cora", data_dir=data_dir, split="random", split_seed=3)
    assert [part.size for part in drawn.split] == [270, 270, 2168]
    np.testing.assert_array_equal(drawn.labels, public.labels)
    assert drawn.bag_of_words


def test_a_swapped_file_is_refused_by_its_sum(tmp_path, data_dir):
    for file in planetoid.remote_files("cora"):
        shutil.copyfile(data_dir / file.path, tmp_path / file.path.rpartition("/")[2])
    (tmp_path / "ind.cora.y").chmod(0o644)
    shutil.copyfile(data_dir / "planetoid/ind.pubmed.y", tmp_path / "ind.cora.y")
    assert (
        sha256_of(tmp_path / "ind.cora.x")
        == statistics.PUBLISHED["cora"]["files"]["ind.cora.x"]["sha256"]
    )
    with pytest.raises(InputError, match=r"ind\.cora\.y must have SHA-256 .* swapped or damaged"):
        planetoid.load_planetoid("cora", data_dir=tmp_path)


def test_a_missing_set_is_told_with_its_place_and_source(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MMIX_DATA_DIR", raising=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(InputError) as caught:
            planetoid.load_planetoid("citeseer", data_dir=tmp_path, base_url=base_url)
    line = str(caught.value)
    assert line.startswith("data files planetoid/ind.citeseer.x ind.citeseer.y ind.citeseer.tx ")
    assert f"get the files from {base_url} and put them into {tmp_path}/planetoid, " in line


def test_every_set_pins_eight_files():
    for name in ("cora", "citeseer", "pubmed"):
        files = planetoid.remote_files(name)
        assert len({file.sha256 for file in files}) == len(files) == 8
        assert all(file.url.startswith("https://") and file.size for file in files)
