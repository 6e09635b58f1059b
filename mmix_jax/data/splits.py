"""Which nodes train, choose and test: random, stratified and given splits, and their check."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from mmix_jax.data.labels import as_array, is_missing, shown, zero_or_one
from mmix_jax.graphs.types import Split

SPLITS = ("default", "public", "random", "given")
MASKS = ("train_mask", "val_mask", "test_mask")
# What a node's part may be called where one column tells it.
PART_WORDS = {
    "train_mask": ("train", "training"),
    "val_mask": ("val", "valid", "validation", "dev"),
    "test_mask": ("test", "testing"),
}


def random_split(
    labels: np.ndarray, *, seed: int = 0, train: float = 0.1, valid: float = 0.1
) -> Split:
    """A random split of the nodes with a class: 10 % train, 10 % valid, the rest test.

    Not stratified. Shares are rounded down, but each part gets one node at least.

    Args:
      labels: classes [N], −1 where unknown; such nodes are in no part.
      seed: the same seed gives the same split.
      train: share of training nodes.
      valid: share of validation nodes.

    Raises:
      ValueError: the parts would be empty or train on one class.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.data import random_split
      >>> split = random_split(np.arange(100) % 2, seed=1)
      >>> [part.size for part in split]
      [10, 10, 80]
    """
    order = _shuffled(_labelled(labels), seed)
    num_train = max(1, int(order.size * train))
    end_valid = num_train + max(1, int(order.size * valid))
    split = _make(order[:num_train], order[num_train:end_valid], order[end_valid:])
    try:
        validate_split(split, labels, labels.shape[0])
    except ValueError as error:
        raise ValueError(f"{error}, or draw none (split given)") from error
    return split


def stratified_split(
    labels: np.ndarray, *, per_class: int = 20, num_valid: int = 500, seed: int = 0
) -> Split:
    """A random split with equally many training nodes of every class; the rest tests.

    Args:
      labels: classes [N], −1 where unknown; such nodes are in no part.
      per_class: training nodes of each class.
      num_valid: validation nodes, drawn from all others without regard to class.
      seed: the same seed gives the same split.

    Raises:
      ValueError: a class has fewer nodes than `per_class`, or a part would be empty.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.data import stratified_split
      >>> split = stratified_split(np.arange(100) % 2, per_class=5, num_valid=20)
      >>> [part.size for part in split]
      [10, 20, 70]
    """
    order = _shuffled(_labelled(labels), seed)
    classes, counts = np.unique(labels[order], return_counts=True)
    if (counts < per_class).any():
        raise ValueError(
            f"a stratified split needs {per_class} nodes of every class, found {counts.min()} "
            f"of class {classes[counts.argmin()]}; ask for fewer per class"
        )
    train = np.concatenate([order[labels[order] == c][:per_class] for c in classes])
    rest = order[~np.isin(order, train)]
    split = _make(train, rest[:num_valid], rest[num_valid:])
    validate_split(split, labels, labels.shape[0])
    return split


def stratified_test(labels: np.ndarray, num_test: int, *, seed: int) -> np.ndarray:
    """Indices of test items, rising: of every class its share of them all, rounded.

    Shares are rounded down; what then lacks goes to the classes that lost most by it, of equal
    ones to the first.

    Args:
      labels: classes 0 … K − 1, [N].
      num_test: how many, at most N.
      seed: which of a class they are.
    """
    sizes = np.bincount(labels)
    counts, lost = np.divmod(sizes * num_test, labels.size)
    counts[np.argsort(-lost, kind="stable")[: num_test - counts.sum()]] += 1
    # RandomState, not default_rng: NumPy promises that its numbers never change.
    order = np.random.RandomState(seed).permutation(labels.size)
    chosen = [order[labels[order] == c][:count] for c, count in enumerate(counts)]
    return np.sort(np.concatenate(chosen))


def split_from_masks(masks: Mapping[str, ArrayLike], num_nodes: int) -> Split | None:
    """The split that masks [N] by the names `MASKS` mark; None without any.

    A mask holds what `labels.zero_or_one` takes. Instead of masks `"split"` may hold, for every
    node, one of the words of `PART_WORDS`, or nothing.

    Raises:
      ValueError: a mask is missing, or has another shape or other values.
    """
    if "split" in masks:
        masks = _masks_of_words(masks["split"])
    missing = [mask for mask in MASKS if mask not in masks]
    if len(missing) == len(MASKS):
        return None
    if missing:
        raise ValueError(
            f"masks must be given for all of {', '.join(MASKS)} or none, found no "
            f"{missing[0]}; add it"
        )
    return _make(*(_from_mask(masks[name], name, num_nodes) for name in MASKS))


def choose_split(
    split: str, given: Split | None, labels: np.ndarray | None, *, seed: int = 0
) -> Split | None:
    """The split that a loader's `split` argument asks for.

    Args:
      split: `"default"`: the given one, or else a random one, or None without labels;
        `"public"`: the given one; `"random"`: 10/10/80 by `seed`; `"given"`: the given one, or
        none.
      given: the split that came with the data, if any.
      labels: classes [N] or None.
      seed: seed of the random split.

    Raises:
      ValueError: an unknown name, or a split that this data cannot have.
    """
    check_split_name(split)
    if labels is None:
        if split in ("default", "given"):
            return given if split == "given" else None
        raise ValueError(f"split {split!r} needs labels, found none; use split 'default'")
    if split == "given":
        return given
    if split == "random" or (split == "default" and given is None):
        return random_split(labels, seed=seed)
    if given is None:
        raise ValueError("split 'public' needs a split in the data, found none; use 'random'")
    return given


def check_split_name(split: str) -> None:
    """Raise ValueError unless it is one of `SPLITS`."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; expected one of: {', '.join(SPLITS)}")


def validate_split(split: Split, labels: np.ndarray | None, num_nodes: int) -> None:
    """Check that a split's parts are non-empty, in range, disjoint, labelled, of two classes.

    Args:
      split: three index arrays.
      labels: classes [N] with −1 for unknown, or a matrix of 0 and 1 [N, C], whose training rows
        must hold both; None skips what concerns classes.
      num_nodes: N.

    Raises:
      ValueError: naming the part and the first fault.
    """
    for name, part in zip(Split._fields, split, strict=True):
        _check_part(name, np.asarray(part), labels, num_nodes)
    nodes, counts = np.unique(np.concatenate(split), return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"train, valid and test must be disjoint, found node {nodes[counts > 1][0]} "
            "twice; leave it in one part"
        )
    if labels is None or np.unique(labels[split.train]).size > 1:
        return
    if labels.ndim == 2:
        raise ValueError(
            "labels of training nodes must hold 0 and 1, found "
            f"{labels[split.train[0], 0]} only; use another split"
        )
    raise ValueError(
        "training nodes must be of two classes or more, found class "
        f"{labels[split.train[0]]} only; use another split seed or give masks"
    )


def _check_part(name: str, part: np.ndarray, labels: np.ndarray | None, num_nodes: int) -> None:
    if part.ndim != 1 or part.size == 0:
        raise ValueError(
            f"split part {name!r} must hold one node at least, found shape {part.shape}; "
            "mark nodes for it"
        )
    if part.dtype.kind not in "iu":
        raise ValueError(
            f"split part {name!r} must hold node indices, found {part.dtype}; convert it"
        )
    outside = (part < 0) | (part >= num_nodes)
    if outside.any():
        raise ValueError(
            f"split part {name!r} must lie in [0, {num_nodes}), found {part[outside][0]}; "
            "count nodes from zero"
        )
    # A row of a matrix is known where it is there: no 1 means no label, not an unknown one.
    if labels is not None and labels.ndim == 1 and (labels[part] < 0).any():
        raise ValueError(
            f"split part {name!r} must have labels, found node "
            f"{part[labels[part] < 0][0]} without; leave such nodes out"
        )


def _labelled(labels: np.ndarray) -> np.ndarray:
    """Nodes with a class."""
    if labels.ndim != 1:
        raise ValueError(
            f"a split of nodes by classes needs one class per node, found labels of shape "
            f"{labels.shape}; use the split of the data"
        )
    return np.flatnonzero(labels >= 0)


def _from_mask(mask: ArrayLike, name: str, num_nodes: int) -> np.ndarray:
    mask = as_array(mask)
    if mask.shape == (num_nodes, 1):
        mask = mask[:, 0]
    if mask.shape != (num_nodes,):
        raise ValueError(
            f"{name} must have shape ({num_nodes},), found {mask.shape}; give one column of it"
        )
    return np.flatnonzero(zero_or_one(mask, name))


def _masks_of_words(words: ArrayLike) -> dict[str, np.ndarray]:
    """Masks of a column of words; where it says nothing a node is in no part."""
    part_of = {word: mask for mask, words_of in PART_WORDS.items() for word in words_of}
    given = as_array(words)
    read = [None if is_missing(word) else str(word).strip().lower() for word in given.tolist()]
    odd = [word for word, of in zip(given.tolist(), read, strict=True) if of and of not in part_of]
    if odd:
        raise ValueError(
            f"a split must be train, val or test on every node, or empty, found {shown(odd[0])}; "
            "write one of these"
        )
    return {mask: np.array([part_of.get(w or "") == mask for w in read], bool) for mask in MASKS}


def _shuffled(nodes: np.ndarray, seed: int) -> np.ndarray:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"split_seed must lie in [0, 2**32), found {seed}; choose another")
    # RandomState, not default_rng: NumPy promises that its numbers never change, and a split is
    # part of a protocol.
    return np.random.RandomState(seed).permutation(nodes)


def _make(train: np.ndarray, valid: np.ndarray, test: np.ndarray) -> Split:
    return Split(*(np.sort(part).astype(np.int32) for part in (train, valid, test)))
