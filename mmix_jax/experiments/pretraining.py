"""One training of a task, on disk or in memory: keys, devices, the step, what comes out of it."""

import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax

from mmix_jax.errors import InputError
from mmix_jax.experiments import together
from mmix_jax.experiments.mechanism import make_mechanism, without_mixing
from mmix_jax.experiments.records import record
from mmix_jax.experiments.schema import Run
from mmix_jax.experiments.task import (
    BEYOND,
    FEATURES,
    Encoder,
    Trainable,
    Training,
    keys_of,
    never,
)
from mmix_jax.experiments.watching import WatchedWriter, warn_of_flat_weights
from mmix_jax.processes.exchange import own_part
from mmix_jax.processes.group import group
from mmix_jax.surroundings import user_path
from mmix_jax.training.checkpoint import Checkpointer, MemoryCheckpoints
from mmix_jax.training.loop import Schedule, Writer, new_progress, train
from mmix_jax.training.metrics import History, MetricsWriter, read_history
from mmix_jax.training.step import (
    AXIS,
    Optimization,
    TrainState,
    make_optimizer,
    make_step,
    make_steps,
    replicate,
)

log = logging.getLogger(__name__)


def checkpoint_folder(workdir: Path, seed: int) -> Path:
    """Where the checkpoints of one training lie."""
    return workdir / "checkpoints" / f"seed_{seed}"


class Pretrained(NamedTuple):
    """What a training comes to.

    state: the final one, to train on. encoder: that of the step which `selection` chooses.
    history: logged metrics, a dict with `step` each. ran: False where it had been finished before.
    """

    state: TrainState
    encoder: Encoder
    history: list[dict[str, float]]
    ran: bool


def pretrain(
    task: Trainable,
    seed: int | None = None,
    *,
    workdir: str | Path | None = None,
    interrupted: Callable[[], bool] = never,
    show: bool = True,
) -> Pretrained:
    """Train one seed from its latest checkpoint to the end.

    Args:
      task: of `task_of(config, dataset)`.
      seed: the config's unless given.
      workdir: receives checkpoints and metrics, and is resumed from; None writes nothing.
      interrupted: asked after every dispatch.
      show: whether to show a progress bar.

    Raises:
      Interrupted: `interrupted()` became true; with a workdir the state is saved.
      InputError: the loss is not finite, or the workdir cannot be used.

    Example:
      >>> from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph, load_synthetic_graph
      >>> from mmix_jax.experiments import node_config, pretrain, task_of
      >>> config = node_config("synthetic_graph")
      >>> config.width, config.num_steps = 8, 10
      >>> dataset = load_synthetic_graph(SyntheticGraph(num_nodes=200, num_classes=2))
      >>> pretrained = pretrain(task_of(config, dataset), show=False)
      >>> [row["step"] for row in pretrained.history]
      [10]
    """
    config, seed = task.config, task.config.seed if seed is None else seed
    folder = None if workdir is None or not group().first else user_path(workdir, "workdir")
    training = task.training(seed, folder)
    saver = MemoryCheckpoints() if folder is None else Checkpointer(checkpoint_folder(folder, seed))
    with saver as checkpoints:
        state, progress = training.state, new_progress()
        restored = together.restored(checkpoints, state)
        if restored is not None:
            state, progress = restored
        if folder is not None:
            # Only now: a config that does not fit the data leaves no trace. As it was asked for:
            # what a task makes of it hangs on the data.
            record(getattr(task, "asked", config), folder)
        kept = History()
        ran = not progress["stopped"] and int(state.step) < config.num_steps
        if ran and restored is not None:
            _check_data(training.remembered, progress)
        # An encoder tells by what it was trained, whatever it is evaluated with.
        progress |= {**training.remembered, BEYOND: config.beyond}
        if ran:
            if (length := getattr(task, "length", "")) and seed == config.seed:
                log.info("training for %s", length)
            buckets = getattr(training.settings, "buckets", None)  # of graphs: mixed within each
            warn_of_flat_weights(
                config.mixing, training.samples if buckets is None else max(buckets.sizes)
            )
            show = show and group().first
            with together.stopping_as_one(interrupted) as asked:
                state = _run(
                    task, training, seed, state, progress, checkpoints, folder, kept, asked, show
                )
        encoder = together.same_encoder(
            lambda: _chosen(config, seed, training.state, checkpoints, folder),
            *(seed, training.state),
        )
    history = kept.rows if folder is None else read_history(folder, seed)
    return Pretrained(state, encoder, history, ran)


def _check_data(remembered: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
    """Raise InputError where a training would go on with other statistics of its data."""
    now = json.loads(json.dumps(dict(remembered)))
    for key, value in now.items():
        if key != FEATURES and key not in progress:  # an older version's, which did not keep it
            continue
        if json.loads(json.dumps(progress.get(key))) != value:
            raise InputError(
                f"a training goes on with the data it began with, found other {key} than its "
                "checkpoint keeps; bring the data back, or choose another --workdir"
            )


def restored_encoder(
    task: Trainable, seed: int, checkpoints: Path, workdir: Path | None
) -> Encoder:
    """The encoder that `selection` chooses among those in a folder of checkpoints.

    Raises:
      InputError: there is no checkpoint, or none of this model.
    """
    with Checkpointer(checkpoints, read_only=True) as checkpointer:
        if fitting := getattr(task, "fitting", None):
            task = fitting(checkpointer.latest_progress() or {})
        return _chosen(task.config, seed, task.start(seed), checkpointer, workdir)


def fresh_encoder(task: Trainable, seed: int) -> Encoder:
    """The random-initialised encoder of a seed."""
    return Encoder(seed, task.start(seed), {})


def stored_encoder(
    config: Run, checkpoints: Path, template: Callable[[Mapping[str, Any]], TrainState]
) -> Encoder:
    """The encoder that `selection` chooses, for data yet unknown: the template is made by the
    arrays that are stored, by their names.

    Raises:
      InputError: as `restored_encoder`.
    """
    with Checkpointer(checkpoints, read_only=True) as checkpointer:
        return _chosen(config, config.seed, template, checkpointer, None)


def _chosen(
    config: Run, seed: int, template: TrainState | Callable, checkpoints, workdir
) -> Encoder:
    # Without opt_state: whatever the optimizer was, an encoder is its parameters.
    best = config.selection in ("validation", "loss")
    if isinstance(template, TrainState):
        template = template._replace(opt_state=())
    restored = checkpoints.restore(template, best=best, without=("opt_state",))
    if restored is None:
        raise InputError(
            f"no checkpoint: {checkpoints.folder} is empty; train first, or pass another path"
        )
    state, progress = restored
    latest = checkpoints.latest_progress() if best else None
    seconds = (latest or progress)["seconds"]
    return Encoder(seed, state, {**progress, "step": int(state.step), "seconds": seconds}, workdir)


@lru_cache(maxsize=2)
def _make_step(make_loss, settings, optimization: Optimization, devices: tuple, chunk: int):
    """One for all seeds of a run, so that its program is compiled once."""
    loss_fn, optimizer = make_loss(settings, AXIS), make_optimizer(optimization)
    if chunk > 1:
        return make_steps(loss_fn, optimizer, devices=devices)
    step = make_step(loss_fn, optimizer, devices=devices)
    return lambda state, tables, shards, count, key: step(state, tables, shards, key)


def _run(
    task: Trainable,
    training: Training,
    seed: int,
    state: TrainState,
    progress: dict,
    checkpoints,
    workdir: Path | None,
    history: History,
    interrupted: Callable[[], bool],
    show: bool,
) -> TrainState:
    """The loop from `state` to the end; batches are made while the device works."""
    config, devices = task.config, tuple(task.devices)
    shared = (training.optimization, devices, training.chunk)
    steps = _make_step(training.make_loss, training.settings, *shared)
    first_mixed = config.mixing.first_step(config.num_steps)
    early = steps
    if int(state.step) < first_mixed:
        early = _make_step(training.make_loss, without_mixing(training.settings), *shared)
    key = keys_of(seed)[1]
    state, tables = replicate(state, devices), replicate(training.tables, devices)
    ahead: dict[int, Any] = {}

    def batch(number: int):
        return own_part(training.batch(number), devices)

    def step_fn(state: TrainState, number: int, count: int):
        shards = ahead.pop(number, None)
        shards = batch(number) if shards is None else shards
        state, metrics = (early if number < first_mixed else steps)(
            state, tables, shards, count, key
        )
        if number + count < config.num_steps:
            ahead[number + count] = batch(number + count)
        return state, jax.device_get(metrics)  # all in one; waits for the device

    fixed = config.selection in ("last", "fixed", "inner_cv")
    schedule = Schedule(
        config.num_steps,
        config.eval_every,
        config.checkpoint_every,
        0 if fixed else config.patience,
        training.chunk,
        training.samples,
        first_mixed,
    )
    watch = make_mechanism(training, key, first_mixed) if config.mechanism else lambda state: {}

    def evaluate(state: TrainState):
        state = _as_restored(state)
        judge, metrics = training.judge(state)
        return judge, metrics | watch(state)

    with contextlib.ExitStack() as stack:
        writer: Writer = history
        if workdir is not None:
            writer = stack.enter_context(MetricsWriter(workdir, seed=seed, step=int(state.step)))
        outcome = train(
            state,
            progress,
            step_fn=step_fn,
            evaluate=together.judged_by_first(evaluate, getattr(task, "collective", False)),
            schedule=schedule,
            checkpointer=checkpoints,
            writer=WatchedWriter(
                writer, config.mixing, fresh=int(state.step) == 0, first_mixed=first_mixed
            ),
            interrupted=interrupted,
            description=f"{config.dataset} {config.mixing.rule} seed {seed}" if show else None,
        )
    return outcome.state


def _as_restored(state: TrainState) -> TrainState:
    """What a checkpoint would give: evaluating it later then needs no other programs.

    jax compiles anew for arrays that are laid out over the devices of a training.
    """
    params, batch_stats = jax.device_get((state.params, state.batch_stats))
    return state._replace(params=params, batch_stats=batch_stats)
