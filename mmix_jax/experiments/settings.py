"""Checks of a config."""

import math

from mmix_jax.errors import InputError
from mmix_jax.experiments.choices import (
    ACTIVATIONS,
    CANDIDATES,
    ENCODERS,
    EXCHANGES,
    FEATURES,
    FORMS,
    IMAGE_DATASETS,
    NEGATIVES,
    NODE_DATASETS,
    READOUTS,
    RULES,
    SAMPLERS,
)
from mmix_jax.experiments.defaults import Config, node_config
from mmix_jax.experiments.graph_defaults import edit_distance_config, graph_config
from mmix_jax.experiments.image_defaults import image_config

_CHOICES = {
    "framework": ("mvgrl",),
    "encoder": ("gcn",),
    "activation": ACTIVATIONS,
    "split": ("default", "public", "random"),
    "normalise_features": ("auto", "on", "off"),
    "diffusion": ("ppr", "heat", "heat_elementwise"),
    "diffusion_form": ("features", "exact", "top_k", "epsilon"),
    "mixing": (*RULES, "i_mix"),
    "candidates": ("wp", *CANDIDATES),
    "negatives": NEGATIVES,
    "exchange": EXCHANGES,
    "discriminator": FORMS,
    "embed_from": ("g", "mixed", "z"),
    "representation": ("mean", "a", "b"),
}
_TASK_CHOICES = {
    "node": {
        "dataset": NODE_DATASETS,
        "framework": ("mvgrl", "grace"),
        "encoder": ENCODERS,
        "representation": ("mean", "a", "b", "single"),
        "objective": ("node", "mvgrl"),
        "sampler": SAMPLERS,
        "protocol": ("standard", "reference", "splits"),
        "selection": ("validation", "loss", "last"),
    },
    "graph": {
        "mixing": RULES,
        "objective": ("both", "node", "graph", "mvgrl"),
        "node_contrast": ("graph", "batch"),
        "readout": READOUTS,
        "features": FEATURES,
        "sampler": ("graphs",),
        "protocol": ("standard",),
        "selection": ("fixed", "loss", "inner_cv"),
    },
}
_TASK_CHOICES["edit_distance"] = _TASK_CHOICES["graph"] | {"selection": ("fixed", "loss")}
_TASK_CHOICES["image"] = {
    "dataset": IMAGE_DATASETS,
    "framework": ("simclr",),
    "encoder": ("resnet18",),
    "mixing": (*(rule for rule in RULES if rule != "propagate"), "i_mix"),
    "candidates": CANDIDATES,
    "objective": ("nt_xent",),
    "precision": ("auto", "float32", "bfloat16"),
    "optimizer": ("adam", "sgd"),
    "schedule": ("constant", "cosine"),
    "protocol": ("standard",),
    "selection": ("last", "loss"),
    "representation": ("single",),
}
_DEFAULTS = {
    "node": node_config,
    "graph": graph_config,
    "edit_distance": edit_distance_config,
    "image": image_config,
}
_POSITIVE = [
    "depth",
    "width",
    "num_steps",
    "num_seeds",
    "num_classifiers",
    "num_heads",
    "num_probes",
    "eval_every",
    "learning_rate",
    "mixing_temperature",
    "top_k",
    "epsilon",
    "num_windows",
    "diffusion_time",
    "max_buckets",
    "num_folds",
    "num_triplets",
    "batch_size",
    "head_width",
    "image_size",
    "num_neighbours",
    "knn_temperature",
    "probe_epochs",
    "probe_batch_size",
    "eval_batch_size",
    "num_nodes",
    "mean_degree",
    "num_features",
    "num_classes",
]
_NOT_NEGATIVE = [
    "num_clusterings",
    "checkpoint_every",
    "patience",
    "weight_decay",
    "block_size",
    "num_devices",
    "seed",
    "split_seed",
    "graph_seed",
    "contrast_nodes",
    "max_degree",
    "num_pairs",
    "triplet_seed",
    "num_train",
    "num_test",
    "chunk_steps",
    "warmup_steps",
    "probe_held_out",
    "probe_copies",
]
_GRACE_DROPS = ("drop_edge_a", "drop_edge_b", "drop_feature_a", "drop_feature_b")
_RANGES = {
    "alpha": (1e-6, 1.0),
    "temperature": (0.015, float("inf")),
    "graph_temperature": (0.015, float("inf")),
    "self_weight": (float("-inf"), 1.0),
    **dict.fromkeys(("feature_mask", *_GRACE_DROPS), (0.0, 0.99)),
    "diversity_margin": (-1.0, 1.0),
    "threshold": (-1.0, 1.0),
    "test_share": (0.001, 0.9),
    "crop_min": (0.001, 1.0),
    **dict.fromkeys(("flip", "jitter", "grayscale"), (0.0, 1.0)),
    **dict.fromkeys(("brightness", "contrast", "saturation"), (0.0, 1.0)),
    "hue": (0.0, 0.5),
    "num_splits": (1, 100),  # from 100 on splits are tuned on
}


def complete(config: Config) -> None:
    """Set what follows from another field: images of one's own take the place of generated ones."""
    if config.task == "image" and config.get("data_path") and config.get("dataset") == "generated":
        config.dataset = "image_folder"


def default_config(task: str) -> Config:
    """The fields and defaults of a task."""
    return _DEFAULTS[task]("")


def check(config: Config) -> None:
    """Raise InputError where a value is unknown, out of range or contradicts another."""
    if config.task not in _DEFAULTS:
        raise InputError(
            f"unknown task '{config.task}'; expected one of: {', '.join(sorted(_DEFAULTS))}"
        )
    missing = sorted(set(_DEFAULTS[config.task]("")) - set(config))
    if missing:
        raise InputError(
            f"a config must have every field, missing here: {', '.join(missing)}; start from "
            f"experiments.{_DEFAULTS[config.task].__name__}, as the files in configs/ do"
        )
    for name, choices in (_CHOICES | _TASK_CHOICES[config.task]).items():
        if name in config and config[name] not in choices:
            raise InputError(
                f"unknown {name} '{config[name]}'; expected one of: {', '.join(sorted(choices))}"
            )
    for name in _POSITIVE:
        if name in config and not config[name] > 0:
            raise InputError(f"{name} must be positive, found {config[name]}")
    for name in _NOT_NEGATIVE:
        if name in config and not config[name] >= 0:
            raise InputError(f"{name} must not be negative, found {config[name]}")
    for name, (low, high) in _RANGES.items():
        if name in config and not low <= config[name] <= high:
            raise InputError(f"{name} must lie in [{low}, {high}], found {config[name]}")
    for name, value in config.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{name} must be a finite number, found {value}")
    _check_combinations(config)


def _check_combinations(config: Config) -> None:
    """Values that are right alone and contradict each other."""
    if config.task == "image":
        _check_image(config)
        return
    if any(size < 4 for size in config.get("sizes", ())):
        raise InputError(
            f"sizes of subgraphs must be 4 or more, found {min(config.sizes)}; smaller ones have "
            "no two edges to substitute"
        )
    if config.task == "node":
        _check_node(config)
    if config.mixing == "propagate" and config.candidates != "wp":
        raise InputError(
            "mixing 'propagate' runs along graph edges, found candidates "
            f"'{config.candidates}'; use wp"
        )
    if config.depth > 1 and config.sampler == "window":
        raise InputError(
            f"sampler 'window' needs one-layer encoders, found depth {config.depth}; "
            "use full or nodes"
        )
    if config.sampler == "window" and config.diffusion_form in ("top_k", "epsilon"):
        raise InputError(
            "sampler 'window' cuts its diffusion from the whole matrix, found diffusion_form "
            f"'{config.diffusion_form}'; use features or exact"
        )
    if config.diffusion == "heat_elementwise" and config.diffusion_form != "exact":
        raise InputError(
            "diffusion 'heat_elementwise' exists as a dense matrix only, found diffusion_form "
            f"'{config.diffusion_form}'; use exact, or diffusion heat"
        )
    if config.objective == "mvgrl":
        if config.mixing != "none":
            raise InputError(
                f"objective 'mvgrl' mixes nothing, found mixing '{config.mixing}'; use none"
            )
        if config.sampler == "window":
            raise InputError(
                "objective 'mvgrl' needs the whole graph, found sampler 'window'; use full or nodes"
            )
    if config.sampler == "window" and config.num_windows > 1 and config.candidates != "wp":
        raise InputError(
            f"several windows mix along edges only, found candidates '{config.candidates}'; "
            "use wp or num_windows=1"
        )


def _check_node(config: Config) -> None:
    grace = config.framework == "grace"
    if grace == (config.representation != "single"):
        raise InputError(
            f"representation of framework '{config.framework}' must be "
            f"{'single' if grace else 'mean, a or b'}, found '{config.representation}'; change one"
        )
    if config.protocol == "splits" and config.selection == "validation":
        raise InputError(
            "protocol 'splits' must not choose by one split's validation nodes, which others test, "
            "found selection 'validation'; use last or loss"
        )
    if not grace:
        if config.encoder != "gcn":
            raise InputError(
                f"encoder '{config.encoder}' belongs to framework grace, found framework "
                f"'{config.framework}'; use gcn, or the variant grace"
            )
        return
    if config.sampler == "window" or config.objective == "mvgrl":
        raise InputError(
            "framework 'grace' contrasts nodes of the whole graph, found sampler "
            f"'{config.sampler}' and objective '{config.objective}'; use nodes or full, and node"
        )
    if config.symmetric and config.mixing == "i_mix":
        raise InputError(
            "i_mix mixes the inputs of view a, found symmetric; leave it out, or use another mixing"
        )
    if config.encoder == "gat" and config.depth > 1 and config.width % config.num_heads:
        raise InputError(
            f"width must be a multiple of the {config.num_heads} heads, found {config.width}; "
            f"the nearest is {max(1, round(config.width / config.num_heads)) * config.num_heads}"
        )


def _check_image(config: Config) -> None:
    stages = config.stages if isinstance(config.stages, (tuple, list)) else ()
    if not stages or any(type(blocks) is not int or blocks < 1 for blocks in stages):
        raise InputError(
            f"stages must be numbers of blocks, one or more each, found {config.stages}; "
            "ResNet-18 has (2, 2, 2, 2)"
        )
    if config.batch_size < 2:
        raise InputError(
            f"batch_size must be 2 or more on images, found {config.batch_size}: one sample alone "
            "has no negatives and no variance; raise it"
        )
    if not 0.0 <= config.momentum < 1.0:
        raise InputError(
            f"momentum must lie in [0, 1), found {config.momentum}: at 1 no step is forgotten; "
            "0.9 is usual"
        )
    if config.warmup_steps >= config.num_steps:
        raise InputError(
            f"warmup_steps must be fewer than num_steps, found {config.warmup_steps} of "
            f"{config.num_steps}; lower them"
        )
