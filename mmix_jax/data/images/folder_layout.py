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

_WORDS = {
    "train": ("train", "training", "trn"),
    "test": ("test", "testing", "tst"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation"),
    "other": ("unlabeled", "unlabelled", "holdout", "pred", "predict", "inference"),
}
_MEANING = {word: part for part, words in _WORDS.items() for word in words}
# What stands beside such a word without meaning anything: train_set, test images, val2017.
_FILLER = {"set", "data", "images", "imgs", "split", "part", "dataset"}
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


class Barren(NamedTuple):
    """A folder without an image that is read: what it holds instead, in words, and whether this is
    text alone, like annotations."""

    what: str = "none"
    text: bool = False


def part_of(folder: str) -> str | None:
    """`"train"`, `"test"` or `"val"` where a name says so: `Train`, `test_set`, `valid`, `val2017`;
    `"other"` for parts of other uses."""
    part, rest = _split_name(folder)
    return part if part and not rest else None


def _split_name(folder: str) -> tuple[str | None, Path]:
    """The part in a folder's name, if there is one, and its other words."""
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folder).lower())
    named = [word for word in words if word in _MEANING]
    if len(named) != 1:
        return None, tuple(words)
    rest = (word for word in words if word not in _MEANING and word not in _FILLER)
    return _MEANING[named[0]], tuple(rest)


def arrange(names: Sequence[str], *, barren: Mapping[str, Barren] = MappingProxyType({})) -> Layout:
    """Parts and classes as the folders in the names tell them.

    Images of `val` are tests where there is no `test`; else they are not used, with a warning, as
    those of parts for other uses.

    Args:
      names: of the images, one or more.
      barren: folders without an image that is read.

    Raises:
      InputError: images lie at different depths, a class or a part is empty, folders mean parts and
        classes at once, a part lacks a class, or there is no training part.
    """
    given = [PurePosixPath(name).parts for name in names]
    shared = _shared(given)
    paths = [path[len(shared) :] for path in given]
    empty = {PurePosixPath(folder).parts: found for folder, found in barren.items()}
    tops = sorted({path[0] for path in paths if len(path) > 1})
    warnings: list[str] = []
    by_top = _parts_of(tops, warnings) if all(len(path) > 1 for path in paths) else {}
    if by_top:
        inside = {path: found for path, found in empty.items() if path[:-1] == shared}
        _check_parts(by_top, inside)
    parts = np.array([by_top[path[0]] if by_top else "train" for path in paths])
    if "test" not in parts:
        parts[parts == "val"] = "test"
    used = np.isin(parts, ("train", "test"))
    if not used.all():
        tops = sorted({path[0] for path, of in zip(paths, used, strict=True) if not of})
        warnings.append(
            f"images that are not used: {int((~used).sum())}, in {_listed(tops)}; only train/ and "
            "test/ are, move them there to use them"
        )
    inner = {int(row): paths[row][bool(by_top) :] for row in np.flatnonzero(used)}
    _check_depths(names, parts, inner)
    flat = len(next(iter(inner.values()))) == 1
    places = [(*shared, top) for top, part in by_top.items() if part != "other"]
    warnings += _check_barren(empty, shared, places, flat)
    rows = {part: np.flatnonzero(parts == part) for part in ("train", "test") if part in parts}
    if flat:
        return Layout(rows, {}, (), tuple(warnings))
    return _with_classes(rows, {row: path[0] for row, path in inner.items()}, warnings)


def _shared(paths: list[Path]) -> Path:
    """The leading folders that all share, down to a part's."""
    shared: Path = ()
    while all(len(path) > len(shared) + 1 for path in paths):
        first = {path[len(shared)] for path in paths}
        if len(first) > 1 or part_of(next(iter(first))):
            break
        shared += tuple(first)
    return shared


def _parts_of(tops: list[str], warnings: list[str]) -> dict[str, str]:
    """The part that each folder is; {} where they are classes.

    A class called train, like a toy's, is allowed with a warning.
    """
    split = {top: _split_name(top) for top in tops}
    plain = {top: part for top, (part, rest) in split.items() if part and not rest}
    main = {top: part for top, part in plain.items() if part != "other"}
    if main and len(plain) == len(tops):
        return plain
    if not main:
        named = {part for part, _ in split.values() if part != "other"}
        if None in named or len(named) < 2:
            return {}
        if len({rest for _, rest in split.values()}) == 1:  # seg_train and seg_test
            return {top: str(part) for top, (part, _) in split.items()}
        raise InputError(
            f"folders must be classes or parts, found both in the names of {_listed(tops)}; write "
            "train/CLASS and test/CLASS"
        )
    others = [top for top in tops if top not in plain]
    if list(plain.values()) == ["train"]:
        warnings.append(
            f"the folder {_listed(list(plain))} is read as a class, as it stands beside "
            f"{_listed(others)}"
        )
        return {}
    raise InputError(
        f"{_listed(list(plain))} must not stand beside other folders of images, found "
        f"{_listed(others)}; move the classes into train/, or rename what is a class"
    )


def _check_parts(by_top: Mapping[str, str], beside: Mapping[Path, Barren]) -> None:
    for part in ("train", "test", "val"):
        folders = [top for top, of in by_top.items() if of == part]
        if len(folders) > 1:
            raise InputError(
                f"there must be one {part} part, found {_listed(folders)}; move them together"
            )
    if "train" not in by_top.values():
        raise InputError(
            f"images to train on must be in train/, found {_listed(list(by_top))} only; rename it"
        )
    for path, found in beside.items():
        part = part_of(path[-1])
        if part == "test" or (part == "val" and "test" not in by_top.values()):
            raise _refusal(path, found)


def _check_depths(names: Sequence[str], parts: np.ndarray, inner: Mapping[int, Path]) -> None:
    """Images lie in one folder per class, or all in none."""
    depths = {row: len(path) for row, path in inner.items()}
    first = next(iter(depths))
    odd = next((row for row, depth in depths.items() if depth != depths[first]), None)
    if odd is None and depths[first] <= 2:
        return
    by_part: dict[str, set[int]] = {}
    for row, depth in depths.items():
        by_part.setdefault(str(parts[row]), set()).add(depth)
    if by_part == {"train": {2}, "test": {1}}:
        name = names[next(row for row in depths if parts[row] == "test")]
        raise InputError(
            f"test images must lie in the class folders of train/, found {name}; sort them into "
            "classes, or leave them out"
        )
    deepest = max(depths, key=lambda row: depths[row])
    if any(part_of(folder) for folder in inner[deepest][1:-1]):
        raise InputError(
            f"train/ and test/ must stand above the classes, found {names[deepest]}; move them up"
        )
    raise InputError(
        "images must lie in one folder per class, or all in none, found "
        f"{names[first]}{'' if odd is None else f' and {names[odd]}'}; {_WAY_OUT}"
    )


def _check_barren(
    empty: Mapping[Path, Barren], shared: Path, parts: list[Path], flat: bool
) -> list[str]:
    """Refuse a folder that stands where classes stand and holds no image; warns where it holds
    text."""
    if parts:
        places = parts
    elif flat:  # `dogs/` with images beside `cats/` without: one class, not none
        places = [shared[:-1]] if shared else []
    else:
        places = [shared]
    warnings = []
    for path, found in empty.items():
        if path[:-1] in places and not found.text:
            raise _refusal(path, found)
        if path[:-1] in places:
            warnings.append(f"{'/'.join(path)}/ is no class: it holds {found.what}, no images")
    return warnings


def _refusal(path: Path, found: Barren) -> InputError:
    return InputError(
        f"{'/'.join(path)}/ must hold images that can be read, found {found.what}; add some, or "
        "move the folder elsewhere (or begin its name with a dot)"
    )


def _with_classes(
    rows: dict[str, np.ndarray], folders: Mapping[int, str], warnings: list[str]
) -> Layout:
    # macOS writes é as two characters, others as one.
    names = {row: unicodedata.normalize("NFC", folder) for row, folder in folders.items()}
    classes = sorted(set(names.values()))
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
        part: np.array([number[names[int(row)]] for row in index], np.int64)
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
