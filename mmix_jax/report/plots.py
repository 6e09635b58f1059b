"""Figures of representations, of mixtures, of training; matplotlib, their maker, comes in late."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mmix_jax.report.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL = 1.1  # inches
_MARKERS = "o^sDv"  # times 20 colours: a look for each of 100 classes
_LEGEND_ROWS = 25
_LEGEND_ENTRIES = 100
_CURVES = {  # name in metrics.jsonl: what stands above its panel
    "loss": "loss",
    "mixing/partners": "partners per anchor",
    "mixing/unmixed": "share of unmixed anchors",
    "mixing/agreement": "share of partners' weight on the anchor's class",
}
_SHARES = ("mixing/unmixed", "mixing/agreement")


def tsne_scatter(
    z: ArrayLike, labels: ArrayLike, *, names: Sequence[str] | None = None
) -> "Figure":
    """Representations laid out in the plane by t-SNE, one colour per class; the same each time.

    Only who is near whom means anything: axes, sizes of groups and distances between them do not.
    Past 20 classes colours come again with another marker; past 100 there is no legend.

    Args:
      z: [N, D] representations, N ≥ 2; perplexity is scikit-learn's 30, less for few points.
      labels: [N] classes; −1, unknown, is grey.
      names: of the classes 0, 1, ..., for the legend; numbers where absent.

    Raises:
      ValueError: `labels` has not an entry for each row of `z`, or a class has no name.
    """
    return tsne_panels({"": z}, labels, names=names)


def tsne_panels(
    representations: Mapping[str, ArrayLike],
    labels: ArrayLike,
    *,
    names: Sequence[str] | None = None,
) -> "Figure":
    """As `tsne_scatter`, several representations of the same points side by side.

    Args:
      representations: [N, D] each, by what stands above its panel.
      labels: [N] classes; −1, unknown, is grey.
      names: of the classes 0, 1, ..., for the legend that all panels share.

    Raises:
      ValueError: as `tsne_scatter`.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.report.plots import tsne_panels
      >>> z, labels = np.eye(6), [0, 0, 0, 1, 1, 1]
      >>> figure = tsne_panels({"before": z, "after": z}, labels)
      >>> [axes.get_title() for axes in figure.axes]
      ['before', 'after']
    """
    import matplotlib
    from matplotlib.figure import Figure

    labels = np.asarray(labels)
    classes = np.unique(labels)
    if names is not None and classes[-1] >= len(names):
        raise ValueError(
            f"names must cover every class, found {len(names)} names and class {classes[-1]}; "
            "give one per class"
        )
    planes = {title: _plane(np.asarray(z), labels) for title, z in representations.items()}
    words = [_shortened(_class_name(value, names), 22) for value in classes]
    columns = -(-len(words) // _LEGEND_ROWS) if len(words) <= _LEGEND_ENTRIES else 0
    room = columns * (0.4 + 0.06 * max(map(len, words))) if columns > 1 else 1.5
    figure = Figure(figsize=(4.5 * len(planes) + room, 5), layout="constrained")
    palette = matplotlib.colormaps["tab10" if classes[-1] < 10 else "tab20"]
    shown = []
    panels = figure.subplots(1, len(planes), squeeze=False)[0]
    for axes, (title, points) in zip(panels, planes.items(), strict=True):
        shown.clear()  # the legend is of one panel: they share it
        for value in classes:
            chosen = points[labels == value]
            colour = "lightgrey" if value < 0 else palette(int(value) % palette.N)
            marker = _MARKERS[max(int(value), 0) // palette.N % len(_MARKERS)]
            shown.append(
                axes.scatter(chosen[:, 0], chosen[:, 1], s=6, color=[colour], marker=marker)
            )
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=10, parse_math=False)
    if columns:
        legend = figure.legend(
            shown, [""] * len(shown), loc="outside right upper", ncols=columns, markerscale=2.5,
            frameon=False, fontsize=10 if columns == 1 else 8, columnspacing=1.0,
        )  # fmt: skip
        # Set here, since matplotlib passes over labels that begin with an underscore.
        for text, word in zip(legend.get_texts(), words, strict=True):
            text.set(text=word, parse_math=False)
    return figure


def _plane(z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """t-SNE's places [N, 2] of z [N, D]."""
    from sklearn.manifold import TSNE

    if z.ndim != 2 or labels.shape != z.shape[:1]:
        raise ValueError(
            f"z must be [N, D] and labels [N], found {z.shape} and {labels.shape}; "
            "give one class per row"
        )
    perplexity = min(30.0, (len(z) - 1) / 3)
    return TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(z)


def _class_name(value: int, names: Sequence[str] | None) -> str:
    if value < 0:
        return "unknown"
    return str(value) if names is None else str(names[value])


def mixture_images(
    images: ArrayLike,
    mixtures: Sequence[tuple[int, float, ArrayLike, ArrayLike]],
    *,
    names: Sequence[object] | None = None,
    max_partners: int = 8,
) -> "Figure":
    """One row per mixture: the anchor, framed, then its partners by falling weight, λ below each.

    Where not all partners are shown, their number stands beside the anchor.

    Args:
      images: [N, H, W] or [N, H, W, 1] in grey, or [N, H, W, 3]; uint8 are shown as they are,
        other grey ones like ink on paper, each image's highest value black.
      mixtures: (anchor, its weight on itself, partners [P], their weights [P]) for each row.
      names: [N] what to write above each image, such as its class.
      max_partners: partners of smaller weight than these are left out; those of weight 0 always.

    Raises:
      ValueError: there is no mixture to draw.
    """
    from matplotlib.figure import Figure

    if not mixtures:
        raise ValueError("a figure needs at least one mixture, found none; name an anchor")
    images, rows, totals = np.asarray(images), [], []
    for anchor, self_weight, partners, weights in mixtures:
        partners, weights = np.asarray(partners), np.asarray(weights)
        order = np.argsort(-weights, kind="stable")[:max_partners]
        order = order[weights[order] > 0]
        rows.append([(anchor, self_weight), *zip(partners[order], weights[order], strict=True)])
        totals.append(int(np.sum(weights > 0)))
    columns = max(map(len, rows))
    figure = Figure(figsize=(_PANEL * columns, 1.45 * _PANEL * len(rows)), layout="constrained")
    if columns > 3:  # narrower figures have no room for it
        figure.suptitle("anchors (framed) and their partners by falling weight λ", fontsize=9)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, row, total in zip(grid, rows, totals, strict=True):
        for axes, (index, weight) in zip(line, row, strict=False):
            above = "" if names is None else str(names[index])
            _image(axes, images[index], above=above, below=f"λ = {weight:.3f}")
        for axes in line[len(row) :]:
            axes.set_axis_off()
        for spine in line[0].spines.values():
            spine.set(color="tab:red", linewidth=2.5)
        if total >= len(row):
            line[0].set_ylabel(f"{len(row) - 1} of {total} partners", fontsize=7)
    return figure


def training_curves(records: Sequence[Mapping[str, Any]]) -> "Figure":
    """Loss over steps, and what was mixed: partners, share of unmixed anchors, agreement.

    A line per seed. The panels on mixing are left out where no record tells of a partner, as
    without mixing.

    Args:
      records: lines of `metrics.jsonl`, in any order; what one of them lacks has no point there.

    Raises:
      ValueError: no record has a loss.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    if not any("loss" in record for record in records):
        raise ValueError(
            f"curves need records with a loss, found none in {len(records)}; log a step first"
        )
    mixed = any(record.get("mixing/partners", 0) > 0 for record in records)
    panels = [
        name
        for name in (_CURVES if mixed else ("loss",))
        if any(name in record for record in records)
    ]
    seeds = sorted({record.get("seed", 0) for record in records})
    figure = Figure(figsize=(3.4 * len(panels) + 0.6, 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for seed in seeds:
            logged = [r for r in records if r.get("seed", 0) == seed and name in r]
            points = sorted((record["step"], record[name]) for record in logged)
            axes.plot(
                [step for step, _ in points],
                [value for _, value in points],
                marker="." if len(points) < 30 else None,
                label=f"seed {seed}",
            )
        axes.set_title(_CURVES[name], fontsize=9)
        axes.set_xlabel("step", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if name.startswith(_SHARES):
            axes.set_ylim(-0.03, 1.03)  # lines at 0 and at 1 do not lie on the frame
        elif name != "loss":
            axes.set_ylim(0, 1.1 * max(r[name] for r in records if name in r) or 1)
    if len(seeds) > 1:
        figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def save_png(figure: "Figure", path: Path) -> Path:
    """Write a figure, whole or not at all; folders that lack are made.

    Raises:
      InputError: the file cannot be written.
    """
    return write_whole(path, lambda file: figure.savefig(file, format="png", dpi=150))


def _image(axes: "Axes", image: np.ndarray, *, above: str, below: str) -> None:
    if image.dtype == np.uint8:
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)  # colours have no use for the three
    else:
        axes.imshow(image, cmap="gray_r")
    axes.set(xticks=[], yticks=[])
    axes.set_title(_shortened(above, 15), fontsize=9, parse_math=False)
    axes.set_xlabel(below, fontsize=9)


def _shortened(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
