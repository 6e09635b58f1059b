"""What a task offers, whatever its data: trainings to make, encoders to score and to embed with."""

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
import numpy as np

from mmix_jax.data.scaling import Scaling
from mmix_jax.errors import InputError
from mmix_jax.experiments.schema import Run
from mmix_jax.processes.exchange import devices_of_run
from mmix_jax.results import Score
from mmix_jax.training.step import Optimization, TrainState

# Where a checkpoint keeps how features were scaled, and by what options beyond the paper it was
# trained.
FEATURES = "features"
BEYOND = "beyond"

RunT = TypeVar("RunT", bound=Run)


def never() -> bool:
    """What `interrupted` is where nobody interrupts."""
    return False


def keys_of(seed: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Keys of initialisation, training and evaluation: functions of the seed alone."""
    init, training, evaluation = jax.random.split(jax.random.key(seed), 3)
    return init, training, evaluation


def seeds_of(config: Run) -> range:
    """Seeds of the trainings, in order."""
    return range(config.seed, config.seed + config.num_seeds)


def devices_of(config: Run) -> list:
    """The devices that `num_devices` asks for of each process of the run, 0 being all.

    Raises:
      InputError: this process has fewer.
    """
    there = len(jax.local_devices())
    if config.num_devices > there:
        raise InputError(f"num_devices asks for {config.num_devices}, found {there}; 0 is all")
    return devices_of_run(config.num_devices)


def in_epochs(config: RunT, per_epoch: int) -> tuple[RunT, str]:
    """The config with the steps of its epochs, and these in words; as it is without `num_epochs`.

    Steps are `num_epochs` times those of an epoch, `num_steps` at most.
    """
    if not config.num_epochs:
        return config, ""
    wanted = config.num_epochs * per_epoch
    steps = min(wanted, config.num_steps)
    epochs = f"{config.num_epochs} {'epoch' if config.num_epochs == 1 else 'epochs'} of {per_epoch}"
    why = f"{epochs} (--config.num_epochs)"
    if wanted > steps:
        why = f"num_steps, before the end of {epochs}"
    told = f"{steps} {'step' if steps == 1 else 'steps'}: {why}"
    return dataclasses.replace(config, num_steps=steps), told


class Training(NamedTuple):
    """What one training of a task is made of.

    state: before the first step. make_loss: (settings, axis name) -> the loss. tables: stay on the
    device. batch: step -> what a step reads beside them (with `chunk` > 1: what so many steps
    read). judge: state -> (name or None, metrics); the metric of that name judges, higher is
    better, None where only the loss can. samples: of a step. remembered: JSON that checkpoints
    tell beside their progress. classes: (tables, shard) -> those of what a step contrasts, −1
    unknown; None where there are none.
    """

    state: TrainState
    optimization: Optimization
    make_loss: Callable[..., Callable]
    settings: Hashable
    tables: Any
    batch: Callable[[int], Any]
    judge: Callable[[TrainState], tuple[str | None, dict[str, float]]]
    samples: int
    chunk: int = 1
    remembered: Mapping[str, Any] = {}
    classes: Callable[[Any, Any], jax.Array] | None = None


class Encoder(NamedTuple):
    """An encoder to score or to embed with.

    state: without the optimizer's part. progress: the record of its training, with its `step` and
    the whole training's `seconds`; empty for a random-initialised one. workdir: where its training
    left what scoring may need beside it; None where it left nothing on disk.
    """

    seed: int
    state: TrainState
    progress: Mapping[str, Any]
    workdir: Path | None = None

    @property
    def trained(self) -> bool:
        return bool(self.progress)


def kept_scaling(encoder: Encoder, own: Scaling | None) -> Scaling | None:
    """How features are scaled for an encoder: as its training scaled its own, and a fresh one's as
    the task scales them, by `own`; which is what comes back where both are equal."""
    kept = encoder.progress.get(FEATURES)
    if not encoder.trained or kept == remembered_of(own)[FEATURES]:
        return own
    return None if kept is None else Scaling.from_json(kept)


def remembered_of(scaling: Scaling | None) -> dict[str, Any]:
    """What checkpoints keep of a scaling, for `kept_scaling`."""
    return {FEATURES: None if scaling is None else scaling.as_json()}


class Row(NamedTuple):
    """What a score is of; a line of results.jsonl has the scores of one row over all seeds.

    selection, objective: where they are not the config's. method: of a baseline that is not
    pretrained, in the framework's place. pooled: mean and deviation are over all values of all
    seeds, not over the seeds' means; parted: the line has the values by seed, too. place: rows are
    sorted by it, trained before untrained.
    """

    task: str
    representation: str
    metric: str
    protocol: str
    selection: str = ""
    objective: str = ""
    method: str = ""
    pooled: bool = False
    parted: bool = False
    place: int = 0


Scores = Mapping[Row, Score]


# Files to look at by their names: figures of matplotlib, or text.
Files = dict[str, Any]


class Pieces(NamedTuple):
    """An array too large to be held: stretches of its rows, one after the other."""

    pieces: Iterator[np.ndarray]


def held(values: Any) -> np.ndarray:
    """An array of a task's `embed`, whole."""
    return np.concatenate(list(values.pieces)) if isinstance(values, Pieces) else np.array(values)


class Points(NamedTuple):
    """What a map shows of an encoder: z [n, D], classes [n], and their names (None: numbers)."""

    z: np.ndarray
    labels: np.ndarray
    names: Sequence[str] | None


class Trainable(Protocol):
    """What of a task is trained: its settings, devices, fresh states, and what a training needs.

    A task may have `asked`, its config as it was given, where `config` is fitted to the data, and
    `length`, how long it trains in words. It may have `fitting(progress)`: itself with the columns
    that the training of a checkpoint had, by its record.
    """

    @property
    def config(self) -> Run: ...
    @property
    def devices(self) -> list: ...
    def start(self, seed: int) -> TrainState: ...
    def training(self, seed: int, workdir: Path | None) -> Training: ...


class Task(Trainable, Protocol):
    """A config with its data and model.

    labelled: whether there is anything to score against. score: of one encoder. embed: arrays z,
    labels and ids of one encoder, or z in `Pieces`. points: what a map shows of one, the same for
    all encoders of a seed; mixtures: files, by name, that show what it mixes into what, figures or
    text; both say in words why there is nothing to show. A task may have `check_scoring()`, asked
    before a training and an evaluation, and `baselines(interrupted)`: scores, by seed, of methods
    that are not pretrained, with the seeds and the seconds they took.
    """

    @property
    def labelled(self) -> bool: ...
    def score(self, encoder: Encoder, interrupted: Callable[[], bool]) -> Scores: ...
    def embed(self, encoder: Encoder) -> dict[str, Any]: ...
    def points(self, encoder: Encoder) -> Points | str: ...
    def mixtures(self, encoder: Encoder) -> Files | str: ...
