"""Part `evaluation`: what scoring frozen embeddings takes, on drawn ones of usual sizes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import suite
from benchmarks.suite import Options, Row
from mmix_jax.evaluation import clustering, knn_accuracy, logistic, svm_cross_validation
from mmix_jax.evaluation.logistic import L2_GRID
from mmix_jax.graphs import Split


class Sizes(NamedTuple):
    """Rows and columns of embeddings: Cora's, MUTAG's, and an image set's bank and queries."""

    nodes: int
    width: int
    classes: int
    train: int
    classifiers: int
    graphs: int
    graph_width: int
    bank: int
    queries: int
    image_width: int


FULL = Sizes(2708, 256, 7, 140, 50, 188, 512, 10_000, 2000, 512)
QUICK = Sizes(60, 8, 3, 12, 2, 24, 8, 40, 10, 8)


def draw_classes(num_rows: int, width: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise around a centre for each class, overlapping a little: z [N, D] and labels [N]."""
    draw = np.random.default_rng(0)
    labels = (np.arange(num_rows) % num_classes).astype(np.int32)
    centres = draw.standard_normal((num_classes, width), np.float32)
    z = centres[labels] + 3 * draw.standard_normal((num_rows, width), np.float32)
    return z, labels


def row_of(
    what: str,
    sides: dict[str, Callable[[], object]],
    options: Options,
    *,
    rows: int,
    dimension: int,
) -> Row:
    """Seconds of side "jax", and of "torch" where there is one."""
    suite.say(what)
    row: Row = {"what": what, "rows": rows, "dimension": dimension}
    return suite.with_torch(row, suite.median_seconds(sides, options), options)


def regressions(sizes: Sizes, options: Options) -> list[Row]:
    """The protocol's classifiers as one program; PyTorch's loop beside the same L2."""
    z, labels = draw_classes(sizes.nodes, sizes.width, sizes.classes)
    order = np.random.default_rng(1).permutation(sizes.nodes).astype(np.int32)
    quarter = sizes.nodes // 4
    split = Split(order[: sizes.train], order[quarter : 2 * quarter], order[2 * quarter :])
    shared: dict[str, Any] = {
        "num_classes": sizes.classes,
        "num_runs": sizes.classifiers,
        "num_steps": 10 if options.quick else 300,
    }
    z_device = jax.numpy.asarray(z)
    rows = []
    for name, l2 in (("one L2", (0.0,)), (f"{len(L2_GRID)} L2", L2_GRID)):

        def fit(l2=l2) -> object:
            return logistic(z_device, labels, split, key=jax.random.key(0), l2=l2, **shared)

        sides: dict[str, Callable[[], object]] = {"jax": fit}
        if suite.HAVE_TORCH and len(l2) == 1:
            from benchmarks.torch import nodes, side

            sides["torch"] = nodes.reference_logistic(
                z_device, labels, split, side.default_device(), **shared
            )
        what = f"{sizes.classifiers} logistic regressions, {name}"
        rows.append(row_of(what, sides, options, rows=sizes.nodes, dimension=sizes.width))
    return rows


def measure(options: Options) -> list[Row]:
    """Regressions, SVM cross-validation, k nearest neighbours, k-means."""
    sizes = QUICK if options.quick else FULL
    rows = regressions(sizes, options)
    z, labels = draw_classes(sizes.graphs, sizes.graph_width, 2)
    folds: dict[str, Any] = {"num_folds": 3, "inner_folds": 2} if options.quick else {}

    def cross_validate() -> object:
        return svm_cross_validation(z, labels, seed=0, **folds)

    sides: dict[str, Callable[[], object]] = {"jax": cross_validate}
    shape = {"rows": sizes.graphs, "dimension": sizes.graph_width}
    rows.append(row_of("nested SVM cross-validation, host", sides, options, **shape))

    bank, bank_labels = draw_classes(sizes.bank, sizes.image_width, 10)
    queries, query_labels = bank[: sizes.queries] + 1, bank_labels[: sizes.queries]
    on_device = [jax.numpy.asarray(x) for x in (bank, queries)]

    def vote() -> object:
        return knn_accuracy(
            on_device[0],
            bank_labels,
            on_device[1],
            query_labels,
            num_classes=10,
            k=min(200, sizes.bank),
        )

    shape = {"rows": sizes.bank, "dimension": sizes.image_width}
    row = row_of(f"kNN of {sizes.queries} queries", {"jax": vote}, options, **shape)
    flops = 2.0 * sizes.bank * sizes.queries * sizes.image_width
    rows.append(suite.add_work(row, options, flops=flops))

    z, labels = draw_classes(sizes.nodes, sizes.width, sizes.classes)

    def cluster() -> object:
        return clustering(z, labels, num_clusters=sizes.classes, num_repeats=10)

    shape = {"rows": sizes.nodes, "dimension": sizes.width}
    rows.append(row_of("10 k-means, host", {"jax": cluster}, options, **shape))
    return rows
