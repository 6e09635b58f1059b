"""Mixing among samples of a batch (`op`, `all`): dense weights, streamed where large."""

import jax
import jax.numpy as jnp
from jax.core import Tracer

from mmix_jax.fields import between
from mmix_jax.mixing.candidates import Block, Candidates, Mixed
from mmix_jax.mixing.rules import (
    RULES,
    Mixture,
    check_projections,
    check_rule,
    checked_numbers,
)
from mmix_jax.mixing.settings import PAIR_CANDIDATES, Mixing
from mmix_jax.mixing.statistics import mixing_statistics
from mmix_jax.ops.arrays import floats, ids_of, mask_of, widened
from mmix_jax.ops.collectives import device_index, gather
from mmix_jax.ops.numbers import real_number, whole_number
from mmix_jax.ops.similarity import normalise

# Rank statistics are taken on the first rows of the batch, fewer where rows are very long.
_STATISTICS_ROWS, _STATISTICS_PAIRS = 128, 2**20


def mix_pairs(
    z: jax.Array,
    *,
    rule: str = "mo",
    candidates: str = "op",
    threshold: float = Mixing.threshold,
    mask: jax.Array | None = None,
    self_weight: float | None = Mixing.self_weight,
    temperature: float = Mixing.temperature,
    q: jax.Array | None = None,
    k: jax.Array | None = None,
    key: jax.Array | None = None,
    mix_normalised: bool = Mixing.mix_normalised,
    stop_gradient: bool = Mixing.stop_gradient,
    axis_name: str | None = None,
    block_size: int | None = None,
    labels: jax.Array | None = None,
) -> Mixture:
    """Mix each sample with similar ones of the batch: ẑ_i = Σ_j λ_ij z_j (eq. 2; `op`, `all`).

    A row with no candidate but itself keeps λ_ii = 1 under every rule. Padded rows stay as they
    are and are nobody's candidate. With `axis_name` the batch is that of all devices.

    The paper's θ of 0.9 suits trained image encoders: few other vectors have so similar a partner,
    and then nothing is mixed. `stats["unmixed"]`, the share of rows that stayed as they were, says
    so; a lower `threshold`, or `candidates="all"`, mixes more.

    Args:
      z: [N, D] embeddings.
      rule: `mo` (eq. 5, 7), `mp` (eq. 6), `random`, `binary`, `none`, `neighbour_mean`.
      candidates: `op`: j whose score (q_i·k_j for `mp`, H(z_i, z_j) otherwise) is at least
        `threshold`; `all`: every j.
      threshold: θ; 0.9 is the paper's for mo on images, 0 suits mp.
      mask: [N] bool, False on padded rows.
      self_weight: C of mo-mix; None makes self an ordinary candidate (the authors' image code).
      temperature: τ_mix; 1 is the paper's. May be learned: it is differentiated, and a traced one
        that is not positive makes the mixture NaN.
      q, k: [N, D'] projections, normalised here; `mp` only.
      key: PRNG key; `random` only.
      mix_normalised: mix z/‖z‖ instead of z.
      stop_gradient: no gradient through the weights (the paper's authors on images).
      axis_name: the device axis, inside pmap or shard_map: candidates of all devices.
      block_size: rows and columns at a time (`random`: rows, each drawing for all columns at once):
        O(N·D) memory. Weights are recomputed in the backward pass, not returned. None is dense.
      labels: [N] classes, −1 unknown; adds `agreement` to the statistics.

    Returns:
      A `Mixture` with `weights [N, k N]`, diagonal included (None where streamed), and
      `self_weights [N]`. The statistics are of the first 128 rows, fewer above 8192 columns,
      except `partners` and `unmixed`, which are of all rows. Streamed, partners are counted by
      the candidate set, however small their weights.

    Raises:
      ValueError: unknown rule or candidates, a missing q, k or key, shapes that do not fit, a
        number out of range.

    Example:
      >>> import jax
      >>> from mmix_jax.mixing import mix_pairs
      >>> z = jax.random.normal(jax.random.key(0), (4, 8))
      >>> print(mix_pairs(z).stats["unmixed"])  # no cosine of these rows reaches θ = 0.9
      1.0
      >>> print(mix_pairs(z, candidates="all").stats["unmixed"])
      0.0
      >>> mix_pairs(z, candidates="all").z_mixed.shape
      (4, 8)
    """
    check_rule(rule, q=q, k=k, key=key)
    self_weight, temperature = checked_numbers(self_weight, temperature)
    threshold = real_number(
        "threshold", threshold, between(-1, 1), 'it is of cosines; candidates="all" has none'
    )
    z = floats("z", z)
    dtype, z = z.dtype, widened(z)
    q, k = (None if x is None else widened(floats(name, x)) for name, x in (("q", q), ("k", k)))
    mask = None if mask is None else mask_of("mask", mask)
    labels = None if labels is None else ids_of("labels", labels)
    block_size = _check(
        z, rule, candidates, block_size, {"mask": mask, "q": q, "k": k, "labels": labels}
    )
    given = normalise(z) if mix_normalised else z
    if mask is not None:  # what stands in padded rows, NaN too, must not reach a product
        z = jnp.where(mask[:, None], z, 0.0)
        q, k = (None if x is None else jnp.where(mask[:, None], x, 0.0) for x in (q, k))
    unit = normalise(z)
    block = Block(
        z=z,
        unit=unit,
        queries=None if q is None else normalise(q),
        keys=None if k is None else normalise(k),
        index=device_index(axis_name) * z.shape[0] + jnp.arange(z.shape[0]),
        mask=jnp.ones((z.shape[0],), bool) if mask is None else mask,
    )
    everyone = Candidates(
        unit=gather(unit, axis_name),
        keys=None if block.keys is None else gather(block.keys, axis_name),
        source=gather(block.source(mix_normalised), axis_name),
        mask=gather(block.mask, axis_name),
        rule=rule,
        self_weight=self_weight,
        temperature=temperature,
        threshold=threshold if candidates == "op" else None,
        key=key,
        mix_normalised=mix_normalised,
        stop_gradient=stop_gradient,
    )
    num_columns = everyone.mask.shape[0]
    full = None
    if block_size is None or block_size >= num_columns:
        mixed, weights, similarity = everyone.dense(block)
        own_column = jnp.arange(num_columns)[None, :] == block.index[:, None]
        full = jnp.where(own_column, mixed.own[:, None], weights)
    else:
        mixed = everyone.in_blocks(block, block_size)
        num_rows = max(1, min(_STATISTICS_ROWS, _STATISTICS_PAIRS // num_columns))
        head = jax.tree.map(lambda x: jax.lax.stop_gradient(x[:num_rows]), block)
        _, weights, similarity = everyone.dense(head)
    all_labels = None if labels is None else gather(labels, axis_name)
    stats = _pair_statistics(mixed, weights, similarity, block, all_labels, labels)
    z_mixed = mixed.z_mixed
    if isinstance(threshold, Tracer):  # NaN selects nobody, which would look like a result
        z_mixed = jnp.where(jnp.isnan(threshold), jnp.nan, z_mixed)
    if mask is not None:
        z_mixed = jnp.where(mask[:, None], z_mixed, given)
    return Mixture(z_mixed.astype(dtype), full, mixed.own, stats)


def _check(z, rule: str, candidates: str, block_size: int | None, arrays: dict) -> int | None:
    """The block size as an int, once everything fits."""
    if RULES[rule].edges_only:
        raise ValueError(f"rule '{rule}' runs along graph edges; use mix_edges (candidates 'wp')")
    if candidates not in PAIR_CANDIDATES:
        raise ValueError(
            f"unknown candidates {candidates!r}; expected one of: {', '.join(PAIR_CANDIDATES)} "
            "(or mix_edges for 'wp')"
        )
    if block_size is not None:
        block_size = whole_number("block_size", block_size, 1, "None is dense")
    if z.ndim != 2:
        raise ValueError(f"z must be [N, D], found shape {z.shape}; stack the embeddings as rows")
    for name, array in arrays.items():
        rank = 2 if name in ("q", "k") else 1
        if array is not None and (array.ndim != rank or array.shape[0] != z.shape[0]):
            shape = f"({z.shape[0]}, D')" if rank == 2 else f"({z.shape[0]},)"
            raise ValueError(
                f"{name} must have shape {shape}, as z has {z.shape[0]} rows, found {array.shape}; "
                "give one for each row"
            )
    check_projections(arrays["q"], arrays["k"])
    return block_size


def _pair_statistics(mixed: Mixed, weights, similarity, block: Block, labels, row_labels):
    """Partners over all rows, the rest of the first rows of these dense weights."""
    head = min(_STATISTICS_ROWS, weights.shape[0])
    own_column, mask = block.index[:head], block.mask[:head]
    rows, columns = jnp.broadcast_arrays(
        jnp.arange(head)[:, None], jnp.arange(weights.shape[1])[None, :]
    )
    others = (columns != own_column[:, None]) & mask[:, None]
    stats = mixing_statistics(
        weights=weights[:head].reshape(-1),
        self_weights=mixed.own[:head],
        similarity=similarity[:head].reshape(-1),
        rows=rows.reshape(-1),
        columns=columns.reshape(-1),
        mask=others.reshape(-1),
        row_mask=mask,
        z_mixed=mixed.z_mixed[:head],
        anchors=block.z[:head],
        labels=labels,
        row_labels=row_labels,
    )
    real = jnp.maximum(jnp.sum(block.mask), 1)
    stats["partners"] = jnp.sum(jnp.where(block.mask, mixed.partners, 0)) / real
    stats["unmixed"] = jnp.sum(block.mask & (mixed.partners == 0)) / real
    return stats
