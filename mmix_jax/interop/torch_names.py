"""Finds a ResNet's entries among the names of a state_dict, whatever wraps the model.

Data parallelism, compilers and frameworks put prefixes before names (module., _orig_mod.,
backbone., encoder_q.), and other networks beside: heads, classifiers, a slowly moving copy of the
encoder, a profiler's counters.
"""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from mmix_jax.errors import InputError

# The first entry of a model in each naming, and one that no other network has.
_MARKS = {
    "authors": ("f.0.weight", "f.3.0.conv1.weight"),
    "torchvision": ("conv1.weight", "layer1.0.conv1.weight"),
    # nn.Sequential of the layers, which the authors have as f
    "sequence": ("0.weight", "3.0.conv1.weight"),
}
# Never a part of a model's own names, wherever they stand.
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_MOVING = re.compile(r"(_k|_m|_ema)$|key|momentum|target|teacher|^ema")
_LEFT_OUT = {
    "the classifier": re.compile(r"(fc|linear|classifier)\."),
    "heads": re.compile(r"(head|heads|mlp|proj\w*|pred\w*|prototypes|\w+_head)\."),
    "the queue": re.compile(r"queue(_\w+)?$"),
    "a profiler's counters": re.compile(r"(.*\.)?total_(ops|params)$"),
}
_SHOWN = 6  # names in one line


class Found(NamedTuple):
    """naming: `"authors"` or `"torchvision"`. given: each entry's own name, by its name in that
    naming. notes: what was left out, a line each."""

    naming: str
    given: dict[str, str]
    notes: tuple[str, ...]


def find_encoder(names: Sequence[str]) -> Found:
    """The entries of the one ResNet among these names; batch counters are left out unsaid.

    Raises:
      InputError: there is none, or several.
    """
    given = _unwrapped(names)
    naming, prefix, moving = _choose(given)
    inside = {name[len(prefix) :]: own for name, own in given.items() if name.startswith(prefix)}
    notes = [f"read the entries under {prefix}"] if prefix else []
    left_out: dict[str, list[str]] = {}
    for name in list(inside):
        kind = next((kind for kind, of in _LEFT_OUT.items() if of.match(name)), None)
        if kind is not None:
            left_out.setdefault(kind, []).append(inside.pop(name))
        elif name.endswith(".num_batches_tracked"):
            del inside[name]
    for name, own in given.items():
        if not name.startswith(prefix):
            copied = next((other for other in moving if name.startswith(other)), None)
            kind = "what is not under it" if copied is None else f"the moving copy {copied}"
            left_out.setdefault(kind, []).append(own)
    notes += [f"left out {kind}: {some(names)}" for kind, names in left_out.items()]
    if naming == "sequence":
        naming, inside = "authors", {f"f.{name}": own for name, own in inside.items()}
    shortcut = re.compile(r"(?<=\.)shortcut(?=\.)")  # as CIFAR's models often have it
    return Found(
        naming, {shortcut.sub("downsample", n): own for n, own in inside.items()}, tuple(notes)
    )


def _unwrapped(names: Sequence[str]) -> dict[str, str]:
    """Names without wrappers: each one's own name."""
    given: dict[str, str] = {}
    for own in names:
        *folders, last = own.split(".")
        name = ".".join([*(part for part in folders if part not in _WRAPPERS), last])
        if name in given:
            raise InputError(
                f"a state_dict must have an entry once, found {given[name]} and {own}; keep one"
            )
        given[name] = own
    return given


def _choose(names: Collection[str]) -> tuple[str, str, list[str]]:
    """The naming and the prefix of the encoder, and prefixes of its moving copies."""
    candidates = []
    for naming, (_, mark) in _MARKS.items():
        ends = (name for name in names if name == mark or name.endswith(f".{mark}"))
        candidates += [(naming, name.removesuffix(mark)) for name in ends]
    # The authors' f is a sequence, too.
    own = {f"{prefix}f." for naming, prefix in candidates if naming == "authors"}
    candidates = [c for c in candidates if c[0] != "sequence" or c[1] not in own]
    if not candidates:  # perhaps a damaged one, whose faults will be told
        first = (
            (naming, "") for naming in ("authors", "torchvision") if _MARKS[naming][0] in names
        )
        candidates = list(first)
    if not candidates:
        raise InputError(
            "a ResNet-18's state_dict must begin with f.0.weight or conv1.weight, found "
            f"{some(list(names))}; rename its entries as torchvision's"
        )
    moving = [c for c in candidates if any(_MOVING.search(part) for part in c[1].split("."))]
    still = [c for c in candidates if c not in moving] or moving
    if len(still) > 1:
        raise InputError(
            "a state_dict must hold one ResNet, found them under "
            f"{some([prefix or '(no prefix)' for _, prefix in still])}; keep one"
        )
    ((naming, prefix),) = still
    return naming, prefix, [other for _, other in moving if other != prefix]


def some(names: Sequence[str]) -> str:
    """The first names, and how many there are."""
    shown = ", ".join(names[:_SHOWN]) or "nothing"
    return shown if len(names) <= _SHOWN else f"{shown}, … ({len(names)} in all)"
