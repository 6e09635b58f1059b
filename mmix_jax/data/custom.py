"""Your own graph, from an ``.npz`` file or from CSV tables; nothing in it is executed."""

import os
from pathlib import Path

import numpy as np
from scipy import sparse

from mmix_jax.data.custom_csv import read_csv_graph
from mmix_jax.data.raw import MASKS, RawGraph, check_raw, edge_ends
from mmix_jax.data.types import NodeDataset
from mmix_jax.errors import InputError

_CSR_PARTS = ("data", "indices", "indptr", "shape")
_ADJACENCIES = {prefix: [prefix + part for part in _CSR_PARTS] for prefix in ("adj_", "")}


def read_graph_file(
    path: str | os.PathLike,
    *,
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
) -> NodeDataset:
    """A graph of your own.

    Keys of an ``.npz`` file (arrays of numbers or strings; pickled objects are refused):

    - edges: ``edge_index`` [2, E] (sources above targets, counted from 0), with ``edge_weight``
      [E] if there are weights; or the parts ``data indices indptr shape`` of a SciPy CSR
      adjacency, as ``scipy.sparse.save_npz`` writes them or prefixed by ``adj_``;
    - features: ``x`` [N, F], or CSR parts prefixed by ``attr_``;
    - optional: ``y`` or ``labels`` [N], −1 where unknown; ``train_mask``, ``val_mask`` and
      ``test_mask`` [N], all three or none; ``ids`` [N].

    A folder, or its ``edges.csv``, holds tables instead: see ``custom_csv.read_csv_graph``.
    Without masks the split is 10/10/80 by ``split_seed``; without labels there is none.

    Args:
      path: the file or folder.
      split: see ``types.make_dataset``; masks are the public split.
      split_seed: seed of a random split.
      undirected: store every edge in both directions.
      bag_of_words: whether features are counts of words, to be normalised by row.

    Raises:
      InputError: in one line, which file and what is wrong with it.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"graph file {str(path)!r} does not exist; check the path")
    # The tables of a folder are known by its name, a file by its own.
    source = path.resolve()
    name = source.parent.name if source.suffix == ".csv" else source.stem
    try:
        return check_raw(
            name,
            _read(path),
            split=split,
            split_seed=split_seed,
            undirected=undirected,
            bag_of_words=bag_of_words,
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read(path: Path) -> RawGraph:
    if path.is_dir():
        return read_csv_graph(path / "edges.csv")
    if path.suffix == ".csv":
        return read_csv_graph(path)
    if path.suffix == ".npz":
        return read_npz_graph(path)
    raise InputError(
        "a graph file must be an .npz file, a folder with edges.csv, or a .csv file of edges, "
        f"found suffix {path.suffix!r}; convert it"
    )


def read_npz_graph(path: Path) -> RawGraph:
    """The parts of a graph in an ``.npz`` file; see ``read_graph_file`` for its keys."""
    arrays = _load_arrays(path)
    senders, receivers, weight = _edges(arrays)
    if "y" in arrays and "labels" in arrays:
        raise InputError("labels must be given once, found both y and labels; leave one out")
    return RawGraph(
        x=_features(arrays),
        senders=senders,
        receivers=receivers,
        edge_weight=weight,
        labels=arrays.get("y", arrays.get("labels")),
        masks={mask: arrays[mask] for mask in MASKS if mask in arrays},
        ids=arrays.get("ids"),
    )


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of the file that mean something here."""
    wanted = {"edge_index", "edge_weight", "x", "y", "labels", "ids", "format", *MASKS}
    wanted |= {prefix + part for prefix in ("", "adj_", "attr_") for part in _CSR_PARTS}
    try:
        # Opened here: NumPy leaves a file open that proves to be damaged.
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {key: _plain(archive, key) for key in archive.files if key in wanted}
    except InputError:
        raise
    except Exception as error:  # zipfile and NumPy raise a dozen kinds on damaged files
        reason = str(error).splitlines()[0] if str(error) else ""
        raise InputError(
            f"not a readable .npz file ({type(error).__name__}: {reason}); write it again by "
            "numpy.savez"
        ) from error


def _plain(archive, key: str) -> np.ndarray:
    try:
        return archive[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise InputError(
            f"key {key!r} must be an array of numbers or strings, found pickled objects, which "
            "are not loaded; convert it before saving"
        ) from error


def _edges(arrays: dict[str, np.ndarray]):
    """Senders, receivers and weights from whichever form the file has."""
    forms = [prefix for prefix, keys in _ADJACENCIES.items() if any(k in arrays for k in keys)]
    if len(forms) + ("edge_index" in arrays) != 1:
        found = ", ".join(arrays) or "no known key"
        raise InputError(
            "edges must be given once, as edge_index or as CSR parts data, indices, indptr, shape "
            f"(each may be prefixed by adj_), found {found}; see the key names"
        )
    if not forms:
        return *edge_ends(arrays["edge_index"]), arrays.get("edge_weight")
    if "edge_weight" in arrays:
        raise InputError(
            "edge_weight belongs to edge_index, found it beside a CSR adjacency, whose data are "
            "the weights; leave it out"
        )
    form = str(arrays.get("format", np.array("csr")).astype(str))
    if forms == [""] and form != "csr":
        raise InputError(f"a sparse adjacency must be CSR, found {form}; use .tocsr()")
    adjacency = _csr(arrays, forms[0])
    rows, columns = arrays[forms[0] + "shape"].tolist()
    if rows != columns:
        raise InputError(f"an adjacency must be square, found {rows} × {columns}; check its shape")
    adjacency.sum_duplicates()
    adjacency.eliminate_zeros()
    entries = adjacency.tocoo()
    return entries.row, entries.col, entries.data


def _features(arrays: dict[str, np.ndarray]):
    is_sparse = any("attr_" + part in arrays for part in _CSR_PARTS)
    if is_sparse == ("x" in arrays):
        found = "both" if is_sparse else f"neither among {', '.join(arrays)}"
        raise InputError(
            f"node features must be given once, as x or as CSR parts attr_*, found {found}; "
            "give x with one row per node"
        )
    return _csr(arrays, "attr_").toarray() if is_sparse else arrays["x"]


def _csr(arrays: dict[str, np.ndarray], prefix: str) -> sparse.csr_matrix:
    """The SciPy matrix of prefixed parts, its indices checked."""
    missing = [prefix + part for part in _CSR_PARTS if prefix + part not in arrays]
    if missing:
        raise InputError(f"key {missing[0]!r} is missing beside its CSR parts; add it")
    data, indices, indptr, shape = (arrays[prefix + part] for part in _CSR_PARTS)
    try:
        matrix = sparse.csr_matrix((data, indices, indptr), shape=tuple(shape.tolist()))
        matrix.check_format(full_check=True)
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"CSR parts {prefix or 'without prefix'} must form a matrix, found otherwise "
            f"({str(error).splitlines()[0]}); save the matrix again"
        ) from error
    return matrix
