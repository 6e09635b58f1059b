"""The loop: steps, evaluations, early stopping, checkpoints, interruption, resumption."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

from mmix_jax.errors import InputError
from mmix_jax.training.progress_bar import COMPILING, ProgressBar

_SMOOTHING = 0.9
# When the program began, and how long each of its compilations took; None past the first step.
_start: ContextVar[tuple[float, list[float]] | None] = ContextVar("start", default=None)


class Interrupted(Exception):
    """The user asked to stop; a checkpoint of `step` was saved, or what `words` say."""

    def __init__(self, step: int, words: str = ""):
        self.step, self.words = step, words or f"after step {step}, a checkpoint was saved"
        super().__init__(f"interrupted {self.words}")


class Writer(Protocol):
    def write(self, step: int, values: dict[str, float]) -> None: ...


class Saver(Protocol):
    def save(
        self, step: int, state: Any, progress: dict, *, score: float | None = None
    ) -> None: ...

    def steps(self) -> list[int]: ...


class Cadence(NamedTuple):
    """Due every `every` steps (counted from 1) and after the last; `every` 0: only then."""

    every: int
    last: int

    def due(self, step: int) -> bool:
        """Whether it is due once `step` steps are done."""
        return step == self.last or (self.every > 0 and step > 0 and step % self.every == 0)

    def until(self, step: int) -> int:
        """Steps from `step` to the next that is due; 0 or less once the last is done."""
        rest = self.last - step
        return rest if self.every <= 0 else min(rest, self.every - step % self.every)


class Schedule(NamedTuple):
    """How long, and how often.

    patience: evaluations without improvement until it stops; 0: never. chunk: steps per call of
    `step_fn` at most; a call ends where something is due, and before step `turn`, the first of
    another kind, after which alone a step is chosen. batch_size: samples of a step.
    """

    num_steps: int
    eval_every: int = 10
    checkpoint_every: int = 100
    patience: int = 30
    chunk: int = 1
    batch_size: int = 1
    turn: int = 0


class Outcome(NamedTuple):
    """A finished training: its last state, the step with the best score, that score, seconds."""

    state: Any
    steps: int
    best_step: int
    best_score: float
    seconds: float


def new_progress() -> dict:
    """What the loop remembers beside the state; a JSON object."""
    return {
        "best_step": 0,
        "best_score": None,
        "stale": 0,
        "smoothed_loss": None,
        "stopped": False,
        "seconds": 0.0,
    }


@contextlib.contextmanager
def time_to_first_step(begin: float) -> Iterator[None]:
    """Within, `train` prints when the first step of all is done, and logs it in the next line.

    Logged are `first_step_seconds` since `begin` (of time.monotonic), and of these
    `compile_seconds`. Outside nothing is: a library call is no program.
    """
    from jax import monitoring

    compilations: list[float] = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event == COMPILING:
            compilations.append(duration_secs)

    token = _start.set((begin, compilations))
    monitoring.register_event_duration_secs_listener(listen)
    try:
        yield
    finally:
        monitoring.unregister_event_duration_listener(listen)
        _start.reset(token)


def train(
    state: Any,
    progress: dict,
    *,
    step_fn: Callable[[Any, int, int], tuple[Any, dict]],
    evaluate: Callable[[Any], tuple[str | None, dict[str, float]]],
    schedule: Schedule,
    checkpointer: Saver,
    writer: Writer,
    interrupted: Callable[[], bool] = lambda: False,
    description: str | None = None,
) -> Outcome:
    """Run from `state.step` to the end of the schedule; a function of state and progress.

    Written with the metrics are `samples_per_second` since the evaluation before, and `host_share`,
    the part of that time in which no step ran.

    Args:
      state: a NamedTuple with `step`, the number of steps done.
      progress: of that state's checkpoint, or `new_progress()`.
      step_fn: `step_fn(state, step, count) -> (state, metrics)` takes `count` steps.
      evaluate: `evaluate(state) -> (name, metrics)`; the metric of that name judges, higher is
        better. None where nothing but the loss can: then the training loss does, smoothed over the
        calls, lower is better.
      schedule: how long, and how often.
      checkpointer: has the latest state and that of the best score when this returns.
      writer: takes the metrics of each evaluation.
      interrupted: asked after each call of `step_fn`.
      description: of the progress bar; None shows none.

    Raises:
      Interrupted: `interrupted()` became true; the state is saved.
      InputError: loss or gradient is not finite; the last good checkpoint is kept.
    """
    evaluation = Cadence(schedule.eval_every, schedule.num_steps)
    saving = Cadence(schedule.checkpoint_every, schedule.num_steps)
    progress, begin, earlier = dict(progress), time.monotonic(), progress["seconds"]
    step = int(state.step)
    turn = schedule.turn if schedule.turn < schedule.num_steps else 0
    pace = _Pace()
    first_step: dict[str, float] = {}
    with ProgressBar(schedule.num_steps, step, description) as bar:
        while step < schedule.num_steps and not progress["stopped"]:
            count = min(schedule.chunk, evaluation.until(step), saving.until(step))
            if step < schedule.turn:
                count = min(count, schedule.turn - step)
            dispatched = time.monotonic()
            with bar.work("steps", count):
                state, metrics = step_fn(state, step, count)
                values = {name: float(value) for name, value in metrics.items()}  # waits for these
            step += count
            first_step |= _first_step(count, bar.write)
            pace.steps += count
            pace.stepping += time.monotonic() - dispatched
            if not all(math.isfinite(value) for value in values.values()):
                raise InputError(
                    f"the loss must be finite, found {_unfinite(values)} at step {step}; lower "
                    f"learning_rate; the checkpoint of step {_last(checkpointer)} is kept"
                )
            if turn and step - count <= turn:  # a loss of another kind, or the first after it
                progress["smoothed_loss"] = None
            smoothed = progress["smoothed_loss"]
            progress["smoothed_loss"] = (
                values["loss"]
                if smoothed is None
                else _SMOOTHING * smoothed + (1 - _SMOOTHING) * values["loss"]
            )
            improved, note = None, ""
            if evaluation.due(step):
                speed = pace.speed(schedule.batch_size)
                with bar.work("evaluation"):
                    judge, scores = evaluate(state)
                pace = _Pace()
                score = None if judge is None else scores[judge]
                improved = _judge(progress, step, score, schedule.patience) if step > turn else None
                writer.write(step, values | speed | scores | first_step)
                first_step = {}
                note = _note(values["loss"], judge, progress, scores)
                note += f", {speed['samples_per_second']:,.0f} samples/s"
            bar.update(count, note)
            stop = interrupted()
            if improved is not None or saving.due(step) or progress["stopped"] or stop:
                progress["seconds"] = earlier + time.monotonic() - begin
                with bar.work("saving"):
                    checkpointer.save(step, state, progress, score=improved)
            if stop:
                raise Interrupted(step)
    return Outcome(
        state, step, progress["best_step"], progress["best_score"] or 0.0, progress["seconds"]
    )


def _first_step(count: int, tell: Callable[[str], None]) -> dict[str, float]:
    """What `time_to_first_step` has logged; empty without it, and after the first step."""
    start = _start.get()
    if start is None:
        return {}
    _start.set(None)
    seconds, compiling = time.monotonic() - start[0], sum(start[1])
    steps = "step" if count == 1 else f"{count} steps"  # of one dispatch
    tell(f"first {steps} after {seconds:.1f} s (compiling {compiling:.1f} s)")
    return {"first_step_seconds": seconds, "compile_seconds": compiling}


class _Pace:
    """Steps and the time they took, between two evaluations."""

    def __init__(self):
        self.begin, self.steps, self.stepping = time.monotonic(), 0, 0.0

    def speed(self, batch_size: int) -> dict[str, float]:
        elapsed = max(time.monotonic() - self.begin, 1e-9)
        return {
            "samples_per_second": batch_size * self.steps / elapsed,
            "host_share": max(1.0 - self.stepping / elapsed, 0.0),
        }


def _judge(progress: dict, step: int, score: float | None, patience: int) -> float | None:
    """Book an evaluation in `progress`; returns the score if it is the best so far."""
    score = -progress["smoothed_loss"] if score is None else score
    if progress["best_score"] is None or score > progress["best_score"]:
        progress.update(best_step=step, best_score=score, stale=0)
        return score
    progress["stale"] += 1
    progress["stopped"] = bool(patience) and progress["stale"] >= patience
    return None


def _note(loss: float, judge: str | None, progress: dict, scores: dict[str, float]) -> str:
    """The loss, what has been best by name, and validation scores that choose nothing: `loss 0.512,
    best validation accuracy 0.834`."""
    best, name = progress["best_score"], judge or "smoothed_loss"
    told = {"loss": loss}
    if best is not None:  # something is chosen already
        # A loss judges by its negative; what is read is the loss.
        told[f"best {name}"] = best if judge else -best
    told |= {
        name: score for name, score in scores.items()
        if name.startswith("validation_") and name != judge
    }  # fmt: skip
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in told.items())


def _unfinite(values: dict[str, float]) -> str:
    return ", ".join(f"{n} {v}" for n, v in values.items() if not math.isfinite(v))


def _last(checkpointer: Saver) -> str:
    steps = checkpointer.steps()
    return str(steps[-1]) if steps else "0 (none was due yet)"
