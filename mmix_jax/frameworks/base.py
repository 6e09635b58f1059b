"""What every framework for nodes does alike: mixing the anchors of a batch, and i-mix's inputs."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from mmix_jax.graphs.samplers import NodeBatch
from mmix_jax.mixing import Mixture, mix_edges, mix_pairs, mix_with

Projected = tuple[jax.Array, jax.Array]


class Aux(NamedTuple):
    """What a loss function returns beside the loss: shares of metrics, and batch statistics."""

    metrics: dict[str, jax.Array]
    batch_stats: Any


class MixingSettings(Protocol):
    """The settings that mixing reads, by METHOD.md's names."""

    @property
    def mixing(self) -> str: ...
    @property
    def candidates(self) -> str: ...
    @property
    def threshold(self) -> float: ...
    @property
    def self_weight(self) -> float | None: ...
    @property
    def mixing_temperature(self) -> float: ...
    @property
    def mix_normalised(self) -> bool: ...
    @property
    def stop_gradient(self) -> bool: ...
    @property
    def mixing_block_size(self) -> int | None: ...


def mix_rows(
    settings: MixingSettings,
    z: jax.Array,
    batch: NodeBatch,
    key: jax.Array,
    *,
    projected: Projected | None = None,
    axis_name: str | None = None,
    labels: jax.Array | None = None,
) -> Mixture:
    """Mix the anchors of a batch: `wp` with their neighbours, `op` and `all` among themselves.

    Args:
      settings: `mixing` is a rule, or `i_mix`, which mixes no embeddings.
      z: [R, D], of the batch's rows.
      projected: (q, k) of the rows, for mp.
      labels: of all nodes; adds `agreement` to the statistics.
    """
    by_edges, num_anchors = settings.candidates == "wp", batch.anchor_mask.shape[0]
    if not by_edges:
        z = z[:num_anchors]
    q, k = (None, None) if projected is None else (x[: z.shape[0]] for x in projected)
    options = {
        "rule": "none" if settings.mixing == "i_mix" else settings.mixing,
        "self_weight": settings.self_weight,
        "temperature": settings.mixing_temperature,
        "q": q,
        "k": k,
        "key": key,
        "mix_normalised": settings.mix_normalised,
        "stop_gradient": settings.stop_gradient,
        "mask": batch.anchor_mask,
        "labels": None if labels is None else labels[batch.rows[: z.shape[0]]],
    }
    if by_edges:
        return mix_edges(
            z,
            batch.senders,
            batch.receivers,
            batch.edge_mask,
            edge_weight=batch.edge_weight,
            self_edge_weight=batch.self_edge_weight,
            num_rows=num_anchors,
            **options,
        )
    return mix_pairs(
        z,
        candidates=settings.candidates,
        threshold=settings.threshold,
        axis_name=axis_name,
        block_size=settings.mixing_block_size,
        **options,
    )


def own_key(key: jax.Array, axis_name: str | None, settings: MixingSettings | None = None):
    """A key of the device's own, except where pairs are drawn over the whole batch."""
    if axis_name is None or (settings is not None and settings.candidates != "wp"):
        return key
    return jax.random.fold_in(key, jax.lax.axis_index(axis_name))


def mix_anchor_inputs(
    h: jax.Array, batch: NodeBatch, lam: jax.Array, partners: jax.Array
) -> jax.Array:
    """i-mix on h = x W of all nodes [N, D]: anchors are mixed among themselves, others stay."""
    anchors = batch.rows[: batch.anchor_mask.shape[0]]
    # Padding anchors would write to row 0: send them out of range, where `set` drops them.
    places = jnp.where(batch.anchor_mask, anchors, h.shape[0])
    return h.at[places].set(mix_with(h[anchors], lam, partners))
