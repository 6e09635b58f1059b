"""The loop on a quadratic: cadence, early stopping, divergence, interruption, resumption."""

import math
import time
from typing import Any, NamedTuple

import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.training.checkpoint import Checkpointer, MemoryCheckpoints
from mmix_jax.training.loop import Cadence, Interrupted, Schedule, new_progress, train
from mmix_jax.training.metrics import History, MetricsWriter, read_history
from tests.metric_lines import SPEED, lines_of


@pytest.mark.parametrize(
    ("every", "last", "due"),
    [
        (3, 10, [3, 6, 9, 10]),
        (5, 10, [5, 10]),
        (1, 3, [1, 2, 3]),
        (20, 10, [10]),
        (0, 10, [10]),
    ],
)
def test_every_n_steps_and_at_the_last(every, last, due):
    assert [step for step in range(last + 1) if Cadence(every, last).due(step)] == due


def test_a_longer_run_is_due_where_the_shorter_one_was_and_goes_on():
    assert [step for step in range(15) if Cadence(4, 14).due(step)] == [4, 8, 12, 14]


class State(NamedTuple):
    step: Any
    x: Any


class Memory:
    """Checkpointer and writer in one; what the loop asked of them."""

    def __init__(self):
        self.saved: list[tuple[int, dict, float | None]] = []
        self.written: list[tuple[int, dict]] = []

    def save(self, step, state, progress, *, score=None):
        assert int(state.step) == step
        self.saved.append((step, dict(progress), score))

    def steps(self):
        return [step for step, _, _ in self.saved]

    def write(self, step, values):
        self.speed = {name: values[name] for name in SPEED}
        self.written.append((step, {n: v for n, v in values.items() if n not in SPEED}))


def start(x: float = 1.0) -> State:
    return State(np.int32(0), np.float32([x, 2 * x]))


def descend(state: State, number: int, count: int = 1) -> tuple[State, dict]:
    """A step down ½‖x‖², with noise that is a function of the step."""
    assert int(state.step) == number
    noise = np.random.default_rng(number).normal(size=2).astype(np.float32)
    x = np.float32(0.9) * state.x + np.float32(0.01) * noise
    return State(np.int32(number + 1), x), {"loss": 0.5 * float(np.sum(state.x**2))}


def judged_by(scores):
    """An evaluation that gives these scores in turn, among others."""
    remaining = iter(scores)
    return lambda _: ("accuracy", {"accuracy": next(remaining), "other": 0.5})


def no_score(_):
    return None, {}


def run(schedule: Schedule, *, memory: Memory | None = None, **options):
    memory = memory or Memory()
    options = {"step_fn": descend, "evaluate": no_score} | options
    outcome = train(
        options.pop("state", start()),
        options.pop("progress", new_progress()),
        schedule=schedule,
        checkpointer=memory,
        writer=memory,
        **options,
    )
    return outcome, memory


def test_evaluations_and_checkpoints_come_when_due():
    scores = [0.3, 0.2, 0.2, 0.1]
    outcome, memory = run(Schedule(10, 3, 4, 30), evaluate=judged_by(scores))
    assert [step for step, _ in memory.written] == [3, 6, 9, 10]
    # at 3 for the improvement, at 4 and 8 by cadence, and at the last
    assert memory.steps() == [3, 4, 8, 10]
    assert [score for _, _, score in memory.saved] == [0.3, None, None, None]
    assert (outcome.steps, outcome.best_step, outcome.best_score) == (10, 3, 0.3)
    assert int(outcome.state.step) == 10


def test_a_line_has_the_steps_metrics_and_the_evaluations():
    _, memory = run(Schedule(2, 2), evaluate=judged_by([0.7]))
    ((_, values),) = memory.written
    assert set(values) == {"loss", "accuracy", "other"}


def test_speed_counts_samples_and_the_time_in_which_no_step_ran():
    def slow(state, number, count):
        time.sleep(0.02 * count)
        return descend(state, number, count)

    def saving(*_, **__):
        time.sleep(0.06)

    memory = Memory()
    memory.save = saving
    schedule = Schedule(8, eval_every=4, checkpoint_every=1, chunk=1, batch_size=10)
    run(schedule, memory=memory, step_fn=slow)
    # Four steps and four saves, one of them of the evaluation before: 0.08 s and 0.24 s.
    assert 60 < memory.speed["samples_per_second"] < 125.1
    assert 0.5 < memory.speed["host_share"] < 0.85


@pytest.mark.parametrize(("chunk", "calls"), [(1, 10), (3, 5), (100, 4)])
def test_a_call_takes_a_chunk_at_most_and_ends_where_something_is_due(chunk, calls):
    taken = []

    def steps(state, number, count):
        taken.append((number, count))
        for place in range(number, number + count):
            state, metrics = descend(state, place)
        return state, metrics

    outcome, memory = run(Schedule(10, 4, 5, chunk=chunk), step_fn=steps)
    assert len(taken) == calls
    assert [number for number, _ in taken] == [0, *np.cumsum([count for _, count in taken])[:-1]]
    ends = {number + count for number, count in taken}
    assert {4, 5, 8, 10} <= ends and max(count for _, count in taken) <= chunk
    single, _ = run(Schedule(10, 4, 5))
    np.testing.assert_array_equal(outcome.state.x, single.state.x)
    assert [step for step, _ in memory.written] == [4, 8, 10]


@pytest.mark.parametrize(
    ("scores", "patience", "steps", "best_step"),
    [
        ([0.1, 0.5, 0.4, 0.5, 0.9], 2, 4, 2),  # an equal score is no improvement
        ([0.1, 0.5, 0.4, 0.6, 0.3, 0.2], 2, 6, 4),  # an improvement starts the count anew
        ([0.5, 0.4, 0.3, 0.2, 0.1, 0.0], 0, 6, 1),  # 0 never stops
        ([0.0, -0.1], 1, 2, 1),
    ],
)
def test_early_stopping(scores, patience, steps, best_step):
    outcome, memory = run(Schedule(6, 1, 0, patience), evaluate=judged_by(scores))
    assert (outcome.steps, outcome.best_step) == (steps, best_step)
    last_step, progress, _ = memory.saved[-1]
    assert (last_step, progress["stopped"]) == (steps, steps < 6 or patience == 2)
    assert progress["best_step"] == best_step


@pytest.mark.parametrize("description", [None, "cora mo seed 0"])
def test_a_progress_bar_is_shown_where_it_has_a_description(capsys, description):
    run(Schedule(3, 1), description=description)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert (description in shown.err) if description else shown.err == ""


def test_a_stopped_training_stays_stopped():
    progress = {**new_progress(), "stopped": True, "best_score": 0.5, "best_step": 3}
    outcome, memory = run(Schedule(10, 1), progress=progress, step_fn=None)
    assert (outcome.steps, outcome.best_step) == (0, 3)
    assert memory.saved == memory.written == []


def test_without_a_judge_the_smoothed_loss_decides():
    losses = [4.0, 2.0, 9.0, 1.0]

    def step_fn(state, number, count):
        return State(np.int32(number + 1), state.x), {"loss": losses[number]}

    outcome, memory = run(Schedule(4, 1), step_fn=step_fn)
    smoothed = [4.0]
    for loss in losses[1:]:
        smoothed.append(0.9 * smoothed[-1] + 0.1 * loss)
    best = int(np.argmin(smoothed))
    assert outcome.best_step == best + 1
    assert math.isclose(outcome.best_score, -smoothed[best])
    assert math.isclose(memory.saved[-1][1]["smoothed_loss"], smoothed[-1])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["loss", "gradient_norm"])
def test_divergence_names_the_step_and_keeps_the_last_good_checkpoint(name, bad):
    def step_fn(state, number, count):
        state, metrics = descend(state, number)
        return state, {**metrics, "gradient_norm": 1.0, **({name: bad} if number == 4 else {})}

    memory = Memory()
    with pytest.raises(InputError, match=f"found {name} {bad} at step 5; .* of step 4 is kept"):
        run(Schedule(10, 2, 2), step_fn=step_fn, memory=memory)
    assert memory.steps()[-1] == 4


def test_divergence_before_any_checkpoint():
    def step_fn(state, number, count):
        return state, {"loss": math.nan}

    with pytest.raises(InputError, match="at step 1") as error:
        run(Schedule(10), step_fn=step_fn)
    assert "\n" not in str(error.value)


def test_interruption_saves_and_names_the_step():
    asked = iter([False, False, True])
    memory = Memory()
    with pytest.raises(Interrupted) as stop:
        run(Schedule(10, 0, 0), interrupted=lambda: next(asked), memory=memory)
    assert (stop.value.step, memory.steps()) == (3, [3])


def test_the_progress_it_is_given_stays_as_it_was():
    progress = new_progress()
    run(Schedule(3, 1), progress=progress)
    assert progress == new_progress()


def test_a_finished_training_takes_no_step():
    state = State(np.int32(5), start().x)
    outcome, memory = run(Schedule(5), state=state, step_fn=None)
    assert outcome.steps == 5
    assert memory.saved == memory.written == []


# Resumption, with checkpoints on disk or in memory


def go_on(checkpointer, writer_at, num_steps: int = 9, interrupted=lambda: False):
    """Starts or goes on from the latest checkpoint; the outcome."""
    peaks = {4: 0.9, 6: 0.95}  # scores are a function of the step, as accuracies of a state are

    def evaluate(state):
        return "peak", {"peak": peaks.get(int(state.step), 0.1), "x0": float(state.x[0])}

    with checkpointer:
        state, progress = checkpointer.restore(start()) or (start(), new_progress())
        with writer_at(int(state.step)) as writer:
            return train(
                state,
                progress,
                step_fn=descend,
                evaluate=evaluate,
                schedule=Schedule(num_steps, 2, 3, 30),
                checkpointer=checkpointer,
                writer=writer,
                interrupted=interrupted,
            )


def resumable(folder, **options):
    """`go_on` in a folder; the latest and the best state, each with its progress."""
    checkpointer = Checkpointer(folder / "checkpoints")
    go_on(checkpointer, lambda step: MetricsWriter(folder, seed=0, step=step), **options)
    with Checkpointer(folder / "checkpoints", read_only=True) as checkpointer:
        latest, best = checkpointer.restore(start()), checkpointer.restore(start(), best=True)
    return latest, best


def same(actual, expected) -> None:
    """States bit by bit, and progress but for the time it took."""
    for (state, progress), (expected_state, expected_progress) in zip(
        actual, expected, strict=True
    ):
        assert int(state.step) == int(expected_state.step)
        assert np.asarray(state.x).tobytes() == np.asarray(expected_state.x).tobytes()
        del progress["seconds"], expected_progress["seconds"]
        assert progress == expected_progress


def until_done(folder, interruptions, **options):
    """Interrupted after each of these numbers of steps in turn, then left alone."""
    for count in interruptions:
        asked = iter([False] * (count - 1) + [True])
        with pytest.raises(Interrupted):
            resumable(folder, interrupted=lambda asked=asked: next(asked), **options)
    return resumable(folder, **options)


@pytest.mark.parametrize("interruptions", [[1, 1, 1], [4], [6, 2], [9]])
def test_interrupted_and_resumed_ends_bitwise_as_uninterrupted(tmp_path, interruptions):
    expected = resumable(tmp_path / "whole")
    actual = until_done(tmp_path / "parts", interruptions)
    assert lines_of(tmp_path / "whole") == lines_of(tmp_path / "parts")
    assert len(lines_of(tmp_path / "whole")) == 5
    same(actual, expected)


def test_killed_between_checkpoints_it_replays_the_steps(tmp_path):
    expected = resumable(tmp_path / "whole")
    calls = iter(range(100))

    def killed():
        if next(calls) == 4:  # after step 5, whose checkpoint is that of step 4
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        resumable(tmp_path / "parts", interrupted=killed)
    actual = resumable(tmp_path / "parts")
    same(actual, expected)
    assert lines_of(tmp_path / "whole") == lines_of(tmp_path / "parts")


def test_time_adds_up_over_interruptions(tmp_path):
    latest, _ = until_done(tmp_path, [4])
    total = latest[1]["seconds"]
    assert total > 0
    assert resumable(tmp_path)[0][1]["seconds"] == total  # a finished run only reports


def test_more_steps_go_on_where_fewer_ended(tmp_path):
    expected = resumable(tmp_path / "whole", num_steps=12)
    resumable(tmp_path / "parts", num_steps=6)
    same(resumable(tmp_path / "parts", num_steps=12), expected)


@pytest.mark.parametrize("interruptions", [[], [4], [6, 2]])
def test_a_training_in_memory_ends_bitwise_as_one_on_disk(tmp_path, interruptions):
    expected = resumable(tmp_path)
    checkpoints, history = MemoryCheckpoints(), History()
    for count in interruptions:
        asked = iter([False] * (count - 1) + [True])
        with pytest.raises(Interrupted):
            go_on(checkpoints, lambda _: history, interrupted=lambda asked=asked: next(asked))
    outcome = go_on(checkpoints, lambda _: history)
    assert outcome.best_step == expected[1][1]["best_step"] == 6
    assert outcome.state.x.tobytes() == expected[0][0].x.tobytes()
    same([checkpoints.restore(start()), checkpoints.restore(start(), best=True)], expected)
    logged, written = (
        [{name: value for name, value in row.items() if name not in SPEED} for row in rows]
        for rows in (history.rows, read_history(tmp_path, 0))
    )
    assert logged == written
