"""What is measured of one drawn graph: its place in the plane, and one rule's accuracies."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

FEATURES = "features"  # in a rule's place: the graph's own measures, without an encoder
NAMES = ("mean", "a", "b")  # branch b is never mixed when it embeds; the headline is the mean


class Plan(NamedTuple):
    """The grid, and what is the same in all of it."""

    homophilies: tuple[float, ...]
    signals: tuple[float, ...]
    labels: tuple[int, int]
    rules: tuple[str, ...]
    graph: dict[str, Any]
    config: dict[str, Any]

    @property
    def fixed(self) -> dict[str, Any]:
        return {"labels": list(self.labels), "graph": self.graph, "config": self.config}

    @property
    def digest(self) -> str:
        """Of what lines of one file share."""
        return hashlib.sha256(json.dumps(self.fixed, sort_keys=True).encode()).hexdigest()[:12]


FULL = Plan(
    homophilies=(-0.9, 0.0, 0.3, 0.6, 0.9),
    signals=(0.05, 0.1, 0.2, 0.4),
    labels=(5, 50),
    rules=("none", "mo", "mp_nodiv", "mo_all"),
    graph={"num_nodes": 2000, "mean_degree": 8.0, "num_features": 64, "num_classes": 4},
    config={
        "width": 64,
        "num_steps": 100,
        "learning_rate": 3e-3,
        "sampler": "nodes",
        "batch_size": 500,
        "selection": "last",
        "eval_every": 100,
        "num_classifiers": 5,
        "num_clusterings": 0,
        "num_devices": 1,
    },
)
QUICK = Plan(
    homophilies=(0.6,),
    signals=(0.2,),
    labels=(2, 5),
    rules=("none", "mo"),
    graph={"num_nodes": 200, "mean_degree": 4.0, "num_features": 8, "num_classes": 4},
    config=FULL.config
    | {"width": 8, "num_steps": 2, "sampler": "full", "eval_every": 2, "num_classifiers": 2},
)


class Item(NamedTuple):
    """One line of the file: a rule, or `FEATURES`, on the graph of a cell and a seed."""

    rule: str
    homophily: float
    signal: float
    seed: int


def items_of(plan: Plan, seeds: range) -> Iterator[Item]:
    """Seed by seed, so that what is there early is of every cell; a rule's program is compiled for
    its first cell."""
    for seed in seeds:
        for rule in (FEATURES, *plan.rules):
            for homophily in plan.homophilies:
                for signal in plan.signals:
                    yield Item(rule, homophily, signal, seed)


def adjusted_homophily(senders: np.ndarray, receivers: np.ndarray, labels: np.ndarray) -> float:
    """(s − Σ p_c²)/(1 − Σ p_c²) of the share s of edges within a class and the classes' shares p
    of edge ends: 1 where all edges are within, 0 where ends are paired by chance (Platonov et al.,
    2022). Edges [E] stand in both directions; those of nodes without a class (−1) do not count."""
    known = (labels[senders] >= 0) & (labels[receivers] >= 0)
    ends, others = labels[senders[known]], labels[receivers[known]]
    shares = np.bincount(ends) / ends.size
    chance = float((shares**2).sum())
    return (float((ends == others).mean()) - chance) / (1 - chance)


def above_chance(accuracy: float, num_classes: int) -> float:
    """0 for guesses among C classes, which is what equally many labels of each leave without any
    signal; 1 for no mistake."""
    return (accuracy - 1 / num_classes) / (1 - 1 / num_classes)


def measured(plan: Plan, item: Item) -> dict[str, Any]:
    """The values of a line, functions of the plan and the item alone.

    Of `FEATURES` the graph's adjusted homophily and, by labels, the accuracy of features alone. Of
    a rule, by labels and representation, accuracies [before, after training]."""
    from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph, load_synthetic_graph

    shape = SyntheticGraph(
        **plan.graph, seed=item.seed, homophily=item.homophily, signal=item.signal
    )
    datasets = {
        labels: load_synthetic_graph(shape._replace(labels_per_class=labels), split_seed=item.seed)
        for labels in plan.labels
    }
    if item.rule == FEATURES:
        graph, labels, *_ = datasets[plan.labels[0]][1:]
        return {
            "adjusted_homophily": adjusted_homophily(graph.senders, graph.receivers, labels),
            "accuracy": {
                str(labels): accuracy_of_features(plan, dataset, dataset.split, item.seed)
                for labels, dataset in datasets.items()
            },
        }
    return {"accuracy": _trained(plan, item, datasets)}


def config_of(plan: Plan, rule: str, dataset: str = "synthetic_graph") -> Any:
    from mmix_jax.experiments import VARIANTS, node_config

    config = node_config(dataset)
    config.update(VARIANTS[rule])
    config.update(plan.config)
    return config.lock()


def accuracy_of_features(plan: Plan, dataset: Any, split: Any, seed: int) -> float:
    """Of the protocol's regressions on what an encoder would see of the nodes themselves."""
    from mmix_jax.evaluation import logistic
    from mmix_jax.experiments import read
    from mmix_jax.experiments.nodes.inputs import normalised_graph, scaling_of
    from mmix_jax.experiments.task import keys_of

    config: Any = read(config_of(plan, "none"))
    return logistic(
        normalised_graph(config, dataset, scaling_of(config, dataset)).x,
        dataset.labels,
        split,
        num_runs=config.num_classifiers,
        key=keys_of(seed)[2],
        num_classes=dataset.num_classes,
    ).test.mean


def _trained(plan: Plan, item: Item, datasets: dict[int, Any]) -> dict[str, Any]:
    """One training, which sees no labels, judged with few of them and with more."""
    import jax

    from mmix_jax.experiments import pretrain, task_of
    from mmix_jax.experiments.nodes.scores import score_representations
    from mmix_jax.experiments.pretraining import fresh_encoder
    from mmix_jax.experiments.task import keys_of

    task: Any = task_of(config_of(plan, item.rule), datasets[plan.labels[0]])
    encoders = (
        fresh_encoder(task, item.seed),
        pretrain(task, item.seed, show=False).encoder,
    )
    key = keys_of(item.seed)[2]
    found: dict[str, dict[str, list[float]]] = {
        str(labels): {name: [] for name in NAMES} for labels in plan.labels
    }
    for encoder in encoders:
        # On the host both: arrays that a training has placed would be compiled for anew.
        params = jax.device_get(encoder.state.params)
        z = jax.device_get(task.represent(params, key, None, NAMES)[0])
        for labels, dataset in datasets.items():
            scores = score_representations(task.config, dataset, z, item.seed, key)
            for row, score in scores.items():
                found[str(labels)][row.representation].append(score.mean)
    return found
