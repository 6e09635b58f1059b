"""Mixtures as further negatives: each anchor's own, of the hardest candidates of the other view.

M-Mix's mixture takes the place of its anchor. Here anchors stay what they are, and mixtures join
their denominators (MoCHi has pairs, DropMix parts of them): beyond the paper. Candidates are chosen
a block of rows at a time without any gradient, then mixed in blocks that are computed anew in the
backward pass: O(N·D + N·s·D) memory.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.fields import POSITIVE, SHARE, between
from mmix_jax.mixing.neighbourhood import Lists, Neighbours, lists_of, within_hops
from mmix_jax.mixing.rules import check_projections
from mmix_jax.mixing.settings import SYNTHETIC_RULES, Mixing
from mmix_jax.mixing.streamed import cut, joined
from mmix_jax.ops.arrays import floats, ids_of, mask_of, widened
from mmix_jax.ops.collectives import device_index, gather, total
from mmix_jax.ops.numbers import real_number, whole_number
from mmix_jax.ops.similarity import normalise

# Numbers that an array of a block has at most, whatever `block_size`: 64 MiB.
_VALUES = 2**24


class SyntheticNegatives(NamedTuple):
    """Synthetic negatives ñ_ik = normalise(Σ_j λ_ij v_j) of each anchor, j over its k-th draw.

    vectors: [N, s, D], zeros where an anchor has no candidate. members: [N, s, m] rows of v of all
    devices, −1 where there are fewer. weights: [N, s, m] λ, 0 there. stats: scalars by name:
    `members` (mean number of those of a synthetic negative), `missing` (share of anchors without),
    `entropy` (nats), `cosine` (with the anchor), and `agreement` (share of weight on the anchor's
    own class: false negatives) where labels were given; of all devices.
    """

    vectors: jax.Array
    members: jax.Array
    weights: jax.Array
    stats: dict[str, jax.Array]


class _Pool(NamedTuple):
    """What is static: how many, and of which."""

    num_synthetic: int
    num_mixed: int
    num_hardest: int
    skip_hardest: float
    skip_hops: int
    threshold: float | None


class _Columns(NamedTuple):
    """Candidates of all devices."""

    keys: jax.Array  # [N', K]
    source: jax.Array  # [N', D]
    mask: jax.Array  # [N']
    segments: jax.Array | None  # [N']
    lists: Lists | None


class _Rows(NamedTuple):
    queries: jax.Array  # [B, K]
    index: jax.Array  # [B] own column, −1 on padding
    segments: jax.Array | None


def synthetic_negatives(
    u: jax.Array,
    v: jax.Array,
    *,
    key: jax.Array,
    num_synthetic: int = Mixing.num_synthetic,
    num_mixed: int = Mixing.num_mixed,
    num_hardest: int = Mixing.num_hardest,
    skip_hardest: float = Mixing.skip_hardest,
    rule: str = "mo",
    temperature: float = Mixing.temperature,
    threshold: float | None = None,
    queries: jax.Array | None = None,
    keys: jax.Array | None = None,
    neighbours: Neighbours | None = None,
    skip_hops: int = Mixing.skip_hops,
    mask: jax.Array | None = None,
    segments: jax.Array | None = None,
    stop_gradient: bool = False,
    axis_name: str | None = None,
    block_size: int | None = None,
    labels: jax.Array | None = None,
) -> SyntheticNegatives:
    """s mixtures of hard candidates for each anchor u_i: ñ_ik = normalise(Σ_{j∈S_ik} λ_ij v_j).

    S_ik are m distinct draws from the K candidates j ≠ i of the highest scores, λ the rule's
    softmax over them. `info_nce(u, v, synthetic_u=…)` takes the vectors; those of the anchors v_i
    are `synthetic_negatives(v, u, …)`. Draws hang on the key and the row alone: blocks and devices
    draw alike. Gradients flow through vectors and weights, not through the choice.

    Args:
      u, v: [N, D] anchors, and the other view's rows; normalised here.
      key: PRNG key of the draws.
      num_synthetic: s.
      num_mixed: m, one or more; 2 is MoCHi's, more are M-Mix's idea, 1 repeats hard negatives.
      num_hardest: K; where an anchor has fewer candidates, all of them.
      skip_hardest: the share of an anchor's candidates, from the hardest on, that is never drawn
        (rounded down): these are often of its own class.
      rule: `mo` (softmax of cosines), `mp` (of q·k), `neighbour_mean` (equal weights), `random`.
      temperature: τ_mix.
      threshold: candidates have at least this score; None is all.
      queries, keys: [N, D'] projections of the rows of u and of v; `mp` only, its scores.
      neighbours: lists of neighbours, for `skip_hops`.
      skip_hops: 1 or 2: candidates so near the anchor in the graph are never drawn.
      mask: [N] bool, real rows.
      segments: [N] ids; candidates are of the anchor's own.
      stop_gradient: no gradient through the weights.
      axis_name: the device axis: candidates of all devices.
      block_size: rows at a time at most; None decides by size alone.
      labels: [N] classes, −1 unknown; adds `agreement`.

    Raises:
      ValueError: another rule, no queries and keys for mp, shapes that do not fit, a number out of
        range.

    Example:
      >>> import jax
      >>> from mmix_jax.mixing import synthetic_negatives
      >>> u, v = jax.random.normal(jax.random.key(0), (2, 100, 8))
      >>> made = synthetic_negatives(u, v, key=jax.random.key(1), num_synthetic=4, num_mixed=3)
      >>> made.vectors.shape, made.members.shape
      ((100, 4, 8), (100, 4, 3))
    """
    if rule not in SYNTHETIC_RULES:
        raise ValueError(
            f"synthetic negatives are mixed by {', '.join(SYNTHETIC_RULES)}, found rule '{rule}'"
        )
    temperature = real_number("the mixing temperature", temperature, POSITIVE, "1.0 is usual")
    u, v = widened(floats("u", u)), widened(floats("v", v))
    if u.ndim != 2 or u.shape != v.shape:
        raise ValueError(f"u and v must have one shape [N, D], found {u.shape} and {v.shape}")
    num_rows = u.shape[0]
    if block_size is not None:
        block_size = whole_number("block_size", block_size, 1, "None decides by size alone")
    pool = _pool(num_synthetic, num_mixed, num_hardest, skip_hardest, skip_hops, threshold)
    if pool.skip_hops and neighbours is None:
        raise ValueError(f"skip_hops {pool.skip_hops} needs lists of neighbours, found None")
    real = jnp.ones((num_rows,), bool) if mask is None else mask_of("mask", mask)
    segments = None if segments is None else ids_of("segments", segments)
    labels = None if labels is None else ids_of("labels", labels)
    for name, of_rows in (("mask", real), ("segments", segments), ("labels", labels)):
        if of_rows is not None and of_rows.shape != (num_rows,):
            raise ValueError(f"{name} must have shape ({num_rows},), found {of_rows.shape}")
    u, v = (normalise(jnp.where(real[:, None], x, 0.0)) for x in (u, v))
    scored = _scored(rule, u, v, queries, keys, real)
    lists = None
    if pool.skip_hops and neighbours is not None:
        lists = lists_of(neighbours, num_rows, axis_name)
    columns = _Columns(
        gather(scored[1], axis_name),
        gather(v, axis_name),
        gather(real, axis_name),
        None if segments is None else gather(segments, axis_name),
        lists,
    )
    index = device_index(axis_name) * num_rows + jnp.arange(num_rows, dtype=jnp.int32)
    rows = _Rows(scored[0], jnp.where(real, index, -1), segments)
    members = _members(pool, rows, columns, key, block_size)
    noise = None
    if rule == "random":
        # Another use than the choice's 0: weights would hang on it.
        noise = _by_row(key, index, 1, lambda k: jax.random.normal(k, members.shape[1:], u.dtype))
    vectors, weights = _mixed(
        rule, temperature, stop_gradient, rows.queries, members, noise, columns, block_size
    )
    stats = _statistics(u, vectors, members, weights, real, labels, axis_name)
    return SyntheticNegatives(vectors, members, weights, stats)


def _pool(num_synthetic, num_mixed, num_hardest, skip_hardest, skip_hops, threshold) -> _Pool:
    mixed = whole_number("num_mixed", num_mixed, 1, "4 is usual")
    return _Pool(
        whole_number("num_synthetic", num_synthetic, 1, "16 is usual"),
        mixed,
        whole_number("num_hardest", num_hardest, mixed, "it must hold num_mixed candidates"),
        real_number("skip_hardest", skip_hardest, SHARE, "0.0 skips none"),
        whole_number("skip_hops", skip_hops, 0, "0 skips none", high=2),
        None
        if threshold is None
        else real_number("threshold", threshold, between(-1, 1), "None takes all"),
    )


def _scored(rule: str, u, v, queries, keys, real) -> tuple[jax.Array, jax.Array]:
    """What candidates are scored by: the vectors, or mp's projections."""
    if rule != "mp":
        return u, v
    if queries is None or keys is None:
        raise ValueError("rule 'mp' needs both projections, found None; pass queries= and keys=")
    queries, keys = widened(floats("queries", queries)), widened(floats("keys", keys))
    for name, array in (("queries", queries), ("keys", keys)):
        if array.ndim != 2 or array.shape[0] != u.shape[0]:
            raise ValueError(f"{name} must be [N, D'] with N = {u.shape[0]}, found {array.shape}")
    check_projections(queries, keys)
    queries, keys = (normalise(jnp.where(real[:, None], x, 0.0)) for x in (queries, keys))
    return queries, keys


def _by_row(key: jax.Array, index: jax.Array, use: int, draw) -> jax.Array:
    """`draw(key)` with a key of each row's own, apart for each use."""
    key = jax.random.fold_in(key, use)
    return jax.vmap(lambda row: draw(jax.random.fold_in(key, row)))(index)


def _in_blocks(function, rows: Any, size: int) -> Any:
    """`function` of blocks of rows, joined; at once where all fit."""
    num_rows = jax.tree.leaves(rows)[0].shape[0]
    if size >= num_rows:
        return function(rows)
    blocks = jax.tree.map(lambda x: cut(x, size), rows)
    return jax.tree.map(lambda x: joined(x, num_rows), jax.lax.map(function, blocks))


def _rows_at_once(values_of_a_row: int, block_size: int | None) -> int:
    fitting = max(_VALUES // max(values_of_a_row, 1), 1)
    return fitting if block_size is None else min(fitting, block_size)


def _members(pool: _Pool, rows: _Rows, columns: _Columns, key, block_size) -> jax.Array:
    """The draws: [N, s, m] columns, −1 where there are fewer."""
    rows, columns = jax.lax.stop_gradient((rows, columns))
    num_columns = columns.mask.shape[0]
    # How many of n candidates are skipped: in float64, which floor needs.
    skipped = np.floor(np.arange(num_columns + 1) * pool.skip_hardest + 1e-9).astype(np.int32)
    num_ranked = min(pool.num_hardest + int(skipped[-1]), num_columns)
    size = min(pool.num_hardest, num_columns)
    num_mixed = min(pool.num_mixed, size)

    def choose(block: _Rows):
        scores = block.queries @ columns.keys.T
        allowed = columns.mask[None, :] & (block.index >= 0)[:, None]
        allowed &= jnp.arange(num_columns)[None, :] != block.index[:, None]
        if columns.segments is not None and block.segments is not None:
            allowed &= columns.segments[None, :] == block.segments[:, None]
        if pool.threshold is not None:
            allowed &= scores >= pool.threshold
        if columns.lists is not None:
            allowed &= ~within_hops(columns.lists, block.index, pool.skip_hops)
        count = jnp.sum(allowed, axis=1)
        ranked = jax.lax.top_k(jnp.where(allowed, scores, -jnp.inf), num_ranked)[1]
        places = jnp.asarray(skipped)[count][:, None] + jnp.arange(size)[None, :]
        drawable = places < jnp.minimum(count, num_ranked)[:, None]
        hardest = jnp.take_along_axis(ranked, jnp.minimum(places, num_ranked - 1), axis=1)
        shape = (pool.num_synthetic, size)
        draws = _by_row(key, block.index, 0, lambda k: jax.random.uniform(k, shape))
        best, slots = jax.lax.top_k(jnp.where(drawable[:, None, :], draws, -1.0), num_mixed)
        drawn = jnp.take_along_axis(hardest[:, None, :], slots, axis=2)
        return jnp.where(best >= 0.0, drawn, -1)

    values = num_columns + pool.num_synthetic * size
    if columns.lists is not None:
        values += num_columns + 2 * columns.lists.codes.shape[0]
    members = _in_blocks(choose, rows, _rows_at_once(values, block_size))
    missing = pool.num_mixed - num_mixed
    return jnp.pad(members, ((0, 0), (0, 0), (0, missing)), constant_values=-1)


def _mixed(
    rule: str, temperature, stop_gradient: bool, queries, members, noise, columns, block_size
) -> tuple[jax.Array, jax.Array]:
    """(vectors [N, s, D], weights [N, s, m])."""

    @jax.checkpoint
    def mix(block):
        queries, members, noise = block
        there = members >= 0
        places = jnp.maximum(members, 0)
        source = columns.source[places]
        if rule == "neighbour_mean":
            scores = jnp.zeros(members.shape, source.dtype)
        elif rule == "random":
            scores = noise
        else:
            keys = source if rule == "mo" else columns.keys[places]
            scores = jnp.einsum("nd,nsmd->nsm", queries, keys) / temperature
        highest = jnp.max(jnp.where(there, scores, -jnp.inf), axis=2, keepdims=True)
        highest = jax.lax.stop_gradient(jnp.where(jnp.isfinite(highest), highest, 0.0))
        powers = jnp.where(there, jnp.exp(jnp.where(there, scores - highest, 0.0)), 0.0)
        sums = jnp.sum(powers, axis=2, keepdims=True)
        weights = powers / jnp.where(sums == 0, 1.0, sums)
        if stop_gradient:
            weights = jax.lax.stop_gradient(weights)
        return normalise(jnp.einsum("nsm,nsmd->nsd", weights, source)), weights

    _, num_synthetic, num_mixed = members.shape
    values = num_synthetic * num_mixed * columns.source.shape[1]
    rows = (queries, members, noise)
    return _in_blocks(mix, rows, _rows_at_once(values, block_size))


def _statistics(u, vectors, members, weights, real, labels, axis_name) -> dict[str, jax.Array]:
    u, vectors, weights = jax.lax.stop_gradient((u, vectors, weights))
    there = (members >= 0) & real[:, None, None]
    made = jnp.any(there, axis=2)

    def of_all(x):
        return total(jnp.sum(x), axis_name)

    def mean(x):
        return of_all(jnp.where(made, x, 0.0)) / jnp.maximum(of_all(made), 1)

    logs = jnp.log(jnp.where(weights > 0, weights, 1.0))
    stats = {
        "members": mean(jnp.sum(there, axis=2)),
        "missing": of_all(real & ~made[:, 0]) / jnp.maximum(of_all(real), 1),
        "entropy": mean(-jnp.sum(weights * logs, axis=2)),
        "cosine": mean(jnp.einsum("nd,nsd->ns", u, vectors)),
    }
    if labels is not None:
        theirs = gather(labels, axis_name)[jnp.maximum(members, 0)]
        own = labels[:, None, None]
        known = there & (theirs >= 0) & (own >= 0)
        mass = of_all(jnp.where(known, weights, 0.0))
        same = of_all(jnp.where(known & (theirs == own), weights, 0.0))
        stats["agreement"] = same / jnp.where(mass > 0, mass, 1.0)
    return stats
