"""What every task does with a workdir: keys, folders, pretraining, restoring, the result record."""

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.experiments.defaults import Config
from mmix_jax.experiments.records import record
from mmix_jax.results import RESULTS_FILE, Result, Score, read_results, versions
from mmix_jax.training.checkpoint import Checkpointer
from mmix_jax.training.loop import Schedule, Writer, new_progress, train
from mmix_jax.training.metrics import MetricsWriter
from mmix_jax.training.step import (
    AXIS,
    Optimization,
    TrainState,
    make_optimizer,
    make_step,
    make_steps,
    replicate,
)

_ALL_BUT_UNMIXED = 0.95
_UNMIXED_RULES = ("none", "i_mix")
log = logging.getLogger(__name__)


def keys_of(seed: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Keys of initialisation, training and evaluation: functions of the seed alone."""
    init, training, evaluation = jax.random.split(jax.random.key(seed), 3)
    return init, training, evaluation


def devices_of(config: Config) -> list:
    """The devices that `num_devices` asks for, 0 being all.

    Raises:
      InputError: there are fewer.
    """
    devices = jax.local_devices()
    if config.num_devices > len(devices):
        raise InputError(
            f"num_devices asks for {config.num_devices}, found {len(devices)}; 0 is all"
        )
    return devices[: config.num_devices or None]


def seeds_of(config: Config) -> range:
    """Seeds of the trainings, in order."""
    return range(config.seed, config.seed + config.num_seeds)


def checkpoint_folder(workdir: Path, seed: int) -> Path:
    """Where the checkpoints of one training lie."""
    return workdir / "checkpoints" / f"seed_{seed}"


def checkpoint_folders(config: Config, workdir: Path, checkpoint: str | None) -> dict[int, Path]:
    """Folders by seed: those of a workdir, or the one at `checkpoint`."""
    if checkpoint:
        return {config.seed: Path(checkpoint)}
    return {seed: checkpoint_folder(workdir, seed) for seed in seeds_of(config)}


def optimization_of(config: Config) -> Optimization:
    """How this config updates parameters."""
    return Optimization(
        config.learning_rate,
        config.weight_decay,
        optimizer=config.get("optimizer", "adam"),
        momentum=config.get("momentum", 0.9),
        warmup_steps=config.get("warmup_steps", 0),
        cosine_steps=config.num_steps if config.get("schedule") == "cosine" else 0,
    )


class WatchedWriter(NamedTuple):
    """A metrics writer that says once when mixing has all but stopped: over 95 % unmixed rows."""

    writer: Writer
    config: Config
    told: list[int]  # the step at which it was said

    def write(self, step: int, values: dict[str, float]) -> None:
        self.writer.write(step, values)
        unmixed = values.get("mixing/unmixed", 0.0)
        wanted = self.config.mixing not in _UNMIXED_RULES
        if wanted and unmixed > _ALL_BUT_UNMIXED and not self.told:
            self.told.append(step)
            log.warning(
                "warning: %.0f %% of samples are mixed with no other at step %d (mixing %s, "
                "candidates %s); a lower threshold, or candidates all, mixes more",
                100 * unmixed,
                step,
                self.config.mixing,
                self.config.candidates,
            )


@lru_cache(maxsize=1)
def _make_step(make_loss, settings, optimization: Optimization, devices: tuple, chunk: int):
    """One for all seeds of a run, so that its program is compiled once."""
    loss_fn, optimizer = make_loss(settings, AXIS), make_optimizer(optimization)
    if chunk > 1:
        return make_steps(loss_fn, optimizer, devices=devices)
    step = make_step(loss_fn, optimizer, devices=devices)
    return lambda state, tables, shards, count, key: step(state, tables, shards, key)


def pretrain(
    config: Config,
    workdir: Path,
    seed: int,
    *,
    state: TrainState,
    make_loss: Callable[[Any, str], Callable],
    settings: Hashable,
    tables: Any,
    batch: Callable[[int], Any],
    evaluate: Callable[[TrainState], tuple[float | None, dict[str, float]]],
    devices: Sequence,
    interrupted: Callable[[], bool],
    chunk: int = 1,
    samples: int | None = None,
    remembered: Mapping[str, Any] | None = None,
) -> bool:
    """Train one seed from its latest checkpoint to the end; False if it was there already.

    `state` is the one before the first step, `batch(step)` what a step reads beside `tables` (with
    `chunk` > 1: what that many steps read), and `make_loss(settings, AXIS)` the loss. Checkpoints
    tell what is `remembered` (JSON) in their progress record. `samples` of a step are `batch_size`
    unless given.
    """
    fixed = config.selection in ("last", "fixed", "inner_cv")
    schedule = Schedule(
        config.num_steps,
        config.eval_every,
        config.checkpoint_every,
        0 if fixed else config.patience,
        chunk,
        samples or config.batch_size,
    )
    with Checkpointer(checkpoint_folder(workdir, seed)) as checkpointer:
        progress = new_progress()
        found = checkpointer.restore(state)
        if found is not None:
            state, progress = found
        record(config, workdir)  # only now: a config that does not fit the data leaves no trace
        progress |= remembered or {}
        if progress["stopped"] or int(state.step) >= config.num_steps:
            return False
        optimization = optimization_of(config)
        steps = _make_step(make_loss, settings, optimization, tuple(devices), chunk)
        key = keys_of(seed)[1]
        state, tables = replicate(state, devices), replicate(tables, devices)

        def step_fn(state: TrainState, number: int, count: int):
            shards = ahead.pop(number, None)
            shards = batch(number) if shards is None else shards
            state, metrics = steps(state, tables, shards, count, key)
            if number + count < config.num_steps:  # made while the device works
                ahead[number + count] = batch(number + count)
            return state, jax.device_get(metrics)  # all in one; waits for the device

        ahead: dict[int, Any] = {}
        with MetricsWriter(workdir, seed=seed, step=int(state.step)) as writer:
            train(
                state,
                progress,
                step_fn=step_fn,
                evaluate=lambda state: evaluate(_as_restored(state)),
                schedule=schedule,
                checkpointer=checkpointer,
                writer=WatchedWriter(writer, config, []),
                interrupted=interrupted,
                description=f"{config.dataset} {config.mixing} seed {seed}",
            )
    return True


def _as_restored(state: TrainState) -> TrainState:
    """What a checkpoint would give: evaluating it later then needs no other programs.

    jax compiles anew for arrays that are laid out over the devices of a training.
    """
    params, batch_stats = jax.device_get((state.params, state.batch_stats))
    return state._replace(params=params, batch_stats=batch_stats)


def train_and_evaluate(
    config: Config,
    workdir: Path,
    *,
    load: Callable[[Config], Any],
    pretrain: Callable[[Any, Path, int, Callable[[], bool]], bool],
    evaluate: Callable[[Any, dict[int, Path], Callable[[], bool]], list[Result]],
    interrupted: Callable[[], bool],
) -> list[Result]:
    """Pretrain every seed, then evaluate; a finished run only reports."""
    task = load(config)
    trained = [pretrain(task, workdir, seed, interrupted) for seed in seeds_of(config)]
    if not any(trained) and (workdir / RESULTS_FILE).exists():
        return read_results(workdir / RESULTS_FILE)
    return evaluate(task, checkpoint_folders(config, workdir, None), interrupted)


def require_labels(config: Config, labels: np.ndarray | None) -> None:
    """Raise InputError where there is nothing to evaluate against."""
    if labels is None:
        raise InputError(
            f"evaluation needs labels, found none in '{config.dataset}'; use --mode=embed"
        )


def embeddings(z: Any, labels: np.ndarray | None, ids: np.ndarray | None) -> dict[str, np.ndarray]:
    """Arrays of `embeddings.npz`: z, and labels and ids where known."""
    arrays = {"z": z, "labels": labels, "ids": ids}
    return {name: np.asarray(values) for name, values in arrays.items() if values is not None}


def restore(template: TrainState, folder: Path, *, best: bool) -> tuple[TrainState, dict]:
    """The state to evaluate, and the progress record behind it with its `step`.

    The state has no `opt_state`: whatever the optimizer was, an encoder is its parameters. The
    record's `seconds` are those of the whole training, as far as the latest checkpoint knows.

    Raises:
      InputError: there is no checkpoint, or none of this model.
    """
    with Checkpointer(folder, read_only=True) as checkpointer:
        found = checkpointer.restore(
            template._replace(opt_state=()), best=best, without=("opt_state",)
        )
        latest = checkpointer.latest_progress() if best else None
    if found is None:
        raise InputError(f"no checkpoint: {folder} is empty; train first, or pass another path")
    state, progress = found
    seconds = (latest or progress)["seconds"]
    return state, {**progress, "step": int(state.step), "seconds": seconds}


def make_result(
    config: Config,
    devices: Sequence,
    values: Score,
    *,
    task: str,
    trained: bool,
    representation: str,
    metric: str,
    seeds: Sequence[int],
    protocol: str,
    selection: str,
    steps: int,
    seconds: float,
    objective: str | None = None,
    parts: Sequence[Sequence[float]] = (),
) -> Result:
    """One line of results.jsonl; a random-initialised encoder took no steps and no choice."""
    return Result(
        **values._asdict(),
        task=task,
        dataset=config.dataset,
        framework=config.framework,
        mixing=config.mixing,
        candidates=config.candidates,
        objective=objective or config.objective,
        representation=representation,
        trained=trained,
        metric=metric,
        seeds=tuple(seeds),
        protocol=protocol,
        selection=selection if trained else "none",
        seed=config.seed,
        steps=steps if trained else 0,
        seconds=seconds if trained else 0.0,
        device=f"{len(devices)} x {devices[0].device_kind}",
        versions=versions(),
        parts=tuple(map(tuple, parts)),
        encoder=config.get("encoder", ""),
    )
