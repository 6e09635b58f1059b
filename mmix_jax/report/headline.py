"""The headline of a run: what its training has changed, in one sentence."""

import dataclasses
from collections.abc import Iterable, Sequence

from mmix_jax.report.compare import Comparison, compare
from mmix_jax.report.tables import format_score, in_percent, metric_name
from mmix_jax.results import Result

# Of each task the measures of its headline, by how their metric begins.
_METRICS = {
    "image": ("top1",),
    "node": ("accuracy", "micro_f1"),
    "graph": ("accuracy",),
    "clustering": ("nmi",),
    "edit_distance": ("triplet_accuracy",),
}
_JUDGES = ("knn", "linear", "svm")  # named where a task has several
_FEWEST = 3  # seeds from which on an interval is worth its name


def training_sentence(results: Iterable[Result], representation: str) -> str:
    """`trained less untrained: +22.6 knn top1 %, +18.8 linear top1 % (n = 1)`, and a plain word
    where that is no gain.

    Differences are means over seeds; from three seeds on each has its paired 95 % interval.

    Args:
      results: of one run, trained and random-initialised.
      representation: the config's headline.

    Returns:
      One line; empty where no headline measure has both.

    Example:
      >>> from mmix_jax.report.headline import training_sentence
      >>> training_sentence([], "mean")
      ''
    """
    differences = _differences(list(results), representation)
    if not differences:
        return ""
    parts = [_difference(found) for found in differences]
    number = f"n = {len(differences[0].seeds)}"
    if _interval(differences[0]):
        over = "seeds and splits" if differences[0].splits > 1 else "seeds"
        number += f", paired 95 % intervals over {over}"
    said = "".join(f"; {words}" for words in _verdicts(differences))
    return f"trained less untrained: {', '.join(parts)} ({number}){said}"


def headline_score(
    results: Iterable[Result], representation: str, seed: int, *, trained: bool
) -> str:
    """The first headline measure of one encoder, `knn top1 91.80 %`; empty where there is none."""
    for r in headlines(results, representation):
        if r.trained == trained and seed in r.seeds:
            value = format_score(r.metric, r.values[r.seeds.index(seed)], 0.0, 1)
            unit = " %" if in_percent(r.metric) else ""
            return f"{_name(r.metric, r.protocol)} {value}{unit}"
    return ""


def headlines(results: Iterable[Result], representation: str) -> list[Result]:
    """Rows of a task's headline measures, without those of methods that are not pretrained."""
    return [
        r
        for r in results
        if r.representation == representation
        and r.metric.startswith(_METRICS.get(r.task, ()))
        and (r.task != "graph" or r.protocol.startswith("svm"))
    ]


def _differences(results: Sequence[Result], representation: str) -> list[Comparison]:
    rows = headlines(results, representation)
    trained = [r for r in rows if r.trained]
    topics = {(r.metric, r.protocol) for r in trained}
    untrained = [
        dataclasses.replace(r, trained=True)  # two runs are compared that agree on it
        for r in rows
        if not r.trained and (r.metric, r.protocol) in topics
    ]
    return compare(untrained, trained) if untrained else []


def _name(metric: str, protocol: str) -> str:
    judge = protocol.partition(" ")[0].rstrip(",")
    return f"{judge} {metric}" if judge in _JUDGES else metric


def _rounded(metric: str, value: float) -> float:
    """As it is shown; adding 0.0 turns -0.0 into 0.0."""
    return (round(100 * value, 1) if in_percent(metric) else round(value, 3)) + 0.0


def _signed(metric: str, value: float) -> str:
    return f"{_rounded(metric, value):+.{1 if in_percent(metric) else 3}f}"


def _interval(found: Comparison) -> tuple[float, float] | None:
    return found.interval if len(found.seeds) >= _FEWEST else None


def _difference(found: Comparison) -> str:
    metric = found.topic.metric
    words = f"{_signed(metric, found.mean)} {metric_name(_name(metric, found.protocol))}"
    if interval := _interval(found):
        words += " [{}, {}]".format(*(_signed(metric, end) for end in interval))
    return words


def _verdicts(differences: Sequence[Comparison]) -> list[str]:
    """What the numbers, as they are shown, say in words where training is no gain."""
    lowered, open_, same = [], [], []
    for found in differences:
        metric = found.topic.metric
        low, high = (_rounded(metric, x) for x in _interval(found) or (found.mean, found.mean))
        if high < 0:
            lowered.append(_name(metric, found.protocol))
        elif low <= 0:
            (open_ if _interval(found) else same).append(_name(metric, found.protocol))
    words = {
        "training has lowered {}": lowered,
        "no effect of training on {} is shown, as 0 lies in the interval": open_,
        "training has not changed {}": same,
    }
    return [text.format(" and ".join(names)) for text, names in words.items() if names]
