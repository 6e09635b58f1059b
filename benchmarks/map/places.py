"""Where data sets lie in the plane of the map: by the measures of the drawn graphs."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.map.work import Plan, accuracy_of_features, adjusted_homophily

NUM_SPLITS = 5
_NUM_VALID = 500


class Place(NamedTuple):
    """A data set by its name in the catalog, or a file in the folder of data sets."""

    dataset: str
    file: str = ""


SETS = {
    "Cora": Place("cora"),
    "DBLP": Place("dblp"),
    "Photo": Place("graph_file", "graphs/amazon_photo.npz"),
    "actor": Place("graph_file", "graphs/actor.npz"),
    "chameleon": Place("graph_file", "graphs/chameleon_filtered.npz"),
}


def measured(plan: Plan, name: str, data_dir: str | None) -> dict[str, Any]:
    """Its adjusted homophily, and the accuracy of its features alone with so many labels of each
    class, mean over splits.

    Raises:
      InputError: its files are not there, or it cannot be split so.
    """
    from mmix_jax.data import load_nodes
    from mmix_jax.data.splits import stratified_split
    from mmix_jax.errors import InputError

    place = SETS[name]
    folder = data_dir or os.environ.get("MMIX_DATA_DIR") or ""
    path = str(Path(folder) / place.file) if place.file else None
    if path and not (folder and os.path.isfile(path)):
        raise InputError(f"no {place.file} in --data_dir")
    dataset = load_nodes(place.dataset, data_dir=folder or None, path=path)
    labels, graph = dataset.labels, dataset.graph
    assert labels is not None
    found: dict[str, float] = {}
    for per_class in plan.labels:
        accuracies = []
        for seed in range(NUM_SPLITS):
            try:
                split = stratified_split(
                    labels, per_class=per_class, num_valid=_NUM_VALID, seed=seed
                )
            except ValueError as error:
                raise InputError(str(error)) from error
            accuracies.append(accuracy_of_features(plan, dataset, split, seed))
        found[str(per_class)] = sum(accuracies) / NUM_SPLITS
    return {
        "adjusted_homophily": adjusted_homophily(graph.senders, graph.receivers, labels),
        "accuracy": found,
        "num_classes": dataset.num_classes,
        "num_splits": NUM_SPLITS,
    }
