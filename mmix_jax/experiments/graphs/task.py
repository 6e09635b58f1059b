"""The graph task: a set of labelled graphs, judged by a linear SVM on their representations."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mmix_jax.data.catalog import load_graphs
from mmix_jax.data.scaling import Scaling, fit_scaling, normalised
from mmix_jax.data.store.cache import cached_array
from mmix_jax.data.types import GraphDataset, names_of_labels
from mmix_jax.errors import InputError
from mmix_jax.experiments.figures import some_points
from mmix_jax.experiments.graphs.config import GraphConfig
from mmix_jax.experiments.graphs.figures import mixtures_of
from mmix_jax.experiments.graphs.scores import score_representations
from mmix_jax.experiments.task import (
    Encoder,
    Files,
    Points,
    Scores,
    Training,
    devices_of,
    in_epochs,
    kept_scaling,
    keys_of,
    remembered_of,
)
from mmix_jax.frameworks import mvgrl_graphs
from mmix_jax.frameworks.mvgrl import MVGRLSettings
from mmix_jax.frameworks.mvgrl_graphs import REPRESENTATIONS, GraphSettings, GraphTables
from mmix_jax.graphs.batches import Buckets, GraphSampler, Union, unite
from mmix_jax.training.step import Optimization, TrainState, init_state, make_optimizer

# One for all tasks: sets of the same shapes share a program.
_embed = jax.jit(mvgrl_graphs.embed, static_argnums=0)

_log = logging.getLogger(__name__)
_DEGREES = "degree_features"  # in a checkpoint: whether these trained


@dataclass(frozen=True)
class GraphTask:
    """A config with its data and model.

    asked: the config as it was given, whose epochs may be steps in `config`; length: these in
    words. given: the data as they are. scaling: that of their features. dataset: with features as
    encoders take them.
    whole: the sampler that embeds all graphs in their order. kept: by seed, representations at the
    evaluated steps of trainings that write nothing to disk (selection inner_cv).
    """

    config: GraphConfig
    asked: GraphConfig
    length: str
    given: GraphDataset
    scaling: Scaling | None
    dataset: GraphDataset
    union: Union
    settings: GraphSettings
    tables: GraphTables
    devices: list
    whole: GraphSampler
    kept: dict[int, dict[int, dict[str, np.ndarray]]] = field(default_factory=dict)

    @property
    def labelled(self) -> bool:
        return self.dataset.labels is not None

    @property
    def has_degrees(self) -> bool:
        """Whether features are degrees, for want of others."""
        return self.dataset.features == "degree"

    @property
    def optimization(self) -> Optimization:
        return Optimization(self.config.learning_rate, self.config.weight_decay)

    def start(self, seed: int) -> TrainState:
        """The state before the first step."""
        num_features = self.union.graph.x.shape[1]
        params = mvgrl_graphs.init_params(self.settings, num_features, keys_of(seed)[0])
        return init_state(params, make_optimizer(self.optimization))

    def training(self, seed: int, workdir: Path | None = None) -> Training:
        sampler = make_sampler(self.config, self.union, seed, len(self.devices))
        return Training(
            self.start(seed),
            self.optimization,
            mvgrl_graphs.make_loss,
            settings_of(self.config, sampler.buckets),
            self.tables,
            sampler.batch,
            self._judge(seed, workdir, sampler.padding),
            self.config.batch_size,
            remembered=remembered_of(self.scaling) | {_DEGREES: self.has_degrees},
        )

    def represent(self, params: Any, key: jax.Array) -> dict[str, np.ndarray]:
        """h [M, D] of all graphs, by name."""
        by_name: dict[str, np.ndarray] = {}
        for place in range(self.whole.num_batches):
            batch, h, _ = self._embed_batch(params, key, place)
            mask = batch.globals["mask"][:-1]
            for name, rows in h.items():
                shape = (len(self.dataset.graphs), rows.shape[1])
                whole = by_name.setdefault(name, np.zeros(shape, np.float32))
                whole[batch.globals["graph"][:-1][mask]] = np.asarray(rows)[mask]
        return by_name

    def score(self, encoder: Encoder, interrupted: Callable[[], bool]) -> Scores:
        representations = self.as_trained(encoder).represent(
            encoder.state.params, keys_of(encoder.seed)[2]
        )
        choose = encoder.trained and self.config.selection == "inner_cv"
        return score_representations(
            self.config,
            self.dataset,
            representations,
            encoder.seed,
            candidates=self._candidates(encoder) if choose else None,
            step=encoder.progress.get("step", 0),
            interrupted=interrupted,
        )

    def embed(self, encoder: Encoder) -> dict[str, Any]:
        """z [M, D] of all graphs, whose features are scaled as those of the training were."""
        h = self.as_trained(encoder).represent(encoder.state.params, keys_of(encoder.seed)[2])
        z = h[self.config.representation]
        return {"z": z, "labels": names_of_labels(self.dataset), "ids": self.dataset.ids}

    def points(self, encoder: Encoder) -> Points | str:
        """The headline's h of graphs, or why there are none."""
        labels, classes = self.dataset.labels, self.dataset.classes
        if labels is None:
            return "found no labels"
        h = self.as_trained(encoder).represent(encoder.state.params, keys_of(encoder.seed)[2])
        chosen = some_points(labels, encoder.seed)
        names = None if classes is None else [str(word) for word in classes]
        return Points(h[self.config.representation][chosen], labels[chosen], names)

    def mixtures(self, encoder: Encoder) -> Files | str:
        return mixtures_of(self.as_trained(encoder), encoder)

    def as_trained(self, encoder: Encoder) -> "GraphTask":
        """This task with features scaled as an encoder's training scaled its own.

        Raises:
          InputError: the ones are degrees and the others are not.
        """
        if encoder.progress.get(_DEGREES, self.has_degrees) != self.has_degrees:
            found = "degrees, as these graphs have none" if self.has_degrees else "others"
            raise InputError(
                f"features must be those that trained, found {found}; "
                + ("give them" if self.has_degrees else "leave them out: nodes had their degree")
            )
        scaling = kept_scaling(encoder, self.scaling)
        if scaling is self.scaling:
            return self
        _log.info("features: scaled by statistics of the training, not of these graphs")
        other = with_scaling(self.asked, self.given, scaling)
        return replace(self, **{part.name: getattr(other, part.name) for part in fields(other)})

    def _embed_batch(self, params, key, place: int):
        batch = jax.tree.map(lambda x: x[0], self.whole.ordered(place))
        return batch, *_embed(self.settings, params, self.tables, batch, key)

    def _judge(self, seed: int, workdir: Path | None, padding: float) -> Callable:
        """`judge(state) -> (None, metrics)`: no label is seen; the loss judges."""
        key = keys_of(seed)[2]

        def judge(state: TrainState):
            stats = self._embed_batch(state.params, key, 0)[2]
            if self.config.selection == "inner_cv":
                representations = self.represent(state.params, key)
                if workdir is None:
                    self.kept.setdefault(seed, {})[int(state.step)] = representations
                else:
                    folder = _candidates_folder(self.config, workdir, seed)
                    _write_candidate(folder / f"{int(state.step)}.npz", representations)
            metrics = {f"mixing/{name}": float(value) for name, value in stats.items()}
            return None, metrics | {"padding": padding}

        return judge

    def _candidates(self, encoder: Encoder) -> list[Mapping[str, np.ndarray]]:
        """Representations at the evaluated steps, by ascending steps."""
        if encoder.workdir is None and encoder.seed in self.kept:
            return [h for _, h in sorted(self.kept[encoder.seed].items())]
        folder, paths = None, []
        if encoder.workdir is not None:
            folder = _candidates_folder(self.config, encoder.workdir, encoder.seed)
            paths = [path for path in folder.glob("*.npz") if path.stem.isdigit()]
        if not paths:
            raise InputError(
                "selection 'inner_cv' needs the embeddings that its training left in the workdir, "
                f"found none at {folder}; train there, or use selection fixed"
            )
        candidates = []
        for path in sorted(paths, key=lambda path: int(path.stem)):
            with np.load(path, allow_pickle=False) as arrays:
                candidates.append({name: arrays[name] for name in REPRESENTATIONS})
        return candidates


def _candidates_folder(config: GraphConfig, workdir: Path, seed: int) -> Path:
    return workdir / "candidates" / config.readout / f"seed_{seed}"


def _write_candidate(path: Path, representations: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    temporary = path.with_suffix(".tmp.npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(temporary, **representations)
    os.replace(temporary, path)


def settings_of(config: GraphConfig, buckets: Buckets) -> GraphSettings:
    """The framework's static settings."""
    return GraphSettings(
        views=MVGRLSettings(
            widths=(config.width,) * config.depth,
            mixing=config.mixing,
            contrast=config.contrast,
            diffusion=config.diffusion,
            objective=config.objective,
            feature_mask=config.feature_mask,
            embed_from=config.embed_from,
            discriminator=config.discriminator,
            num_contrasted=buckets.num_rows,
            num_nodes=buckets.num_rows,
        ),
        buckets=buckets,
        objective=config.objective,
        node_contrast=config.node_contrast,
        contrast_nodes=config.contrast_nodes,
        symmetric_graph=config.symmetric_graph,
        graph_temperature=config.graph_temperature,
        readout=config.readout,
    )


def make_sampler(
    config: GraphConfig, union: Union, seed: int, num_devices: int, *, contrasted: bool = True
) -> GraphSampler:
    """The sampler of one training or, not `contrasted`, that of embedding."""
    return GraphSampler(
        union,
        batch_size=config.batch_size,
        num_devices=num_devices,
        max_buckets=config.max_buckets,
        contrasted=contrasted,
        seed=seed,
    )


def read_dataset(config: GraphConfig) -> GraphDataset:
    """The data that the config names."""
    return load_graphs(
        config.dataset,
        data_dir=config.data_dir or None,
        path=config.data_path or None,
        features=config.features,
        max_degree=config.max_degree,
    )


def load(config: GraphConfig) -> GraphTask:
    """Read the data and lay it on the device; diffused features are kept in the cache folder."""
    return task_of(config, read_dataset(config), cached=cached_array)


def task_of(
    config: GraphConfig, dataset: GraphDataset, *, cached: Callable | None = None
) -> GraphTask:
    """The task on graphs that are at hand.

    Args:
      cached: as `data.store.cache.cached_array`; None writes nothing.
    """
    x = [graph.x for graph in dataset.graphs]
    own = dataset.features == "given" and not config.binarise_features
    scaling = fit_scaling(np.concatenate(x), config.normalise_features, own=own)
    return with_scaling(config, dataset, scaling, cached=cached)


def with_scaling(
    config: GraphConfig,
    given: GraphDataset,
    scaling: Scaling | None,
    *,
    cached: Callable | None = None,
) -> GraphTask:
    """The task on graphs whose features are scaled in this way."""
    how, binarise = config.normalise_features, config.binarise_features
    dataset = given
    if scaling is not None or binarise or how == "rows":
        changed = [
            normalised(graph.x, how, words=False, scaling=scaling, binarise=binarise)
            for graph in given.graphs
        ]
        graphs = zip(given.graphs, changed, strict=True)
        dataset = given._replace(graphs=tuple(graph._replace(x=x) for graph, x in graphs))
    return on_prepared(config, dataset, given=given, scaling=scaling, cached=cached)


def on_prepared(
    asked: GraphConfig,
    dataset: GraphDataset,
    *,
    given: GraphDataset | None = None,
    scaling: Scaling | None = None,
    cached: Callable | None = None,
) -> GraphTask:
    """The task on graphs whose features are as encoders take them."""
    union = unite(dataset.graphs)
    whole = make_sampler(asked, union, 0, 1, contrasted=False)
    config, length = in_epochs(asked, whole.num_batches)
    settings = settings_of(config, whole.buckets)
    tables = mvgrl_graphs.make_tables(settings, union, cached=cached)
    return GraphTask(
        *(config, asked, length, dataset if given is None else given, scaling, dataset),
        *(union, settings, tables, devices_of(config), whole),
    )
