"""The map as heat maps, a panel for each rule: accuracy, gain over no mixing, what is learnt."""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKER = 0.17  # half of a point's size in cells, about
_LEAST = {"gain": 5.0, "learnt": 5.0}  # points at which colours end, at least
_TITLES = {
    "gain": "{rule} less none",
    "learnt": "{rule}: trained less untrained",
    "trained": "accuracy of {rule}, %",
}


def draw(document: dict[str, Any]) -> "Figure":
    """Rows of panels: gains with few labels and with more, then trained less untrained. In the
    place of `none` less itself stands its accuracy."""
    from matplotlib.figure import Figure

    rows = [row for row in document["rows"] if row["representation"] == "mean"]
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    labels = document["settings"]["labels"]
    figure = Figure(figsize=(10, 11.2), layout="constrained")
    panels = figure.subplots(2 * len(labels), len(rules), squeeze=False)
    wanted = [(what, count) for what in ("gain", "learnt") for count in labels]
    for number, (line, (what, count)) in enumerate(zip(panels, wanted, strict=True), 1):
        axes_of = _Plane(document["graphs"], count)
        for place, (axes, rule) in enumerate(zip(line, rules, strict=True)):
            kind = "trained" if what == "gain" and rule == "none" else what
            own = [r for r in rows if (r["rule"], r["labels_per_class"]) == (rule, count)]
            _panel(axes, axes_of, own, kind, _end(rows, kind), document["sets"])
            axes.set_title(_TITLES[kind].format(rule=rule), fontsize=9)
            axes.set_yticks(range(len(axes_of.y)), axes_of.y_words if place == 0 else [])
            words = axes_of.x_words if number == len(panels) else []
            axes.set_xticks(range(len(axes_of.x)), words)
        line[0].set_ylabel(f"{count} labels a class\nfeatures alone", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("adjusted homophily", fontsize=9)
    figure.suptitle(_words(document), fontsize=9, x=0.01, ha="left")
    return figure


class _Plane:
    """Cells of one size, named by what is measured in them; places between follow by lines."""

    def __init__(self, graphs: list[dict[str, Any]], labels: int):
        self.homophilies = sorted({g["homophily"] for g in graphs})
        self.signals = sorted({g["signal"] for g in graphs})
        self._labels = str(labels)
        self.x = [
            np.mean([g["adjusted_homophily"] for g in graphs if g["homophily"] == h])
            for h in self.homophilies
        ]
        self.y = [
            np.mean([g["features_above_chance"][self._labels] for g in graphs if g["signal"] == s])
            for s in self.signals
        ]
        self.x_words = [_number(value, ".2f") for value in self.x]
        self.y_words = [_number(value, ".2f") for value in self.y]

    def place(self, found: dict[str, Any]) -> tuple[float, float]:
        """Of a data set, in cells; what lies outside stands at the rim."""
        return (
            _between(found["adjusted_homophily"], self.x),
            _between(found["features_above_chance"][self._labels], self.y),
        )


def _between(value: float, ticks: list) -> float:
    """The place of a value among the ticks 0, 1, …; beyond them by the nearest two's step."""
    ticks = np.maximum.accumulate(ticks).tolist()  # a measure may fall where it hardly rises
    last = len(ticks) - 1
    place = float(np.interp(value, ticks, range(len(ticks))))
    if value < ticks[0]:
        place = (value - ticks[0]) / max(ticks[min(1, last)] - ticks[0], 1e-9)
    elif value > ticks[-1]:
        place = last + (value - ticks[-1]) / max(ticks[-1] - ticks[max(last - 1, 0)], 1e-9)
    rim = 0.5 - _MARKER
    return min(max(place, -rim), last + rim)


def apart(
    places: list[tuple[float, float]], least: float = 2 * _MARKER
) -> list[tuple[float, float]]:
    """The places, those that would cover each other moved apart in height."""
    heights = [y for _, y in places]
    for _ in range(20):
        for a, b in itertools.combinations(sorted(range(len(places)), key=heights.__getitem__), 2):
            short = least - (heights[b] - heights[a])
            if abs(places[a][0] - places[b][0]) < 0.8 * least and short > 1e-9:
                heights[a] -= short / 2
                heights[b] += short / 2
    return [(x, y) for (x, _), y in zip(places, heights, strict=True)]


def _end(rows: list[dict[str, Any]], kind: str) -> float:
    """Where colours end, in points: the same for all panels of a kind."""
    if kind == "trained":
        return 100.0
    largest = [abs(100 * row[kind]["mean"]) for row in rows if kind in row]
    return max([_LEAST[kind], *largest])


def _panel(
    axes: "Axes", plane: _Plane, rows: list, kind: str, end: float, sets: list[dict[str, Any]]
) -> None:
    values = np.full((len(plane.signals), len(plane.homophilies)), np.nan)
    sure = np.zeros(values.shape, bool)
    for row in rows:
        at = plane.signals.index(row["signal"]), plane.homophilies.index(row["homophily"])
        if kind == "trained":
            values[at] = 100 * row["trained"]
        elif kind in row:
            values[at] = 100 * row[kind]["mean"]
            low, high = row[kind]["interval"] or (0, 0)
            sure[at] = low > 0 or high < 0
    colours = {"cmap": "Greys", "vmin": 0, "vmax": 200}  # pale: all its numbers are in black
    if kind != "trained":
        colours = {"cmap": "RdBu", "vmin": -end, "vmax": end}
    axes.imshow(values, origin="lower", aspect="auto", **colours)
    places = apart([plane.place(found) for found in sets])
    for (y, x), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        words = _number(value, ".0f" if kind == "trained" else "+.1f")
        dark = kind != "trained" and abs(value) > 0.6 * end
        axes.text(
            x, _free(x, y, places), words, ha="center", va="center", fontsize=8,
            color="white" if dark else "black", weight="bold" if sure[y, x] else "normal",
        )  # fmt: skip
    for mark, (x, y) in zip(marks_of([found["name"] for found in sets]), places, strict=True):
        axes.plot(x, y, "o", markersize=9, color="white", markeredgecolor="black", mew=0.8)
        axes.text(x, y - 0.02, mark, ha="center", va="center", fontsize=6.5)
    axes.tick_params(labelsize=8, length=2)


def marks_of(names: list[str]) -> list[str]:
    """As many first letters as tell each name from the others."""
    marks = []
    for name in names:
        others = [other.lower() for other in names if other != name]
        sizes = range(1, len(name) + 1)
        own = (n for n in sizes if not any(o.startswith(name[:n].lower()) for o in others))
        marks.append(name[: next(own, len(name))].capitalize())
    return marks


def _free(x: int, y: int, places: list[tuple[float, float]]) -> float:
    """The height at which a cell's number is not covered by a point: the middle, if it can be."""
    over = [b - y for a, b in places if abs(a - x) < 0.42 + _MARKER and abs(b - y) < 0.7]
    away = {at: min([abs(b - at) for b in over] + [1.0]) for at in (0.0, 0.3, -0.3)}
    return y + next((at for at in away if away[at] >= 0.27), max(away, key=away.__getitem__))


def _number(value: float, form: str) -> str:
    """With a minus of the width of a plus, and none before a zero."""
    words = f"{value:{form}}"
    zero = not float(words)
    return words.lstrip("+-") if zero else words.replace("-", "−")


def _words(document: dict[str, Any]) -> str:
    rows = document["rows"]
    number = " or ".join(map(str, sorted({row["n"] for row in rows})))
    shape = document["settings"]["graph"]
    sets = [found["name"] for found in document["sets"]]
    names = ", ".join(f"{mark} {name}" for mark, name in zip(marks_of(sets), sets, strict=True))
    return (
        f"Drawn graphs of {shape['num_nodes']:,} nodes and {shape['num_classes']} classes. Points "
        f"of test accuracy, n = {number} graphs and trainings a cell; bold: the paired 95 % "
        "interval excludes 0;\nblue more, red less. Features alone: accuracy of the same "
        "regression on the features, 0 chance, 1 no mistake."
        + (f"\nCircles: {names}." if names else "")
    )
