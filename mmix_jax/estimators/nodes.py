"""The estimator of nodes."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mmix_jax.data.natural import node_dataset
from mmix_jax.data.store.files import reading
from mmix_jax.data.types import NodeDataset, make_dataset
from mmix_jax.estimators.base import Embedder
from mmix_jax.estimators.notes import heard
from mmix_jax.estimators.settings import config_to_embed
from mmix_jax.experiments.nodes.config import OWN_GRAPH, VARIANTS, NodeConfig
from mmix_jax.experiments.nodes.figures import found_mixtures
from mmix_jax.experiments.nodes.remembered import as_remembered
from mmix_jax.experiments.nodes.task import NodeTask, task_of
from mmix_jax.graphs.types import make_graph
from mmix_jax.report.mixtures import mixture_frame

if TYPE_CHECKING:
    import pandas as pd


class NodeEmbedder(Embedder, auto_wrap_output_keys=None):
    """Vectors of the nodes of a graph, pretrained by contrast with mixed hard negatives.

    A graph is whatever `natural.node_dataset` takes: a networkx graph, an adjacency matrix (SciPy
    or NumPy) or `(adjacency, x)`, a PyTorch Geometric `Data`, two pandas frames `(nodes, edges)`,
    a `Graph`, a `NodeDataset`, or the path of a file or folder.

    Labels are used for one thing: with a split (given, or in the graph) the step is taken whose
    validation accuracy is best, and training stops early; test labels are never seen. Without a
    split no label is, and the loss chooses.

    Fitted attributes: `history_` (metrics of every evaluation), `mixing_` (the last statistics of
    mixing), `n_features_in_`, `feature_names_in_` (where features have names), `n_iter_` (steps
    taken), `notes_` (what was read, scaled and chosen, in words), `config_`, `encoder_`.

    Example:
      >>> import networkx as nx
      >>> from mmix_jax.estimators import NodeEmbedder
      >>> model = NodeEmbedder(mixing="mo", width=16, num_steps=10)
      >>> model.fit_transform(nx.karate_club_graph()).shape
      (34, 16)
    """

    _of, _changed, _variants, _name = NodeConfig, OWN_GRAPH, VARIANTS, "graph"

    structure: str
    missing: str
    skip_columns: str | Sequence[str]
    feature_names_in_: np.ndarray

    def fit(self, graph: Any, y: Any = None, *, split: Any = None) -> Self:
        """Pretrain on a graph.

        Args:
          graph: N nodes, see the class.
          y: classes [N], −1 or None where unknown; those of the graph, and their split, give way to
            them.
          split: a `Split`, or masks {"train_mask": [N], …}; that of the graph gives way to it.

        Raises:
          InputError: a setting or a part of the graph is not as described.
        """
        return self._fit(graph, y, split)

    def fit_transform(self, graph: Any, y: Any = None, *, split: Any = None) -> np.ndarray:
        """`fit`, then the vectors of this graph's nodes, [N, D] float32."""
        return self.fit(graph, y, split=split).transform()

    def transform(self, graph: Any = None) -> np.ndarray:
        """Vectors of nodes, [N, D] float32, rows in the graph's order.

        Args:
          graph: another one, with the same features; they are scaled, filled and encoded by what
            the training's graph was. None: the training's.

        Raises:
          NotFittedError: before `fit`.
          InputError: a part of the graph is not as described, or features are others.
        """
        self._check_fitted()
        return (
            self._embed_own() if graph is None else self._embed(self._read(graph, fitted=True)[0])
        )

    def _read(
        self, graph: Any, y: Any = None, split: Any = None, *, fitted: bool = False
    ) -> tuple[NodeDataset, list[str]]:
        with heard(self.verbose and not fitted) as notes, reading():
            data = node_dataset(
                graph,
                y,
                split,
                name=self._name,
                structure=self.structure,
                missing=self.missing,
                skip_columns=self.skip_columns,
                known=getattr(self, "feature_names_in_", ()) if fitted else (),
            )
        if data.split is not None and not data.split_given:
            data = data._replace(split=None)  # a data set that drew one
        if data.labels is not None and data.split is None and not fitted:
            notes.append("labels: not seen in training, as no split came with them")
        return data, notes

    def _task_of(self, config: Any, data: NodeDataset, *, embeds: bool) -> NodeTask:
        return task_of(config, data)

    def _empty_task(self, num_features: int) -> NodeTask:
        x = np.zeros((2, num_features), np.float32)
        data = make_dataset(self._name, make_graph(x, [0], [1]), None)
        return task_of(config_to_embed(self.config_), data)

    def _seen(self, data: NodeDataset) -> list[np.ndarray]:
        graph = data.graph
        # Features of structure hang on the edges, up to rounding: their shape will do.
        x = np.array(graph.x.shape) if data.structure else graph.x
        parts = [x, *graph[1:]]
        if data.labels is not None and data.split is not None:
            parts += [data.labels, *data.split]
        return parts

    def _learn(self, data: NodeDataset) -> None:
        self.n_features_in_ = data.graph.x.shape[1]
        self._name_features(data.feature_names)

    def _know(self, told: dict[str, Any]) -> None:
        self._name_features(self.encoder_.progress.get("feature_names"))

    def _name_features(self, names: Sequence[str] | None) -> None:
        if names is not None:
            self.feature_names_in_ = np.array(names, object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _checked(self, data: NodeDataset) -> NodeDataset:
        data = as_remembered(data, self.encoder_.progress)
        # Columns with names are found by them, and what is missing is told.
        if data.feature_names is None or not hasattr(self, "feature_names_in_"):
            self._check_width(data.graph.x.shape[1], "a graph")
        return data

    def _mixtures(self, task: NodeTask) -> "pd.DataFrame | str":
        found = found_mixtures(task.as_trained(self.encoder_), self.encoder_)
        return found if isinstance(found, str) else mixture_frame(found, sys.maxsize)

    @property
    def _n_features_out(self) -> int:
        return self.config_.width
