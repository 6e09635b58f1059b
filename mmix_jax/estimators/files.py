"""A fitted estimator on disk: a workdir of the program, with what the estimator knows beside it."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import jax

from mmix_jax import __version__
from mmix_jax.errors import InputError
from mmix_jax.estimators.notes import heard
from mmix_jax.experiments import flat, records
from mmix_jax.experiments.configs import read, recorded_config
from mmix_jax.experiments.pretraining import checkpoint_folder, stored_encoder
from mmix_jax.training.checkpoint import Checkpointer, by_name
from mmix_jax.training.metrics import read_history, write_history
from mmix_jax.training.step import TrainState

if TYPE_CHECKING:
    from mmix_jax.estimators.base import Embedder

MODEL_FILE = "model.json"
_E = TypeVar("_E", bound="Embedder")


def save(model: "Embedder", path: Path, *, overwrite: bool) -> Path:
    """Write a fitted estimator's folder, whole or not at all.

    Raises:
      InputError: as `Embedder.save`.
    """
    asked, path = path.absolute(), Path(os.path.realpath(path))  # a link stays one
    _check_place(path, overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as temporary:
            made, earlier = Path(temporary) / "new", Path(temporary) / "earlier"
            made.mkdir()
            _write(model, made)
            if path.exists():
                os.replace(path, earlier)
            os.replace(made, path)
    except OSError as error:
        raise InputError(
            f"a model must be writable at {path}, found {error.strerror or error}; choose another "
            "path"
        ) from error
    return asked


def _check_place(path: Path, overwrite: bool) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / MODEL_FILE).is_file():
        raise InputError(
            f"a model is written to a folder of its own, found something else at {path}; choose "
            "another path"
        )
    if not overwrite:
        raise InputError(f"a model lies in {path} already; choose another path, or overwrite=True")


def _write(model: "Embedder", folder: Path) -> None:
    config, encoder = model.config_, model.encoder_
    records.record(config, folder)
    write_history(folder, config.seed, model.history_)
    with Checkpointer(checkpoint_folder(folder, config.seed)) as checkpoints:
        progress = {**encoder.progress, "best_step": int(encoder.progress["step"])}
        checkpoints.save(int(encoder.progress["step"]), encoder.state, progress)
    told = {
        "estimator": type(model).__name__,
        "mmix_jax": __version__,
        "n_iter": model.n_iter_,
        "notes": model.notes_,
        **model._known(),
    }
    text = json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / MODEL_FILE).write_text(text + "\n", encoding="utf-8")


def load(of: type[_E], path: Path) -> _E:
    """A fitted estimator from its folder, or from a workdir of the program.

    Raises:
      InputError: as `Embedder.load`.
    """
    config_file = path / "config.json"
    if not config_file.is_file():
        raise InputError(
            f"a model is a folder with config.json and checkpoints, found none at {path}; name "
            "what save wrote, or a workdir"
        )
    config = read(recorded_config(config_file), any_dataset=True)
    if config.task != of._of.tasks[0]:
        known = {"node": "NodeEmbedder", "graph": "GraphEmbedder", "image": "ImageEmbedder"}
        right = known.get(config.task, "")
        raise InputError(
            f"a {of.__name__} must be loaded from a model of its kind, found a {config.task} task "
            f"in {path}; " + (f"use {right}.load" if right else "evaluate it by the program")
        )
    told = _read_told(path / MODEL_FILE)
    values = flat.flat(config)
    model = of(**{name: values[name] for name in of._settings() if name in values})
    model.config_ = config
    with heard(False):
        model.encoder_ = stored_encoder(
            config,
            checkpoint_folder(path, config.seed),
            lambda arrays: _template(model, arrays),
        )
    model.history_ = read_history(path, config.seed)
    model.n_iter_ = int(told.get("n_iter", model.encoder_.progress["step"]))
    model.notes_ = [str(note) for note in told.get("notes", ())]
    model._know(told)
    return model


def _read_told(path: Path) -> dict[str, Any]:
    """What an estimator wrote beside the workdir's files; nothing in a workdir of the program."""
    if not path.exists():
        return {}
    try:
        told = json.loads(path.read_text("utf-8"))
        if not isinstance(told, dict):
            raise ValueError("no JSON object")
        if not isinstance(told.get("n_iter", 0), int) or not isinstance(
            told.get("notes", []), list
        ):
            raise ValueError("values of other types")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{MODEL_FILE} must be a JSON object, found a damaged {path}; save the model again"
        ) from error
    return told


def _template(model: "Embedder", arrays: Mapping[str, Any]) -> TrainState:
    """The state that these arrays are one of: the number of features is where it shows in them."""
    task = model._empty_task(1)
    shapes = by_name(jax.eval_shape(lambda: task.start(0))._replace(opt_state=()))
    num_features = 1
    for name, x in shapes.items():
        found = getattr(arrays.get(name), "shape", ())
        if len(found) == len(x.shape):
            num_features = max(
                [num_features, *(a for a, b in zip(found, x.shape, strict=True) if b == 1)]
            )
    model.n_features_in_ = num_features
    return model._empty_task(num_features).start(0)._replace(opt_state=())
