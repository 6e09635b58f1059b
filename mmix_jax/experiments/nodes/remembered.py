"""What a checkpoint keeps of its training's features beside their scale, and other data by it."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmix_jax.data.types import NodeDataset
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Graph

_NAMES, _FILL, _STRUCTURE, _WORDS = "feature_names", "fill", "structure", "bag_of_words"
_log = logging.getLogger(__name__)


def facts_of(dataset: NodeDataset) -> dict[str, Any]:
    """Names of the features, what fills their gaps, which structure they are ("" of none) and
    whether they are counts of words: JSON."""
    facts: dict[str, Any] = {_STRUCTURE: ["", ""], _WORDS: dataset.bag_of_words}
    if dataset.feature_names is not None:
        facts[_NAMES] = list(dataset.feature_names)
    if dataset.gaps is not None:
        facts[_FILL] = dataset.gaps.fill.tolist()
    if dataset.structure:
        facts[_STRUCTURE] = [dataset.structure, _digest(dataset.graph)]
    return facts


def as_remembered(dataset: NodeDataset, progress: Mapping[str, Any]) -> NodeDataset:
    """A data set with the columns that a training had, its gaps filled as there.

    Columns go by their names; a category that the training did not know has no column, one that is
    missing has a column of zeros, and either is said. Counts of words are what were such there.

    Raises:
      InputError: a column of numbers is missing, features stand against structure, or are positions
        in another graph.
    """
    kept = progress.get(_STRUCTURE) or ["", ""]
    if _STRUCTURE in progress and kept[0] != dataset.structure:
        raise InputError(_other_structure(kept[0], dataset.structure))
    alone = dataset.structure in ("positions", "both")  # of one graph
    if alone and dataset.structure == kept[0] and kept[1] != _digest(dataset.graph):
        raise InputError(
            "positions belong to the graph that trained, found another graph; train with structure "
            "roles, or with features, to embed others"
        )
    words = progress.get(_WORDS, dataset.bag_of_words)
    if words != dataset.bag_of_words:
        _log.info("features: %scounts of words, as in training", "" if words else "no ")
        dataset = dataset._replace(bag_of_words=words)
    names = progress.get(_NAMES)
    if names and dataset.feature_names is not None and tuple(names) != dataset.feature_names:
        dataset = _aligned(dataset, names)
    fill = progress.get(_FILL)
    if fill and dataset.gaps is not None and len(fill) == dataset.gaps.fill.size:
        dataset = _refilled(dataset, np.asarray(fill))
    return dataset


def _other_structure(kept: str, found: str) -> str:
    if not kept:
        return (
            "features must be those that trained, found none of the graph's own (structure "
            f"{found} in their place); give them"
        )
    if not found:
        return (
            f"features must be of the structure that trained, {kept}, found the graph's own; leave "
            "them out"
        )
    return (
        f"features must be of the structure that trained, {kept}, found {found}; set structure to "
        f"{kept}"
    )


def _aligned(dataset: NodeDataset, names: Sequence[str]) -> NodeDataset:
    own = {name: place for place, name in enumerate(dataset.feature_names or ())}
    columns = {name.partition("=")[0] for name in own}
    if missing := [name for name in names if name not in own and not _is_category(name, columns)]:
        raise InputError(
            f"features must be those that trained, found no {', '.join(missing[:5])} among "
            f"{', '.join(list(own)[:20])}; add them"
        )
    new = [name for name in own if name not in names]
    x = dataset.graph.x
    for name in new:
        count = np.count_nonzero(x[:, own[name]])
        _log.warning(
            "warning: feature %r was not there in training; left out (%d nodes have it)",
            *(name, count),
        )
    if absent := [name for name in names if name not in own]:
        _log.info("features: no node has %s", ", ".join(absent[:10]))
    place = np.array([own.get(name, -1) for name in names])
    there = place >= 0
    aligned = np.where(there, x[:, place], 0).astype(np.float32)
    gaps = dataset.gaps
    if gaps is not None:
        # Of a category without a column of its own, a blank is blank all the same.
        blank = {
            column: gaps.mask[:, at] for name, at in own.items()
            for column in [name.partition("=")[0]]
        }  # fmt: skip
        mask = np.stack(
            [gaps.mask[:, own[n]] if n in own else blank[n.partition("=")[0]] for n in names],
            axis=1,
        )
        gaps = gaps._replace(mask=mask, fill=np.where(there, gaps.fill[place], 0.0))
    graph = dataset.graph._replace(x=aligned)
    return dataset._replace(graph=graph, gaps=gaps, feature_names=tuple(names))


def _is_category(name: str, columns: set[str]) -> bool:
    """Whether a feature is a category of a column that is there."""
    return "=" in name and name.partition("=")[0] in columns


def _refilled(dataset: NodeDataset, fill: np.ndarray) -> NodeDataset:
    gaps = dataset.gaps
    if gaps is None or np.array_equal(gaps.fill, fill):
        return dataset
    x = np.where(gaps.mask, fill.astype(np.float32), dataset.graph.x)
    return dataset._replace(graph=dataset.graph._replace(x=x), gaps=gaps._replace(fill=fill))


def _digest(graph: Graph) -> str:
    """Of the edges: what positions hang on."""
    text = hashlib.sha256(json.dumps([graph.num_nodes, graph.num_edges]).encode())
    for part in (graph.senders, graph.receivers, graph.edge_weight):
        text.update(np.ascontiguousarray(part).tobytes())
    return text.hexdigest()[:16]
