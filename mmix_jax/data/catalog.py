"""Data sets by name."""

import os

from mmix_jax.data.graphs import tudataset
from mmix_jax.data.graphs.graph_folder import read_graph_folder
from mmix_jax.data.graphs.graph_sets import MAX_DEGREE
from mmix_jax.data.images import cifar
from mmix_jax.data.images.digit_images import load_digit_images
from mmix_jax.data.images.generated_images import load_generated_images
from mmix_jax.data.images.image_folder import read_image_folder
from mmix_jax.data.nodes import citation_full, planetoid
from mmix_jax.data.nodes.digits_graph import load_digits_graph
from mmix_jax.data.nodes.graph_file import read_graph_file
from mmix_jax.data.nodes.ppi import load_ppi, read_ppi
from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph, load_synthetic_graph
from mmix_jax.data.splits import check_split_name
from mmix_jax.data.types import GraphDataset, ImageDataset, NodeDataset
from mmix_jax.errors import InputError

NODE_DATASETS = (
    *planetoid.NAMES,
    *citation_full.NAMES,
    "digits_graph",
    "graph_file",
    "ppi",
    "ppi_folder",
    "synthetic_graph",
)
# Made of whole graphs to train and to test on: no other split of their nodes is possible.
_INDUCTIVE = ("ppi", "ppi_folder")
GRAPH_DATASETS = (*tudataset.NAMES, "graph_folder")
IMAGE_DATASETS = ("cifar10", "cifar100", "digits", "generated", "image_folder")


def load_nodes(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    path: str | os.PathLike | None = None,
    split: str = "default",
    split_seed: int = 0,
    synthetic: SyntheticGraph | None = None,
) -> NodeDataset:
    """A graph, or several as one, with the nodes' labels and split.

    Args:
      name: one of ``NODE_DATASETS``.
      data_dir: folder with data files; ``$MMIX_DATA_DIR`` and the download cache follow it.
      path: of ``graph_file``: your graph, see ``custom.read_graph_file``; of ``ppi_folder``: your
        graphs in PPI's format, see ``ppi.read_ppi``; of no other.
      split: ``"default"``: the one the data comes with, or that its protocol names;
        ``"public"``: the one it comes with; ``"random"``: 10/10/80. PPI's graphs have the default
        only.
      split_seed: seed of a split that is drawn.
      synthetic: sizes and seed of ``synthetic_graph``; others pass it over.

    Raises:
      InputError: unknown name or split, or data that is missing, damaged or badly formed.
    """
    if name not in NODE_DATASETS:
        raise InputError(
            f"unknown data set {name!r}; expected one of: {', '.join(sorted(NODE_DATASETS))}"
        )
    _check_path(name, path, of=("graph_file", "ppi_folder"), what="graph")
    check_split_name(split)
    if name in _INDUCTIVE and split != "default":
        raise InputError(
            f"{name} comes with its split of whole graphs and has no other, found split {split!r}; "
            "use 'default'"
        )
    if name == "ppi":
        return load_ppi(data_dir=data_dir)
    if path and name == "ppi_folder":
        return read_ppi(path)
    if path:
        return read_graph_file(path, split=split, split_seed=split_seed)
    if name == "digits_graph":
        return load_digits_graph(split=split, split_seed=split_seed)
    if name == "synthetic_graph":
        return load_synthetic_graph(synthetic, split=split, split_seed=split_seed)
    load = (
        citation_full.load_citation_full
        if name in citation_full.NAMES
        else planetoid.load_planetoid
    )
    return load(name, data_dir=data_dir, split=split, split_seed=split_seed)


def load_graphs(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    path: str | os.PathLike | None = None,
    features: str = "auto",
    max_degree: int = MAX_DEGREE,
) -> GraphDataset:
    """A set of graphs with their labels.

    Args:
      name: one of ``GRAPH_DATASETS``, or the official name of any TUDataset, ``"PROTEINS"``.
      data_dir: folder with data files; ``$MMIX_DATA_DIR`` and the download cache follow it.
      path: of ``graph_folder`` only: your graphs, see ``custom_graphs.read_graph_folder``.
      features: node features: ``"auto"``: what the data has; ``"degree"``: the one-hot degree;
        for more see ``tudataset.read_tudataset``.
      max_degree: of one-hot degrees: all from here on share a column.

    Raises:
      InputError: unknown name or features, or data that is missing, damaged or badly formed.
    """
    if name in NODE_DATASETS:
        raise InputError(
            f"{name} is one graph, found it where a set of graphs is needed; expected one of: "
            f"{', '.join(sorted(GRAPH_DATASETS))}, or the official name of a TUDataset"
        )
    _check_path(name, path, of=("graph_folder",), what="graphs")
    if path:
        return read_graph_folder(path, features=features, max_degree=max_degree)
    return tudataset.load_tudataset(
        name, data_dir=data_dir, features=features, max_degree=max_degree
    )


def load_images(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    path: str | os.PathLike | None = None,
    size: int = 32,
) -> ImageDataset:
    """A set of images with their labels.

    Args:
      name: ``cifar10``, ``cifar100``, ``digits``, ``generated`` or ``image_folder``.
      data_dir: folder with data files; ``$MMIX_DATA_DIR`` and the download cache follow it.
      path: of ``image_folder`` only: your images, see ``image_folder.read_image_folder``.
      size: of ``image_folder`` only: height and width; the others have their own.

    Raises:
      InputError: unknown name, or data that is missing, damaged or badly formed.
    """
    if name not in IMAGE_DATASETS:
        raise InputError(
            f"unknown set of images {name!r}; expected one of: {', '.join(IMAGE_DATASETS)}"
        )
    _check_path(name, path, of=("image_folder",), what="images")
    if path:
        return read_image_folder(path, size=size)
    if name == "digits":
        return load_digit_images()
    if name == "generated":
        return load_generated_images()
    return cifar.load_cifar(name, data_dir=data_dir)


def _check_path(
    name: str, path: str | os.PathLike | None, *, of: tuple[str, ...], what: str
) -> None:
    if (name in of) != bool(path):
        raise InputError(
            f"path is needed by {' and '.join(of)} and by no other, found {name} with path "
            f"{path!r}; give the path of your {what}, or leave it out"
        )
