"""Fields of frozen dataclasses that tell their own meaning, range and choices.

    @dataclass(frozen=True)
    class Mixing:
        temperature: float = setting(1.0, "τ_mix; 1 is the paper's.", within=POSITIVE)

A dataclass of settings is the only place where a setting's default, range and meaning stand; what
checks, lists and documents settings reads them from there.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# A device's size, an index and a count all fit into 32 bits.
MOST_ROWS = 2**31 - 1


class Range(NamedTuple):
    """What numbers may be, and the words for it: `temperature must be positive`."""

    low: float
    high: float
    words: str
    open: bool = False  # whether `low` itself is excluded
    shown: str = ""  # in short, where that is not what the bounds say

    def holds(self, value: float) -> bool:
        return (self.low < value if self.open else self.low <= value) and value <= self.high

    @property
    def short(self) -> str:
        """`> 0`, `≥ 0`, `≤ 1` or `[0, 1]`."""
        if self.shown:
            return self.shown
        if math.isinf(self.low):
            return f"≤ {self.high:g}"
        if math.isinf(self.high):
            return f"{'>' if self.open else '≥'} {self.low:g}"
        return f"[{self.low:g}, {self.high:g}]"


POSITIVE = Range(0, math.inf, "must be positive", open=True)
NOT_NEGATIVE = Range(0, math.inf, "must not be negative")


# Shares that leave something: at 1 there would be nothing.
SHARE = Range(0.0, 1.0 - 2.0**-20, "must lie in [0, 1)", shown="[0, 1)")


def between(low: float, high: float) -> Range:
    """A closed interval."""
    return Range(low, high, f"must lie in [{low}, {high}]")


class Meaning(NamedTuple):
    """What a field tells beside its name, type and default.

    doc: one line, with the unit or the equation's number. within: the range of a number. choices:
    of a word, by task where tasks differ. name: in flat configs, where it is not the field's own.
    by_task: defaults of tasks that have another. section: of the documentation. evaluation: whether
    a trained encoder may be evaluated with another value.
    """

    doc: str
    within: Range | None
    choices: Mapping[str, tuple[str, ...]] | tuple[str, ...]
    name: str
    by_task: Mapping[str, Any]
    section: str
    evaluation: bool


def setting(
    default: Any,
    doc: str,
    *,
    within: Range | None = None,
    choices: Mapping[str, tuple[str, ...]] | Iterable[str] = (),
    name: str = "",
    section: str = "",
    evaluation: bool = False,
    **by_task: Any,
) -> Any:
    """A dataclass field with a `Meaning`; keywords that are no words of `Meaning` name tasks."""
    words = choices if isinstance(choices, Mapping) else tuple(choices)
    meaning = Meaning(doc, within, words, name, by_task, section, evaluation)
    return dataclasses.field(default=default, metadata={"meaning": meaning})


def group(default: Any, section: str, *, choices: Mapping[str, Any] | None = None, **by_task: Any):
    """A field that holds a dataclass of settings; `choices` {task: {flat name: words}} narrow."""
    meaning = Meaning("", None, choices or {}, "", by_task, section, False)
    return dataclasses.field(default=default, metadata={"meaning": meaning})


def unknown(what: str, value: object, choices: Iterable[str]) -> str:
    """The line for a word that is none of the choices."""
    return f"unknown {what} '{value}'; expected one of: {', '.join(sorted(choices))}"
