"""Your own graph, from an `.npz` file or from CSV tables; nothing in it is executed."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmix_jax.data.names import LABEL, by_meaning, check_rest
from mmix_jax.data.nodes.graph_csv import read_csv_graph
from mmix_jax.data.nodes.stored_graph import RECORD, open_graph
from mmix_jax.data.raw import RawGraph, check_raw
from mmix_jax.data.store.files import reading
from mmix_jax.data.store.npz_files import (
    EDGE_KEYS,
    SPARSE_FEATURE_KEYS,
    array_keys,
    load_arrays,
    read_edges,
    read_features,
)
from mmix_jax.data.tables import Reading, reading_of
from mmix_jax.data.types import NodeDataset
from mmix_jax.errors import InputError
from mmix_jax.surroundings import user_path

_KEYS = (*EDGE_KEYS, *SPARSE_FEATURE_KEYS, "x", "ids")


def read_graph_file(
    path: str | os.PathLike,
    *,
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
    structure: str = "both",
    missing: str = "refuse",
    skip_columns: str | Sequence[str] = (),
    known: Sequence[str] = (),
) -> NodeDataset:
    """A graph of your own.

    Keys of an `.npz` file (arrays of numbers or strings; pickled objects are refused):

    - edges: `edge_index` [2, E] (sources above targets, counted from 0), with `edge_weight`
      [E] if there are weights; or the parts `data indices indptr shape` of a SciPy CSR
      adjacency, as `scipy.sparse.save_npz` writes them or prefixed by `adj_`;
    - features: `x` [N, F], or CSR parts prefixed by `attr_`; without them a graph has those of
      its structure;
    - optional: `y` or `labels` [N], −1 or empty where unknown, of whole numbers or texts;
      `train_mask`, `val_mask` and `test_mask` [N], all three or none; `ids` [N]. The names of
      `names.NAMES` mean the same. Keys that mean nothing are named in a warning.

    A folder, or its `edges.csv`, holds tables instead: see `graph_csv.read_csv_graph`. A folder of
    `store_graph` has a graph in files that are mapped: see `stored_graph.open_graph`.
    Without masks the split is 10/10/80 by `split_seed`; without labels there is none.

    Args:
      path: the file or folder.
      split: see `types.make_dataset`; masks are the public split.
      split_seed: seed of a random split.
      undirected: store every edge in both directions.
      bag_of_words: whether features are counts of words, to be normalised by row.
      structure: what a graph without features has instead, see `graphs.structure`.
      missing: what stands for NaN and blanks among features, see `missing.filled`.
      skip_columns: columns of `nodes.csv` that are left out, a list or with commas between.
      known: names of features that an encoder knows, see `columns.encode_columns`.

    Raises:
      InputError: in one line, which file and what is wrong with it.

    Example:
      >>> import pathlib
      >>> import tempfile
      >>> import numpy as np
      >>> from mmix_jax.data import read_graph_file
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder) / "graph.npz"
      ...     np.savez(path, x=np.eye(3), edge_index=[[0, 1], [1, 2]])
      ...     read_graph_file(path).name
      'graph'
    """
    path = user_path(path, "data_path")
    if not path.exists():
        raise InputError(f"graph file {str(path)!r} does not exist; check the path")
    if (path / RECORD).is_file():
        return open_graph(path, split=split, split_seed=split_seed)
    # The tables of a folder are known by its name, a file by its own.
    source = path.resolve()
    name = source.parent.name if source.suffix == ".csv" else source.stem
    with reading(path):
        return check_raw(
            name,
            _read(path, reading_of(missing, skip_columns, known)),
            split,
            split_seed,
            undirected,
            bag_of_words,
            structure,
            missing,
        )


def _read(path: Path, how: Reading) -> RawGraph:
    if path.is_dir():
        return read_csv_graph(path / "edges.csv", how)
    if path.suffix == ".csv":
        return read_csv_graph(path, how)
    if path.suffix == ".npz":
        if how.skip:
            raise InputError(
                f"skip_columns names columns of nodes.csv, found {how.skip[0]!r} for an .npz file; "
                "leave it out"
            )
        return read_npz_graph(path)
    raise InputError(
        "a graph file must be an .npz file, a folder with edges.csv, or a .csv file of edges, "
        f"found suffix {path.suffix!r}; convert it"
    )


def read_npz_graph(path: Path) -> RawGraph:
    """The parts of a graph in an `.npz` file; see `read_graph_file` for its keys."""
    keys = array_keys(path)
    special = by_meaning(key for key in keys if key not in _KEYS)
    check_rest((key for key in keys if key not in (*_KEYS, *special.values())), special, what="key")
    arrays = load_arrays(path, (*_KEYS, *special.values()))
    edges = read_edges(arrays)
    x = read_features(arrays)
    values = {meaning: arrays[key] for meaning, key in special.items()}
    number = None if x is not None else _num_nodes(arrays, edges.num_nodes, values)
    return RawGraph(
        x=x,
        senders=edges.senders,
        receivers=edges.receivers,
        edge_weight=edges.weight,
        labels=values.pop(LABEL, None),
        masks=values,
        ids=arrays.get("ids"),
        num_nodes=number,
    )


def _num_nodes(
    arrays: Mapping[str, np.ndarray], rows: int | None, values: Mapping[str, np.ndarray]
) -> int:
    """N of a file without features: rows of its adjacency, or entries of ids, labels or masks.

    Raises:
      InputError: nothing tells: the largest end of an edge would lose isolated nodes.
    """
    parts = [*(arrays[key] for key in ("ids",) if key in arrays), *values.values()]
    found = [len(part) for part in parts if part.ndim]
    number = rows if rows is not None else next(iter(found), None)
    if number is None:
        raise InputError(
            "a graph must have features, or tell how many nodes it has, found neither x nor ids "
            f"nor y among {', '.join(arrays)}; give x, or ids with one name per node"
        )
    return number
