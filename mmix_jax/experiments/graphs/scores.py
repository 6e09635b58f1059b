"""How representations of graphs are judged: protocols, folds, and the rows they give."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmix_jax.data.types import GraphDataset
from mmix_jax.evaluation.clustering import clustering
from mmix_jax.evaluation.cross_validation import (
    knn_cross_validation,
    logistic_cross_validation,
    select_by_inner,
    svm_cross_validation,
)
from mmix_jax.experiments.graphs.config import GraphConfig
from mmix_jax.experiments.task import Row, Scores
from mmix_jax.frameworks.mvgrl_graphs import REPRESENTATIONS
from mmix_jax.results import score
from mmix_jax.training.loop import Interrupted


def score_representations(
    config: GraphConfig,
    dataset: GraphDataset,
    representations: Mapping[str, np.ndarray],
    seed: int,
    *,
    candidates: Sequence[Mapping[str, np.ndarray]] | None,
    step: int,
    interrupted: Callable[[], bool],
) -> Scores:
    """Cross-validated accuracies of every representation, and of the headline kNN, logistic
    regression and k-means.

    `candidates` are the representations of several steps, of which each outer fold takes its own.
    """
    labels = dataset.labels
    assert labels is not None
    folds: dict[str, Any] = {"seed": seed, "num_folds": config.num_folds}
    values: dict[Row, float] = {}

    def row(protocol: str, name: str, metric: str) -> Row:
        task, words = "graph", f"{protocol} {config.num_folds}-fold"
        if protocol == "k-means":
            task, words = "clustering", protocol
        return Row(task, name, metric, words, objective=objective_name(config))

    for name in REPRESENTATIONS:
        progress = _progress(f"svm {name} seed {seed}", interrupted, step)
        if candidates:
            of_steps = [candidate[name] for candidate in candidates]
            judged = select_by_inner(of_steps, labels, progress=progress, **folds).result
        else:
            judged = svm_cross_validation(representations[name], labels, progress=progress, **folds)
        values[row("svm", name, "accuracy")] = judged.mean
        values[row("svm", name, "fold_std")] = score(judged.folds).std
    headline = representations[config.representation]
    for protocol, judge in (
        ("logistic", logistic_cross_validation), ("knn", knn_cross_validation),
    ):  # fmt: skip
        progress = _progress(f"{protocol} seed {seed}", interrupted, step)
        judged = judge(headline, labels, progress=progress, **folds)
        values[row(protocol, config.representation, "accuracy")] = judged.mean
    if config.num_clusterings:
        clusters = clustering(
            headline,
            labels,
            num_clusters=dataset.num_classes,
            seed=seed,
            num_repeats=config.num_clusterings,
        )
        for metric, value in clusters.items():
            values[row("k-means", config.representation, metric)] = value.mean
    return {row: score([value]) for row, value in values.items()}


def objective_name(config: GraphConfig) -> str:
    """The objective as results name it: a sampled contrast of nodes says so."""
    limit = config.contrast_nodes if config.objective in ("both", "node") else 0
    return f"{config.objective} ({limit} nodes a graph at most)" if limit else config.objective


def _progress(description: str, interrupted: Callable[[], bool], step: int) -> Callable:
    """A callback per fold that shows a bar and lets an interruption through."""
    from tqdm import tqdm

    bar = None  # none yet: where the protocol refuses the data, nothing else is printed

    def advance(done: int, num_folds: int):
        nonlocal bar
        if bar is None:
            bar = tqdm(total=num_folds, desc=description, unit="fold", leave=False)
        bar.update(1)
        if done == num_folds:
            bar.close()
        if interrupted():
            bar.close()
            raise Interrupted(step)

    return advance
