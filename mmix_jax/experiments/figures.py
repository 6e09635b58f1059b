"""What a run leaves to look at: curves, a map before and after training, what was mixed."""

import importlib.util
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmix_jax.data.splits import stratified_test
from mmix_jax.errors import InputError
from mmix_jax.experiments.pretraining import fresh_encoder
from mmix_jax.experiments.schema import Run
from mmix_jax.experiments.task import Encoder, Files, Points, Task, never
from mmix_jax.report.files import write_whole
from mmix_jax.report.headline import headline_score
from mmix_jax.report.mixtures import Mixtures, mixture_csv, mixture_text
from mmix_jax.report.plots import save_png, training_curves, tsne_panels
from mmix_jax.results import Result
from mmix_jax.training.loop import Interrupted
from mmix_jax.training.metrics import METRICS_FILE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_POINTS = 2000
CURVES, MAP, TABLE, TEXT = "curves.png", "tsne.png", "mixtures.csv", "mixtures.txt"
_log = logging.getLogger(__name__)


def check_plots() -> None:
    """Raise InputError without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("figures need matplotlib, found none; pip install matplotlib")


def write_figures(
    task: Task,
    encoder: Encoder,
    workdir: Path,
    results: Sequence[Result] = (),
    interrupted: Callable[[], bool] = never,
) -> list[Path]:
    """Write those files that there is something to show in, and tell of each.

    `curves.png`: loss and mixing over the steps of all seeds in the workdir's `metrics.jsonl`; none
    without that file. `mixtures.png`, or `mixtures.csv` and `mixtures.txt`: what is mixed into
    what; none where no embedding is mixed. `tsne.png`: at most 2,000 labelled points, as the
    random-initialised encoder of the seed lays them out and as the trained one does; none without
    labels.

    Args:
      task: the data and the model.
      encoder: to show.
      workdir: made if it is not there.
      results: the scores above the maps are taken from them.
      interrupted: asked before each file.

    Returns:
      The files written.

    Raises:
      InputError: matplotlib is not installed, or the workdir cannot be read or written.
      Interrupted: `interrupted()` became true.
    """
    check_plots()
    makers = {
        CURVES: lambda: _curves(workdir / METRICS_FILE),
        "mixtures": lambda: task.mixtures(encoder),
        MAP: lambda: _map(task, encoder, results),
    }
    written = []
    for name, make in makers.items():
        if interrupted():
            raise Interrupted(encoder.progress.get("step", 0))
        made = make()
        if isinstance(made, str):
            _log.info("no %s: %s", name, made)
            continue
        for file, content in made.items():
            if isinstance(content, str):
                words = content
                path = write_whole(
                    workdir / file, lambda path, words=words: path.write_text(words, "utf-8")
                )
            else:
                path = save_png(content, workdir / file)
            written.append(path)
            _log.info("wrote %s", path)
    return written


def some_points(labels: np.ndarray, seed: int) -> np.ndarray:
    """Rows of a map, rising: all that have a class, or 2,000 of them, of every class its share."""
    known = np.flatnonzero(labels >= 0)
    if known.size <= MAX_POINTS:
        return known
    return known[stratified_test(labels[known], MAX_POINTS, seed=seed)]


def nothing_mixed(config: Run, number: int) -> str:
    """Why there is no mixture among so many embeddings."""
    return (
        f"none of {number} embeddings was mixed with another (mixing '{config.mixing.rule}', "
        f"threshold {config.mixing.threshold})"
    )


def mixture_tables(mixtures: Mixtures) -> Files:
    """The files of mixtures that are no images."""
    return {TABLE: mixture_csv(mixtures), TEXT: mixture_text(mixtures, TABLE)}


def cosines(z: np.ndarray, anchors: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """H(z_i, z_j) of pairs of rows [P]; 0 where one is the zero vector."""
    unit = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
    return np.sum(unit[anchors] * unit[partners], axis=1)


def _map(task: Task, encoder: Encoder, results: Sequence[Result]) -> Files | str:
    drawn = encoder_map(task, encoder, results)
    return drawn if isinstance(drawn, str) else {MAP: drawn}


def encoder_map(task: Task, encoder: Encoder, results: Sequence[Result] = ()) -> "Figure | str":
    """The figure of `tsne.png`, or why there is none."""
    panels: dict[str, Points] = {}
    encoders = {"random-initialised": fresh_encoder(task, encoder.seed), "trained": encoder}
    for name, shown in encoders.items():
        points = task.points(shown)
        if isinstance(points, str):
            return points
        num_distinct = len(np.unique(points.z, axis=0))
        if min(num_distinct, points.z.shape[1]) < 2:
            return (
                f"found {num_distinct} different representations of dimension "
                f"{points.z.shape[1]} ({name}), no plane"
            )
        score = headline_score(
            results, task.config.representation, encoder.seed, trained=name == "trained"
        )
        panels[f"{name}: {score}" if score else name] = points
    z = {title: points.z for title, points in panels.items()}
    *_, (_, labels, names) = panels.values()  # the same for both
    return tsne_panels(z, labels, names=names)


def _curves(path: Path) -> Files | str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    except OSError as error:
        raise InputError(
            f"metrics must be readable at {path}, found {error}; or evaluate in another --workdir"
        ) from error
    records = _records(text)
    if not records:
        return f"found no losses in {path}, where training writes them"
    return {CURVES: training_curves(records)}


def _records(text: str) -> list[dict]:
    """Lines that tell of a step; the last line of a killed run may be half-written."""
    records = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "step" in record and "loss" in record:
            records.append(record)
    return records
