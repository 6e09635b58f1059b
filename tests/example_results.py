"""Result records for the tests of results.jsonl and of the reports."""

from collections.abc import Sequence
from typing import Any

from mmix_jax.results import Result, score


def result(
    values: Sequence[float] = (0.856, 0.862), seeds: Sequence[int] | None = None, **changes: Any
) -> Result:
    """A node result with these values under seeds 0, 1, ...; `changes` replaces any field."""
    fields = {
        "task": "node",
        "dataset": "cora",
        "framework": "mvgrl",
        "mixing": "mo",
        "candidates": "wp",
        "objective": "info_nce",
        "representation": "mean",
        "trained": True,
        "metric": "accuracy",
        "seeds": tuple(range(len(values)) if seeds is None else seeds),
        "protocol": "standard",
        "selection": "valid",
        "seed": 0,
        "steps": 300,
        "seconds": 12.5,
        "device": "1 x cpu",
        "versions": {"jax": "0.10.2"},
    }
    return Result(**(fields | score(values)._asdict() | changes))
