"""Arrays as callers give them, of any number type and byte order, made fit to compute with.

Vectors: integers and bools are float32; half precision keeps its type in what is given back, and
is computed in float32. Ids: int32, whatever integers they come as. Masks: bool.
"""

import hashlib
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from mmix_jax.fields import MOST_ROWS

_PIECE = 2**26  # bytes of a mapped array that are read at a time


def native(x: Any) -> Any:
    """A jax array as it is; anything else as a NumPy array in this machine's order of bytes."""
    if isinstance(x, jax.Array):
        return x
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ValueError(
            f"an array must have all its values, found {np.ma.count_masked(x)} masked; fill them"
        )
    try:
        x = np.asarray(x)
    except ValueError as error:  # rows of unequal length
        raise ValueError(
            f"an array must have rows of one length, found otherwise ({error}); pad or cut them"
        ) from error
    return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))


def release(x: Any) -> None:
    """Let the pages of a memory-mapped array go: it stays what it is, and is read again from its
    file. Any other array is left alone."""
    mapped = getattr(x, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def mapped_bytes() -> int | None:
    """Pages of mapped files, libraries among them, that this process holds in memory; None where
    the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[2]
    except OSError:
        return None
    return int(pages) * mmap.PAGESIZE


def digest(tree: Any, check: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of all NumPy arrays of a tree, their places, shapes and types, piece by piece;
    `check` is called between pieces."""
    total = hashlib.sha256()
    for path, array in jax.tree_util.tree_leaves_with_path(tree):
        if not isinstance(array, np.ndarray):
            continue
        total.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        if array.dtype == object or array.ndim == 0:
            total.update(repr(array.tolist()).encode())
            continue
        step = max(_PIECE // max(array[:1].nbytes, 1), 1)
        for low in range(0, len(array), step):
            check()
            total.update(np.ascontiguousarray(array[low : low + step]).data.cast("B"))
            release(array)
    return total.hexdigest()


def wide(dtype) -> jnp.dtype:
    """The type of sums: at least float32."""
    # NumPy has float64 where jax's own promotion knows none.
    dtype = np.dtype(dtype)
    return dtype if dtype == np.float64 else jnp.promote_types(dtype, jnp.float32)


def is_number(dtype) -> bool:
    """Whether values of this type are real numbers or bools."""
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    if np.dtype(dtype).kind == "m":  # a span of time, which NumPy takes for an integer
        return False
    return any(jnp.issubdtype(dtype, kind) for kind in kinds)


def numbers_of(name: str, x: Any) -> Any:
    """x on the side where it is, NumPy or jax: floating point as it came, all else as float32.

    Raises:
      ValueError: no array of real numbers.
    """
    x = native(x)
    if not is_number(x.dtype):
        raise ValueError(
            f"{name} must be an array of real numbers, found {x.dtype} of shape {x.shape}; "
            "convert it first"
        )
    if jnp.issubdtype(x.dtype, jnp.floating):
        return x.astype(np.float64) if x.dtype.itemsize > 8 else x  # a long double
    return x.astype(np.float32)


def floats(name: str, x: Any) -> jax.Array:
    """x as a jax array of its floating type; integers and bools in float32."""
    return jnp.asarray(numbers_of(name, x))


def widened(x: jax.Array) -> jax.Array:
    """x in at least float32."""
    return x.astype(wide(x.dtype))


def by_power_of_two(x: np.ndarray, axis: int | None = -1) -> np.ndarray:
    """Finite x on the host, its largest entries along the axis brought into [1, 2): no rounding.

    Squares and sums of what comes out are finite, and not 0 where x is not.
    """
    largest = np.abs(x).max(axis=axis, keepdims=True, initial=0)
    _, exponent = np.frexp(np.where(largest > 0, largest, 1))
    return np.ldexp(x, 1 - exponent)


def mask_of(name: str, x: Any) -> jax.Array:
    """x as bool: True where it is not 0."""
    x = native(x)
    if not is_number(x.dtype):
        raise ValueError(f"{name} must be bool, found {x.dtype}; True marks what is real")
    if isinstance(x, np.ndarray) and x.dtype.kind == "f" and np.isnan(x).any():
        raise ValueError(f"{name} must be True or False, found NaN; mark every entry")
    return jnp.asarray(x if x.dtype == bool else x != 0)


def _integers(name: str, x: Any, way_out: str) -> Any:
    x = native(x)
    if x.size == 0 and isinstance(x, np.ndarray):  # an empty list is float64
        x = x.astype(np.int32)
    if not jnp.issubdtype(x.dtype, jnp.integer) or x.dtype.kind == "m":
        raise ValueError(f"{name} must be integers, found {x.dtype}; {way_out}")
    return x


def host_indices(name: str, x: Any, size: int, mask: Any = None) -> np.ndarray:
    """Concrete places as int32 on the host, once those where `mask` holds lie in [0, size).

    Raises:
      ValueError: no integers, or one is out of range.
    """
    x = np.asarray(_integers(name, x, "count rows from zero, and astype(int)"))
    outside = (x < 0) | (x >= size)
    if mask is not None:
        outside &= np.asarray(mask, bool)
    if outside.any():
        raise ValueError(
            f"{name} must lie in [0, {size}), found {x[outside].ravel()[0]}; "
            "count rows from zero, and mask padding"
        )
    return np.where((x < 0) | (x >= size), 0, x).astype(np.int32)


def indices(name: str, x: Any, size: int, mask: Any = None) -> tuple[jax.Array, jax.Array]:
    """Places in [0, size) as int32, and where they are such.

    Concrete ones are checked, where `mask` holds. Traced ones cannot be: what is out of range is
    told in the second array, and is 0 in the first.

    Raises:
      ValueError: no integers, or a concrete one is out of range.
    """
    x = _integers(name, x, "count rows from zero, and astype(int)")
    if not isinstance(x, Tracer) and not isinstance(mask, Tracer):
        host_indices(name, x, size, mask)
    if x.dtype.itemsize < 4:  # so that `size` fits
        x = x.astype(np.int32)
    x = x if isinstance(x, jax.Array) else np.clip(x, -1, size).astype(np.int32)
    inside = jnp.asarray((x >= 0) & (x < min(size, MOST_ROWS)))
    return jnp.where(inside, jnp.asarray(x), 0).astype(jnp.int32), inside


def ids_of(name: str, x: Any) -> jax.Array:
    """Ids of any integers, of which only equality and order count: signed, at least int32.

    Concrete ones that do not fit into 32 bits are numbered anew in their order, and keep their
    signs: a negative label is an unknown one.
    """
    x = _integers(name, x, "number them, e.g. by np.unique(…, return_inverse=True)")
    unsigned = jnp.issubdtype(x.dtype, jnp.unsignedinteger)
    if isinstance(x, jax.Array) and (isinstance(x, Tracer) or not unsigned):
        if not unsigned:
            return x.astype(jnp.promote_types(x.dtype, jnp.int32))
        # Wrapped numbers stay distinct; those of 2**31 and more become negative.
        return x.astype(jnp.int64 if x.dtype.itemsize == 8 else jnp.int32)
    x = np.asarray(x)
    if x.size and (x.min() < -MOST_ROWS or x.max() > MOST_ROWS):
        names, numbered = np.unique(x, return_inverse=True)
        x = numbered.reshape(x.shape) - np.count_nonzero(names < 0)
    return jnp.asarray(x.astype(np.int32))
