"""Numbers as callers give them: Python's, NumPy's or 0-d arrays, checked; traced ones are let by.

A traced number has no value to refuse. Where it leaves its range it becomes NaN, and so does what
is computed from it: a loss that a learned temperature has spoilt is seen to be spoilt.
"""

import numbers
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from mmix_jax.fields import MOST_ROWS, Range


def real_number(
    name: str, value: Any, within: Range, way_out: str, *, error: type[ValueError] = ValueError
) -> Any:
    """The number as a float, once it lies `within`; a traced one as it is, NaN outside.

    Raises:
      ValueError (or `error`): no single real number, a bool, NaN, or out of range; one line.
    """
    if isinstance(value, Tracer):
        if value.shape != () or not _is_real(value.dtype):
            raise error(_no_number(name, value, "a number", way_out))
        value = value.astype(jnp.promote_types(value.dtype, jnp.float32))
        above = within.low < value if within.open else within.low <= value
        return jnp.where(above & (value <= within.high), value, jnp.nan)
    number = _scalar(value)
    if number is None:
        raise error(_no_number(name, value, "a number", way_out))
    if isinstance(number, int) and abs(number) >= 2**1023:  # which no float holds
        raise error(f"{name} {within.words}, found a number of many digits; {way_out}")
    if not within.holds(number):
        raise error(f"{name} {within.words}, found {number}; {way_out}")
    return float(number)


def whole_number(
    name: str,
    value: Any,
    low: int,
    way_out: str,
    *,
    high: int = MOST_ROWS,
    error: type[ValueError] = ValueError,
) -> int:
    """The number as an int in [low, high]; a float or a bool is none, whatever its value.

    Raises:
      ValueError (or `error`): as said, or the number is traced, where a shape must be known.
    """
    traced = isinstance(value, Tracer)
    number = None if traced else _scalar(value)
    if not isinstance(number, int):
        kind = "a whole number" + (" known before tracing" if traced else "")
        raise error(_no_number(name, value, kind, way_out))
    if not low <= number <= high:
        words = f"at least {low}" if high == MOST_ROWS and number < low else f"{low} to {high}"
        raise error(f"{name} must be {words}, found {number}; {way_out}")
    return number


def seed_number(name: str, value: Any, *, error: type[ValueError] = ValueError) -> int:
    """A seed: any whole number that is not negative."""
    return whole_number(name, value, 0, "0 is the usual one", high=2**128 - 1, error=error)


def _scalar(value: Any) -> int | float | None:
    """A single number as Python's; None where it is something else, a bool included."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, np.generic | np.ndarray | jax.Array):
        if value.shape != () or not _is_real(value.dtype):
            return None
        return int(value) if jnp.issubdtype(value.dtype, jnp.integer) else float(value)
    if not isinstance(value, numbers.Real):
        return None
    try:
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    except OverflowError:  # of a fraction
        return None


def _is_real(dtype) -> bool:
    return jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)


def _no_number(name: str, value: Any, kind: str, way_out: str) -> str:
    is_array = isinstance(value, np.ndarray | jax.Array)
    found = f"{value.dtype} of shape {value.shape}" if is_array else repr(value)[:60]
    return f"{name} must be {kind}, found {found}; {way_out}"
