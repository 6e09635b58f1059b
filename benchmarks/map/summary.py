"""What the lines of a map come to: means, and paired differences with their intervals."""

from typing import Any

import numpy as np

from benchmarks.map.lines import key_of
from benchmarks.map.work import FEATURES, NAMES, Item, Plan, above_chance

Known = dict[tuple, dict[str, Any]]


def document(plan: Plan, known: Known, seeds: range, sets: list[str]) -> dict[str, Any]:
    """All numbers, as JSON: accuracies are fractions, intervals 95 % of Student's t over seeds.

    `gain` is a rule's trained accuracy less that of `none`, `learnt` trained less untrained, both
    paired by seed, which is that of the graph, too."""
    graphs = [_graph(plan, known, seeds, h, s) for h in plan.homophilies for s in plan.signals]
    rows = [
        _row(plan, known, seeds, rule, h, s, labels, name)
        for labels in plan.labels
        for rule in plan.rules
        for h in plan.homophilies
        for s in plan.signals
        for name in NAMES
    ]
    return {
        "settings": plan.fixed,
        "seeds": [seeds.start, seeds.stop],
        "graphs": [graph for graph in graphs if graph["n"]],
        "rows": [row for row in rows if row["n"]],
        "sets": [_place(name, known) for name in sets if _set_key(name) in known],
    }


def difference(higher: list[float], lower: list[float]) -> dict[str, Any]:
    """Mean and 95 % interval of paired differences; one pair has no interval."""
    from mmix_jax.report.paired import paired

    differences = np.subtract(higher, lower)
    interval = paired(differences[:, None]).interval
    return {
        "mean": float(differences.mean()),
        "interval": None if interval is None else list(interval),
    }


def _set_key(name: str) -> tuple:
    return key_of({"set": name})


def _place(name: str, known: Known) -> dict[str, Any]:
    line = known[_set_key(name)]
    return {
        "name": name,
        "adjusted_homophily": line["adjusted_homophily"],
        "num_classes": line["num_classes"],
        "num_splits": line["num_splits"],
        "features_accuracy": line["accuracy"],
        "features_above_chance": _above(line["accuracy"], line["num_classes"]),
    }


def _above(accuracy: dict[str, float], num_classes: int) -> dict[str, float]:
    return {labels: above_chance(value, num_classes) for labels, value in accuracy.items()}


def _graph(plan: Plan, known: Known, seeds: range, h: float, s: float) -> dict[str, Any]:
    """Where the graphs of a cell lie: means over their seeds."""
    lines = [known.get(key_of(Item(FEATURES, h, s, seed)._asdict())) for seed in seeds]
    there = [line for line in lines if line is not None]
    found: dict[str, Any] = {"homophily": h, "signal": s, "n": len(there)}
    if there:
        found["adjusted_homophily"] = float(np.mean([x["adjusted_homophily"] for x in there]))
        means = {
            str(labels): float(np.mean([x["accuracy"][str(labels)] for x in there]))
            for labels in plan.labels
        }
        found["features_accuracy"] = means
        found["features_above_chance"] = _above(means, plan.graph["num_classes"])
    return found


def _row(
    plan: Plan,
    known: Known,
    seeds: range,
    rule: str,
    h: float,
    s: float,
    labels: int,
    name: str,
) -> dict[str, Any]:
    def scores(of: str) -> dict[int, list[float]]:
        lines = {seed: known.get(key_of(Item(of, h, s, seed)._asdict())) for seed in seeds}
        return {
            seed: line["accuracy"][str(labels)][name]
            for seed, line in lines.items()
            if line is not None
        }

    own, none = scores(rule), scores("none")
    row: dict[str, Any] = {"labels_per_class": labels, "rule": rule, "homophily": h, "signal": s}
    row |= {"representation": name, "n": len(own)}
    if own:
        untrained, trained = (list(values) for values in zip(*own.values(), strict=True))
        row |= {"untrained": float(np.mean(untrained)), "trained": float(np.mean(trained))}
        row["learnt"] = difference(trained, untrained)
    if both := [] if rule == "none" else sorted(own.keys() & none.keys()):
        row["gain"] = difference([own[s][1] for s in both], [none[s][1] for s in both])
    return row
