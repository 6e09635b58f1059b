"""Accuracy over seconds: judged embeddings of a training, and the curve that they make."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Point(NamedTuple):
    """A judged embedding; accuracies are fractions."""

    step: int
    seconds: float
    valid: float
    test: float


def best_so_far(points: Iterable[Point]) -> list[Point]:
    """The points whose validation accuracy is above that of all before them, in order of time.

    Test labels choose nothing. Step 0, an untrained encoder, is no part of a training's curve.
    """
    curve: list[Point] = []
    for point in sorted(points, key=lambda point: point.seconds):
        if point.step > 0 and (not curve or point.valid > curve[-1].valid):
            curve.append(point)
    return curve


def at(curve: Sequence[Point], seconds: float) -> Point | None:
    """What a curve of `best_so_far` had come to by then; None before its first point."""
    reached = [point for point in curve if point.seconds <= seconds]
    return reached[-1] if reached else None


def first_reaching(curve: Sequence[Point], part: str, accuracy: float) -> float | None:
    """When the chosen embedding first had this accuracy of "valid" or "test"; None if never."""
    return next((p.seconds for p in curve if getattr(p, part) >= accuracy), None)
