"""When something is due: every n steps, and at the last."""

import pytest

from mmix_jax.training.cadence import Cadence


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
