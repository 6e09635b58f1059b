"""The settings of tasks on sets of graphs, and the variants of their configs."""

from mmix_jax.data.graphs import FEATURES
from mmix_jax.errors import InputError
from mmix_jax.experiments.flat import task_config
from mmix_jax.experiments.schema import (
    MIXING_VARIANTS,
    OnGraphs,
    in_data,
    in_evaluation,
    in_objective,
    in_representation,
    in_training,
)
from mmix_jax.fields import NOT_NEGATIVE, POSITIVE, between
from mmix_jax.frameworks import READOUTS
from mmix_jax.losses.settings import LOWEST_TEMPERATURE


@task_config("graph")
class GraphConfig(OnGraphs):
    """Settings of a task on a set of graphs. Any TU name is a data set, and graph_folder."""

    features: str = in_data(
        "auto",
        "What x is: node labels, attributes, one-hot degrees, or two; auto: what the data has.",
        choices=FEATURES,
    )
    max_degree: int = in_data(
        64, "One-hot degrees share the last column from here on.", within=NOT_NEGATIVE
    )
    node_contrast: str = in_objective(
        "graph",
        "Nodes are contrasted within their graph, or over the batch (the authors' code).",
        choices=("graph", "batch"),
    )
    contrast_nodes: int = in_objective(
        0,
        "Nodes that a graph contrasts at most, drawn anew each step; 0 is all.",
        within=NOT_NEGATIVE,
    )
    symmetric_graph: bool = in_objective(False, "Anchors h^b too, not h^a alone.")
    graph_temperature: float = in_objective(
        1.0,
        "τ between graphs (eq. 11 has none).",
        within=between(LOWEST_TEMPERATURE, float("inf")),
    )
    readout: str = in_representation(
        "mean",
        "Over a graph's nodes; sum keeps the graph's size.",
        choices=READOUTS,
        evaluation=True,
    )
    max_buckets: int = in_training(6, "Sizes of slots that graphs are padded to.", within=POSITIVE)
    num_folds: int = in_evaluation(10, "Folds of the cross-validation.", within=POSITIVE)

    @property
    def _temperatures(self) -> dict[str, float]:
        return super()._temperatures | {"graph_temperature": self.graph_temperature}

    def check(self) -> None:
        super().check()
        negatives = self.mixing.into_negatives
        if negatives and (self.objective == "graph" or self.node_contrast == "batch"):
            raise InputError(
                "mix_into 'negatives' is of the nodes of one graph, found objective "
                f"'{self.objective}' and node_contrast '{self.node_contrast}'; use objective both "
                "or node, and node_contrast graph"
            )


@task_config("edit_distance", "graph")
class EditDistanceConfig(GraphConfig):
    """Settings of graph edit distance: those of a set of graphs, and what encoders are asked."""

    sizes: tuple[int, ...] = in_evaluation((10, 15, 20, 50), "Nodes of the subgraphs.")
    num_triplets: int = in_evaluation(1000, "Triplets of each size.", within=POSITIVE)
    num_pairs: int = in_evaluation(
        200, "Pairs whose exact distance is computed; 0 leaves them out.", within=NOT_NEGATIVE
    )
    max_pair_nodes: int = in_evaluation(8, "… their nodes at most.")
    triplet_seed: int = in_evaluation(
        0, "Seed of triplets and pairs, apart from the training seed.", within=NOT_NEGATIVE
    )
    baselines: bool = in_evaluation(True, "Kernels and the supervised GNN too.")

    def check(self) -> None:
        if any(size < 4 for size in self.sizes):
            raise InputError(
                f"sizes of subgraphs must be 4 or more, found {min(self.sizes)}; smaller ones have "
                "no two edges to substitute"
            )
        super().check()


# What the variants change; `configs/mutag.py:mo` is get_config("mo").
GRAPH_VARIANTS = MIXING_VARIANTS | {
    "mvgrl": {
        "mixing": "none",
        "objective": "mvgrl",
        "embed_from": "z",
        "learning_rate": 1e-3,
    },
    # mp-mix with one level of eq. 11 alone (table 4).
    "node_only": {"mixing": "mp", "objective": "node"},
    "graph_only": {"mixing": "mp", "objective": "graph"},
    # The paper's own settings, also where a data set's config has others.
    "paper": {
        "mixing": "mp",
        "candidates": "wp",
        "diversity_weight": 1.0,
        "mixing_temperature": 1.0,
        "learning_rate": 3e-4,
        "width": 512,
        "batch_size": 256,
        "num_epochs": 200,
        "num_steps": 1_000_000,
        "features": "auto",
        "contrast_nodes": 0,
        "embed_from": "g",
        "readout": "mean",
    },
    # Finishes on a CPU in seconds.
    "smoke": {
        "width": 8,
        "num_steps": 4,
        "eval_every": 2,
        "checkpoint_every": 2,
        "num_clusterings": 1,
        "num_seeds": 1,
        "num_folds": 3,
        "max_buckets": 2,
    },
}
# Baselines do not depend on the variant: they come with the config itself.
EDIT_DISTANCE_VARIANTS = {
    name: {**changes, "baselines": False} for name, changes in GRAPH_VARIANTS.items()
}
EDIT_DISTANCE_VARIANTS["smoke"] |= {"sizes": (5, 6), "num_triplets": 6, "num_pairs": 4}
