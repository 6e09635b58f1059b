"""Data sets by name. Light: what loads a data set is imported when it is loaded."""

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmix_jax.data.graphs import GRAPH_DATASETS, GRAPH_LOADERS, GRAPH_PATHS, TU_LOADER
from mmix_jax.data.images import IMAGE_DATASETS, IMAGE_LOADERS, IMAGE_PATHS
from mmix_jax.data.nodes import NODE_DATASETS, NODE_LOADERS, NODE_PATHS
from mmix_jax.data.raw import MAX_DEGREE
from mmix_jax.data.splits import check_split_name
from mmix_jax.data.store.files import reading, search_folders
from mmix_jax.data.types import GraphDataset, ImageDataset, NodeDataset
from mmix_jax.errors import InputError

if TYPE_CHECKING:
    from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph


def load_nodes(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    path: str | os.PathLike | None = None,
    split: str = "default",
    split_seed: int = 0,
    synthetic: "SyntheticGraph | None" = None,
    structure: str = "both",
    missing: str = "refuse",
    skip_columns: str | Sequence[str] = (),
) -> NodeDataset:
    """A graph, or several as one, with the nodes' labels and split.

    Args:
      name: one of `NODE_DATASETS`.
      data_dir: folder with data files; `$MMIX_DATA_DIR` and the download cache follow it.
      path: of `graph_file`: your graph, see `graph_file.read_graph_file`; of `ppi_folder`: your
        graphs in PPI's format, see `ppi.read_ppi`; of no other.
      split: `"default"`: the one the data comes with, or that its protocol names; `"public"`: the
        one it comes with; `"random"`: 10/10/80. PPI's graphs have the default only.
      split_seed: seed of a split that is drawn.
      synthetic: sizes and seed of `synthetic_graph`; others pass it over.
      structure, missing, skip_columns: of `graph_file` alone, see `graph_file.read_graph_file`.

    Raises:
      InputError: unknown name or split, or data that is missing, damaged or badly formed.

    Example:
      >>> from mmix_jax.data import load_nodes
      >>> load_nodes("digits_graph").graph.num_nodes
      1797
    """
    if name not in NODE_LOADERS:
        raise InputError(
            f"unknown data set {name!r}; expected one of: {', '.join(sorted(NODE_DATASETS))}"
        )
    _check_path(name, path, NODE_PATHS)
    with reading():
        check_split_name(split)
    _, takes = loader = NODE_LOADERS[name]
    if "split" not in takes and split != "default":
        raise InputError(
            f"{name} comes with its split of whole graphs and has no other, found split {split!r}; "
            "use 'default'"
        )
    options = {"split": split, "split_seed": split_seed, "synthetic": synthetic}
    options |= {"structure": structure, "missing": missing, "skip_columns": skip_columns}
    usual = {"structure": "both", "missing": "refuse", "skip_columns": ""}
    for option, value in usual.items():
        if option not in takes and (options[option] or "") != value:
            raise InputError(
                f"{option} is of graph_file, your own graph, found it with {name}; leave it out"
            )
    return _load("nodes", loader, name=name, data_dir=data_dir, path=path, **options)


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
      name: one of `GRAPH_DATASETS`, or the official name of any TUDataset, `"PROTEINS"`.
      data_dir: folder with data files; `$MMIX_DATA_DIR` and the download cache follow it.
      path: of `graph_folder` only: your graphs, see `graph_folder.read_graph_folder`.
      features: node features: `"auto"`: what the data has; `"degree"`: the one-hot degree; for
        more see `tudataset.read_tudataset`.
      max_degree: of one-hot degrees: all from here on share a column.

    Raises:
      InputError: unknown name or features, or data that is missing, damaged or badly formed.

    Example:
      >>> from mmix_jax.data import load_graphs
      >>> try:
      ...     load_graphs("cora")
      ... except ValueError as error:
      ...     print(str(error).partition(",")[0])
      cora is one graph
    """
    if name in NODE_LOADERS:
        raise InputError(
            f"{name} is one graph, found it where a set of graphs is needed; expected one of: "
            f"{', '.join(sorted(GRAPH_DATASETS))}, or the official name of a TUDataset"
        )
    _check_path(name, path, GRAPH_PATHS)
    loader = GRAPH_LOADERS.get(name, TU_LOADER)
    options = {"features": features, "max_degree": max_degree}
    return _load("graphs", loader, name=name, data_dir=data_dir, path=path, **options)


def load_images(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    path: str | os.PathLike | None = None,
    size: int = 32,
) -> ImageDataset:
    """A set of images with their labels.

    Args:
      name: one of `IMAGE_DATASETS`.
      data_dir: folder with data files; `$MMIX_DATA_DIR` and the download cache follow it.
      path: of `image_folder` only: your images, see `image_folder.read_image_folder`.
      size: of `image_folder` only: height and width; the others have their own.

    Raises:
      InputError: unknown name, or data that is missing, damaged or badly formed.

    Example:
      >>> from mmix_jax.data import load_images
      >>> load_images("digits").train.shape
      (1297, 8, 8, 1)
    """
    if name not in IMAGE_LOADERS:
        raise InputError(
            f"unknown set of images {name!r}; expected one of: {', '.join(IMAGE_DATASETS)}"
        )
    _check_path(name, path, IMAGE_PATHS)
    loader = IMAGE_LOADERS[name]
    return _load("images", loader, name=name, data_dir=data_dir, path=path, size=size)


def _check_path(name: str, path: str | os.PathLike | None, of: Mapping[str, str]) -> None:
    """Raise InputError unless a path is given to those data sets that have one, and to no other."""
    if name in of and not path:
        raise InputError(
            f"{name} must be given the path of your data, {of[name]}, found none; pass "
            "--config.data_path=PATH, or path= from Python"
        )
    if path and name not in of:
        raise InputError(
            f"a path must be given to {' or '.join(of)} alone, found {str(path)!r} with {name}; "
            f"leave --config.data_path out, or pass --config.dataset={next(iter(of))}"
        )


def _own_data(path: Any, data_dir: Any) -> Any:
    """The path of own data: as it is, or where a relative one is not there, below the folders of
    data files, so that commands need not tell where these lie."""
    if not path or os.path.isabs(path) or os.path.lexists(path):
        return path
    below = (os.path.join(folder, path) for folder in search_folders(data_dir))
    return next(filter(os.path.lexists, below), path)  # lexists: too long a name is no file


def _load(room: str, loader: tuple[str, tuple[str, ...]], **options: object) -> Any:
    """What the loader makes of those options that it takes."""
    function, takes = loader
    module, _, attribute = function.rpartition(".")
    load = getattr(importlib.import_module(f"mmix_jax.data.{room}.{module}"), attribute)
    with reading():
        options["path"] = _own_data(options.get("path"), options.get("data_dir"))
        return load(**{option: options[option] for option in takes})
