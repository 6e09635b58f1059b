"""Your own set of graphs: a folder with an `.npz` file each; nothing in it is executed."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmix_jax.data.names import LABEL, by_meaning, check_rest
from mmix_jax.data.raw import MAX_DEGREE, degree_features, make_graph_or_empty
from mmix_jax.data.splits import MASKS
from mmix_jax.data.store.files import reading
from mmix_jax.data.store.npz_files import (
    EDGE_KEYS,
    SPARSE_FEATURE_KEYS,
    array_keys,
    load_arrays,
    read_edges,
    read_features,
)
from mmix_jax.data.types import GraphDataset, make_graph_dataset
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Graph
from mmix_jax.surroundings import user_path

_FEATURES = ("auto", "degree")
_KEYS = (*EDGE_KEYS, *SPARSE_FEATURE_KEYS, "x", "num_nodes")


class GraphFile(NamedTuple):
    """One graph of the set.

    graph: checked; `x` has no columns where `has_features` is false.
    has_features: whether the file gives any.
    label: a number or text, or None.
    unused: keys without a meaning.
    """

    graph: Graph
    has_features: bool
    label: Any
    unused: list[str]


def read_graph_folder(
    path: str | os.PathLike,
    *,
    features: str = "auto",
    max_degree: int = MAX_DEGREE,
    undirected: bool = True,
) -> GraphDataset:
    """Graphs of your own, in the order of their files' names, which without `.npz` are the ids.

    Keys of each file (arrays of numbers or strings; pickled objects are refused):

    - edges: as in `graph_file.read_graph_file`: `edge_index` [2, E], with `edge_weight` [E] if
      there are weights, or a SciPy CSR adjacency;
    - nodes: `x` [N, F], or CSR parts prefixed by `attr_`, with the same F in every file; or in
      no file: then N is the adjacency's, or `num_nodes`, and x the one-hot degree. N may be 0;
    - optional: `y` or `labels` (see `names.NAMES`), the graph's class, a single number or text.
      Either all files have one, or none.

    Keys that mean nothing are named in a warning.

    Args:
      path: of the folder.
      features: `"auto"`: those in the files if any; `"degree"`: the one-hot degree in any case.
      max_degree: see `raw.degree_features`.
      undirected: store every edge in both directions.

    Raises:
      InputError: in one line, which file and what is wrong with it.

    Example:
      >>> import pathlib
      >>> import tempfile
      >>> import numpy as np
      >>> from mmix_jax.data import read_graph_folder
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for name in ("a", "b"):
      ...         path = pathlib.Path(folder) / f"{name}.npz"
      ...         np.savez(path, x=np.eye(2), edge_index=[[0], [1]])
      ...     read_graph_folder(folder).ids.tolist()
      ['a', 'b']
    """
    folder = user_path(path, "data_path")
    if features not in _FEATURES:
        raise InputError(
            f"unknown features {features!r} of graph files; expected one of: {', '.join(_FEATURES)}"
        )
    if not folder.is_dir():
        raise InputError(f"{folder}: must be a folder of .npz files, found none; check the path")
    # Names that begin with a dot are the operating system's.
    paths = sorted(p for p in folder.glob("*.npz") if not p.name.startswith("."))
    if not paths:
        raise InputError(f"{folder}: must hold .npz files, one per graph, found none; add them")
    with reading(folder):
        files = {p.name: _read_file(p, features, undirected) for p in paths}
        given = _all_or_none({name: f.has_features for name, f in files.items()}, "features x")
        labelled = _all_or_none({name: f.label is not None for name, f in files.items()}, "a y")
        graphs = [file.graph for file in files.values()]
        if given:
            _check_widths({name: f.graph.x.shape[1] for name, f in files.items()})
        else:
            graphs = [g._replace(x=degree_features(g, max_degree=max_degree)) for g in graphs]
        unused = dict.fromkeys(key for file in files.values() for key in file.unused)
        check_rest(unused, (LABEL, *MASKS) if labelled else MASKS, what="key")
        return make_graph_dataset(
            folder.resolve().name,
            graphs,
            [file.label for file in files.values()] if labelled else None,
            features="given" if given else "degree",
            ids=np.array([p.stem for p in paths]),
        )


def _read_file(path: Path, features: str, undirected: bool) -> GraphFile:
    with reading(path.name):
        keys = array_keys(path)
        label = by_meaning((key for key in keys if key not in _KEYS), (LABEL,)).get(LABEL)
        arrays = load_arrays(path, (*_KEYS, *([label] if label else [])))
        edges = read_edges(arrays)
        x = read_features(arrays)
        bare = np.zeros((_num_nodes(arrays, x, edges.num_nodes), 0))
        x = None if features == "degree" else x
        graph = make_graph_or_empty(
            bare if x is None else x,
            edges.senders,
            edges.receivers,
            edges.weight,
            undirected=undirected,
        )
        unused = [key for key in keys if key not in arrays]
        return GraphFile(graph, x is not None, _label(arrays.get(label or "")), unused)


def _num_nodes(arrays: dict[str, np.ndarray], x: np.ndarray | None, rows: int | None) -> int:
    """Number of nodes, which features, adjacency and `num_nodes` must agree on.

    It is not guessed from the edges: the last nodes may have none.
    """
    counts = {} if rows is None else {"the adjacency": rows}
    if x is not None:
        counts["the features"] = len(np.atleast_1d(x))
    if "num_nodes" in arrays:
        value = arrays["num_nodes"]
        if value.size != 1 or value.dtype.kind not in "iu" or value.item() < 0:
            raise InputError(
                f"num_nodes must be one integer, 0 or more, found {value.ravel()[:3].tolist()}; "
                "save the number of nodes"
            )
        counts["num_nodes"] = value.item()
    if not counts:
        raise InputError(
            "the number of nodes must be told, found neither x nor an adjacency nor num_nodes; add "
            "num_nodes"
        )
    if len(set(counts.values())) > 1:
        differing = ", ".join(f"{count} by {source}" for source, count in counts.items())
        raise InputError(f"the number of nodes must be one, found {differing}; check the file")
    return next(iter(counts.values()))


def _label(label: np.ndarray | None) -> Any:
    """The graph's class as Python has it, None without."""
    if label is None:
        return None
    if label.size != 1:
        raise InputError(
            f"y must be one number or text, the graph's class, found {label.dtype} of shape "
            f"{label.shape}; save a single one"
        )
    return label.item()


def _all_or_none(has: dict[str, bool], what: str) -> bool:
    """Whether all files have it.

    Raises:
      InputError: some have, some have not.
    """
    if len(set(has.values())) > 1:
        having = next(name for name, there in has.items() if there)
        lacking = next(name for name, there in has.items() if not there)
        raise InputError(
            f"all graphs or none must have {what}, found it in {having} and not in {lacking}; "
            "add it there, or leave it out everywhere"
        )
    return next(iter(has.values()))


def _check_widths(widths: dict[str, int]) -> None:
    (first, wanted), *others = widths.items()
    for name, width in others:
        if width != wanted:
            raise InputError(
                f"all graphs must have the same number of features, found {wanted} in {first} and "
                f"{width} in {name}; give every node the same features"
            )
