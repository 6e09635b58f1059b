"""The parts of somebody's own graph, before they are checked, and the check."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmix_jax.data.splits import split_from_masks
from mmix_jax.data.types import NodeDataset, make_dataset
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Split, make_graph

MASKS = ("train_mask", "val_mask", "test_mask")


class RawGraph(NamedTuple):
    """What a reader or converter found; nothing is checked yet.

    Fields:
      x: node features [N, F].
      senders: source of every edge [E].
      receivers: target of every edge [E].
      edge_weight: [E] or None.
      labels: [N], −1 where unknown, or None.
      masks: any of ``MASKS``, [N] each.
      ids: the nodes' names [N] or None.
    """

    x: ArrayLike
    senders: ArrayLike
    receivers: ArrayLike
    edge_weight: ArrayLike | None = None
    labels: ArrayLike | None = None
    masks: Mapping[str, ArrayLike] = MappingProxyType({})
    ids: ArrayLike | None = None


def check_raw(
    name: str,
    raw: RawGraph,
    *,
    split: str = "default",
    split_seed: int = 0,
    undirected: bool = True,
    bag_of_words: bool = False,
) -> NodeDataset:
    """Checks all parts and joins them; the masks are the public split.

    Args:
      name: of the data set.
      raw: the parts.
      split: see ``types.make_dataset``.
      split_seed: seed of a random split.
      undirected: store every edge in both directions.
      bag_of_words: whether features are counts of words, to be normalised by row.

    Raises:
      InputError: a part is not as described, or does not fit the others.
    """
    graph = make_graph(raw.x, raw.senders, raw.receivers, raw.edge_weight, undirected=undirected)
    return make_dataset(
        name,
        graph,
        raw.labels,
        given=_masked_split(raw.masks, graph.num_nodes),
        split=split,
        split_seed=split_seed,
        ids=raw.ids,
        bag_of_words=bag_of_words,
    )


def edge_ends(edge_index: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Senders and receivers of an ``edge_index`` [2, E].

    Raises:
      InputError: another shape.
    """
    edge_index = np.asarray(edge_index)
    if edge_index.ndim != 2 or edge_index.shape[0] != 2:
        raise InputError(
            f"edge_index must have shape [2, E], sources above targets, found {edge_index.shape}; "
            "transpose it"
        )
    return edge_index[0], edge_index[1]


def _masked_split(masks: Mapping[str, ArrayLike], num_nodes: int) -> Split | None:
    missing = [mask for mask in MASKS if mask not in masks]
    if len(missing) == len(MASKS):
        return None
    if missing:
        raise InputError(
            f"masks must be given for all of {', '.join(MASKS)} or none, found no "
            f"{missing[0]}; add it"
        )
    train, valid, test = (masks[mask] for mask in MASKS)
    return split_from_masks(train, valid, test, num_nodes)
