"""Settings of an estimator: those fields of its task's config that training and embedding read."""

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mmix_jax.experiments.configs import finish, read
from mmix_jax.experiments.flat import defaults, entries
from mmix_jax.experiments.schema import Run

# Of these sections an estimator has only what is named here: its data come by hand, and scores are
# computed by whoever has the labels.
_PARTLY: Mapping[str, tuple[str, ...]] = {
    "data": (
        *("normalise_features", "binarise_features", "missing", "structure", "skip_columns"),
        *("features", "max_degree", "image_size"),
    ),
    "evaluation and model choice": (
        *("selection", "eval_every", "checkpoint_every", "patience", "num_probes"),
        "eval_batch_size",
    ),
}
_NEVER = ("num_seeds",)
# What an estimator has beside the config's fields.
OWN: Mapping[str, tuple[Any, str]] = {
    "workdir": (None, "Folder that receives checkpoints, and that fit goes on from; None: none."),
    "verbose": (False, "Show the progress, and print what is read, scaled and chosen."),
}


def settings_of(of: type[Run], changed: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults of an estimator's settings by name; `changed` are those for data of one's own."""
    kept = {}
    for name, entry in entries(of).items():
        section = entry.meaning.section
        if name in _PARTLY.get(section, (name,)) and name not in _NEVER:
            kept[name] = changed.get(name, entry.default)
    return kept | {name: default for name, (default, _) in OWN.items()}


def initialiser(settings: Mapping[str, Any]) -> Callable[..., None]:
    """`__init__` of an estimator: every setting is a keyword and becomes an attribute, as it is."""

    def __init__(self, **given):
        for name in given:
            if name not in settings:
                near = difflib.get_close_matches(name, settings, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise TypeError(f"{type(self).__name__} has no setting {name!r}{hint}")
        for name, default in settings.items():
            setattr(self, name, given.get(name, default))

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    parameters += [
        inspect.Parameter(name, keyword, default=default) for name, default in settings.items()
    ]
    __init__.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return __init__


def described(of: type[Run], settings: Mapping[str, Any]) -> str:
    """The settings for a docstring, one a line."""
    known = entries(of)
    lines = []
    for name, default in settings.items():
        doc = OWN[name][1] if name in OWN else known[name].meaning.doc
        lines.append(f"  {name} ({default!r}): {doc}")
    return "\n".join(lines)


def config_of(of: type[Run], settings: Mapping[str, Any], dataset: str) -> Run:
    """The typed config of an estimator's settings, every value checked.

    Raises:
      InputError: a value is of another type, out of range, or contradicts another.
    """
    from ml_collections import ConfigDict

    own = {name: _plain(value) for name, value in settings.items() if name not in OWN}
    return read(ConfigDict(defaults(of) | own | {"dataset": dataset}), any_dataset=True)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):  # of a search over a grid
        return value.item()
    names = isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)
    return ",".join(value) if names else value


def config_to_embed(config: Any) -> Any:
    """The config on a machine that may have fewer devices than trained: embeddings are the same."""
    import jax

    fewer = config.num_devices > jax.local_device_count()
    return dataclasses.replace(config, num_devices=0) if fewer else config


def settings_of_variant(
    of: type[Run],
    settings: Mapping[str, Any],
    name: str,
    variants: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Settings as a variant, or several with a plus between, changes them.

    Raises:
      InputError: unknown variant.
    """
    from ml_collections import ConfigDict

    own = {name: value for name, value in settings.items() if name not in OWN}
    changed = finish(ConfigDict(defaults(of) | own), name, variants)
    return {name: changed[name] for name in own}
