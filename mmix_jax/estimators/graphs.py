"""The estimator of graphs."""

import sys
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mmix_jax.data.natural import graph_dataset
from mmix_jax.data.store.files import reading
from mmix_jax.data.types import GraphDataset, make_graph_dataset
from mmix_jax.estimators.base import Embedder
from mmix_jax.estimators.notes import heard
from mmix_jax.estimators.settings import config_to_embed
from mmix_jax.experiments.graphs.config import GRAPH_VARIANTS, GraphConfig
from mmix_jax.experiments.graphs.figures import found_mixtures
from mmix_jax.experiments.graphs.task import GraphTask, task_of
from mmix_jax.graphs.types import make_graph
from mmix_jax.report.mixtures import mixture_frame

if TYPE_CHECKING:
    import pandas as pd


class GraphEmbedder(Embedder):
    """Vectors of whole graphs, pretrained by contrast with mixed hard negatives.

    Graphs are a list of whatever `natural.graph_dataset` takes (networkx graphs, pairs `(adjacency,
    x)`, PyTorch Geometric `Data`, `Graph`), a `GraphDataset`, or the path of a folder. Without
    features a node has its degree, one-hot, and with `features="degree"` in any case.

    Fitted attributes: `history_` (metrics of every evaluation), `mixing_` (the last statistics of
    mixing), `n_features_in_`, `n_iter_` (steps taken), `notes_` (what was read, scaled and chosen,
    in words), `config_`, `encoder_`.

    Example:
      >>> import networkx as nx
      >>> from mmix_jax.estimators import GraphEmbedder
      >>> graphs = [make(n) for n in range(4, 10) for make in (nx.cycle_graph, nx.star_graph)]
      >>> model = GraphEmbedder(mixing="mp", width=8, num_steps=4).fit(graphs)
      >>> model.transform(graphs[:5]).shape
      (5, 8)
    """

    _of, _changed, _variants, _name = GraphConfig, {}, GRAPH_VARIANTS, "graphs"

    features: str
    max_degree: int

    def fit(self, graphs: Any, y: Any = None) -> Self:
        """Pretrain on M graphs.

        Args:
          graphs: see the class.
          y: passed over: training sees no label. It stands here for pipelines.

        Raises:
          InputError: a setting or a graph is not as described.
        """
        return self._fit(graphs)

    def fit_transform(self, graphs: Any, y: Any = None) -> np.ndarray:
        """`fit`, then the vectors of these graphs, [M, D] float32."""
        return self.fit(graphs)._embed_own()

    def transform(self, graphs: Any) -> np.ndarray:
        """Vectors of graphs, [M, D] float32, in their order.

        Their features are scaled as those of the training's graphs were.

        Raises:
          NotFittedError: before `fit`.
          InputError: a graph is not as described, or has other features.
        """
        self._check_fitted()
        return self._embed(self._read(graphs, fitted=True)[0])

    def _read(self, graphs: Any, *, fitted: bool = False) -> tuple[GraphDataset, list[str]]:
        with heard(self.verbose and not fitted) as notes, reading():
            # What a program's data set calls its features says nothing of graphs at hand.
            features = "auto" if fitted and self.features != "degree" else self.features
            how = {"features": features, "max_degree": self.max_degree}
            return graph_dataset(graphs, name=self._name, **how), notes

    def _task_of(self, config: Any, data: GraphDataset, *, embeds: bool) -> GraphTask:
        return task_of(config, data)

    def _empty_task(self, num_features: int) -> GraphTask:
        x = np.zeros((2, num_features), np.float32)
        data = make_graph_dataset(self._name, [make_graph(x, [0], [1])])
        return task_of(config_to_embed(self.config_), data)

    def _seen(self, data: GraphDataset) -> list[np.ndarray]:
        return [part for graph in data.graphs for part in graph]

    def _learn(self, data: GraphDataset) -> None:
        self.n_features_in_ = data.graphs[0].x.shape[1]

    def _checked(self, data: GraphDataset) -> GraphDataset:
        self._check_width(data.graphs[0].x.shape[1], "graphs")
        return data

    def _mixtures(self, task: GraphTask) -> "pd.DataFrame | str":
        found = found_mixtures(task.as_trained(self.encoder_), self.encoder_)
        return found if isinstance(found, str) else mixture_frame(found, sys.maxsize)

    @property
    def _n_features_out(self) -> int:
        return self.config_.width
