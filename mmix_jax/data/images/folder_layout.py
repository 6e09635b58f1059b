"""Which image belongs where, as the folders in its name tell.

A class is a folder; a training, test and validation part may stand above the classes. What a folder
may mean but does not say is refused, not guessed: an empty class, a part among the classes, images
beside the classes.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from mmix_jax.errors import InputError

_PART = re.compile(
    r"(?:(?P<train>train|training|trn)|(?P<test>test|testing|tst)"
    r"|(?P<val>val|valid|validation|dev))(?:[ _-]?(?:set|data|images|imgs|split))?"
)
_WAY_OUT = "move them (above the classes there may be train/, test/ and val/ only)"

Path = tuple[str, ...]


class Layout(NamedTuple):
    """Which image belongs where.

    rows: indices of each part's images, int64, by part; `"train"` is always there.
    labels: their classes, by part; empty without classes.
    classes: names in the order of their numbers; () without.
    warnings: what may not be as it was meant, a line each.
    """

    rows: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    classes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def part_of(folder: str) -> str | None:
    """`"train"`, `"test"` or `"val"` where a name says so: `Train`, `test_set`, `valid`."""
    found = _PART.fullmatch(folder.lower())
    return found.lastgroup if found else None


def arrange(names: Sequence[str], *, barren: Mapping[str, str] = MappingProxyType({})) -> Layout:
    """Parts and classes as the folders in the names tell them.

    Images of `val` are tests where there is no `test`, and otherwise not used, with a warning.

    Args:
      names: of the images, one or more.
      barren: folders without an image that is read, and what they hold instead, in words.

    Raises:
      InputError: images lie at different depths, a class or a part is empty, folders mean parts and
        classes at once, a part lacks a class, or there is no training part.
    """
    given = [PurePosixPath(name).parts for name in names]
    shared = _shared(given)
    paths = [path[len(shared) :] for path in given]
    empty = {PurePosixPath(folder).parts: what for folder, what in barren.items()}
    tops = sorted({path[0] for path in paths if len(path) > 1})
    warnings = _check_tops(tops)
    parted = bool(tops) and all(len(path) > 1 and part_of(path[0]) for path in paths)
    if parted:
        inside = {path: what for path, what in empty.items() if path[:-1] == shared}
        _check_parts(tops, inside)
    parts = np.array([part_of(path[0]) if parted else "train" for path in paths])
    inner = [path[parted:] for path in paths]
    _check_depths(names, parts, inner)
    _check_barren(empty, shared, tops if parted else [], len(inner[0]) == 1)
    if "test" not in parts:
        parts[parts == "val"] = "test"
    elif unused := int((parts == "val").sum()):
        warnings.append(
            f"{unused} images of the validation part are not used: training takes train/, tests "
            "take test/; move them into one of these to use them"
        )
    rows = {part: np.flatnonzero(parts == part) for part in ("train", "test") if part in parts}
    if len(inner[0]) == 1:
        return Layout(rows, {}, (), tuple(warnings))
    return _with_classes(rows, [path[0] for path in inner], warnings)


def _shared(paths: list[Path]) -> Path:
    """The leading folders that all share, down to a part's."""
    shared: Path = ()
    while all(len(path) > len(shared) + 1 for path in paths):
        first = {path[len(shared)] for path in paths}
        if len(first) > 1 or part_of(next(iter(first))):
            break
        shared += tuple(first)
    return shared


def _check_tops(tops: list[str]) -> list[str]:
    """Refuse parts among classes; a class called train, like a toy's, is allowed with a warning."""
    parts = [top for top in tops if part_of(top)]
    others = [top for top in tops if not part_of(top)]
    if not parts or not others:
        return []
    if parts == ["train"]:
        return [f"the folder train/ is read as a class, as it stands beside {_listed(others)}"]
    raise InputError(
        f"{_listed(parts)} must not stand beside other folders of images, found "
        f"{_listed(others)}; move the classes into train/, or rename what is a class"
    )


def _check_parts(tops: list[str], beside: Mapping[Path, str]) -> None:
    by_part: dict[str, list[str]] = {}
    for top in tops:
        by_part.setdefault(str(part_of(top)), []).append(top)
    for part, folders in by_part.items():
        if len(folders) > 1:
            raise InputError(
                f"there must be one {part} part, found {_listed(folders)}; move them together"
            )
    if "train" not in by_part:
        raise InputError(
            f"images to train on must be in train/, found {_listed(tops)} only; rename it"
        )
    for path, what in beside.items():
        part = part_of(path[-1])
        if part == "test" or (part == "val" and "test" not in by_part):
            raise _barren(path, what)


def _check_depths(names: Sequence[str], parts: np.ndarray, inner: list[Path]) -> None:
    """Images lie in one folder per class, or all in none."""
    depth = Counter(len(path) for path in inner)
    if len(depth) == 1 and max(depth) <= 2:
        return
    deepest, first = max(inner, key=len), 0
    odd = next((row for row, path in enumerate(inner) if len(path) != len(inner[0])), None)
    by_part = {part: {len(p) for p, of in zip(inner, parts, strict=True) if of == part}
               for part in np.unique(parts)}  # fmt: skip
    if by_part.get("train") == {2} and odd is not None and max(depth) == 2:
        flat = [part for part, depths in by_part.items() if depths == {1}]
        if flat:
            name = names[next(row for row, part in enumerate(parts) if part == flat[0])]
            raise InputError(
                f"images of {flat[0]} must lie in the class folders of train/, found {name}; sort "
                "them into classes, or leave them out"
            )
    if any(part_of(folder) for folder in deepest[1:-1]):
        first = inner.index(deepest)
        raise InputError(
            f"train/ and test/ must stand above the classes, found {names[first]}; move them up"
        )
    raise InputError(
        "images must lie in one folder per class, or all in none, found "
        f"{names[first]}{'' if odd is None else f' and {names[odd]}'}; {_WAY_OUT}"
    )


def _check_barren(empty: Mapping[Path, str], shared: Path, parts: list[str], flat: bool) -> None:
    """Refuse a folder that stands where classes stand and holds no image."""
    if parts:
        places = [(*shared, part) for part in parts]
    elif flat:  # `dogs/` with images beside `cats/` without: one class, not none
        places = [shared[:-1]] if shared else []
    else:
        places = [shared]
    for path, what in empty.items():
        if path[:-1] in places:
            raise _barren(path, what)


def _barren(path: Path, what: str) -> InputError:
    return InputError(
        f"{'/'.join(path)}/ must hold images that can be read, found {what}; add some, or "
        "move the folder elsewhere (or begin its name with a dot)"
    )


def _with_classes(rows: dict[str, np.ndarray], folders: list[str], warnings: list[str]) -> Layout:
    # macOS writes é as two characters, others as one.
    names = [unicodedata.normalize("NFC", folder) for folder in folders]
    used = {names[row] for part in rows.values() for row in part}
    classes = sorted(used)
    if all(re.fullmatch("[0-9]+", name) for name in classes):
        classes.sort(key=int)  # 2 before 10
    if len(classes) == 1:
        raise InputError(
            f"images must be of two classes or more, found class {classes[0]!r} only; move "
            "them out of its folder to train without classes"
        )
    twins = [name for name, n in Counter(map(str.casefold, classes)).items() if n > 1]
    alike = [name for name in classes if name.casefold() in twins]
    number = {name: index for index, name in enumerate(classes)}
    labels = {
        part: np.array([number[names[row]] for row in index], np.int64)
        for part, index in rows.items()
    }
    for part, values in labels.items():
        missing = np.setdiff1d(np.arange(len(classes)), values)
        if missing.size:
            name = classes[missing[0]]
            twin = next((n for n in alike if n != name and n.casefold() == name.casefold()), None)
            raise InputError(
                f"train and test must have the same classes, found no image of {name!r} in {part}"
                f"{f' (but of {twin!r})' if twin else ''}; add some, or leave the class out of both"
            )
    if alike:
        warnings.append(
            f"classes {_listed(alike)} differ by capitals alone and are taken as several"
        )
    return Layout(rows, labels, tuple(classes), tuple(warnings))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"{name}/" for name in names[:6])
    return shown if len(names) <= 6 else f"{shown}, … ({len(names)} in all)"
