"""Data in whatever form people have them, as the types of `types`."""

import inspect
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from mmix_jax.data.graphs.graph_folder import read_graph_folder
from mmix_jax.data.labels import encode_classes
from mmix_jax.data.libraries import from_pyg, from_scipy, matrix_graph, pyg_graph
from mmix_jax.data.names import by_meaning
from mmix_jax.data.networkx_graphs import from_networkx, name_unused, networkx_graph
from mmix_jax.data.nodes.graph_file import read_graph_file
from mmix_jax.data.raw import MAX_DEGREE, RawGraph, check_raw, degree_features
from mmix_jax.data.splits import split_from_masks, validate_split
from mmix_jax.data.types import (
    GraphDataset,
    NodeDataset,
    make_graph_dataset,
)
from mmix_jax.graphs.types import Graph, Split

_log = logging.getLogger(__name__)
_FORMS = (
    "a networkx graph, an adjacency matrix or (adjacency, x), a PyTorch Geometric Data, frames "
    "(nodes, edges), a Graph, a NodeDataset, or the path of a file"
)


def node_dataset(
    data: Any,
    y: ArrayLike | None = None,
    split: Split | Mapping[str, ArrayLike] | None = None,
    *,
    name: str = "graph",
    structure: str = "both",
    missing: str = "refuse",
    skip_columns: str | Sequence[str] = (),
    known: Sequence[str] = (),
    **options: Any,
) -> NodeDataset:
    """One graph whose nodes are of interest, from any form.

    Args:
      data: a networkx graph; an adjacency matrix (SciPy or dense) or `(adjacency, x)`; a PyTorch
        Geometric `Data`; pandas frames `(nodes, edges)`, or one of edges; a `Graph`; a
        `NodeDataset`, which stays as it is; or a path, see `graph_file.read_graph_file`.
      y: classes [N], see `labels.encode_classes`; those of the data, and their split, give way to
        them.
      split: a `Split`, or masks {"train_mask": [N], …}; that of the data gives way to it. None is
        drawn.
      name: of the data set.
      structure: what a graph without features has instead, see `graphs.structure`.
      missing: what stands for unknown features, see `missing.filled`.
      skip_columns: columns of a table that are left out.
      known: names of features that an encoder knows, see `columns.encode_columns`.
      options: others of the converter of this form, `from_networkx` and its like.

    Raises:
      ValueError: the form is unknown, an option is none of its converter's, or a part is not as
        described.

    Example:
      >>> import networkx as nx
      >>> from mmix_jax.data import node_dataset
      >>> node_dataset(nx.path_graph(4), ["a", "b", "a", "b"]).classes.tolist()
      ['a', 'b']
    """
    convert, parts = _converter(data)
    options = {**options, "structure": structure, "missing": missing}
    options |= {"skip_columns": skip_columns} if skip_columns else {}
    takes = inspect.signature(convert).parameters
    if "known" in takes:
        options["known"] = known
    if "name" in takes:
        options["name"] = name
    if unfit := [option for option in options if option not in takes]:
        raise ValueError(
            f"unknown option {unfit[0]!r} of {convert.__name__.lstrip('_')}; expected one of: "
            f"{', '.join(k for k, p in takes.items() if p.kind is p.KEYWORD_ONLY)}"
        )
    options["split"] = "given"
    made = convert(*parts, **options)
    if y is not None or split is not None:
        made = _with_labels(made, y, split)
    # A split of nodes without labels is of no use.
    return made if made.labels is not None else made._replace(split=None, split_given=False)


def _converter(data: Any) -> tuple[Callable[..., NodeDataset], tuple[Any, ...]]:
    """What makes a data set of this form, and of which parts."""
    from mmix_jax.data import frames  # with pandas, which other forms do without

    if isinstance(data, NodeDataset):
        return _as_it_is, (data,)
    if isinstance(data, Graph):
        return _from_graph, (data,)
    if isinstance(data, (str, os.PathLike)):
        return read_graph_file, (data,)
    if _is_networkx(data):
        return from_networkx, (data,)
    if hasattr(data, "edge_index"):
        return from_pyg, (data,)
    if _is_frame(data):
        _check_edges(data)
        return frames.from_tables, (None, data)
    if isinstance(data, (tuple, list)) and len(data) == 2 and any(map(_is_frame, data)):
        return frames.from_tables, tuple(data)
    if sparse.issparse(data):
        return from_scipy, (data,)
    if isinstance(data, (tuple, list)) and len(data) == 2 and not _is_square(data):
        return from_scipy, tuple(data)
    if hasattr(data, "shape") or _is_square(data):
        return from_scipy, (data,)
    raise ValueError(f"a graph must be {_FORMS}, found {type(data).__name__}; convert it")


def _is_networkx(data: Any) -> bool:
    return callable(getattr(data, "nodes", None)) and callable(getattr(data, "edges", None))


def _is_frame(data: Any) -> bool:
    return hasattr(data, "iloc") and hasattr(data, "columns")


def _check_edges(data: Any) -> None:
    """Raise ValueError where a frame of edges is an adjacency matrix: its rows and columns have the
    same names."""
    if len(data.columns) > 2 and data.index.tolist() == data.columns.tolist():
        raise ValueError(
            "a frame must list edges, source and target in columns, found an adjacency matrix; use "
            "its to_numpy()"
        )


def _is_square(data: Any) -> bool:
    """Whether lists are rows of a square matrix of numbers."""
    try:
        shape = np.shape(data)
    except ValueError:
        return False
    return len(shape) == 2 and shape[0] == shape[1]


def _as_it_is(
    data: NodeDataset, *, structure: str, missing: str, split: str = "default"
) -> NodeDataset:
    return data


def _from_graph(
    graph: Graph,
    *,
    name: str,
    structure: str,
    missing: str,
    split: str = "default",
    bag_of_words: bool = False,
) -> NodeDataset:
    raw = RawGraph(graph.x, graph.senders, graph.receivers, graph.edge_weight)
    return check_raw(
        *(name, raw, split), undirected=False, bag_of_words=bag_of_words, structure=structure,
        missing=missing,
    )  # fmt: skip


def _with_labels(made: NodeDataset, y: ArrayLike | None, split: Any) -> NodeDataset:
    """A data set with other labels, another split, or both."""
    if y is not None:
        of_others = made.labels is not None
        codes, classes = encode_classes(y, made.graph.num_nodes) or (None, None)
        number = 0 if classes is None else classes.size
        made = made._replace(labels=codes, num_classes=number, classes=classes)
        _check_order(y, made.ids, "y")
        if split is None and made.split is not None:
            made = _with_own_split(made, other=of_others)
    if split is None:
        return made
    if not isinstance(split, Split):
        if not isinstance(split, Mapping):
            raise ValueError(
                "split must be a Split or masks {'train_mask': …}, found "
                f"{type(split).__name__}; make one of the two"
            )
        special = by_meaning(split)
        masks = {meaning: split[title] for meaning, title in special.items()}
        for meaning, mask in masks.items():
            _check_order(mask, made.ids, meaning)
        split = split_from_masks(masks, made.graph.num_nodes)
        if split is None:
            raise ValueError(
                "masks must be named train_mask, val_mask and test_mask (or split), found none of "
                "them; rename them"
            )
    split = Split(*map(np.asarray, split))
    for part in split:
        if part.size and part.dtype.kind not in "iu":
            raise ValueError(
                f"parts of a Split must be whole numbers, of nodes, found {part.dtype}; give masks "
                "as {'train_mask': …}"
            )
    split = Split(*(part.astype(np.int32) for part in split))
    validate_split(split, made.labels, made.graph.num_nodes)
    return made._replace(split=split, split_given=True)


def _with_own_split(made: NodeDataset, *, other: bool) -> NodeDataset:
    """With the split that came without labels; one of other labels is left out."""
    if other or made.labels is None:
        if made.split_given:
            _log.warning("warning: the split of the data's own labels is left out; give split too")
        return made._replace(split=None, split_given=False)
    assert made.split is not None
    validate_split(made.split, made.labels, made.graph.num_nodes)
    return made


def _check_order(values: Any, ids: np.ndarray | None, what: str) -> None:
    """Raise ValueError where a series tells the nodes in another order than the graph has."""
    if ids is None or not hasattr(values, "iloc"):
        return
    theirs, mine = list(map(str, values.index.tolist())), list(map(str, ids.tolist()))
    if theirs != mine and sorted(theirs) == sorted(mine):
        raise ValueError(
            f"{what} must stand in the graph's order of nodes, found their names in another in its "
            f"index; use {what}.reindex, or {what}.to_numpy() where the index means others"
        )


def graph_dataset(
    graphs: Any, y: ArrayLike | None = None, *, name: str = "graphs", **options: Any
) -> GraphDataset:
    """A set of graphs, from any form.

    Args:
      graphs: a list of any of the forms of one graph that `node_dataset` takes, but paths (without
        features a node has its degree, one-hot); a `GraphDataset`, which stays as it is; or the
        path of a folder, see `graph_folder.read_graph_folder`.
      y: classes [M], see `labels.encode_classes`; those of the data give way to them.
      name: of the data set.
      options: `features` ("auto", or "degree" in any case), `max_degree`, `undirected`, `weight`
        and `ids` of graphs in memory, or those of `read_graph_folder`.

    Raises:
      ValueError: which graph, counted from 0, and what is wrong with it.

    Example:
      >>> import networkx as nx
      >>> from mmix_jax.data import graph_dataset
      >>> graph_dataset([nx.path_graph(3), nx.star_graph(5)], [0, 1]).graphs[1].num_nodes
      6
    """
    if isinstance(graphs, GraphDataset):
        made = graphs
    elif isinstance(graphs, (str, os.PathLike)):
        made = read_graph_folder(graphs, **options)
    else:
        made = _set_of(graphs, name, options)
    if y is None:
        return made
    return make_graph_dataset(made.name, made.graphs, y, features=made.features, ids=made.ids)


def _set_of(graphs: Any, name: str, options: dict[str, Any]) -> GraphDataset:
    takes = ("features", "max_degree", "undirected", "weight", "ids")
    if unfit := [option for option in options if option not in takes]:
        raise ValueError(
            f"unknown option {unfit[0]!r} of graph_dataset; expected one of: {', '.join(takes)}"
        )
    if _is_networkx(graphs) or isinstance(graphs, (Graph, NodeDataset)) or sparse.issparse(graphs):
        raise ValueError(
            f"a set of graphs must be a list of them, found one ({type(graphs).__name__}); put it "
            "in a list, or use node_dataset for the nodes of one graph"
        )
    if not isinstance(graphs, Iterable):
        raise ValueError(
            f"graphs must be a list of graphs, or a path, found {type(graphs).__name__}; make one"
        )
    graphs = list(graphs)
    name_unused(
        [graph for graph in graphs if _is_networkx(graph)], "x", options.get("weight", "weight")
    )
    how = {"undirected": True, "weight": "weight", "features": "auto"} | options
    if how["features"] not in ("auto", "degree"):
        raise ValueError(
            f"unknown features {how['features']!r} of graphs in memory; expected one of: auto, "
            "degree"
        )
    made = []
    for i, graph in enumerate(graphs):
        try:
            made.append(_graph_of(graph, undirected=how["undirected"], weight=how["weight"]))
        except ValueError as error:
            raise ValueError(f"graph {i}: {error}") from error
    if how["features"] == "degree":
        made = [graph._replace(x=graph.x[:, :0]) for graph in made]
    bare = [i for i, graph in enumerate(made) if graph.num_nodes and not graph.x.shape[1]]
    width = next((g.x.shape[1] for g in made if g.num_nodes), 0)
    kind = "given"
    if width and bare:
        raise ValueError(
            f"graphs must all have features, or none, found none in graph {bare[0]} and {width} in "
            "others; give all of them"
        )
    if not width:
        max_degree = options.get("max_degree", MAX_DEGREE)
        made = [g._replace(x=degree_features(g, max_degree=max_degree)) for g in made]
        kind = "degree"
    # A graph without nodes cannot say how many features they would have.
    made = [
        g if g.num_nodes or not width else g._replace(x=np.zeros((0, width), np.float32))
        for g in made
    ]
    return make_graph_dataset(name, made, features=kind, ids=options.get("ids"))


def _graph_of(data: Any, *, undirected: bool, weight: str) -> Graph:
    """One graph of a set; x has no columns where it has no features, or no nodes."""
    if isinstance(data, Graph):
        return data
    if isinstance(data, NodeDataset):
        return data.graph
    if _is_networkx(data):
        features = (
            "x" if any("x" in attributes for _, attributes in data.nodes(data=True)) else None
        )
        return networkx_graph(data, features, weight, undirected)
    if hasattr(data, "edge_index"):
        return pyg_graph(data, undirected=undirected)
    pair = isinstance(data, (tuple, list)) and len(data) == 2 and not _is_square(data)
    adjacency, x = data if pair else (data, None)
    if not hasattr(adjacency, "shape") and not _is_square(adjacency):
        raise ValueError(f"a graph must be {_FORMS}, found {type(data).__name__}; convert it")
    return matrix_graph(adjacency, x, undirected=undirected)
