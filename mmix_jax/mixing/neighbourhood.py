"""Which rows of a batch lie within a few hops of each other, by lists of neighbours."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mmix_jax.ops.arrays import ids_of, indices, mask_of
from mmix_jax.ops.collectives import device_index, gather


class Neighbours(NamedTuple):
    """Lists of neighbours: row `receivers[e]` is adjacent to the node with id `ids[e]`.

    receivers, ids, mask: [E], this device's; padding has mask False. nodes: [N] ids of its rows.
    Ids are any integers, also of nodes that are no rows.
    """

    receivers: jax.Array
    ids: jax.Array
    mask: jax.Array
    nodes: jax.Array


class Lists(NamedTuple):
    """The lists of all devices, ids numbered anew: row `rows[e]` [E'] is adjacent to `codes[e]`,
    row i is node `own[i]` [N']."""

    rows: jax.Array
    codes: jax.Array
    own: jax.Array


def lists_of(neighbours: Neighbours, num_rows: int, axis_name: str | None) -> Lists:
    """The lists of all devices' rows.

    Raises:
      ValueError: arrays that do not fit, or a receiver that is no row.
    """
    mask, nodes = mask_of("mask", neighbours.mask), ids_of("nodes", neighbours.nodes)
    ids = ids_of("ids", neighbours.ids)
    if nodes.shape != (num_rows,) or not ids.shape == mask.shape == neighbours.receivers.shape:
        raise ValueError(
            f"neighbours must have nodes [{num_rows}] and receivers, ids and mask of one length, "
            f"found {nodes.shape}, {neighbours.receivers.shape}, {ids.shape} and {mask.shape}"
        )
    receivers, inside = indices("receivers", neighbours.receivers, num_rows, mask)
    rows = device_index(axis_name) * num_rows + receivers
    rows = gather(jnp.where(mask & inside, rows, -1), axis_name)
    ids, nodes = gather(ids, axis_name), gather(nodes, axis_name)
    every = jnp.concatenate([nodes, ids])
    _, codes = jnp.unique(every, return_inverse=True, size=every.shape[0])
    return Lists(rows, codes[nodes.shape[0] :], codes[: nodes.shape[0]])


def within_hops(lists: Lists, index: jax.Array, hops: int) -> jax.Array:
    """Whether each row lies within one or two hops of the rows `index [B]`: bool [B, N'].

    −1 is no row. Two hops are one to any node that both are adjacent to. O(B·E') time and memory.
    """
    num_rows, size = lists.own.shape[0], index.shape[0]
    # Where an edge's row stands in the block; the last place takes all others.
    index = jnp.where(index < 0, num_rows, index)  # out of range, where `set` drops it
    places_of = jnp.arange(size, dtype=jnp.int32)
    place = jnp.full((num_rows,), size, jnp.int32).at[index].set(places_of, mode="drop")
    places = jnp.where(lists.rows >= 0, place[lists.rows], size)
    reached = jnp.zeros((size + 1, num_rows + lists.codes.shape[0]), bool)
    reached = reached.at[places, lists.codes].set(True)[:size]
    near = reached[:, lists.own]
    if hops > 1:
        rows = jnp.where(lists.rows >= 0, lists.rows, num_rows)
        shared = reached[:, lists.codes].T.astype(jnp.int32)
        near |= (jax.ops.segment_max(shared, rows, num_rows + 1)[:num_rows] > 0).T
    return near
