"""What mixing does to negatives, vectors and gradients over a training: three figures on Cora."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmix_jax.plans.figures import Drawn, Plan, Runs
from mmix_jax.plans.runs import Setting
from mmix_jax.training.metrics import read_history

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Arms by what they are called: mo and mp as published, sharp weights, mixtures as negatives.
ARMS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "none": ("none", ()),
    "mo": ("mo", ()),
    "mp": ("mp", ()),
    "mp_nodiv": ("mp_nodiv", ()),
    "mo_all, τ_mix 0.1": ("mo_all", (("mixing_temperature", "0.1"),)),
    "negatives": ("negatives", ()),
}
_WATCHED = (("mechanism", "True"), ("eval_every", "10"), ("num_clusterings", "0"))
_NEGATIVES = {
    "contrast/hardness": "cosine of the negatives, as weighed",
    "contrast/false_negatives": "share of their weight on the own class",
    "contrast/weight": "share of negatives in the denominator",
}
_GRADIENTS = {
    "gradients/cosine": "cosine with the gradient without mixing",
    "gradients/ratio": "length, to that without mixing",
}
_GEOMETRY = ("contrast/uniformity", "contrast/alignment")


def setting_of(arm: str) -> Setting:
    """The run on Cora behind an arm."""
    variant, changes = ARMS[arm]
    return Setting("cora", variant, (*_WATCHED, *changes))


def _curves(runs: Runs, folder: Path, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Of each arm: steps, and each metric's mean over seeds, from the workdirs of its run."""
    curves = []
    for arm in ARMS:
        setting = setting_of(arm)
        if setting not in runs or not (folder / setting.name).is_dir():
            continue
        histories = [read_history(folder / setting.name, seed) for seed in runs[setting].seeds]
        steps = sorted({int(row["step"]) for history in histories for row in history})
        curve: dict[str, Any] = {"arm": arm, "n": len(histories), "step": steps}
        for name in names:
            means = [
                np.mean([row[name] for h in histories for row in h if row["step"] == s])
                for s in steps
                if any(name in row for h in histories for row in h if row["step"] == s)
            ]
            if len(means) == len(steps):
                curve[name] = [float(value) for value in means]
        curves.append(curve)
    return curves


def _colours() -> dict[str, str]:
    return {arm: f"C{place}" for place, arm in enumerate(ARMS)}


def _lines(panels: Mapping[str, str], curves, figure: "Figure") -> None:
    """A panel per metric, a line per arm."""
    colours = _colours()
    for axes, (name, words) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
    ):
        for curve in curves:
            if name in curve:
                colour = colours[curve["arm"]]
                axes.plot(curve["step"], curve[name], color=colour, label=curve["arm"])
        axes.set_title(words, fontsize=9)
        axes.set_xlabel("step", fontsize=9)


def _legend(figure: "Figure") -> None:
    found: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(
        found.values(), found.keys(), loc="outside lower center", ncols=6, frameon=False, fontsize=8
    )


def _words(curves, names: tuple[str, ...]) -> str:
    """The last value of each metric, by arm."""
    lines = ["Cora, last step, means over seeds"]
    for curve in curves:
        values = ", ".join(
            f"{name.partition('/')[2]} {curve[name][-1]:.3f}" for name in names if name in curve
        )
        lines.append(f"{curve['arm']} (n = {curve['n']}): {values or 'nothing is mixed'}")
    return "\n".join(lines)


def _drawn(runs: Runs, folder: Path, names: tuple[str, ...], draw) -> Drawn:
    from matplotlib.figure import Figure

    curves = _curves(runs, folder, names)
    if not curves:
        return Drawn("no metrics of its runs are there: records keep none, so run it", curves, None)
    figure = Figure(figsize=(9.5, 3.4), layout="constrained")
    draw(curves, figure)
    _legend(figure)
    return Drawn(_words(curves, names), curves, figure)


def _negatives(runs: Runs, folder: Path) -> Drawn:
    def draw(curves, figure):
        _lines(_NEGATIVES, curves, figure)

    return _drawn(runs, folder, tuple(_NEGATIVES), draw)


def _gradients(runs: Runs, folder: Path) -> Drawn:
    def draw(curves, figure):
        _lines(_GRADIENTS, curves, figure)

    return _drawn(runs, folder, tuple(_GRADIENTS), draw)


def _geometry(runs: Runs, folder: Path) -> Drawn:
    """Every arm's way through the plane of alignment and uniformity, and its end."""

    def draw(curves, figure):
        colours = _colours()
        axes: Axes = figure.subplots()
        for curve in curves:
            x, y = (curve[name] for name in _GEOMETRY)
            axes.plot(x, y, color=colours[curve["arm"]], label=curve["arm"], linewidth=1)
            axes.plot(x[-1], y[-1], "o", color=colours[curve["arm"]])
        axes.set_xlabel("uniformity (lower: spread out)", fontsize=9)
        axes.set_ylabel("alignment (lower: views agree)", fontsize=9)

    return _drawn(runs, folder, _GEOMETRY, draw)


def mechanism_plans(seeds: int | None) -> dict[str, Plan]:
    """The figures by name."""
    settings = {setting_of(arm): seeds or 3 for arm in ARMS}
    plans = (
        Plan("mechanism_negatives", "what mixing does to the negatives", settings, _negatives),
        Plan("mechanism_geometry", "alignment and uniformity", settings, _geometry),
        Plan("mechanism_gradients", "what mixing does to the gradient", settings, _gradients),
    )
    return {plan.name: plan for plan in plans}
