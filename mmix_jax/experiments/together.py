"""A run of several processes: process 0 judges, writes and speaks; all start and stop as one."""

import contextlib
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from mmix_jax.errors import InputError, ProcessFault
from mmix_jax.experiments import flat
from mmix_jax.experiments.schema import Run
from mmix_jax.experiments.task import Encoder
from mmix_jax.ops.arrays import digest
from mmix_jax.processes import exchange
from mmix_jax.processes.group import enter, group
from mmix_jax.processes.joining import Joining, join, leave
from mmix_jax.results import versions
from mmix_jax.training.loop import Interrupted
from mmix_jax.training.step import TrainState

# Where a process finds its files is its own.
_OWN = ("data_dir",)
_FAULTS = ("Gloo", "NCCL", "oordination", "UNAVAILABLE", "onnection", "DEADLINE_EXCEEDED")

Evaluate = Callable[[TrainState], tuple[str | None, dict[str, float]]]


def begin(joining: Joining, config: Run) -> None:
    """Join the run; from here on only process 0 prints.

    Raises:
      InputError: the run cannot be joined.
      ProcessFault: processes differ in config or versions, or their clocks do.
    """
    join(joining)
    enter(jax.process_index(), jax.process_count())
    values = {name: value for name, value in flat.flat(config).items() if name not in _OWN}
    exchange.check_agreement(values, "their config", "start all by one command")
    numbers = versions() | {"python": platform.python_version(), "numpy": np.__version__}
    exchange.check_agreement(numbers, "versions", "install one set of them everywhere")
    exchange.check_clocks()
    if not group().first:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        logging.getLogger("mmix_jax").setLevel(logging.ERROR)


def end() -> bool:
    """Leave the run with all others; whether this is the process that goes on, alone."""
    here = group()
    if not here.alone:
        exchange.wait_for_all()
        leave()
        enter(0, 1)
    return here.first


@contextlib.contextmanager
def faults() -> Iterator[None]:
    """Turn what JAX raises when another process is gone into a ProcessFault."""
    try:
        yield
    except (InputError, ProcessFault, Interrupted):
        raise
    except Exception as error:  # a JaxRuntimeError, or what NumPy makes of one
        if group().alone or not any(word in str(error) for word in _FAULTS):
            raise
        raise ProcessFault(
            "all processes of a run must go on, found one gone "
            f"({' '.join(str(error).split())[:120]}); start the same command in all of them again: "
            "the run resumes from its last checkpoint"
        ) from error


def check_data(dataset: Any) -> None:
    """Raise ProcessFault where processes read different data."""
    if not group().alone:
        exchange.check_agreement(
            {"SHA-256": digest(dataset)}, "the data", "give all the same files"
        )


def restored(checkpoints: Any, template: TrainState) -> tuple[TrainState, dict] | None:
    """The latest checkpoint of process 0's folder in every process; None where there is none."""
    if group().alone:
        return checkpoints.restore(template)
    there = checkpoints.restore(template) if group().first else None
    progress = exchange.told(lambda: None if there is None else there[1])
    if progress is None:
        return None
    return exchange.told_arrays(template if there is None else there[0]), progress


def judged_by_first(evaluate: Evaluate, collective: bool = False) -> Evaluate:
    """`evaluate` in process 0, or in all of them where it is `collective`, and process 0's word in
    all; their parameters are held against each other.

    Raises (when it is called):
      ProcessFault: they have drifted apart, as on unlike machines.
    """

    def judged(state: TrainState):
        if not group().alone:
            mine = digest(jax.device_get(state.params))
            exchange.check_agreement(
                {"SHA-256": mine}, f"parameters after step {int(state.step)}", "use like machines"
            )
        found = evaluate(state) if collective else None
        judge, metrics = exchange.told(lambda: evaluate(state) if found is None else found)
        return judge, metrics

    return judged


def same_encoder(make: Callable[[], Encoder], seed: int, template: TrainState) -> Encoder:
    """What `make` gives in process 0, whose checkpoints it reads, in every process."""
    if group().alone:
        return make()
    mine = make() if group().first else None
    progress = exchange.told(lambda: None if mine is None else dict(mine.progress))
    state = template._replace(opt_state=()) if mine is None else mine.state
    state = exchange.told_arrays(state)
    return Encoder(seed, state, progress) if mine is None else mine


@contextlib.contextmanager
def stopping_as_one(interrupted: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """Whether any process is asked to stop; none leaves before process 0 has saved."""
    try:
        yield lambda: exchange.any_of(interrupted())
    except Interrupted:
        end()  # together: whoever left first would take the coordinator along
        raise
