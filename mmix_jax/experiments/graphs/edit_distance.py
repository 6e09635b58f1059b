"""Graph edit distance: an encoder pretrained on a set of graphs orders edited subgraphs of them."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np

from mmix_jax.data.raw import degree_features
from mmix_jax.data.store.cache import cached_array
from mmix_jax.data.types import GraphDataset, make_graph_dataset
from mmix_jax.errors import InputError
from mmix_jax.evaluation.edit_distance import (
    cosine_similarities,
    pair_auc,
    spearman,
    triplet_accuracy,
)
from mmix_jax.evaluation.exact_ged import exact_edit_distances, make_small_pairs
from mmix_jax.evaluation.kernels import histogram_kernel_similarity, weisfeiler_lehman_similarity
from mmix_jax.experiments.graphs import task as graphs
from mmix_jax.experiments.graphs.config import EditDistanceConfig
from mmix_jax.experiments.graphs.scores import objective_name
from mmix_jax.experiments.task import Encoder, Row, Scores, keys_of, seeds_of
from mmix_jax.frameworks import supervised
from mmix_jax.graphs.edits import Triplet, TripletSet, make_triplets
from mmix_jax.graphs.types import Graph
from mmix_jax.results import score
from mmix_jax.training.loop import Interrupted

_log = logging.getLogger(__name__)
# (anchors [T], others [T]) -> similarity [T], by representation
Similarity = Callable[[list[Graph], list[Graph]], dict[str, np.ndarray]]


class Questions(NamedTuple):
    """What every method is asked: triplets by size, and small pairs with their exact distances."""

    triplets: dict[int, TripletSet]
    pairs: list[tuple[Graph, Graph]]
    distances: np.ndarray


def _renewed(config: EditDistanceConfig, features: str, graph: Graph) -> Graph:
    """The graph with its own degrees, if `features` hold degrees: cuts and edits change them."""
    if not features.endswith("degree"):
        return graph
    own = degree_features(graph, max_degree=config.max_degree)
    return graph._replace(x=np.concatenate([graph.x[:, : -own.shape[1]], own], axis=1))


def _triplets(config: EditDistanceConfig, features: str, of, size: int, seed: int) -> TripletSet:
    drawn = make_triplets(of, size, num=config.num_triplets, seed=seed)
    renewed = [Triplet(*(_renewed(config, features, g) for g in t)) for t in drawn.triplets]
    return drawn._replace(triplets=renewed)


def ask(config: EditDistanceConfig, of: tuple[Graph, ...], features: str) -> Questions:
    """The same questions on every machine, functions of the config, the graphs and what x is."""
    triplets = {
        size: _triplets(config, features, of, size, config.triplet_seed) for size in config.sizes
    }
    if not config.num_pairs:
        return Questions(triplets, [], np.zeros(0))
    pairs = make_small_pairs(
        of, num=config.num_pairs, max_nodes=config.max_pair_nodes, seed=config.triplet_seed
    )
    pairs = [(_renewed(config, features, a), _renewed(config, features, b)) for a, b in pairs]
    return Questions(triplets, pairs, exact_edit_distances(pairs))


def _scores(near: np.ndarray, far: np.ndarray, size: int) -> dict[str, float]:
    accuracy = triplet_accuracy(near, far)
    return {
        f"triplet_accuracy_n{size}": accuracy.half_credit,
        f"triplet_strict_n{size}": accuracy.strict,
        f"pair_auc_n{size}": pair_auc(near, far),
    }


def answer(questions: Questions, similarity: Similarity) -> dict[tuple[str, str], float]:
    """Scores of a method by (representation, metric)."""
    scores = {}
    for size, (triplets, _) in questions.triplets.items():
        anchors, near, far = (list(part) for part in zip(*triplets, strict=True))
        of_near, of_far = similarity(anchors, near), similarity(anchors, far)
        for name, values in of_near.items():
            for metric, value in _scores(values, of_far[name], size).items():
                scores[name, metric] = value
    if questions.pairs:
        first, second = (list(part) for part in zip(*questions.pairs, strict=True))
        for name, values in similarity(first, second).items():
            scores[name, "ged_rank_correlation"] = spearman(values, questions.distances)
    return scores


def encoder_similarity(config: EditDistanceConfig, params, key) -> Similarity:
    """Cosines of pretrained representations; edited graphs are normalised and diffused anew.

    Nothing of them is left in the cache folder.
    """

    def similarity(anchors, others):
        dataset = make_graph_dataset("edited", [*anchors, *others])
        by_name = graphs.on_prepared(config, dataset).represent(params, key)
        count = len(anchors)
        return {
            name: cosine_similarities(h[:count], h[count:]) for name, h in sorted(by_name.items())
        }

    return similarity


def _kernel(function: Callable) -> Similarity:
    return lambda anchors, others: {"single": function(anchors, others)}


def _supervised_scores(
    config: EditDistanceConfig, of, features: str, questions: Questions, seed: int
):
    """Trained on triplets of one half of the graphs, asked about the other, both ways round."""
    half = np.random.default_rng([config.triplet_seed, seed]).permutation(len(of)) % 2
    key = keys_of(seed)[0]
    scores = {}
    for size, asked in questions.triplets.items():
        near, far = (np.zeros(len(asked.triplets)) for _ in range(2))
        for side in (0, 1):
            others = [graph for graph, of_side in zip(of, half, strict=True) if of_side != side]
            learnt = _triplets(config, features, others, size, config.triplet_seed + 1)
            model = supervised.train_triplets(learnt.triplets, key=key)
            mine = np.flatnonzero(half[asked.sources] == side)
            if mine.size:
                parts = zip(*(asked.triplets[i] for i in mine), strict=True)
                h = [supervised.embed_graphs(model, list(part)) for part in parts]
                near[mine], far[mine] = (cosine_similarities(h[0], x) for x in h[1:])
        for metric, value in _scores(near, far, size).items():
            scores["single", metric] = value
    return scores


@dataclass(frozen=True)
class EditDistanceTask(graphs.GraphTask):
    """A set of graphs whose encoders are asked about edited subgraphs; no labels are needed."""

    config: EditDistanceConfig

    @property
    def labelled(self) -> bool:
        return True

    @cached_property
    def questions(self) -> Questions:
        return ask(self.config, self.dataset.graphs, self.dataset.features)

    def as_trained(self, encoder: Encoder) -> "EditDistanceTask":
        return cast(EditDistanceTask, super().as_trained(encoder))

    def score(self, encoder: Encoder, interrupted: Callable[[], bool]) -> Scores:
        key = keys_of(encoder.seed)[2]
        similarity = encoder_similarity(self.config, encoder.state.params, key)
        answers = answer(self.as_trained(encoder).questions, similarity)
        return self._rows(answers, objective=objective_name(self.config))

    def baselines(
        self, interrupted: Callable[[], bool]
    ) -> Iterator[tuple[Row, list, list[int], float]]:
        """Scores by seed of every method that is not pretrained: (row, scores, seeds, seconds)."""
        if not self.config.baselines:
            return
        begin = time.monotonic()
        for name, of_seeds, seeds in _baselines(self.config, self.dataset, self.questions):
            rows = [
                self._rows(scores, method=name, objective="-", selection="none")
                for scores in of_seeds
            ]
            seconds = time.monotonic() - begin
            for row in rows[0]:
                yield row, [of_seed[row] for of_seed in rows], seeds, seconds
            begin = time.monotonic()
            if interrupted():
                raise Interrupted(0)

    def _rows(self, answers: dict[tuple[str, str], float], **about: Any) -> Scores:
        protocol = f"{self.config.num_triplets} triplets a size"
        return {
            Row("edit_distance", name, metric, protocol, **about): score([value])
            for (name, metric), value in answers.items()
        }


def load(config: EditDistanceConfig) -> EditDistanceTask:
    """Read the data and lay it on the device; diffused features are kept in the cache folder."""
    return task_of(config, graphs.read_dataset(config), cached=cached_array)


def task_of(
    config: EditDistanceConfig, dataset: GraphDataset, *, cached: Callable | None = None
) -> EditDistanceTask:
    """The task on graphs that are at hand; `cached` as in `graphs.task.task_of`."""
    task = graphs.task_of(config, dataset, cached=cached)
    return EditDistanceTask(**{field.name: getattr(task, field.name) for field in fields(task)})


def _baselines(
    config: EditDistanceConfig, dataset: GraphDataset, questions: Questions
) -> Iterator[tuple[str, list[dict], list[int]]]:
    """(name, scores of each seed, seeds) of every method that is not pretrained."""
    kernels = {
        "histogram kernel": histogram_kernel_similarity,
        "weisfeiler-lehman kernel": weisfeiler_lehman_similarity,
    }
    for name, function in kernels.items():
        try:
            yield name, [answer(questions, _kernel(function))], [config.seed]
        except InputError as error:  # no grakel: there is none for Python 3.13
            _log.warning("warning: no row for the %s: %s", name, error)
    seeds = list(seeds_of(config))
    of, features = dataset.graphs, dataset.features
    rows = [_supervised_scores(config, of, features, questions, seed) for seed in seeds]
    yield "supervised", rows, seeds
