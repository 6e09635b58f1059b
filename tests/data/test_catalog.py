"""Data sets by name."""

import importlib
import inspect
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mmix_jax import data
from mmix_jax.data import (
    graphs,
    images,
    load_graphs,
    load_images,
    load_nodes,
    nodes,
    random_split,
    statistics,
)
from mmix_jax.data.catalog import GRAPH_DATASETS, IMAGE_DATASETS
from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph
from mmix_jax.errors import InputError
from tests.data.graphs import tu_files
from tests.data.images import cifar_files
from tests.data.nodes import citation_files, ppi_files


@pytest.mark.parametrize("door", ["", ".catalog", ".nodes", ".graphs", ".images"])
def test_names_are_known_before_anything_slow_is_imported(door):
    """Importing anything but NumPy takes longer than to check a config."""
    slow = {"jax", "scipy", "sklearn", "PIL", "tensorflow_datasets"}
    program = f"import sys, mmix_jax.data{door}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert slow & set(ran.stdout.decode().split()) == set()


@pytest.mark.parametrize("room", [nodes, graphs, images], ids=["nodes", "graphs", "images"])
def test_every_loader_takes_what_its_table_says(room):
    (loaders,) = (value for name, value in vars(room).items() if name.endswith("_LOADERS"))
    for function, takes in loaders.values():
        module, _, name = function.rpartition(".")
        load = getattr(importlib.import_module(f"{room.__name__}.{module}"), name)
        assert set(takes) <= inspect.signature(load).parameters.keys()


def test_every_name_of_the_package_is_where_its_table_says():
    for name in data.__all__:
        assert getattr(data, name).__name__ == name


def test_unknown_names_are_told():
    with pytest.raises(
        InputError,
        match="expected one of: citeseer, citeseer_full, cora, cora_full, cora_ml, dblp, "
        "digits_graph, graph_file, ppi, ppi_folder, pubmed, pubmed_full, synthetic_graph",
    ):
        load_nodes("corra")


@pytest.mark.parametrize(
    ("load", "name", "forms"),
    [
        (load_nodes, "graph_file", r"an \.npz file, a folder with edges\.csv"),
        (load_nodes, "ppi_folder", r"a folder, zip or tar with train_graph\.json"),
        (load_graphs, "graph_folder", r"a folder of \.npz files, one graph each"),
        (load_images, "image_folder", "a folder, zip or tar of images"),
    ],
)
def test_data_of_ones_own_wants_a_path_and_says_of_what(load, name, forms):
    with pytest.raises(InputError, match=f"^{name} must .*{forms}.*; pass --config.data_path=PATH"):
        load(name)


@pytest.mark.parametrize(
    ("load", "name", "own"),
    [
        (load_nodes, "cora", "graph_file or ppi_folder"),
        (load_nodes, "ppi", "graph_file or ppi_folder"),
        (load_graphs, "mutag", "graph_folder"),
        (load_images, "cifar10", "image_folder"),
    ],
)
def test_a_path_belongs_to_data_of_ones_own(load, name, own):
    told = (
        f"given to {own} alone, found 'a' with {name}; .*=(graph_file|graph_folder|image_folder)$"
    )
    with pytest.raises(InputError, match=told):
        load(name, path="a")


def test_what_takes_a_path_says_where_it_may_lead():
    for loaders, paths in (
        (nodes.NODE_LOADERS, nodes.NODE_PATHS),
        (graphs.GRAPH_LOADERS, graphs.GRAPH_PATHS),
        (images.IMAGE_LOADERS, images.IMAGE_PATHS),
    ):
        assert set(paths) == {name for name, (_, takes) in loaders.items() if "path" in takes}


def _check_random_split(name, **options):
    dataset = load_nodes(name, split="random", split_seed=3, **options)
    wanted = random_split(dataset.labels, seed=3)
    for part, other in zip(dataset.split, wanted, strict=True):
        np.testing.assert_array_equal(part, other)
    return dataset.name


def test_arguments_reach_a_graph_file(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, edge_index=[[0], [1]], x=np.ones((50, 1)), y=np.arange(50) % 2)
    assert _check_random_split("graph_file", path=path) == "mine"


def test_a_relative_path_is_looked_for_below_the_data(tmp_path, monkeypatch):
    here, below, other = (tmp_path / name for name in ("here", "below", "other"))
    for number, folder in enumerate((here, below / "graphs", other / "graphs")):
        folder.mkdir(parents=True)
        x = np.full((50, 1), number + 1.0)
        np.savez(folder / "mine.npz", edge_index=[[0], [1]], x=x, y=np.arange(50) % 2)
    monkeypatch.chdir(here)
    monkeypatch.setenv("MMIX_DATA_DIR", str(below))

    def first(path, **options):
        return load_nodes("graph_file", path=path, **options).graph.x[0, 0]

    assert first("mine.npz") == 1.0  # what is there comes first
    assert first("graphs/mine.npz") == 2.0
    assert first("graphs/mine.npz", data_dir=other) == 3.0
    with pytest.raises(InputError, match=r"'graphs/gone\.npz' does not exist"):
        load_nodes("graph_file", path="graphs/gone.npz")


def test_arguments_reach_the_digits():
    assert _check_random_split("digits_graph") == "digits_graph"


def test_arguments_reach_the_drawn_graph():
    shape = SyntheticGraph(num_nodes=200, mean_degree=3.0, num_features=4, num_classes=2)
    assert _check_random_split("synthetic_graph", synthetic=shape) == "synthetic_graph"
    assert load_nodes("synthetic_graph", synthetic=shape).graph.x.shape == (200, 4)


def test_arguments_reach_cora(data_dir):
    assert _check_random_split("cora", data_dir=data_dir) == "cora"


def test_arguments_reach_a_citation_full_set(tmp_path, monkeypatch):
    monkeypatch.setitem(statistics.EXPECTED, "cora_ml", citation_files.STATISTICS)
    citation_files.write(tmp_path / "cora_ml.npz", citation_files.arrays())
    assert _check_random_split("cora_ml", data_dir=tmp_path) == "cora_ml"


def test_arguments_reach_graphs_in_the_format_of_ppi(tmp_path):
    folder = ppi_files.write_per_split(tmp_path / "mine")
    found = load_nodes("ppi_folder", path=folder)
    assert (found.name, found.labels.shape[1]) == ("mine", ppi_files.NUM_LABELS)


def test_the_data_folder_reaches_ppi(tmp_path):
    ppi_files.write_graphsage(tmp_path / "ppi")
    with pytest.raises(InputError, match="ppi must have num_nodes 56944, found 75"):
        load_nodes("ppi", data_dir=tmp_path)


@pytest.mark.parametrize(("name", "path"), [("ppi", None), ("ppi_folder", "a")])
@pytest.mark.parametrize("split", ["public", "random"])
def test_ppi_has_its_own_split_only(name, path, split):
    with pytest.raises(InputError, match=f"{name} comes .* split '{split}'; use 'default'"):
        load_nodes(name, path=path, split=split)


def test_unknown_splits_are_told_before_anything_is_read():
    with pytest.raises(InputError, match="expected one of: default, public, random"):
        load_nodes("citeseer", split="publik")


def test_public_split_of_cora(data_dir):
    cora = load_nodes("cora", data_dir=data_dir, split="public")
    assert [part.size for part in cora.split] == [140, 500, 1000]


# Sets of graphs


def test_names_of_sets_of_graphs():
    assert set(GRAPH_DATASETS) == {
        "coil_del",
        "graph_folder",
        "imdb_binary",
        "imdb_multi",
        "mutag",
        "ptc_mr",
        "reddit_binary",
    }
    with pytest.raises(InputError, match=r"cora is one graph, .* expected one of: coil_del, .* or"):
        load_graphs("cora")
    with pytest.raises(InputError, match="unknown set of graphs 'mu tag'; expected one of: mutag"):
        load_graphs("mu tag")


def test_arguments_reach_a_graph_folder(tmp_path):
    np.savez(tmp_path / "a.npz", edge_index=[[0], [1]], x=np.ones((2, 5)))
    found = load_graphs("graph_folder", path=tmp_path, features="degree", max_degree=3)
    assert (found.name, found.graphs[0].x.shape) == (tmp_path.name, (2, 4))


def test_arguments_reach_a_tudataset(tmp_path):
    tu_files.write_zip(tmp_path, "TOY", tu_files.TOY)
    found = load_graphs("TOY", data_dir=tmp_path, features="degree", max_degree=3)
    assert (found.name, found.graphs[0].x.shape) == ("TOY", (3, 4))


def test_mutag_by_name(data_dir):
    found = load_graphs("mutag", data_dir=data_dir)
    assert (len(found.graphs), found.num_classes) == (188, 2)


# Sets of images


def test_names_of_sets_of_images():
    published = {"cifar10", "cifar100", "fashion_mnist"}
    assert set(IMAGE_DATASETS) == {*published, "digits", "generated", "image_folder"}
    with pytest.raises(InputError, match="unknown set of images 'cora'; expected one of: cifar10"):
        load_images("cora")


def test_arguments_reach_an_image_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    folder.mkdir()
    Image.new("RGB", (9, 9), "red").save(folder / "1.png")
    found = load_images("image_folder", path=folder, size=5)
    assert (found.name, found.train.shape) == ("mine", (1, 5, 5, 3))


def test_digits_by_name():
    assert load_images("digits").train.shape == (1297, 8, 8, 1)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_data_folder_reaches_cifar(name, tmp_path):
    cifar_files.write_folder(tmp_path, name, "binary")
    with pytest.raises(InputError, match=f"{name} must have num_train 50000, found 20"):
        load_images(name, data_dir=tmp_path)


@pytest.mark.parametrize(
    "option", [{"structure": "roles"}, {"missing": "mean"}, {"skip_columns": "a"}]
)
def test_options_of_your_own_graph_are_refused_with_others(option):
    with pytest.raises(InputError, match="is of graph_file, your own graph, found it with digits_"):
        load_nodes("digits_graph", **option)
