"""Data sets by name."""

import numpy as np
import pytest

from mmix_jax.data import load_nodes, random_split
from mmix_jax.errors import InputError


def test_unknown_names_are_told():
    with pytest.raises(
        InputError, match="expected one of: citeseer, cora, digits_graph, graph_file, pubmed"
    ):
        load_nodes("corra")


@pytest.mark.parametrize(("name", "path"), [("graph_file", None), ("cora", "a.npz")])
def test_a_path_belongs_to_graph_files(name, path):
    with pytest.raises(InputError, match="path is needed by graph_file and by no other"):
        load_nodes(name, path=path)


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


def test_arguments_reach_the_digits():
    assert _check_random_split("digits_graph") == "digits_graph"


def test_arguments_reach_cora(data_dir):
    assert _check_random_split("cora", data_dir=data_dir) == "cora"


def test_unknown_splits_are_told_before_anything_is_read():
    with pytest.raises(InputError, match="expected one of: default, public, random"):
        load_nodes("citeseer", split="publik")


def test_public_split_of_cora(data_dir):
    cora = load_nodes("cora", data_dir=data_dir, split="public")
    assert [part.size for part in cora.split] == [140, 500, 1000]
