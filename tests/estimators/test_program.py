"""Estimators give the program's numbers, bit for bit."""

import networkx as nx
import numpy as np
import pytest

from tests.estimators import made
from tests.experiments.images import small_images
from tests.experiments.nodes import small
from tests.main import program

pytestmark = pytest.mark.slow


def embedded_by_the_program(tmp_path, name: str, data, settings: dict, *more: str) -> np.ndarray:
    workdir = tmp_path / "run"
    flags = [f"--config.{key}={value}" for key, value in settings.items()]
    flags += [f"--config={program.CONFIGS}/{name}.py", f"--config.data_path={data}", *more]
    for mode in ("train", "embed"):
        ran = program.run(*flags, f"--workdir={workdir}", f"--mode={mode}")
        assert ran.status == 0, ran.err
    with np.load(workdir / "embeddings.npz") as arrays:
        return arrays["z"]


@pytest.mark.parametrize("labelled", [True, False])
def test_nodes(tmp_path, labelled):
    none = {} if labelled else {"y": None, "train_mask": None, "val_mask": None, "test_mask": None}
    path = small.save(tmp_path / "rings.npz", **none)
    settings = made.NODES | {"mixing": "mo", "seed": 3}
    theirs = embedded_by_the_program(tmp_path, "graph_file", path, settings)
    parts = small.arrays()
    masks = {name: parts[name] for name in ("train_mask", "val_mask", "test_mask")}
    labels = {"y": parts["y"], "split": masks} if labelled else {}
    model = made.nodes(mixing="mo", seed=3).fit(made.node_graph(), **labels)
    np.testing.assert_array_equal(model.transform(), theirs)
    assert any("validation_accuracy" in row for row in model.history_) == labelled


def test_graphs(tmp_path):
    folder = tmp_path / "graphs"
    folder.mkdir()
    graphs = made.some_graphs()
    for i, graph in enumerate(graphs):
        edges = np.array(graph.edges).T
        x = np.arange(graph.number_of_nodes())[:, None] % 3 == np.arange(3)
        np.savez(folder / f"{i}.npz", x=x.astype(np.float32), edge_index=edges)
        nx.set_node_attributes(graph, {n: row.astype(float) for n, row in enumerate(x)}, "x")
    theirs = embedded_by_the_program(tmp_path, "graph_folder", folder, made.GRAPHS)
    np.testing.assert_array_equal(made.graphs().fit_transform(graphs), theirs)


def test_images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, data in small_images.files(0, tested=False).items():
        (folder / name).write_bytes(data)
    pixels = small_images.pixels()[: small_images.NUM_TRAIN]
    stages = {"stages": "(1,)", "image_size": small_images.SIZE}
    theirs = embedded_by_the_program(tmp_path, "image_folder", folder, made.IMAGES | stages)
    np.testing.assert_array_equal(made.images().fit_transform(pixels), theirs)
