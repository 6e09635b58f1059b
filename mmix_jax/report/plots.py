"""Figures of representations and of mixtures; drawn with matplotlib, which is imported late."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL = 1.1  # inches


def tsne_scatter(
    z: ArrayLike, labels: ArrayLike, *, names: Sequence[str] | None = None
) -> "Figure":
    """Representations laid out in the plane by t-SNE, one colour per class; the same each time.

    Only who is near whom means anything: axes, sizes of groups and distances between them do not.

    Args:
      z: [N, D] representations, N ≥ 2; perplexity is scikit-learn's 30, less for few points.
      labels: [N] classes; −1, unknown, is grey.
      names: of the classes 0, 1, ..., for the legend; numbers where absent.

    Raises:
      ValueError: `labels` has not an entry for each row of `z`, or a class has no name.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from sklearn.manifold import TSNE

    z, labels = np.asarray(z), np.asarray(labels)
    if z.ndim != 2 or labels.shape != z.shape[:1]:
        raise ValueError(
            f"z must be [N, D] and labels [N], found {z.shape} and {labels.shape}; "
            "give one class per row"
        )
    classes = np.unique(labels)
    if names is not None and classes[-1] >= len(names):
        raise ValueError(
            f"names must cover every class, found {len(names)} names and class {classes[-1]}; "
            "give one per class"
        )
    perplexity = min(30.0, (len(z) - 1) / 3)
    points = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(z)
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    palette = matplotlib.colormaps["tab10" if classes[-1] < 10 else "tab20"]
    for value in classes:
        chosen = points[labels == value]
        colour = "lightgrey" if value < 0 else palette(int(value) % palette.N)
        name = "unknown" if value < 0 else str(value) if names is None else names[value]
        axes.scatter(chosen[:, 0], chosen[:, 1], s=6, color=[colour], label=name)
    axes.set(xticks=[], yticks=[])
    figure.legend(loc="outside right upper", markerscale=2.5, frameon=False)
    return figure


def mixture_images(
    images: ArrayLike,
    mixtures: Sequence[tuple[int, float, ArrayLike, ArrayLike]],
    *,
    names: Sequence[object] | None = None,
    max_partners: int = 8,
) -> "Figure":
    """One row per mixture: the anchor, framed, then its partners by falling weight, λ below each.

    Args:
      images: [N, H, W] in grey or [N, H, W, 3].
      mixtures: (anchor, its weight on itself, partners [P], their weights [P]) for each row.
      names: [N] what to write above each image, such as its class.
      max_partners: partners of smaller weight than these are left out; those of weight 0 always.

    Raises:
      ValueError: there is no mixture to draw.
    """
    from matplotlib.figure import Figure

    if not mixtures:
        raise ValueError("a figure needs at least one mixture, found none; name an anchor")
    images, rows = np.asarray(images), []
    for anchor, self_weight, partners, weights in mixtures:
        partners, weights = np.asarray(partners), np.asarray(weights)
        order = np.argsort(-weights, kind="stable")[:max_partners]
        order = order[weights[order] > 0]
        rows.append([(anchor, self_weight), *zip(partners[order], weights[order], strict=True)])
    columns = max(map(len, rows))
    figure = Figure(figsize=(_PANEL * columns, 1.45 * _PANEL * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        for axes, (index, weight) in zip(line, row, strict=False):
            above = "" if names is None else str(names[index])
            _image(axes, images[index], above=above, below=f"λ = {weight:.3f}")
        for axes in line[len(row) :]:
            axes.set_axis_off()
        for spine in line[0].spines.values():
            spine.set(color="tab:red", linewidth=2.5)
    return figure


def _image(axes: "Axes", image: np.ndarray, *, above: str, below: str) -> None:
    axes.imshow(image, cmap="gray_r")
    axes.set(xticks=[], yticks=[])
    axes.set_title(above, fontsize=9)
    axes.set_xlabel(below, fontsize=9)
