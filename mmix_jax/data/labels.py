"""Classes as the data name them, and the numbers 0 … C − 1 that stand for them inside."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

# Texts that say that nothing is known: those that pandas reads as missing, and UCI's.
MISSING = frozenset(
    (
        *("", "NaN", "nan", "-NaN", "-nan", "NAN", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA"),
        *("NaT", "null", "NULL", "None", "?"),
    )
)
_RULE = "labels must be whole numbers or texts, −1 or empty for unknown"
# Of so many items, classes with fewer than two each are names and no classes.
_MANY_ITEMS = 10


class Classes(NamedTuple):
    """codes: 0 … C − 1 in the order of the names, −1 where unknown, int32 [N].
    names: of the classes that occur, sorted, [C] of whole numbers or texts."""

    codes: np.ndarray
    names: np.ndarray


def encode_classes(labels: ArrayLike | None, num_items: int, *, of: str = "node") -> Classes | None:
    """Number the classes that occur; None if none is known.

    Numbers are taken of any type, floats if they are whole, and texts (`"2"` is the number 2
    where all texts are numbers). Unknown are −1, NaN, None and texts in `MISSING`. Of graphs,
    −1 is a class where −1 and 1 are all there are. A trailing axis of length one is dropped.

    Args:
      labels: [N]; None where there are none.
      num_items: N.
      of: what is labelled, for messages.

    Raises:
      ValueError: wrong shape, not whole, negative, one class only, or nearly a class per item.

    Example:
      >>> from mmix_jax.data.labels import encode_classes
      >>> codes, names = encode_classes(["cat", "dog", "", "cat"], 4)
      >>> codes.tolist(), names.tolist()
      ([0, 1, -1, 0], ['cat', 'dog'])
    """
    if labels is None:
        return None
    values = as_array(labels)
    if values.shape == (num_items, 1):
        values = values[:, 0]
    if values.shape != (num_items,):
        raise ValueError(
            f"labels must have shape ({num_items},), found {values.shape}; give one class per {of}"
        )
    known, values = _known(values)
    if known.any() and values.dtype.kind in "iu":
        signed = of == "graph" and np.array_equal(np.unique(values[known]), (-1, 1))
        if not signed:
            known &= values != -1
        wrong = known & (values < (-1 if signed else 0))
        if wrong.any():
            raise ValueError(f"{_RULE}, found {values[wrong][0]}; number the classes from zero")
    if not known.any():
        return None
    names, codes = np.unique(values[known], return_inverse=True)
    _check_number(names, int(known.sum()), of)
    numbered = np.full(num_items, -1, np.int32)
    numbered[known] = codes
    return Classes(numbered, names)


def decode_classes(codes: np.ndarray, names: np.ndarray) -> np.ndarray:
    """The names of codes; −1, or an empty text, where unknown.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.data.labels import decode_classes
      >>> decode_classes(np.array([1, -1, 0]), np.array([3, 7])).tolist()
      [7, -1, 3]
    """
    if np.array_equal(names, np.arange(names.size)):
        return codes
    unknown = "" if names.dtype.kind == "U" else -1
    if names.dtype.kind == "u":  # −1 has no place there
        names = names.astype(np.int64 if names.max() < 2**63 else object)
    return np.where(codes < 0, unknown, names[np.maximum(codes, 0)])


def zero_or_one(values: ArrayLike, name: str) -> np.ndarray:
    """Booleans of a mask: True and False, 1 and 0 of any type, and these as texts; nothing else.

    Raises:
      ValueError: the first other value.

    Example:
      >>> from mmix_jax.data.labels import zero_or_one
      >>> zero_or_one(["true", "0"], "train_mask").tolist()
      [True, False]
    """
    values = as_array(values)
    texts = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
    if values.dtype.kind in "bu" or values.dtype.kind in "if":
        wrong = ~np.isin(values, (0, 1))
        found = values != 0
    else:
        read = [_zero_or_one(value, texts) for value in values.ravel().tolist()]
        wrong = np.array([value is None for value in read], bool).reshape(values.shape)
        found = np.array([bool(value) for value in read], bool).reshape(values.shape)
    if wrong.any():
        raise ValueError(
            f"{name} must be 0 or 1, true or false, found {shown(values[wrong].tolist()[0])}; "
            "mark every entry by one of them"
        )
    return found


def _zero_or_one(value: Any, texts: dict[str, bool]) -> bool | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return texts.get(value.strip().lower())
    # bool is an int, and NumPy's numbers compare like Python's; NaN equals neither.
    number = isinstance(value, (int, float, np.number, np.bool_))
    return bool(value) if number and value in (0, 1) else None


def as_array(values: Any) -> np.ndarray:
    """Values as an array; a list of unlike ones as objects, which NumPy would turn into texts."""
    if isinstance(values, np.ma.MaskedArray):  # what is masked is unknown
        array = np.asarray(values.data, object).copy()
        array[np.ma.getmaskarray(values)] = None
        return array
    if isinstance(values, np.ndarray):
        return values
    if isinstance(values, (list, tuple)) and len({type(value) for value in values}) > 1:
        array = np.empty(len(values), object)
        array[:] = values
        return array
    try:
        return np.asarray(values)
    except ValueError as error:  # lists of unequal length
        raise ValueError(
            f"labels and masks must have one value each, found otherwise ({error}); flatten them"
        ) from error


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"


def _known(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which are known, and all of them as whole numbers or as texts."""
    kind = values.dtype.kind
    if kind == "b":
        return np.ones(values.shape, bool), values.astype(np.int64)
    if kind in "iu":
        return np.ones(values.shape, bool), values.astype(values.dtype.newbyteorder("="))
    if kind == "f":
        return _whole(values.astype(np.float64))
    if kind in "USTO":
        return _from_objects(values.tolist())
    raise ValueError(f"{_RULE}, found dtype {values.dtype}; name the classes")


def _whole(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = ~np.isnan(values)
    wrong = known & ~((np.floor(values) == values) & (np.abs(values) <= 2**53))
    if wrong.any():
        raise ValueError(
            f"{_RULE}, found {values[wrong][0]}; classes are names, not measurements: bin them"
        )
    return known, np.where(known, values, -1).astype(np.int64)


def _from_objects(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Texts, numbers and None, in a list of Python's own types."""
    values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]
    values = [v.strip() if isinstance(v, str) else v for v in values]
    known = np.array([not is_missing(value) for value in values], bool)
    given = [value for value, there in zip(values, known, strict=True) if there]
    if all(isinstance(value, str) for value in given):
        if not _are_numbers(given):
            known &= np.array([value not in ("-1", "-1.0") for value in values], bool)
            texts = [v if there else "" for v, there in zip(values, known, strict=True)]
            return known, np.array(texts, str)
    elif not all(isinstance(v, (int, float, np.number, np.bool_)) for v in given):
        odd = next(v for v in given if not isinstance(v, str))
        raise ValueError(
            f"{_RULE}, one of the two, found {shown(odd)} ({type(odd).__name__}) among "
            f"{'texts' if any(isinstance(v, str) for v in given) else 'others'}; write all alike"
        )
    filled = np.full(len(values), np.nan)
    try:
        filled[known] = [float(value) for value in given]
    except OverflowError as error:
        raise ValueError(f"{_RULE}, found one of many digits; number the classes") from error
    return _whole(filled)


def _are_numbers(texts: Sequence[str]) -> bool:
    """Whether texts are to be read as numbers; digits behind a zero, as of codes, are not.

    Raises:
      ValueError: some are and some are not.
    """
    texts = [text for text in texts if text not in ("-1", "-1.0")]
    if any(re.fullmatch(r"0\d+", text) for text in texts) and all(map(str.isdigit, texts)):
        return False
    numeric = [_is_number(text) for text in texts]
    if any(numeric) and not all(numeric):
        odd = texts[numeric.index(numeric[0] ^ True)]
        raise ValueError(
            f"{_RULE}, one of the two, found {shown(texts[0])} and {shown(odd)}; write all alike"
        )
    return bool(texts) and all(numeric)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def is_missing(value: Any) -> bool:
    """Whether a Python value says that nothing is known.

    Example:
      >>> from mmix_jax.data.labels import is_missing
      >>> is_missing("NaN"), is_missing(0)
      (True, False)
    """
    if isinstance(value, str):
        return value.strip() in MISSING
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _check_number(names: np.ndarray, num_known: int, of: str) -> None:
    if names.size == 1:
        raise ValueError(
            f"labels must name two classes or more, found class {shown(names[0].item())} only; "
            "leave the labels out to train without them"
        )
    if num_known >= _MANY_ITEMS and names.size > num_known / 2:
        raise ValueError(
            f"labels must be classes of several {of}s each, found {names.size} different ones on "
            f"{num_known} {of}s, such as {shown(names[0].item())} and {shown(names[1].item())}; "
            "names or measurements are no classes"
        )
