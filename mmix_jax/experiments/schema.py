"""Every setting once: type, default by task, range or choices, meaning. Here those of many tasks;
what one task alone has stands in its room's `config.py`, and `flat.py` says what is made of them.
"""

import dataclasses
from functools import partial
from typing import Any, ClassVar

from mmix_jax.data.scaling import NORMALISATIONS
from mmix_jax.encoders import ACTIVATIONS, GRAPH_ENCODERS, IMAGE_ENCODERS
from mmix_jax.errors import InputError
from mmix_jax.fields import NOT_NEGATIVE, POSITIVE, between, group, setting
from mmix_jax.frameworks import GRAPH_FRAMEWORKS, IMAGE_FRAMEWORKS, NODE_FRAMEWORKS
from mmix_jax.graphs import SAMPLERS, Diffusion
from mmix_jax.losses import DISCRIMINATORS, Contrast
from mmix_jax.losses.settings import LOWEST_TEMPERATURE
from mmix_jax.mixing import MIXINGS, RULES, SYNTHETIC_RULES, Mixing
from mmix_jax.mixing.settings import PAIR_CANDIDATES

# Sections of the documentation, in its order.
in_data = partial(setting, section="data")
in_model = partial(setting, section="model")
in_grace = partial(setting, section="framework grace")
in_augmentation = partial(setting, section="augmentation")
in_mixing = partial(setting, section="mixing")
in_objective = partial(setting, section="objective")
in_representation = partial(setting, section="representation")
in_training = partial(setting, section="training")
in_evaluation = partial(setting, section="evaluation and model choice", evaluation=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What every task has."""

    tasks: ClassVar[tuple[str, ...]] = ()

    dataset: str = in_data("", "Name of the data set.")
    data_dir: str = in_data("", "Folder of the files; empty: $MMIX_DATA_DIR, then the cache.")
    data_path: str = in_data("", "Your own data: a file, a folder or an archive.")

    framework: str = in_model(
        "mvgrl",
        "Views, encoders and objective.",
        choices={"node": NODE_FRAMEWORKS, "graph": GRAPH_FRAMEWORKS, "image": IMAGE_FRAMEWORKS},
        image="simclr",
    )
    encoder: str = in_model(
        "gcn",
        "Encoder; gat in grace alone.",
        choices={"node": GRAPH_ENCODERS, "graph": ("gcn",), "image": IMAGE_ENCODERS},
        image="resnet18",
    )
    width: int = in_model(
        256,
        "Output dimension D; on images channels of the first stage.",
        within=POSITIVE,
        graph=512,
        image=64,
    )
    head_width: int = in_model(
        256, "Width of the projection head (grace, simclr).", within=POSITIVE, image=128
    )
    mixing: Mixing = group(
        Mixing(),
        "mixing",
        choices={
            "graph": {"mixing": tuple(RULES)},
            "image": {
                "mixing": tuple(m for m in MIXINGS if m not in RULES or not RULES[m].edges_only),
                "candidates": PAIR_CANDIDATES,
            },
        },
        image=Mixing(rule="mo", candidates="op", mix_normalised=True, stop_gradient=True),
    )
    symmetric: bool = in_mixing(False, "Mix view b too (grace, simclr).")
    contrast: Contrast = group(Contrast(), "objective", image=Contrast(temperature=0.4))
    objective: str = in_objective(
        "node",
        "InfoNCE of nodes (eq. 9–10), of both levels or one (eq. 11), or MVGRL's own.",
        choices={
            "node": ("node", "mvgrl"),
            "graph": ("both", "node", "graph", "mvgrl"),
            "image": ("nt_xent",),
        },
        graph="both",
        image="nt_xent",
    )
    representation: str = in_representation(
        "mean",
        "The headline: both branches' mean, a or b; single in grace and simclr.",
        choices={
            "node": ("mean", "a", "b", "single"),
            "graph": ("mean", "a", "b"),
            "image": ("single",),
        },
        evaluation=True,
        image="single",
    )

    batch_size: int = in_training(
        2000,
        "Nodes of a step or window, graphs of a step (about), images over all devices.",
        within=POSITIVE,
        graph=256,
        image=256,
    )
    num_steps: int = in_training(
        2000, "Steps of a training; may grow in a workdir.", within=POSITIVE, graph=50, image=97_500
    )
    num_epochs: int = in_training(
        0,
        "Epochs of a training, of num_steps steps at most; 0: num_steps. May grow in a workdir.",
        within=NOT_NEGATIVE,
    )
    learning_rate: float = in_training(3e-4, "Highest learning rate.", within=POSITIVE, image=1e-3)
    weight_decay: float = in_training(
        0.0, "L2 added to the gradient.", within=NOT_NEGATIVE, image=1e-6
    )
    seed: int = in_training(0, "First seed; trainings use seed, seed + 1, …", within=NOT_NEGATIVE)
    num_seeds: int = in_training(
        1,
        "Trainings in one run; scores are mean and deviation over them.",
        within=POSITIVE,
        evaluation=True,
        graph=5,
        edit_distance=1,
    )
    num_devices: int = in_training(
        0, "Devices to use; 0: all.", within=NOT_NEGATIVE, evaluation=True
    )
    protocol: str = in_evaluation(
        "standard",
        "METHOD section 5; reference: the authors' options; splits: random 10/10/80 ones.",
        choices={
            "node": ("standard", "reference", "splits"),
            "graph": ("standard",),
            "image": ("standard",),
        },
    )
    selection: str = in_evaluation(
        "validation",
        "Which step is evaluated: best on validation, by the training loss, or the last one.",
        choices={
            "node": ("validation", "loss", "last"),
            "graph": ("fixed", "loss", "inner_cv"),
            "edit_distance": ("fixed", "loss"),
            "image": ("last", "loss"),
        },
        evaluation=False,
        graph="fixed",
        image="last",
    )
    eval_every: int = in_evaluation(
        10, "Steps between evaluations, or logged metrics.", within=POSITIVE, image=195
    )
    checkpoint_every: int = in_evaluation(
        100,
        "Steps between checkpoints; improvements are always saved.",
        within=NOT_NEGATIVE,
        image=1950,
    )
    patience: int = in_evaluation(
        30,
        "Evaluations without improvement before training stops; 0: never.",
        within=NOT_NEGATIVE,
        image=0,
    )
    mechanism: bool = in_evaluation(
        False, "Metrics of hardness, false negatives, alignment, uniformity and gradients too."
    )
    figures: bool = in_evaluation(
        False, "Curves, a map before and after training, and mixtures, as files in the workdir."
    )

    @property
    def task(self) -> str:
        """The word of this task in configs."""
        return self.tasks[0]

    @property
    def beyond(self) -> str:
        """Options in use that the paper does not have: `debiased=0.1, mixing_start=0.5`."""
        mixing, contrast = self.mixing, self.contrast
        used: dict[str, Any] = dict(contrast.beyond())
        if mixing.rule != "none":
            used |= mixing.beyond()
        if mixing.projects and contrast.diversity_weight and contrast.diversity_margin != -1.0:
            used["diversity_margin"] = contrast.diversity_margin
        return ", ".join(f"{name}={value}" for name, value in sorted(used.items()))

    def check(self) -> None:
        """Raise InputError where values that are right alone contradict each other."""
        mixing, contrast = self.mixing, self.contrast
        if mixing.of_inputs and contrast.beyond():
            raise InputError(
                f"i_mix has the plain loss, found {' and '.join(contrast.beyond())}; leave it out, "
                "or use another mixing"
            )
        if self.objective == "mvgrl" and contrast.beyond():
            raise InputError(
                f"objective 'mvgrl' has no InfoNCE, found {' and '.join(contrast.beyond())}; leave "
                "it out"
            )
        for name, temperature in self._temperatures.items():
            if temperature / (1.0 + contrast.hardness) < LOWEST_TEMPERATURE:
                raise InputError(
                    f"{name} / (1 + hardness) must be at least {LOWEST_TEMPERATURE} (powers leave "
                    f"float32 below), found {temperature:g} and hardness {contrast.hardness:g}; "
                    "lower hardness"
                )
        if mixing.into_negatives:
            self._check_negatives()

    @property
    def _temperatures(self) -> dict[str, float]:
        """τ of every contrast, by its name."""
        return {"temperature": self.contrast.temperature}

    def _check_negatives(self) -> None:
        mixing = self.mixing
        if mixing.rule not in SYNTHETIC_RULES:
            raise InputError(
                f"mix_into 'negatives' mixes by {', '.join(SYNTHETIC_RULES)}, found mixing "
                f"'{mixing.rule}'; use one of them"
            )
        if mixing.by_edges:
            raise InputError(
                "mix_into 'negatives' has candidates of the whole batch, found candidates 'wp'; "
                "use all or op"
            )
        if mixing.num_mixed > mixing.num_hardest:
            raise InputError(
                f"num_hardest must hold the {mixing.num_mixed} candidates of a mixture "
                f"(num_mixed), found {mixing.num_hardest}; raise it"
            )
        if self.symmetric:
            raise InputError(
                "mix_into 'negatives' makes some of both views already, found symmetric; leave it "
                "out"
            )
        if mixing.skip_hops and self.tasks[0] != "node":
            raise InputError(f"skip_hops is of nodes in one graph, found task '{self.task}'; use 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnGraphs(Run):
    """What tasks on nodes and on sets of graphs have."""

    binarise_features: bool = in_data(False, "Every feature that is not zero becomes 1.")
    normalise_features: str = in_data(
        "auto",
        "Columns by mean and deviation (zscore), rows by L1 norm; auto: rows of words, real-valued "
        "columns of your own data.",
        choices=NORMALISATIONS,
    )
    depth: int = in_model(
        1,
        "Layers of each encoder; with one, mvgrl's propagation is computed beforehand.",
        within=POSITIVE,
    )
    diffusion: Diffusion = group(Diffusion(), "model")
    activation: str = in_grace("relu", "Activation of the encoder.", choices=ACTIVATIONS)
    hidden_width: int = in_grace(
        0, "Width of the encoder's layers before the last; 0: the width.", within=NOT_NEGATIVE
    )
    num_heads: int = in_grace(
        4, "Heads of gat; they share the width, the last layer averages them.", within=POSITIVE
    )
    drop_edge_a: float = in_grace(
        0.1, "Probability that an edge is left out of view a.", within=between(0.0, 0.99)
    )
    drop_edge_b: float = in_grace(0.4, "… of view b.", within=between(0.0, 0.99))
    drop_feature_a: float = in_grace(
        0.1,
        "Probability that a feature dimension is left out of view a.",
        within=between(0.0, 0.99),
    )
    drop_feature_b: float = in_grace(0.0, "… of view b.", within=between(0.0, 0.99))
    discriminator: str = in_objective(
        "bce", "Form of the loss of objective mvgrl.", choices=DISCRIMINATORS
    )
    feature_mask: float = in_objective(
        0.0,
        "Probability of masking a feature dimension, both views of mvgrl; 0 is the paper's.",
        within=between(0.0, 0.99),
    )
    embed_from: str = in_representation(
        "g", "Branch a: after the predictor, mixed, or the encoder's.", choices=("g", "mixed", "z")
    )
    sampler: str = in_training(
        "full",
        "All nodes, random ones, or the authors' contiguous windows; auto: all up to batch_size, "
        "random ones of more; whole graphs.",
        choices={"node": ("auto", *SAMPLERS), "graph": ("graphs",)},
        graph="graphs",
    )
    num_splits: int = in_evaluation(
        20, "Splits of protocol splits, from seed 0 on; 100 and up are tuned on.",
        within=between(1, 100),
    )  # fmt: skip
    num_clusterings: int = in_evaluation(
        10, "Repeats of k-means; 0 leaves clustering out.", within=NOT_NEGATIVE
    )

    def check(self) -> None:
        super().check()
        edges_only = self.mixing.rule in RULES and RULES[self.mixing.rule].edges_only
        if edges_only and not self.mixing.by_edges:
            raise InputError(
                f"mixing '{self.mixing.rule}' runs along graph edges, found candidates "
                f"'{self.mixing.candidates}'; use wp"
            )
        if self.diffusion.kind == "heat_elementwise" and self.diffusion.form != "exact":
            raise InputError(
                "diffusion 'heat_elementwise' exists as a dense matrix only, found diffusion_form "
                f"'{self.diffusion.form}'; use exact, or diffusion heat"
            )
        if self.objective == "mvgrl" and self.mixing.rule != "none":
            raise InputError(
                f"objective 'mvgrl' mixes nothing, found mixing '{self.mixing.rule}'; use none"
            )


# Options beyond the paper, each under a usual value.
NEGATIVES = {"mixing": "mo", "candidates": "all", "mix_into": "negatives"}
DEBIASED = {"debiased": 0.1}
# Variants that all tasks on graphs have.
MIXING_VARIANTS = {
    "none": {"mixing": "none"},
    "mo": {"mixing": "mo"},
    "mp": {"mixing": "mp"},
    "mp_nodiv": {"mixing": "mp", "diversity_weight": 0.0},
    "mo_op": {"mixing": "mo", "candidates": "op"},
    "mo_all": {"mixing": "mo", "candidates": "all"},
    "random": {"mixing": "random"},
    "binary": {"mixing": "binary", "candidates": "all"},
    "neighbour_mean": {"mixing": "neighbour_mean"},
    "propagate": {"mixing": "propagate"},
    "negatives": NEGATIVES,
    "debiased": DEBIASED,
}
