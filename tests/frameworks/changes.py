"""Settings of frameworks changed by the flat names of configs: `mixing`, `mixing_temperature`, …"""

import dataclasses
from typing import Any, TypeVar

Settings = TypeVar("Settings")


def changed(settings: Settings, **changes: Any) -> Settings:
    """A copy with these values, wherever in it they stand; `self_weight=None` is a negative one."""
    if changes.get("self_weight", 0.0) is None:
        changes["self_weight"] = -1.0
    own: dict[str, Any] = {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        if not dataclasses.is_dataclass(value):
            continue
        if not all("meaning" in inner.metadata for inner in dataclasses.fields(value)):
            continue
        names = {f.metadata["meaning"].name or f.name: f.name for f in dataclasses.fields(value)}
        inner = {names[name]: changes.pop(name) for name in names if name in changes}
        own[field.name] = dataclasses.replace(value, **inner)
    return dataclasses.replace(settings, **(own | changes))  # type: ignore[type-var]
