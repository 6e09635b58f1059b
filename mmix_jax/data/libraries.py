"""Graphs from matrices, and from PyTorch Geometric's objects."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from mmix_jax.data.names import LABEL, NAMES, by_meaning, check_rest
from mmix_jax.data.raw import (
    RawGraph,
    check_raw,
    make_graph_or_empty,
)
from mmix_jax.data.splits import MASKS
from mmix_jax.data.store.matrices import adjacency_entries, dense, wide
from mmix_jax.data.store.npz_files import edge_ends
from mmix_jax.data.types import NodeDataset
from mmix_jax.graphs.types import Graph

# What PyTorch Geometric keeps beside the parts.
_PYG_COUNTS = ("num_nodes", "batch", "ptr")


def from_scipy(
    adjacency: Any,
    x: Any = None,
    y: ArrayLike | None = None,
    *,
    masks: Mapping[str, ArrayLike] | None = None,
    ids: ArrayLike | None = None,
    name: str = "scipy",
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
    structure: str = "both",
    missing: str = "refuse",
) -> NodeDataset:
    """A data set from an adjacency matrix, sparse or dense.

    Args:
      adjacency: SciPy sparse matrix or array, or any dense array, [N, N]; a non-zero entry (i, j)
        is the weight of the edge from i to j.
      x: node features [N, F], dense or sparse; None: those of the structure.
      y: classes [N], see `labels.encode_classes`; None without labels.
      masks: `train_mask`, `val_mask` and `test_mask` [N], or `split`, see
        `splits.split_from_masks`; None for a random split.
      ids: names of the nodes [N].
      name: of the data set.
      split, split_seed: see `types.make_dataset`; masks are the public split.
      undirected: store every edge in both directions.
      bag_of_words: whether features are counts of words, to be normalised by row.
      structure: what a graph without features has instead, see `graphs.structure`.
      missing: what stands for NaN among features, see `missing.filled`.

    Raises:
      ValueError: a part is not as described, or does not fit the others.

    Example:
      >>> import numpy as np
      >>> from scipy import sparse
      >>> from mmix_jax.data import from_scipy
      >>> adjacency = sparse.csr_array(np.eye(3, k=1))
      >>> from_scipy(adjacency, np.eye(3)).graph.num_edges
      4
    """
    adjacency, x = _matrix_and_features(adjacency, x)
    special = by_meaning(masks or {})
    if unknown := [name for name in masks or {} if name not in special.values()]:
        raise ValueError(
            f"masks must be named {', '.join(MASKS)} (or split), found {unknown[0]!r}; rename it"
        )
    values = {meaning: (masks or {})[name] for meaning, name in special.items()}
    raw = RawGraph(x, *adjacency_entries(adjacency), y, values, ids, num_nodes=adjacency.shape[0])
    return check_raw(name, raw, split, split_seed, undirected, bag_of_words, structure, missing)


def from_pyg(
    data: Any,
    *,
    name: str = "pyg",
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
    structure: str = "both",
    missing: str = "refuse",
) -> NodeDataset:
    """A data set from a PyTorch Geometric `Data` object, or anything with its attributes.

    Args:
      data: has `edge_index` [2, E] and `x` [N, F]; may have `edge_weight` [E], `y` [N]
        (−1 where unknown) and `train_mask`, `val_mask`, `test_mask` [N], or what
        `names.NAMES` calls them. Torch tensors, on any device, or arrays.
      name: of the data set.
      split, split_seed: see `types.make_dataset`; the masks are the public split.
      undirected: store every edge in both directions.
      bag_of_words: whether features are counts of words, to be normalised by row.
      structure: what a graph without features has instead, see `graphs.structure`.
      missing: what stands for NaN among features, see `missing.filled`.

    Raises:
      ValueError: an attribute is missing or not as described.

    Attributes that mean nothing are named in a warning.

    Example:
      >>> from types import SimpleNamespace
      >>> import numpy as np
      >>> from mmix_jax.data import from_pyg
      >>> data = SimpleNamespace(x=np.eye(3), edge_index=np.array([[0, 1], [1, 2]]))
      >>> from_pyg(data).graph.num_nodes
      3
    """
    own = ("x", "edge_index", "edge_weight")
    attributes = [key for key in _attributes(data) if key not in own]
    special = by_meaning(attributes)
    rest = (key for key in attributes if key not in (*special.values(), *_PYG_COUNTS))
    check_rest(rest, special, what="attribute")
    parts = _arrays(data, (*own, *special.values()))
    if "edge_index" not in parts:
        raise ValueError(
            "a PyTorch Geometric graph must have 'edge_index', found none in "
            f"{type(data).__name__}; set it"
        )
    senders, receivers = edge_ends(parts["edge_index"])
    values = {meaning: parts[key] for meaning, key in special.items()}
    raw = RawGraph(
        x=parts.get("x"),
        senders=senders,
        receivers=receivers,
        edge_weight=parts.get("edge_weight"),
        labels=values.pop(LABEL, None),
        masks=values,
        num_nodes=_num_nodes_of(data, parts),
    )
    return check_raw(name, raw, split, split_seed, undirected, bag_of_words, structure, missing)


def matrix_graph(adjacency: Any, x: Any, *, undirected: bool) -> Graph:
    """One graph of a set from a matrix; x has no columns without features."""
    adjacency, x = _matrix_and_features(adjacency, x)
    x = np.zeros((adjacency.shape[0], 0)) if x is None else x
    return make_graph_or_empty(x, *adjacency_entries(adjacency), undirected=undirected)


def pyg_graph(data: Any, *, undirected: bool) -> Graph:
    """One graph of a set from a PyTorch Geometric object; x has no columns without features."""
    parts = _arrays(data, ("x", "edge_index", "edge_weight"))
    number = _num_nodes_of(data, parts)
    x = parts.get("x", np.zeros((number or 0, 0)))
    senders, receivers = edge_ends(parts["edge_index"])
    return make_graph_or_empty(
        x, senders, receivers, parts.get("edge_weight"), undirected=undirected
    )


def _matrix_and_features(adjacency: Any, x: Any) -> tuple[Any, np.ndarray | None]:
    """A sparse square matrix [N, N] and features [N, F], checked against each other."""
    if not sparse.issparse(adjacency):
        adjacency = _matrix(adjacency)
    if len(adjacency.shape) != 2 or adjacency.shape[0] != adjacency.shape[1]:
        raise ValueError(
            f"adjacency must be square, [N, N], found shape {adjacency.shape}; give every pair of "
            "nodes an entry, edges listed by their ends to from_edges"
        )
    if x is None:
        return adjacency, None
    x = dense(x) if sparse.issparse(x) else array_of(x, "x")
    if x.ndim != 2:
        raise ValueError(f"x must be [N, F], found shape {x.shape}; give one row per node")
    if adjacency.shape != (len(x), len(x)):
        raise ValueError(
            f"adjacency must have shape ({len(x)}, {len(x)}), as x has {len(x)} rows, found "
            f"{adjacency.shape}; give both the same nodes"
        )
    return adjacency, x


def _num_nodes_of(data: Any, parts: dict[str, np.ndarray]) -> int | None:
    """What a PyTorch Geometric object says, or its labels."""
    given = vars(data).get("num_nodes") if hasattr(data, "__dict__") else None
    store = getattr(data, "_store", None)
    if given is None and store is not None and hasattr(store, "get"):
        given = store.get("num_nodes")
    if given is None and "x" not in parts:
        given = next((len(parts[key]) for key in parts if key in NAMES[LABEL]), None)
        if given is None:
            raise ValueError(
                "a PyTorch Geometric graph without x must say how many nodes it has, found no "
                "num_nodes; set it (isolated nodes have no edge to show them)"
            )
    return None if given is None else int(given)


def _matrix(adjacency: Any) -> sparse.coo_array:
    """A dense adjacency as a sparse one."""
    array = array_of(adjacency, "adjacency")
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"adjacency must be a matrix of numbers [N, N], found {array.dtype} of shape "
            f"{array.shape}; use scipy.sparse.csr_array, or from_networkx, from_pyg, from_edges"
        )
    return sparse.coo_array(wide(array))


def _attributes(data: Any) -> list[str]:
    """Names of what is set: those that a PyTorch Geometric object tells, or a plain object has."""
    if not hasattr(data, "keys") and not hasattr(data, "__dict__"):
        raise ValueError(
            f"a PyTorch Geometric graph must have attributes such as x and edge_index, found "
            f"{type(data).__name__}; give a Data object"
        )
    keys: Any = getattr(data, "keys", None)
    named: Any = keys() if callable(keys) else vars(data) if keys is None else keys
    return [key for key in named if getattr(data, key, None) is not None]


def _arrays(data: Any, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Those attributes that are set."""
    values = {key: getattr(data, key, None) for key in keys}
    return {key: array_of(value, key) for key, value in values.items() if value is not None}


def array_of(value: Any, key: str) -> np.ndarray:
    """A value as a NumPy array; torch's tensors are known by their methods."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{key!r} must have all its values, found masked ones; fill them")
    tensor: Any = value
    try:
        return np.asarray(tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else tensor)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{key!r} must be a dense array of a type NumPy knows, found otherwise "
            f"({str(error).splitlines()[0]}); convert it"
        ) from error
