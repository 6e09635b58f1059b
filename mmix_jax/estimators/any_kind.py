"""An estimator from a folder of whichever kind."""

from pathlib import Path

from mmix_jax.estimators.files import load
from mmix_jax.estimators.graphs import GraphEmbedder
from mmix_jax.estimators.images import ImageEmbedder
from mmix_jax.estimators.nodes import NodeEmbedder
from mmix_jax.experiments.records import read_record

_OF_TASK = {of._of.tasks[0]: of for of in (NodeEmbedder, GraphEmbedder, ImageEmbedder)}


def load_any(path: Path) -> NodeEmbedder | GraphEmbedder | ImageEmbedder:
    """A fitted estimator of the kind that its folder, a saved model or a workdir, is of.

    Raises:
      InputError: as `Embedder.load`.
    """
    task = read_record(path / "config.json").get("task")
    return load(_OF_TASK.get(str(task), NodeEmbedder), path)
