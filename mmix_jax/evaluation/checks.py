"""What every evaluation asks of its embeddings, labels and split."""

from collections.abc import Sequence

import jax
import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.fields import Range
from mmix_jax.graphs.types import Split
from mmix_jax.ops.arrays import floats, native, numbers_of, widened
from mmix_jax.ops.numbers import real_number

L2_WEIGHTS = Range(0.0, float(np.finfo(np.float64).max), "must hold finite weights of 0 or more")
POSITIVE_WEIGHTS = Range(
    0.0, float(np.finfo(np.float64).max), "must hold positive finite numbers", open=True
)
_LARGEST = 1e15
RATES = POSITIVE_WEIGHTS._replace(words="must be positive and finite")


def check_embeddings(
    task: str, z: np.ndarray | jax.Array, labels: np.ndarray | jax.Array
) -> np.ndarray:
    """Returns the labels on the host, once they are integers [N] beside finite z [N, D].

    Raises:
      ValueError: a shape, or the type of the labels, is wrong; the message begins with ``task``.
      InputError: an embedding is not finite.
    """
    z, labels = np.asarray(numbers_of("embeddings", z)), np.asarray(native(labels))
    if z.ndim != 2 or labels.shape != z.shape[:1] or z.shape[1] == 0:
        raise ValueError(
            f"{task} needs z [N, D], D > 0, and labels [N], "
            f"found shapes {z.shape} and {labels.shape}; give one label per row of z"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels must be integers, found {labels.dtype}; give class numbers, -1 for unknown"
        )
    bad_rows = int((~np.isfinite(z)).any(axis=1).sum())
    if bad_rows:
        raise InputError(
            f"embeddings must be finite, found NaN or infinity in {bad_rows} of {len(z)} rows; "
            "the training diverged: lower its learning rate"
        )
    return np.asarray(fitting(labels))


def fitting(labels: np.ndarray) -> np.ndarray:
    """Integers in a type that jax takes as it is: int32, or int64 where numbers are larger."""
    fits = labels.size == 0 or (labels.min() >= -(2**31) and labels.max() < 2**31)
    if not fits and labels.max() >= 2**63:
        raise ValueError(f"labels must be below 2**63, found {labels.max()}; renumber the classes")
    return labels.astype(np.int32 if fits else np.int64)


def check_size(z: np.ndarray | jax.Array) -> None:
    """Raises InputError where the squares of Adam's gradients would leave float32.

    It would not move then, and an untrained classifier be scored.
    """
    largest = np.abs(np.asarray(numbers_of("embeddings", z)).astype(np.float64)).max(initial=0.0)
    if largest > _LARGEST:
        raise InputError(
            f"embeddings must be within ±{_LARGEST:g}, found {largest:g}; scale them down"
        )


def check_split(split: Split, labels: np.ndarray) -> Split:
    """Returns the split as arrays, once every part indexes at least one node, all with labels.

    Raises:
      ValueError: a part is no integer array [n].
      InputError: a part is empty, points outside the nodes, or at a node without label.
    """
    split = Split(*(np.asarray(native(part)) for part in split))
    for name, part in split._asdict().items():
        _check_part(f"split.{name}", part, labels)
    return Split(*(part.astype(np.int32) for part in split))


def _check_part(name: str, part: np.ndarray, labels: np.ndarray) -> None:
    if part.size == 0:
        raise InputError(f"{name} must not be empty, found 0 nodes; move nodes into it")
    if part.ndim != 1 or not np.issubdtype(part.dtype, np.integer):
        raise ValueError(
            f"{name} must be integer node indices [n], found {part.dtype} {list(part.shape)}; "
            "np.flatnonzero turns a mask into indices"
        )
    outside = part[(part < 0) | (part >= len(labels))]
    if outside.size:
        raise InputError(
            f"{name} must index nodes 0 to {len(labels) - 1}, found {outside[0]}; "
            "use the split of the same graph"
        )
    unknown = int((labels[part] < 0).sum())
    if unknown:
        raise InputError(
            f"{name} must hold labelled nodes, found {unknown} of {part.size} without label; "
            "leave them out of the split"
        )


def as_floats(x: np.ndarray | jax.Array) -> jax.Array:
    """On the device; integers, and floats narrower than 32 bits, in float32."""
    return widened(floats("features", x))


def check_label_matrix(
    task: str, z: np.ndarray | jax.Array, labels: np.ndarray | jax.Array
) -> np.ndarray:
    """Returns the labels on the host as uint8, once they are 0/1 [N, L] beside finite z [N, D].

    Raises:
      ValueError: a shape, or the type of the labels, is wrong; the message begins with ``task``.
      InputError: an embedding is not finite, or a label is neither 0 nor 1.
    """
    labels = np.asarray(native(labels))
    if labels.ndim != 2 or len(labels) != len(z) or labels.shape[1] == 0:
        raise ValueError(
            f"{task} needs labels [N, L] with L > 0 beside z [N, D], found shapes {labels.shape} "
            f"and {np.shape(z)}; give one row of labels per row of z"
        )
    if labels.dtype == bool:
        labels = labels.astype(np.uint8)
    check_embeddings(task, z, labels[:, 0])
    if labels.min() < 0 or labels.max() > 1:
        other = labels[(labels != 0) & (labels != 1)]
        raise InputError(
            f"{task} needs labels that are 0 or 1, found {other[0]}; "
            "turn class numbers into one column per class"
        )
    return labels.astype(np.uint8)


def check_l2_grid(l2_grid: Sequence[float], example: Sequence[float]) -> list[float]:
    """Returns the L2 weights in ascending order, once there are some, finite and not negative.

    Args:
      l2_grid: as given.
      example: a grid for the message.

    Raises:
      ValueError: as said.
    """
    return sorted_grid("l2_grid", l2_grid, L2_WEIGHTS, example)


def sorted_grid(
    name: str, grid: Sequence[float], within: Range, example: Sequence[float]
) -> list[float]:
    """The numbers of a grid in ascending order, once there are some, all `within`."""
    given = [] if np.ndim(grid) == 0 else list(grid)
    try:
        values = sorted(real_number(name, value, within, "") for value in given)
    except ValueError:
        values = []
    if not values:
        found = given if np.ndim(grid) else grid
        raise ValueError(f"{name} {within.words}, found {found}; e.g. {tuple(example)}")
    return values
