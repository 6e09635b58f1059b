"""The progress bar: its rate leaves compiling out, and it names what is best."""

import contextlib
import io
import re
from typing import Any, NamedTuple

import numpy as np
import pytest
from jax import monitoring

from mmix_jax.training import progress_bar
from mmix_jax.training.loop import Schedule, new_progress, train
from mmix_jax.training.metrics import History
from mmix_jax.training.progress_bar import COMPILING, ProgressBar


class State(NamedTuple):
    step: Any


class Clock:
    """Time that passes where it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress_bar, "time", clock)
    return clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def done(bar: ProgressBar, clock: Clock, kind: str, seconds: float, steps: int = 0) -> None:
    with bar.work(kind, steps):
        clock.passes(seconds)


def test_the_first_piece_of_each_kind_of_work_does_not_count(clock):
    with ProgressBar(100, 0, None) as bar:
        done(bar, clock, "steps", 60.0, 10)
        assert bar.rate == 0.0
        done(bar, clock, "evaluation", 30.0)
        done(bar, clock, "steps", 2.0, 10)
        assert bar.rate == 5.0
        done(bar, clock, "steps", 2.0, 10)
        done(bar, clock, "evaluation", 1.0)
        assert bar.rate == 4.0  # what comes again counts


def test_a_second_piece_in_which_jax_compiles_does_not_count_either(clock):
    with ProgressBar(100, 0, None) as bar:
        for seconds, rate in ((60.0, 0.0), (30.0, 0.0), (2.0, 5.0)):
            with bar.work("steps", 10):
                clock.passes(seconds)
                monitoring.record_event_duration_secs(COMPILING, 1.0)
            assert bar.rate == rate  # one that always compiles takes that long


def test_nobody_listens_after_the_bar(clock):
    with ProgressBar(100, 0, None) as bar:
        done(bar, clock, "steps", 1.0, 10)
    monitoring.record_event_duration_secs(COMPILING, 1.0)
    assert bar._compilations == 0


def test_what_fails_counts_for_nothing(clock):
    with ProgressBar(100, 0, None) as bar:
        done(bar, clock, "steps", 1.0, 1)
        with pytest.raises(KeyError), bar.work("steps", 1):
            clock.passes(1.0)
            raise KeyError
        assert bar.rate == 0.0


def shown(clock: Clock, sent: io.StringIO, *, step: int = 0, judge: str | None = None) -> list[str]:
    """The lines of a bar of thirty steps.

    Steps take a second, evaluations, at every tenth, five; the first of each compiles for a minute.
    """
    compiled = set()

    def takes(kind: str, seconds: float) -> None:
        clock.passes(seconds if kind in compiled else 60.0)
        compiled.add(kind)

    def take(state, number, count):
        takes("steps", 1.0)
        return State(np.int32(number + count)), {"loss": 2.0 - 0.05 * number}

    def evaluate(state):
        takes("evaluation", 5.0)
        return judge, {"validation_accuracy": 0.5 + 0.01 * int(state.step), "other": 7.0}

    class Saver:
        def save(self, *_, **__): ...

        def steps(self):
            return []

    with contextlib.redirect_stderr(sent):
        train(
            State(np.int32(step)),
            new_progress(),
            step_fn=take,
            evaluate=evaluate,
            schedule=Schedule(30, 10, 0),
            checkpointer=Saver(),
            writer=History(),
            description="cora mo seed 0",
        )
    return [line for line in re.split(r"[\r\n]+", sent.getvalue()) if line.strip()]


def every_update(monkeypatch):
    """A terminal that is written to at each update."""
    import tqdm

    original = tqdm.tqdm.__init__

    def at_once(self, *args, **options):
        original(self, *args, **options | {"mininterval": 0.0, "ncols": 300})

    monkeypatch.setattr(tqdm.tqdm, "__init__", at_once)


def test_remaining_time_is_that_of_compiled_steps(clock, monkeypatch):
    every_update(monkeypatch)
    lines = shown(clock, Terminal())
    parts = (re.search(r" (\d+)/30 .*<(\S+), +(\S+)step", line) for line in lines)
    remaining = {int(part[1]): part[2] for part in parts if part}
    assert len(remaining) == 31
    assert remaining[1] == "?"  # a minute of compiling says nothing
    assert remaining[2] == "00:28" and remaining[9] == "00:21"
    assert remaining[10] == "00:20"  # after the first evaluation, another minute
    assert remaining[20] == "00:12"  # 19 steps and an evaluation took 24 s
    assert any("1.00step/s" in line for line in lines if " 5/30 " in line)


def test_a_resumed_training_begins_where_it_was(clock, monkeypatch):
    every_update(monkeypatch)
    lines = shown(clock, Terminal(), step=20)
    assert " 20/30 " in lines[0] and " 30/30 " in lines[-1]
    (after_two,) = (line for line in lines if " 22/30 " in line)
    assert "<00:08, " in after_two and "1.00step/s" in after_two


@pytest.mark.parametrize(
    ("judge", "best"),
    [
        ("validation_accuracy", "best validation accuracy 0.8000"),
        (None, "best smoothed loss 0.9788"),  # 0.55 + 0.45 (1 − 0.9²⁹), no sign changed
    ],
)
def test_what_is_best_is_named(clock, judge, best):
    last = shown(clock, Terminal(), judge=judge)[-1]
    # A validation score that chooses nothing is told too.
    others = "" if judge else ", validation accuracy 0.8000"
    assert re.search(rf"loss 0.5500, {re.escape(best)}{others}, [\d,]+ samples/s", last)


def test_a_log_file_gets_a_line_now_and_then(clock):
    lines = shown(clock, io.StringIO())
    assert len(lines) == 2  # its beginning and its end
    assert " 0/30 " in lines[0] and " 30/30 " in lines[1]
