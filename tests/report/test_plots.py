"""Figures: what they show, read back from matplotlib's own objects."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mmix_jax.report.plots import mixture_images, tsne_scatter


def _clusters(num_classes: int = 3, size: int = 20) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(num_classes), size)
    noise = np.random.default_rng(0).normal(size=(labels.size, 5))
    return 20.0 * np.eye(5)[labels] + noise, labels


def _legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def _png(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


def test_the_scatter_shows_every_point_in_the_colour_of_its_class():
    z, labels = _clusters()
    labels[:4] = -1
    figure = tsne_scatter(z, labels, names=["cat", "dog", "fish"])
    shown = figure.axes[0].collections
    assert [len(part.get_offsets()) for part in shown] == [4, 16, 20, 20]
    colours = [tuple(part.get_facecolor()[0][:3]) for part in shown]
    assert colours[0] == to_rgb("lightgrey")
    assert len(set(colours)) == 4
    assert _legend(figure) == ["unknown", "cat", "dog", "fish"]
    assert _png(figure).startswith(b"\x89PNG")


def test_clusters_stay_together_in_the_plane():
    figure = tsne_scatter(*_clusters())
    points = [np.asarray(part.get_offsets()) for part in figure.axes[0].collections]
    centres = np.stack([part.mean(axis=0) for part in points])
    apart = np.linalg.norm(centres[:, None] - centres[None, :], axis=-1)[~np.eye(3, dtype=bool)]
    spread = max(np.linalg.norm(part - part.mean(axis=0), axis=1).max() for part in points)
    assert apart.min() > spread


def test_the_scatter_is_the_same_each_time():
    first, again = (
        np.concatenate([np.asarray(c.get_offsets()) for c in figure.axes[0].collections])
        for figure in (tsne_scatter(*_clusters()) for _ in range(2))
    )
    np.testing.assert_array_equal(first, again)


def test_few_points_are_drawn_too():
    figure = tsne_scatter(np.eye(4), np.array([0, 0, 1, 1]))
    assert _legend(figure) == ["0", "1"]


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (np.zeros(3, int), None, r"z must be \[N, D\] and labels \[N\], found \(4, 4\) and \(3,\)"),
        (np.array([0, 1, 2, 2]), ["a", "b"], "found 2 names and class 2; give one per class"),
    ],
)
def test_labels_and_names_that_do_not_fit(labels, names, message):
    with pytest.raises(ValueError, match=message):
        tsne_scatter(np.eye(4), labels, names=names)


def _panels(figure) -> list[tuple[float, str]]:
    """(value of the image's first pixel, the text below) of every panel that is drawn."""
    drawn = [axes for axes in figure.axes if axes.images]
    return [(float(a.images[0].get_array().ravel()[0]), a.get_xlabel()) for a in drawn]


IMAGES = np.arange(6.0)[:, None, None] * np.ones((1, 8, 8))


def test_a_mixture_is_the_anchor_and_its_partners_by_falling_weight():
    figure = mixture_images(
        IMAGES, [(2, 0.2, [5, 0, 4, 1], [0.1, 0.4, 0.0, 0.3])], names=[9, 8, 7, 6, 5, 4]
    )
    assert _panels(figure) == [
        (2, "λ = 0.200"),
        (0, "λ = 0.400"),
        (1, "λ = 0.300"),
        (5, "λ = 0.100"),
    ]
    assert [axes.get_title() for axes in figure.axes] == ["7", "9", "8", "4"]
    frames = [axes.spines["left"].get_edgecolor() for axes in figure.axes]
    assert len({frames[0], *frames[1:]}) == 2 and len(set(frames[1:])) == 1
    assert _png(figure).startswith(b"\x89PNG")


def test_rows_of_different_length_share_a_grid():
    figure = mixture_images(
        IMAGES, [(0, 1.0, [], []), (1, 0.5, [2, 3, 4], [0.1, 0.2, 0.2])], max_partners=2
    )
    # Ties keep their order, and what exceeds max_partners is left out.
    assert _panels(figure) == [
        (0, "λ = 1.000"),
        (1, "λ = 0.500"),
        (3, "λ = 0.200"),
        (4, "λ = 0.200"),
    ]
    assert len(figure.axes) == 6
    _png(figure)


def test_no_mixture_is_an_error():
    with pytest.raises(ValueError, match="at least one mixture, found none"):
        mixture_images(IMAGES, [])
