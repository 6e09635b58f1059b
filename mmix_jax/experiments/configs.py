"""Configs by task: made with their defaults, changed by variants, and read as typed views."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmix_jax.errors import InputError
from mmix_jax.experiments import flat
from mmix_jax.experiments.graphs.config import (
    EDIT_DISTANCE_VARIANTS,
    GRAPH_VARIANTS,
    EditDistanceConfig,
    GraphConfig,
)
from mmix_jax.experiments.images.config import IMAGE_VARIANTS, ImageConfig
from mmix_jax.experiments.nodes.config import VARIANTS, NodeConfig
from mmix_jax.experiments.records import read_record
from mmix_jax.experiments.schema import Run
from mmix_jax.experiments.variants import UnknownVariant
from mmix_jax.fields import unknown

if TYPE_CHECKING:
    from ml_collections import ConfigDict

TASKS: dict[str, type[Run]] = {
    of.tasks[0]: of for of in (NodeConfig, GraphConfig, EditDistanceConfig, ImageConfig)
}
# Those that its configs have, if no more.
TASK_VARIANTS: dict[str, Mapping[str, Mapping[str, Any]]] = {
    "node": VARIANTS,
    "graph": GRAPH_VARIANTS,
    "edit_distance": EDIT_DISTANCE_VARIANTS,
    "image": IMAGE_VARIANTS,
}


def _config(of: type[Run], dataset: str) -> "ConfigDict":
    from ml_collections import ConfigDict

    return ConfigDict(flat.defaults(of) | {"dataset": dataset})


def node_config(dataset: str) -> "ConfigDict":
    """Settings of a node task; a config file changes what its data set wants and locks the keys."""
    return _config(NodeConfig, dataset)


def graph_config(dataset: str) -> "ConfigDict":
    """Settings of a task on a set of graphs; otherwise as `node_config`."""
    return _config(GraphConfig, dataset)


def edit_distance_config(dataset: str) -> "ConfigDict":
    """Settings of graph edit distance; otherwise as `node_config`."""
    return _config(EditDistanceConfig, dataset)


def image_config(dataset: str) -> "ConfigDict":
    """Settings of an image task; otherwise as `node_config`."""
    return _config(ImageConfig, dataset)


def finish(
    config: "ConfigDict",
    variant: str | None,
    variants: Mapping[str, Mapping[str, Any]] = VARIANTS,
) -> "ConfigDict":
    """Apply variants, several with a plus between, and lock the keys: a misspelt one is an error.

    Raises:
      UnknownVariant: an InputError; the variant is none of these.
    """
    # A framework comes before what is changed in it, whatever the order.
    names = sorted((variant or "").split("+"), key=lambda name: name not in ("grace", "gat"))
    for name in filter(None, names):
        if name not in variants:
            raise UnknownVariant(name, variants)
        if name == "gat" and config.framework != "grace":
            config.update(variants["grace"])
        config.update(variants[name])
    return config.lock()


def recorded_config(path: Path, *, flag: str = "--workdir") -> "ConfigDict":
    """The config that a `config.json` records, its keys locked.

    Raises:
      InputError: it is damaged, or of no task.
    """
    recorded = read_record(path, flag=flag)
    task = recorded.get("task")
    if not isinstance(task, str) or task not in TASKS:
        raise InputError(
            f"config.json must be that of a model, found task {task!r} in {path}; name what save "
            "wrote, or a workdir"
        )
    if unknown_fields := sorted(recorded.keys() - flat.defaults(TASKS[task]).keys()):
        raise InputError(
            f"config.json must have fields of a {task} task, found {unknown_fields[0]!r} in "
            f"{path}; choose another {flag}, or the version that wrote it"
        )
    from ml_collections import ConfigDict

    # Fields that are newer than the record have meant their defaults before.
    return ConfigDict(flat.defaults(TASKS[task]) | recorded).lock()


def read(config: "ConfigDict", *, any_dataset: bool = False) -> Run:
    """The typed view of a config, every value checked; with `any_dataset` its name may be any.

    Raises:
      InputError: the task is unknown, or as `flat.view` says.
    """
    if config.task not in TASKS:
        raise InputError(unknown("task", config.task, TASKS))
    values = dict(config.items())
    if config.task == "image" and values.get("data_path") and values["dataset"] == "generated":
        values["dataset"] = "image_folder"  # images of one's own take the place of generated ones
    any_word = ("dataset",) if any_dataset else ()
    return flat.view(TASKS[config.task], values, any_word=any_word)
