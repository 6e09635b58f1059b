"""The paper's figures, each as PNG and JSON, and what theorem 3.2 says beside figure 2."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmix_jax.plans.runs import Found, Setting
from mmix_jax.plans.written import write_text
from mmix_jax.report.plots import save_png
from mmix_jax.theory import sample_size
from mmix_jax.training.metrics import read_history

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Nodes of a step, and output dimensions, of figures 2 and 3.
SIZES = (256, 512, 1024)
WIDTHS = (64, 128, 256, 512)
_WITH = {"mp": "with L_div", "mp_nodiv": "without L_div"}
_DELTA = 0.1
_DIGITS, _CIFAR = Setting("digits", "mo_op"), Setting("cifar10", "small+mo_op")
Runs = Mapping[Setting, Found]


class Drawn(NamedTuple):
    """What a figure comes to: text to print, JSON, and the picture; no picture where there is
    nothing to show yet."""

    text: str
    values: Any
    figure: "Figure | None"


class Plan(NamedTuple):
    """A figure by its name: the runs behind it, and what is made of them and their folder."""

    name: str
    title: str
    settings: dict[Setting, int]
    make: Callable[[Runs, Path], Drawn]


def _grid_setting(variant: str, size: int, width: int) -> Setting:
    changes = {"batch_size": size, "width": width, "num_steps": 100, "eval_every": 10}
    return Setting("pubmed", variant, tuple((key, str(n)) for key, n in changes.items()))


def _grid(seeds: int) -> dict[Setting, int]:
    return {
        _grid_setting(variant, size, width): seeds
        for variant in _WITH
        for width in WIDTHS
        for size in SIZES
    }


def _grid_scores(runs: Runs) -> list[dict[str, Any]]:
    rows = []
    for variant in _WITH:
        for width in WIDTHS:
            for size in SIZES:
                there = runs.get(_grid_setting(variant, size, width))
                for r in there.results if there else ():
                    if (r.metric, r.representation, r.trained) == ("accuracy", "mean", True):
                        rows.append(
                            {"variant": variant, "width": width, "sample_size": size,
                             "mean": r.mean, "std": r.std, "n": r.n}
                        )  # fmt: skip
    return rows


def _accuracy_over_sizes(runs: Runs, folder: Path) -> Drawn:
    """Figure 2: test accuracy over sample size, a line per width, with and without L_div."""
    from matplotlib.figure import Figure

    rows = _grid_scores(runs)
    if not rows:
        return Drawn("no run of it is there yet", rows, None)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(_WITH), sharey=True)
    lines = []
    for axes, (variant, words) in zip(panels, _WITH.items(), strict=True):
        for width in WIDTHS:
            own = [r for r in rows if (r["variant"], r["width"]) == (variant, width)]
            places = [r["sample_size"] for r in own]
            means, stds = (np.array([100 * r[k] for r in own]) for k in ("mean", "std"))
            axes.errorbar(places, means, yerr=stds, marker="o", capsize=2, label=f"{width}")
            scores = "  ".join(
                f"{place}: {mean:.1f}" for place, mean in zip(places, means, strict=True)
            )
            lines.append(f"{words}, width {width}:  {scores}")
        axes.set_xscale("log", base=2)
        axes.set_xticks(SIZES, [str(size) for size in SIZES])
        axes.set(title=words, xlabel="sample size (nodes of a step)")
    panels[0].set_ylabel("test accuracy, %")
    panels[-1].legend(title="width", frameon=False, fontsize=8)
    numbers = sorted({r["n"] for r in rows})
    head = f"Pubmed, mp-mix, test accuracy in %, n = {' or '.join(map(str, numbers))}"
    return Drawn("\n".join([head, *lines]), rows, figure)


def _accuracy_over_steps(runs: Runs, folder: Path) -> Drawn:
    """Figure 3: validation accuracy over steps, a panel per sample size, a line per width."""
    from matplotlib.figure import Figure

    curves = []
    for variant in _WITH:
        for width in WIDTHS:
            for size in SIZES:
                setting = _grid_setting(variant, size, width)
                curves += _curve(setting, runs, folder, variant=variant, width=width, size=size)
    if not curves:
        return Drawn("no metrics of its runs are there: records keep none, so run it", curves, None)
    figure = Figure(figsize=(3 * len(SIZES), 5.4), layout="constrained")
    grid = figure.subplots(len(_WITH), len(SIZES), sharex=True, sharey=True)
    for line, (variant, words) in zip(grid, _WITH.items(), strict=True):
        for axes, size in zip(line, SIZES, strict=True):
            for place, width in enumerate(WIDTHS):
                own = [
                    c for c in curves
                    if (c["variant"], c["sample_size"], c["width"]) == (variant, size, width)
                ]  # fmt: skip
                for curve in own:
                    label = f"{width}" if curve is own[0] else None
                    values = [100 * value for value in curve["validation_accuracy"]]
                    axes.plot(curve["step"], values, color=f"C{place}", label=label, linewidth=1)
            axes.set_title(f"{words}, {size} nodes", fontsize=9)
        line[0].set_ylabel("validation accuracy, %", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("step", fontsize=9)
    grid[0][-1].legend(title="width", frameon=False, fontsize=8)
    last = [
        f"{c['variant']}, {c['sample_size']} nodes, width {c['width']}, seed {c['seed']}: "
        f"{100 * max(c['validation_accuracy']):.1f} at best"
        for c in curves
    ]
    return Drawn("\n".join(["Pubmed, mp-mix, validation accuracy in %", *last]), curves, figure)


def _curve(
    setting: Setting, runs: Runs, folder: Path, *, variant: str, width: int, size: int
) -> list[dict[str, Any]]:
    if setting not in runs or not (folder / setting.name).is_dir():
        return []
    curves = []
    for seed in runs[setting].seeds:
        history = read_history(folder / setting.name, seed)
        logged = [row for row in history if "validation_accuracy" in row]
        if logged:
            curves.append(
                {"variant": variant, "width": width, "sample_size": size, "seed": seed,
                 "step": [int(row["step"]) for row in logged],
                 "validation_accuracy": [row["validation_accuracy"] for row in logged]}
            )  # fmt: skip
    return curves


def _map_of_images(setting: Setting, runs: Runs, folder: Path) -> Drawn:
    """Figure 4: t-SNE of images, random-initialised and trained."""
    from mmix_jax.experiments.figures import encoder_map

    encoder = _encoder(setting, runs, folder)
    if encoder is None:
        return Drawn("its run is not there", [], None)
    task, encoder = encoder
    made = encoder_map(task, encoder, runs[setting].results)
    if isinstance(made, str):
        return Drawn(f"nothing to show: {made}", [], None)
    panels = [
        {
            "panel": axes.get_title(),
            "class": place,
            "points": np.asarray(shown.get_offsets()).tolist(),
        }
        for axes in made.axes
        for place, shown in enumerate(axes.collections)
    ]
    return Drawn(f"t-SNE of {setting.config} (mo-mix-op)", panels, made)


def _mixtures_of_images(setting: Setting, runs: Runs, folder: Path) -> Drawn:
    """Figure 5: anchors and what is mixed into them, with its weights."""
    from mmix_jax.experiments.images.figures import MIXTURES, mixtures_of
    from mmix_jax.experiments.images.scores import variables_of

    encoder = _encoder(setting, runs, folder)
    if encoder is None:
        return Drawn("its run is not there", [], None)
    task, encoder = encoder
    made = task.mixtures(encoder)
    if isinstance(made, str):
        return Drawn(f"nothing to show: {made}", [], None)
    rows, mixtures = mixtures_of(task.inputs, variables_of(encoder.state), encoder.seed)
    labels = task.inputs.dataset.train_labels
    values = [
        {"anchor": int(rows[anchor]), "class": int(labels[rows[anchor]]), "self_weight": own,
         "partners": rows[partners].tolist(), "weights": weights.tolist(),
         "classes": labels[rows[partners]].tolist()}
        for anchor, own, partners, weights in mixtures
    ]  # fmt: skip
    return Drawn(f"mixtures of {setting.config} (mo-mix-op)", values, made[MIXTURES])


def _encoder(setting: Setting, runs: Runs, folder: Path) -> tuple[Any, Any] | None:
    """The task and the first encoder of a run on images, if its workdir is there."""
    if setting not in runs or not (folder / setting.name / "checkpoints").is_dir():
        return None
    from mmix_jax.experiments.run import encoders_of, load

    task: Any = load(setting.asked(runs[setting].seeds))
    return task, next(encoders_of(task, folder / setting.name))


def _theorem(runs: Runs, folder: Path) -> Drawn:
    """Equation 12 over output dimensions, and the best sample size of figure 2 for each."""
    scores = _grid_scores(runs)
    rows, lines = [], []
    for width in WIDTHS:
        best = {}
        for variant in _WITH:
            own = [r for r in scores if (r["variant"], r["width"]) == (variant, width)]
            if own:
                best[variant] = max(own, key=lambda r: r["mean"])["sample_size"]
        least = sample_size(width, delta=_DELTA)
        rows.append({"dimension": width, "least_sample_size": least, "best_sample_size": best})
        found = ", ".join(f"{words} {best[v]}" for v, words in _WITH.items() if v in best)
        lines.append(f"F' = {width}: N >= {least}; best in figure 2: {found or 'not run'}")
    head = (
        f"eq. 12 with mu = C = 1, delta = {_DELTA}; both constants are unknown, so that only the "
        "growth with log F' can be held against figure 2"
    )
    return Drawn("\n".join([head, *lines]), rows, None)


def figure_plans(seeds: int | None) -> dict[str, Plan]:
    """The figures by name; `seeds` trainings each where it is said."""
    grid = _grid(seeds or 2)
    plans = (
        Plan("figure2", "sample size and width on Pubmed", grid, _accuracy_over_sizes),
        Plan("figure3", "the same over steps", grid, _accuracy_over_steps),
        *_of_images(_DIGITS, seeds or 1),
        Plan("theorem32", "the sample size of theorem 3.2", grid, _theorem),
    )
    return {plan.name: plan for plan in plans}


def cifar_plans(seeds: int | None) -> dict[str, Plan]:
    """Figures 4 and 5 on CIFAR-10, by a small network; a quarter of an hour on a CPU."""
    plans = _of_images(_CIFAR, seeds or 1)
    return {f"{plan.name}_cifar10": plan._replace(name=f"{plan.name}_cifar10") for plan in plans}


def _of_images(setting: Setting, seeds: int) -> tuple[Plan, Plan]:
    runs = {setting: seeds}
    return (
        Plan("figure4", "t-SNE of images", runs, partial(_map_of_images, setting)),
        Plan("figure5", "mixtures of images", runs, partial(_mixtures_of_images, setting)),
    )


def write_figure(plan: Plan, drawn: Drawn, folder: Path) -> list[Path]:
    """Write NAME.json, and NAME.png where there is a picture.

    Raises:
      InputError: they cannot be written.
    """
    document = {"name": plan.name, "title": plan.title, "values": drawn.values}
    paths = [write_text(folder / f"{plan.name}.json", json.dumps(document, indent=1) + "\n")]
    if drawn.figure is not None:
        paths.append(save_png(drawn.figure, folder / f"{plan.name}.png"))
    return paths
