"""How a representation of nodes is judged: by which classifier, on which splits, which name."""

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.data.splits import random_split
from mmix_jax.data.types import NodeDataset
from mmix_jax.errors import InputError
from mmix_jax.evaluation.clustering import clustering
from mmix_jax.evaluation.logistic import logistic, protocol_l2
from mmix_jax.evaluation.multilabel import multilabel_logistic
from mmix_jax.evaluation.split_protocol import logistic_over_splits
from mmix_jax.experiments.nodes.config import NodeConfig
from mmix_jax.experiments.task import Row, Scores
from mmix_jax.graphs.types import Graph, Split
from mmix_jax.ops.similarity import normalise
from mmix_jax.results import Score, score

# Splits on which protocol "splits" chooses its L2 weight; 0, 1, 2, … are reported.
_TUNING_SEEDS = range(100, 105)
CLUSTERS = ("nmi", "ari")
_METRICS = ("accuracy", "micro_f1", *CLUSTERS)  # in the order of results
# Of larger graphs the nodes of the split are classified, and so many others clustered.
_MANY_NODES = 50_000
_log = logging.getLogger(__name__)


def single_label(dataset: NodeDataset) -> bool:
    """Whether every node has one class; False where it has several, or nothing is known."""
    return dataset.labels is not None and dataset.labels.ndim == 1


class Part(NamedTuple):
    """What of a data set is scored: its nodes, None for all; a data set of these, without edges;
    and which of them are clustered, by their places, None for all."""

    nodes: np.ndarray | None
    dataset: NodeDataset
    clustered: np.ndarray | None


def part_to_score(config: NodeConfig, dataset: NodeDataset, *, clusters: bool = True) -> Part:
    """All of a data set of up to 50,000 nodes, or of nodes with several labels; of a larger one
    the split's nodes and, with `clusters`, 50,000 labelled ones for k-means.

    The scores of classifiers are those on the whole: they read no other nodes.
    """
    sample = _clustered(dataset) if clusters and config.num_clusterings else None
    many = dataset.graph.num_nodes > _MANY_NODES and single_label(dataset)
    if not many or dataset.split is None or config.protocol == "splits":
        return Part(None, dataset, sample)
    wanted = [*dataset.split] if sample is None else [*dataset.split, sample]
    nodes = np.unique(np.concatenate(wanted))
    split = Split(*(np.searchsorted(nodes, part).astype(np.int32) for part in dataset.split))
    assert dataset.labels is not None
    none = np.zeros(0, np.int32)
    part = dataset._replace(
        graph=Graph(np.zeros((len(nodes), 0), np.float32), none, none, np.zeros(0, np.float32)),
        labels=dataset.labels[nodes],
        split=split,
        ids=None if dataset.ids is None else dataset.ids[nodes],
        node_graph=None if dataset.node_graph is None else dataset.node_graph[nodes],
    )
    return Part(nodes, part, None if sample is None else np.searchsorted(nodes, sample))


def _clustered(dataset: NodeDataset) -> np.ndarray | None:
    """The nodes that k-means takes: None for all, of many nodes 50,000 labelled ones."""
    labels = dataset.labels
    if dataset.graph.num_nodes <= _MANY_NODES or labels is None or labels.ndim == 2:
        return None
    known = np.flatnonzero(labels >= 0)
    # RandomState as in data.splits: a draw that is part of a protocol never changes.
    return np.sort(np.random.RandomState(0).permutation(known)[:_MANY_NODES])


def check_protocol(config: NodeConfig, dataset: NodeDataset) -> None:
    """Raise InputError where the data cannot be judged, or trained, as the config wants."""
    several = dataset.labels is not None and not single_label(dataset)
    if several and config.protocol != "standard":
        raise InputError(
            f"protocol '{config.protocol}' needs one class a node, found several in "
            f"{dataset.name}; use standard"
        )
    if dataset.node_graph is not None and config.objective == "mvgrl":
        raise InputError(
            "objective 'mvgrl' has one summary of one graph, found several graphs in "
            f"{dataset.name}; use objective node"
        )
    if config.protocol == "splits" and dataset.labels is not None:
        _splits(config, dataset)


def _splits(config: NodeConfig, dataset: NodeDataset) -> tuple[list[Split], list[Split]]:
    """The splits of protocol "splits": those to report, and those to tune on."""
    assert dataset.labels is not None
    try:
        reported = [random_split(dataset.labels, seed=seed) for seed in range(config.num_splits)]
        return reported, [random_split(dataset.labels, seed=seed) for seed in _TUNING_SEEDS]
    except ValueError as error:
        raise InputError(
            f"protocol 'splits' trains classifiers on a tenth of {dataset.name}'s labelled nodes, "
            f"found too few: {str(error).partition(';')[0]}; use protocol standard"
        ) from error


def score_representations(
    config: NodeConfig,
    dataset: NodeDataset,
    representations: Mapping[str, jax.Array | np.ndarray],
    seed: int,
    key: jax.Array,
    clustered: np.ndarray | None = None,
) -> Scores:
    """Accuracy or micro_f1, nmi and ari of every representation.

    Values of accuracy are one per classifier, or per split under protocol "splits". `clustered`
    are the places of the nodes that k-means takes, None for all.
    """

    def row(name: str, metric: str) -> Row:
        protocol, task = config.protocol if single_label(dataset) else "inductive", "node"
        if metric in CLUSTERS:
            task = "clustering"
            protocol = "k-means" if clustered is None else f"k-means {clustered.size} nodes"
        return Row(
            task,
            name,
            metric,
            protocol,
            selection="test_watched" if config.protocol == "reference" else "",
            pooled=protocol in ("reference", "splits"),  # over classifiers, or over splits too
            parted=protocol == "splits",
            place=_METRICS.index(metric),
        )

    scores = {}
    for name, z in representations.items():
        z = np.asarray(z)
        if dataset.split is not None:
            metric, classified = _classify(config, dataset, z, key)
            scores[row(name, metric)] = classified
        if config.num_clusterings and dataset.labels is not None and dataset.labels.ndim == 1:
            few = slice(None) if clustered is None else clustered
            clusters = clustering(
                z[few],
                dataset.labels[few],
                num_clusters=dataset.num_classes,
                seed=seed,
                num_repeats=config.num_clusterings,
            )
            for metric, value in clusters.items():
                scores[row(name, metric)] = value
    return scores


def _classify(config: NodeConfig, dataset: NodeDataset, z: np.ndarray, key) -> tuple[str, Score]:
    labels, split = dataset.labels, dataset.split
    assert labels is not None and split is not None
    if not single_label(dataset):
        judged = multilabel_logistic(z, labels, split)
        _warn_unless(judged.converged)
        return "micro_f1", score([judged.test])
    if config.protocol == "splits":
        judged = logistic_over_splits(
            z, labels, *_splits(config, dataset), num_classes=dataset.num_classes
        )
        _warn_unless(judged.converged)
        return "accuracy", judged.test
    return "accuracy", logistic(
        _as_judged(config, z),
        labels,
        split,
        num_runs=config.num_classifiers,
        key=key,
        num_classes=dataset.num_classes,
        l2=protocol_l2(config.protocol, config.dataset),
    ).test


def _as_judged(config: NodeConfig, z: jax.Array | np.ndarray) -> jax.Array | np.ndarray:
    """GRACE's vectors as rows of length one, as its authors judge them, and as protocol "splits"
    does: a head stands above them, so that nothing holds their length, and on vectors as short as
    Cora's (0.1) the protocol's 300 steps do not get far. Those of MVGRL as they are."""
    unit = config.framework == "grace" and config.protocol == "standard"
    return normalise(jnp.asarray(z)) if unit else z


def _warn_unless(converged: bool) -> None:
    if not converged:
        _log.warning(
            "warning: a logistic regression of the evaluation stopped before it had converged"
        )


def validation_judge(
    config: NodeConfig, dataset: NodeDataset, represent: Callable, key: jax.Array
) -> Callable:
    """`evaluate(state) -> (name, metrics)`: validation accuracy where selection and labels allow.

    Sets with several labels a node are judged by micro-F1.
    """
    judging = config.selection == "validation"
    nodes, part, _ = part_to_score(config, dataset, clusters=False)
    labels, split = part.labels, part.split
    if labels is None or split is None or not judging:
        nodes = np.zeros(0, np.int64)  # the statistics of mixing need no representations

    def evaluate(state):
        names = (config.representation,)
        representations, mixture = represent(state.params, key, nodes, names)
        metrics = {f"mixing/{name}": float(value) for name, value in mixture.stats.items()}
        if labels is None or split is None or not judging:
            return None, metrics
        z = representations[config.representation]
        if not single_label(dataset):
            valid = multilabel_logistic(z, labels, split).valid
            return "validation_micro_f1", metrics | {"validation_micro_f1": valid}
        judged = logistic(
            _as_judged(config, z),
            labels,
            split,
            num_runs=config.num_probes,
            key=key,
            num_classes=dataset.num_classes,
            l2=protocol_l2(config.protocol, config.dataset),
        )
        metrics["validation_accuracy"] = judged.valid.mean
        if config.protocol == "reference":  # the authors watch the test set: only under this name
            metrics["test_accuracy"] = judged.test.mean
            return "test_accuracy", metrics
        return "validation_accuracy", metrics

    return evaluate
