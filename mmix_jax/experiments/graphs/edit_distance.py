"""Graph edit distance: an encoder pretrained on a set of graphs orders edited subgraphs of them."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmix_jax.data.raw import degree_features
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
from mmix_jax.experiments import runs
from mmix_jax.experiments.defaults import Config
from mmix_jax.experiments.graphs import task as graphs
from mmix_jax.frameworks import supervised
from mmix_jax.graphs.edits import Triplet, TripletSet, make_triplets
from mmix_jax.graphs.types import Graph
from mmix_jax.results import Result, score
from mmix_jax.training.loop import Interrupted

_log = logging.getLogger(__name__)
# (anchors [T], others [T]) -> similarity [T], by representation
Similarity = Callable[[list[Graph], list[Graph]], dict[str, np.ndarray]]


class Questions(NamedTuple):
    """What every method is asked: triplets by size, and small pairs with their exact distances."""

    triplets: dict[int, TripletSet]
    pairs: list[tuple[Graph, Graph]]
    distances: np.ndarray


def _renewed(config: Config, features: str, graph: Graph) -> Graph:
    """The graph with its own degrees, if `features` hold degrees: cuts and edits change them."""
    if not features.endswith("degree"):
        return graph
    own = degree_features(graph, max_degree=config.max_degree)
    return graph._replace(x=np.concatenate([graph.x[:, : -own.shape[1]], own], axis=1))


def _triplets(config: Config, features: str, of, size: int, seed: int) -> TripletSet:
    drawn = make_triplets(of, size, num=config.num_triplets, seed=seed)
    renewed = [Triplet(*(_renewed(config, features, g) for g in t)) for t in drawn.triplets]
    return drawn._replace(triplets=renewed)


def ask(config: Config, of: tuple[Graph, ...], features: str) -> Questions:
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
    found = triplet_accuracy(near, far)
    return {
        f"triplet_accuracy_n{size}": found.half_credit,
        f"triplet_strict_n{size}": found.strict,
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


def encoder_similarity(config: Config, params, key) -> Similarity:
    """Cosines of pretrained representations; edited graphs are normalised and diffused anew.

    Nothing of them is left in the cache folder.
    """

    def similarity(anchors, others):
        dataset = make_graph_dataset("edited", [*anchors, *others])
        found = graphs.task_of(config, dataset, keep=False).represent(params, key)
        count = len(anchors)
        return {
            name: cosine_similarities(h[:count], h[count:]) for name, h in sorted(found.items())
        }

    return similarity


def _kernel(function: Callable) -> Similarity:
    return lambda anchors, others: {"single": function(anchors, others)}


def _supervised_scores(config: Config, of, features: str, questions: Questions, seed: int):
    """Trained on triplets of one half of the graphs, asked about the other, both ways round."""
    half = np.random.default_rng([config.triplet_seed, seed]).permutation(len(of)) % 2
    key = runs.keys_of(seed)[0]
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


def _baselines(
    config: Config, dataset: GraphDataset, questions: Questions
) -> Iterator[tuple[str, list[dict], list]]:
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
    seeds = list(runs.seeds_of(config))
    of, features = dataset.graphs, dataset.features
    rows = [_supervised_scores(config, of, features, questions, seed) for seed in seeds]
    yield "supervised", rows, seeds


def evaluate(
    task: graphs.GraphTask,
    folders: dict[int, Path],
    interrupted: Callable[[], bool] = lambda: False,
) -> list[Result]:
    """Scores of the encoders in `folders`, of random-initialised ones, and of the baselines."""
    config = task.config
    questions = ask(config, task.dataset.graphs, task.dataset.features)
    rows: dict[bool, list[dict]] = {True: [], False: []}
    steps, seconds = 0, 0.0
    for seed, folder in folders.items():
        params, progress = graphs.restore(task, folder, seed)
        steps, seconds = max(steps, progress["step"]), seconds + progress["seconds"]
        key = runs.keys_of(seed)[2]
        begin = time.monotonic()
        rows[True].append(answer(questions, encoder_similarity(config, params, key)))
        seconds += time.monotonic() - begin
        untrained = graphs.start(task, seed).params
        rows[False].append(answer(questions, encoder_similarity(config, untrained, key)))
        if interrupted():
            raise Interrupted(progress["step"])
    found = []
    for trained in (True, False):
        options = {"trained": trained, "steps": steps, "seconds": seconds}
        options |= {"selection": config.selection, "objective": graphs.objective_name(config)}
        found += _results(task, config, rows[trained], list(folders), **options)
    if config.baselines:
        begin = time.monotonic()
        for name, scores, seeds in _baselines(config, task.dataset, questions):
            other = config.copy_and_resolve_references()
            with other.unlocked():
                other.update({"framework": name, "mixing": "-", "candidates": "-"})
            options = {"trained": True, "steps": 0, "seconds": time.monotonic() - begin}
            found += _results(
                task, other, scores, seeds, selection="none", objective="-", **options
            )
            begin = time.monotonic()
            if interrupted():
                raise Interrupted(steps)
    return found


def _results(task: graphs.GraphTask, config: Config, rows, seeds, **options) -> list[Result]:
    return [
        runs.make_result(
            config,
            task.devices,
            score([scores[name, metric] for scores in rows]),
            task="edit_distance",
            representation=name,
            metric=metric,
            seeds=seeds,
            protocol=f"{config.num_triplets} triplets a size",
            **options,
        )
        for name, metric in rows[0]
    ]


def run_train(config: Config, workdir: Path, interrupted: Callable[[], bool]) -> list[Result]:
    """Pretrain every seed, then evaluate; a finished run only reports."""
    return runs.train_and_evaluate(
        config,
        workdir,
        load=graphs.load,
        pretrain=graphs.pretrain,
        evaluate=evaluate,
        interrupted=interrupted,
    )


def run_eval(config: Config, workdir: Path, checkpoint: str | None) -> list[Result]:
    """Evaluate the checkpoints of a workdir, or the one at `checkpoint`."""
    return evaluate(graphs.load(config), runs.checkpoint_folders(config, workdir, checkpoint))


def run_embed(config: Config, workdir: Path, checkpoint: str | None) -> dict[str, Any]:
    """Embeddings of the set itself, as for graph classification."""
    return graphs.run_embed(config, workdir, checkpoint)
