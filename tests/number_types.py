"""The same small numbers in every type that callers have, and what must come of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Zeros and ones: every type holds them. One row is zero.
BITS = np.array(
    [[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 0]]
)
OTHER_BITS = BITS[::-1, ::-1].copy()
HALF = ("float16", "bfloat16", ">f2")
VECTORS = ("bool", "int8", "uint8", ">i4", "int64", "uint64", *HALF, ">f4", ">f8", "list")
IDS = ("int8", "uint8", "uint16", ">i4", "uint32", "int64", "uint64", ">u8", "list")
NO_IDS = ("float32", "bool", "complex64")


def given(x: Any, kind: str) -> Any:
    """x as a list, or as a NumPy array of that type and order of bytes."""
    if kind == "list":
        return np.asarray(x).tolist()
    return np.asarray(x).astype(jnp.bfloat16 if kind == "bfloat16" else kind)


def check_same(found: Any, expected: Any, kind: str) -> None:
    """The results of a type are those of float32: the very same, or to half precision."""
    leaves, others = jax.tree.leaves(found), jax.tree.leaves(expected)
    assert len(leaves) == len(others)
    for ours, theirs in zip(leaves, others, strict=True):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        if kind in HALF:
            error = np.abs(ours.astype(np.float64) - theirs)
            assert (error <= 0.02 * (1.0 + np.abs(theirs))).all()
        else:
            assert kind in (">f8", "list") or ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, rtol=3e-7, atol=1e-7)


def named(value) -> str:
    """The name of a case; a function's own text has its address, another in every process."""
    return getattr(value, "__name__", str(value))
