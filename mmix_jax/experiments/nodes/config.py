"""The settings of node tasks, and the variants of their configs."""

from mmix_jax.data.catalog import NODE_DATASETS
from mmix_jax.data.missing import MISSING_VALUES
from mmix_jax.data.splits import SPLITS
from mmix_jax.errors import InputError
from mmix_jax.experiments.flat import task_config
from mmix_jax.experiments.schema import (
    MIXING_VARIANTS,
    OnGraphs,
    in_data,
    in_evaluation,
    in_training,
)
from mmix_jax.fields import NOT_NEGATIVE, POSITIVE, between
from mmix_jax.graphs import STRUCTURES


@task_config("node")
class NodeConfig(OnGraphs):
    """Settings of a node task: one graph, or several as one, with labelled nodes."""

    dataset: str = in_data("", "Name of the data set.", choices=NODE_DATASETS)
    split: str = in_data(
        "default",
        "The data's own or else a random one, the public one, 10/10/80 drawn at random, or given: "
        "the data's own or else none.",
        choices=SPLITS,
    )
    split_seed: int = in_data(
        0, "Seed of a random split, apart from the training seed.", within=NOT_NEGATIVE
    )
    num_nodes: int = in_data(100_000, "Nodes of the drawn graph synthetic_graph.", within=POSITIVE)
    mean_degree: float = in_data(20.0, "… their mean number of neighbours.", within=POSITIVE)
    num_features: int = in_data(128, "… its features.", within=POSITIVE)
    num_classes: int = in_data(10, "… its classes.", within=POSITIVE)
    homophily: float = in_data(
        0.7,
        "… the share of its edges drawn within a class, or below 0 between two; the others "
        "anywhere.",
        within=between(-1.0, 1.0),
    )
    signal: float = in_data(
        0.1,
        "… the standard deviation of a class mean's entries; that of the noise is 1.",
        within=NOT_NEGATIVE,
    )
    labels_per_class: int = in_data(
        20, "… the training nodes of a class in its default split.", within=POSITIVE
    )
    graph_seed: int = in_data(0, "… the seed of all that.", within=NOT_NEGATIVE)
    structure: str = in_data(
        "both",
        "What your own graph has instead of features, if it has none: positions of nodes in it, "
        "roles, which mean the same in every graph, or both.",
        choices=STRUCTURES,
    )
    missing: str = in_data(
        "refuse",
        "What stands for blank features of your own graph: nothing may, or a value of the column.",
        choices=MISSING_VALUES,
    )
    skip_columns: str = in_data(
        "", "Columns of nodes.csv that are left out, with commas between: bio,joined."
    )
    tables: str = in_data(
        "auto",
        "Where propagated features lie: in memory, in mapped files (mvgrl, one layer, along "
        "edges), or there by a share of rows for each of several processes; auto: mapped from 4 "
        "GiB on.",
        choices=("auto", "memory", "mapped", "shared"),
    )
    num_windows: int = in_training(2, "Windows of a step (sampler window).", within=POSITIVE)
    num_classifiers: int = in_evaluation(
        50, "Initialisations of the protocol's logistic regression.", within=POSITIVE
    )
    num_probes: int = in_evaluation(5, "… of the one while training.", within=POSITIVE)

    def check(self) -> None:
        self._check_framework()
        super().check()
        if self.sampler != "window":
            return
        if self.depth > 1:
            raise InputError(
                f"sampler 'window' needs one-layer encoders, found depth {self.depth}; "
                "use full or nodes"
            )
        if self.diffusion.form in ("top_k", "epsilon"):
            raise InputError(
                "sampler 'window' cuts its diffusion from the whole matrix, found diffusion_form "
                f"'{self.diffusion.form}'; use features or exact"
            )
        if self.objective == "mvgrl":
            raise InputError(
                "objective 'mvgrl' needs the whole graph, found sampler 'window'; use full or nodes"
            )
        if self.num_windows > 1 and not self.mixing.by_edges:
            raise InputError(
                "several windows mix along edges only, found candidates "
                f"'{self.mixing.candidates}'; use wp or num_windows=1"
            )

    def _check_framework(self) -> None:
        grace = self.framework == "grace"
        if grace == (self.representation != "single"):
            raise InputError(
                f"representation of framework '{self.framework}' must be "
                f"{'single' if grace else 'mean, a or b'}, found '{self.representation}'; "
                "change one"
            )
        if self.protocol == "splits" and self.selection == "validation":
            raise InputError(
                "protocol 'splits' must not choose by one split's validation nodes, which others "
                "test, found selection 'validation'; use last or loss"
            )
        if not grace:
            if self.encoder != "gcn":
                raise InputError(
                    f"encoder '{self.encoder}' belongs to framework grace, found framework "
                    f"'{self.framework}'; use gcn, or the variant grace"
                )
            return
        if self.sampler == "window" or self.objective == "mvgrl":
            raise InputError(
                "framework 'grace' contrasts nodes of the whole graph, found sampler "
                f"'{self.sampler}' and objective '{self.objective}'; use nodes or full, and node"
            )
        if self.symmetric and self.mixing.of_inputs:
            raise InputError(
                "i_mix mixes the inputs of view a, found symmetric; leave it out, or use another "
                "mixing"
            )
        for width in self.grace_widths[:-1] if self.encoder == "gat" else ():
            if width % self.num_heads:
                nearest = max(1, round(width / self.num_heads)) * self.num_heads
                raise InputError(
                    f"width must be a multiple of the {self.num_heads} heads, found {width}; "
                    f"the nearest is {nearest}"
                )

    @property
    def grace_widths(self) -> tuple[int, ...]:
        """Of the layers of GRACE's encoder."""
        return (self.hidden_width or self.width,) * (self.depth - 1) + (self.width,)


# A GRACE-style training; drop rates, widths and τ are the published ones for DBLP.
GRACE = {
    "framework": "grace",
    "depth": 2,
    "mixing": "none",
    "temperature": 0.7,
    "representation": "single",
    "learning_rate": 1e-3,
    "weight_decay": 1e-5,
    "sampler": "full",
    "eval_every": 50,
    "selection": "last",
}
# More and smaller steps on all nodes, as published for DBLP, with the paper's mixing.
GRACE_PAPER = {"mixing": "mp", "sampler": "full", "learning_rate": 1e-3, "num_steps": 1000}

# What a graph of one's own wants.
OWN_GRAPH = {"learning_rate": 1e-3, "num_steps": 300, "sampler": "auto"}

# What the variants change; `configs/cora.py:mo` is get_config("mo"), and `:grace+mo` applies both.
VARIANTS = MIXING_VARIANTS | {
    "grace": GRACE,
    "i_mix": {"mixing": "i_mix"},
    "gat": {"encoder": "gat", "mixing": "none"},
    "mvgrl": {
        "framework": "mvgrl",
        "encoder": "gcn",
        "depth": 1,
        "representation": "mean",
        "mixing": "none",
        "objective": "mvgrl",
        "embed_from": "z",
        "sampler": "full",
        "feature_mask": 0.0,
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
    },
    # The paper's own settings, also where a data set's config has others: authors' windows, of
    # which a step is an epoch, tau_mix and L_div as published, no masking.
    "paper": {
        "mixing": "mp",
        "candidates": "wp",
        "diversity_weight": 1.0,
        "mixing_temperature": 1.0,
        "feature_mask": 0.0,
        "embed_from": "g",
        "learning_rate": 3e-4,
        "width": 512,
        "sampler": "window",
        "batch_size": 2000,
        "num_steps": 2000,
    },
    # Finishes on a CPU in seconds.
    "smoke": {
        "width": 16,
        "num_steps": 4,
        "eval_every": 2,
        "checkpoint_every": 2,
        "num_classifiers": 2,
        "num_probes": 1,
        "num_clusterings": 1,
    },
}
