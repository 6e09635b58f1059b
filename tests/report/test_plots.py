"""Figures: what they show, read back from matplotlib's own objects."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mmix_jax.errors import InputError
from mmix_jax.report.plots import mixture_images, save_png, training_curves, tsne_scatter


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


def _looks(figure) -> set:
    """(colour, outline of the marker) of every class."""
    return {
        (part.get_facecolor().tobytes(), part.get_paths()[0].vertices.tobytes())
        for part in figure.axes[0].collections
    }


def test_a_hundred_classes_differ_and_their_legend_has_room():
    labels = np.repeat(np.arange(100), 2)
    z = np.random.default_rng(0).normal(size=(labels.size, 4))
    names = [f"a class of number {number}" for number in range(100)]
    figure = tsne_scatter(z, labels, names=names)
    assert len(_looks(figure)) == 100
    assert _legend(figure) == names
    figure.draw_without_rendering()
    legend, axes = figure.legends[0].get_window_extent(), figure.axes[0].get_window_extent()
    assert figure.bbox.x0 <= axes.x0 < axes.x1 < legend.x0 < legend.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= legend.y0 and legend.y1 <= figure.bbox.y1
    assert axes.width > 0.3 * figure.bbox.width


def test_more_classes_go_without_a_legend():
    labels = np.arange(101)
    figure = tsne_scatter(np.random.default_rng(0).normal(size=(101, 4)), labels)
    assert len(figure.axes[0].collections) == 101
    assert figure.legends == []


def test_names_are_written_as_they_are():
    names = ["_background", "$5 and $6_{", "a name that is far too long for its place"]
    figure = tsne_scatter(np.eye(6), np.arange(6) % 3, names=names)
    assert _legend(figure) == ["_background", "$5 and $6_{", "a name that is far to…"]
    figure_of_mixtures = mixture_images(IMAGES, [(1, 0.5, [0], [0.5])], names=names * 2)
    titles = [axes.get_title() for axes in figure_of_mixtures.axes]
    assert titles == ["$5 and $6_{", "_background"]
    _png(figure), _png(figure_of_mixtures)


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


MIXTURE = [(0, 0.5, [1, 2], [0.3, 0.2])]


def _pixels(figure) -> list[np.ndarray]:
    """The colours [H, W, 3] that each drawn panel gives its image."""
    drawn = (axes.images[0] for axes in figure.axes if axes.images)
    return [np.asarray(image.to_rgba(image.get_array()))[..., :3] for image in drawn]


def test_colour_images_keep_their_colours():
    images = np.random.default_rng(0).integers(0, 256, size=(3, 8, 8, 3)).astype(np.uint8)
    shown = _pixels(mixture_images(images, MIXTURE))
    np.testing.assert_allclose(shown, images / 255, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 8, 8, 1)])
def test_grey_levels_of_eight_bits_are_shown_as_they_are(shape):
    images = np.random.default_rng(0).integers(100, 150, size=shape).astype(np.uint8)
    figure = mixture_images(images, MIXTURE)
    shown = _pixels(figure)
    expected = np.repeat(images.reshape(3, 8, 8, 1), 3, axis=-1) / 255
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    assert _png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 8, 8, 1)])
def test_other_grey_images_are_ink_on_paper(shape):
    images = np.random.default_rng(0).uniform(3, 5, size=shape)
    for image, pixels in zip(images, _pixels(mixture_images(images, MIXTURE)), strict=True):
        assert pixels.reshape(-1, 3)[image.argmax()].max() == 0
        assert pixels.reshape(-1, 3)[image.argmin()].min() == 1


def test_partners_that_are_left_out_are_counted():
    few, many = (0, 0.4, [1, 2], [0.3, 0.3]), (1, 0.1, [0, 2, 3, 4, 5], [0.3, 0.3, 0.2, 0.1, 0.0])
    figure = mixture_images(IMAGES, [few, many], max_partners=2)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert labels == ["2 of 4 partners"]
    everything = mixture_images(IMAGES, [few, many], max_partners=4)
    assert [axes.get_ylabel() for axes in everything.axes if axes.get_ylabel()] == []


def _record(seed: int, step: int, loss: float, **mixing: float) -> dict:
    logged = {f"mixing/{name}": value for name, value in mixing.items()}
    return {"seed": seed, "step": step, "loss": loss, "gradient_norm": 1.0, **logged}


def _lines(figure) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Points by panel and line."""
    return {
        axes.get_title(): {
            str(line.get_label()): list(zip(line.get_xdata(), line.get_ydata(), strict=True))
            for line in axes.lines
        }
        for axes in figure.axes
    }


def test_curves_are_lines_by_seed_in_the_order_of_steps():
    mixing = {"partners": 3.0, "unmixed": 0.25, "agreement": 0.5}
    figure = training_curves(
        [
            _record(1, 4, 2.0, **mixing),
            _record(0, 10, 1.0, **mixing),
            _record(0, 2, 3.0, partners=0.0, unmixed=1.0),
        ]
    )
    lines = _lines(figure)
    assert lines == {
        "loss": {"seed 0": [(2, 3.0), (10, 1.0)], "seed 1": [(4, 2.0)]},
        "partners per anchor": {"seed 0": [(2, 0.0), (10, 3.0)], "seed 1": [(4, 3.0)]},
        "share of unmixed anchors": {"seed 0": [(2, 1.0), (10, 0.25)], "seed 1": [(4, 0.25)]},
        "share of partners' weight on the anchor's class": {
            "seed 0": [(10, 0.5)],
            "seed 1": [(4, 0.5)],
        },
    }
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["seed 0", "seed 1"]
    assert _png(figure).startswith(b"\x89PNG")


def test_without_mixing_the_loss_stands_alone():
    none = {"partners": 0.0, "unmixed": 1.0, "agreement": 0.0}
    figure = training_curves([_record(0, 1, 2.0, **none), _record(0, 2, 1.0, **none)])
    assert _lines(figure) == {"loss": {"seed 0": [(1, 2.0), (2, 1.0)]}}
    assert figure.axes[0].get_legend() is None


@pytest.mark.parametrize("records", [[], [{"seed": 0, "step": 1}]])
def test_no_loss_is_an_error(records):
    with pytest.raises(ValueError, match=f"a loss, found none in {len(records)}; log a step"):
        training_curves(records)


def test_a_figure_is_saved_into_a_new_folder(tmp_path):
    path = save_png(training_curves([_record(0, 1, 2.0)]), tmp_path / "a" / "run" / "curves.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(path.parent.iterdir()) == [path]


def test_a_figure_that_cannot_be_saved_leaves_the_old_one(tmp_path, monkeypatch):
    path = save_png(training_curves([_record(0, 1, 2.0)]), tmp_path / "curves.png")
    before = path.read_bytes()

    def fill_the_disk(self, file, **settings):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fill_the_disk)
    with pytest.raises(InputError, match=r"curves.png, found .*No space left.*another --workdir"):
        save_png(training_curves([_record(0, 1, 1.0)]), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_folders_place_is_told(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(
        InputError, match=r"figures must be writable at .*curves\.png, found "
    ) as error:
        save_png(training_curves([_record(0, 1, 2.0)]), tmp_path / "run" / "curves.png")
    assert "\n" not in str(error.value)
