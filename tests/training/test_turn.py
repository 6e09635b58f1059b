"""A training whose loss turns into another: calls end there, and steps are chosen after it."""

import pytest

from mmix_jax.training.loop import Schedule
from tests.training.test_loop import judged_by, no_score, run, start


def counted(state, number, count):
    """Steps whose loss is 1 before step 5, then 10 − their number / 10."""
    last = number + count
    return state._replace(step=state.step + count), {"loss": 1.0 if last <= 5 else 10 - last / 10}


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_no_call_crosses_the_turn(chunk):
    taken = []

    def steps(state, number, count):
        taken.append((number, number + count))
        return counted(state, number, count)

    run(Schedule(10, 10, 0, chunk=chunk, turn=5), step_fn=steps, evaluate=no_score)
    assert sum(stop - first for first, stop in taken) == 10
    assert 5 in {first for first, _ in taken}


def test_the_loss_is_smoothed_and_judged_after_the_turn():
    outcome, _ = run(Schedule(10, 1, 0, patience=2, turn=5), step_fn=counted, evaluate=no_score)
    assert outcome.steps == 10  # patience counts from the turn on
    assert outcome.best_step == 10  # though the loss was least before
    smoothed = 10 - 0.6
    for step in range(7, 11):
        smoothed = 0.9 * smoothed + 0.1 * (10 - step / 10)
    assert outcome.best_score == pytest.approx(-smoothed)


def test_a_better_score_before_the_turn_is_not_chosen():
    scores = [0.9, 0.8, 0.9, 0.9, 0.9, 0.3, 0.5, 0.4, 0.4, 0.4]
    outcome, _ = run(Schedule(10, 1, 0, turn=5), step_fn=counted, evaluate=judged_by(scores))
    assert (outcome.best_step, outcome.best_score) == (7, 0.5)


def test_a_turn_at_the_end_is_none():
    outcome, _ = run(Schedule(4, 1, 0, turn=4), step_fn=counted, evaluate=no_score)
    assert outcome.best_step > 0
    assert int(start().step) == 0
