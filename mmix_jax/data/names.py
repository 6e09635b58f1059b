"""What readers call the parts of a graph: one list of names for every format."""

import logging
import re
from collections.abc import Iterable, Mapping

from mmix_jax.data.splits import MASKS

# By meaning, the names that all readers know it by; capitals, blanks and hyphens do not matter.
LABEL = "label"
SPLIT = "split"
NAMES: Mapping[str, tuple[str, ...]] = {
    LABEL: (
        *("label", "labels", "y", "class", "classes", "target", "targets"),
        *("node_label", "node_labels", "class_label", "class_labels"),
    ),
    "train_mask": ("train_mask", "train", "training_mask", "is_train", "mask_train"),
    "val_mask": (
        *("val_mask", "val", "valid_mask", "valid", "validation_mask", "validation"),
        *("is_val", "mask_val"),
    ),
    "test_mask": ("test_mask", "test", "testing_mask", "is_test", "mask_test"),
    SPLIT: ("split", "partition", "subset"),
}
# Words of a name that is likely meant for one of those above.
_OF_SPLIT = re.compile(r"mask|split|(^|_)(fold|train|training|val|valid|validation|test)s?(_|$)")
_OF_LABEL = re.compile(
    r"label|ground_?truth|classification|(^|_)(class|target)(es|s)?(_|$)|^(y_true|gt|category)$"
)

_log = logging.getLogger(__name__)


def plain(name: object) -> str:
    """A name without what does not matter: `"Train Mask"` is `"train_mask"`."""
    return re.sub(r"[\s\-.]+", "_", str(name).strip().lower())


def by_meaning(names: Iterable[str], meanings: Iterable[str] = tuple(NAMES)) -> dict[str, str]:
    """Of these names the one for each meaning; meanings without one are left out.

    Raises:
      ValueError: two names mean the same, or masks stand beside a split.

    Example:
      >>> from mmix_jax.data.names import by_meaning
      >>> by_meaning(["age", "Class", "train"])
      {'label': 'Class', 'train_mask': 'train'}
    """
    names, found = list(names), {}
    for meaning in meanings:
        fitting = [name for name in names if plain(name) in NAMES[meaning]]
        if len(fitting) > 1:
            raise ValueError(
                f"{meaning} must be given once, found {' and '.join(map(repr, fitting))}; leave "
                "all but one out"
            )
        if fitting:
            found[meaning] = fitting[0]
    masks = [found[mask] for mask in MASKS if mask in found]
    if SPLIT in found and masks:
        raise ValueError(
            f"a split must be given once, found {found[SPLIT]!r} and {masks[0]!r}; leave one out"
        )
    return found


def check_rest(rest: Iterable[str], found: Iterable[str], *, what: str, used: bool = False) -> None:
    """See to names without a meaning: refuse those meant for one that is missing, warn of others.

    Args:
      rest: the names.
      found: the meanings that other names have.
      what: `"column"`, `"key"` or what else they are.
      used: whether they are something else, such as features, and need no warning.

    Raises:
      ValueError: a name looks like a mask or a split, or a label, and there is no other.
    """
    rest, found = list(rest), set(found)
    for meaning, words, way_out, there in (
        (SPLIT, _OF_SPLIT, ", ".join(MASKS), found & {SPLIT, *MASKS}),
        (LABEL, _OF_LABEL, LABEL, found & {LABEL}),
    ):
        if there:
            continue
        if meant := [name for name in rest if words.search(plain(name))]:
            raise ValueError(
                f"a {meaning} must have a known name, found {what} {meant[0]!r}; call it {way_out} "
                f"(or {', '.join(NAMES[meaning])}), or leave it out"
            )
    if rest and not used:
        _log.warning(
            "warning: not used: %s %s", what, ", ".join(repr(str(name)) for name in rest[:20])
        )
