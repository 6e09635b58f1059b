"""Typed views of flat configs: what code reads, and what users write.

A task's config is a frozen dataclass, whose fields the code reads: a misspelt one fails the type
checker. Users see it flat, as an `ml_collections.ConfigDict`; `Mixing`, `Contrast` and `Diffusion`
keep their own fields, which stand in the flat form under the names they give.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, dataclass_transform

from mmix_jax.errors import InputError
from mmix_jax.experiments.schema import Run
from mmix_jax.fields import Meaning, unknown

_Task = TypeVar("_Task", bound=Run)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def task_config(*tasks: str) -> Callable[[type[_Task]], type[_Task]]:
    """Makes the config of a task of a class: fields have the defaults of the first of `tasks` that
    has its own."""

    def made(cls: type[_Task]) -> type[_Task]:
        for field in dataclasses.fields(cls.__mro__[1]):
            by_task = field.metadata["meaning"].by_task
            default = next((by_task[task] for task in tasks if task in by_task), None)
            if default is not None and field.name not in cls.__annotations__:
                cls.__annotations__[field.name] = field.type
                again = dataclasses.field(default=default, metadata=field.metadata)
                setattr(cls, field.name, again)
        cls.tasks = tasks
        return dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    return made


class Entry(NamedTuple):
    """A setting in the flat form: where the typed view has it, its type, default and meaning."""

    path: tuple[str, ...]
    type: type
    default: Any
    meaning: Meaning
    choices: tuple[str, ...]


@lru_cache
def entries(of: type[Run]) -> dict[str, Entry]:
    """Every setting of a task by its flat name."""
    flat: dict[str, Entry] = {}
    for field in dataclasses.fields(of):
        meaning: Meaning = field.metadata["meaning"]
        if not dataclasses.is_dataclass(field.type):
            name = meaning.name or field.name
            flat[name] = _entry(of, (field.name,), field, field.default, meaning)
            continue
        by_task: Any = meaning.choices  # of a group: {task: {flat name: words}}
        narrowed = next((by_task[task] for task in of.tasks if task in by_task), {})
        for inner in dataclasses.fields(field.type):
            own = inner.metadata["meaning"]._replace(section=meaning.section)
            name = own.name or inner.name
            own = own._replace(choices=narrowed.get(name, own.choices))
            path, default = (field.name, inner.name), getattr(field.default, inner.name)
            flat[name] = _entry(of, path, inner, default, own)
    return flat


def _entry(of: type[Run], path: tuple[str, ...], field, default, meaning: Meaning) -> Entry:
    words = meaning.choices
    if isinstance(words, Mapping):
        words = next(tuple(words[task]) for task in of.tasks if task in words)
    return Entry(path, field.type, default, meaning, words)


def defaults(of: type[Run]) -> dict[str, Any]:
    """The flat form of a task's defaults, `task` among them."""
    return {"task": of.tasks[0], **{name: entry.default for name, entry in entries(of).items()}}


def view(of: type[_Task], flat: Mapping[str, Any], *, any_word: tuple[str, ...] = ()) -> _Task:
    """The typed view of a flat config, every value checked; `any_word` names fields whose choices
    are not.

    Raises:
      InputError: a field is missing, unknown, of another type, out of range, none of its choices,
        or contradicts another.
    """
    names = entries(of)
    missing = sorted(names.keys() - flat.keys())
    if missing:
        raise InputError(
            f"a config must have every field, missing here: {', '.join(missing)}; start from "
            f"experiments.{of.tasks[0]}_config, as the files in configs/ do"
        )
    extra = sorted(flat.keys() - names.keys() - {"task"})
    if extra:
        raise InputError(
            f"a config of task '{of.tasks[0]}' has no field {', '.join(extra)}; remove what is "
            "misspelt (--help lists the fields)"
        )
    values: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for name, entry in names.items():
        if name in any_word:
            entry = entry._replace(choices=())
        value = _checked(name, flat[name], entry)
        if len(entry.path) == 1:
            values[entry.path[0]] = value
        else:
            groups.setdefault(entry.path[0], {})[entry.path[1]] = value
    of_group = {field.name: field.default for field in dataclasses.fields(of)}
    for name, inner in groups.items():
        values[name] = dataclasses.replace(of_group[name], **inner)  # type: ignore[type-var]
    config = of(**values)
    config.check()
    return config


def _checked(name: str, value: Any, entry: Entry) -> Any:
    within = entry.meaning.within
    if entry.choices and value not in entry.choices:
        raise InputError(unknown(name, value, entry.choices))
    if entry.type is float and type(value) is int:
        value = float(value)
    plain = entry.type in (int, float, bool, str)
    if plain and type(value) is not entry.type:
        raise InputError(f"{name} must be of type {entry.type.__name__}, found {value!r}; mend it")
    if within is not None and not within.holds(value):
        raise InputError(f"{name} {within.words}, found {value}")
    if type(value) is int and value >= 2**31:
        raise InputError(f"{name} must be below 2**31, found {str(value)[:24]}; lower it")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, found {value}")
    return tuple(value) if isinstance(value, list) else value


def flat(config: Run) -> dict[str, Any]:
    """The flat form of a typed view, `task` among it."""
    out: dict[str, Any] = {"task": config.task}
    for name, entry in entries(type(config)).items():
        value: Any = config
        for step in entry.path:
            value = getattr(value, step)
        out[name] = value
    return out
