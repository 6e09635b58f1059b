"""Checks of a config, its record in the workdir, and the static settings made from it."""

import json
import math
import os
from pathlib import Path

from mmix_jax.data.tudataset import FEATURES
from mmix_jax.errors import InputError
from mmix_jax.experiments.defaults import Config, node_config
from mmix_jax.experiments.graph_defaults import edit_distance_config, graph_config
from mmix_jax.frameworks.mvgrl import Settings
from mmix_jax.frameworks.mvgrl_graphs import READOUTS
from mmix_jax.graphs.samplers import SAMPLERS
from mmix_jax.losses.info_nce import NEGATIVES
from mmix_jax.losses.node_graph import FORMS
from mmix_jax.mixing.pairs import CANDIDATES
from mmix_jax.mixing.rules import RULES

_CHOICES = {
    "framework": ("mvgrl",),
    "encoder": ("gcn",),
    "split": ("default", "public", "random"),
    "normalise_features": ("auto", "on", "off"),
    "diffusion": ("ppr", "heat", "heat_elementwise"),
    "diffusion_form": ("features", "exact", "top_k", "epsilon"),
    "mixing": (*RULES, "i_mix"),
    "candidates": ("wp", *CANDIDATES),
    "negatives": NEGATIVES,
    "discriminator": FORMS,
    "embed_from": ("g", "mixed", "z"),
    "representation": ("mean", "a", "b"),
}
_TASK_CHOICES = {
    "node": {
        "objective": ("node", "mvgrl"),
        "sampler": SAMPLERS,
        "protocol": ("standard", "reference"),
        "selection": ("validation", "loss", "last"),
    },
    "graph": {
        "mixing": tuple(RULES),
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
_DEFAULTS = {"node": node_config, "graph": graph_config, "edit_distance": edit_distance_config}
_POSITIVE = [
    "depth",
    "width",
    "num_steps",
    "num_seeds",
    "num_classifiers",
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
    "contrast_nodes",
    "max_degree",
    "num_pairs",
    "triplet_seed",
]
_RANGES = {
    "alpha": (1e-6, 1.0),
    "temperature": (0.03, float("inf")),
    "graph_temperature": (0.03, float("inf")),
    "self_weight": (float("-inf"), 1.0),
    "feature_mask": (0.0, 0.99),
    "diversity_margin": (-1.0, 1.0),
    "threshold": (-1.0, 1.0),
}
_STREAM_ABOVE = 4096
_STREAM_BLOCK = 1024
# Where the files lie and how long to train may change between a run and its resumption.
_MAY_CHANGE = ("data_dir", "num_steps")
# A checkpoint may be evaluated otherwise than its run was.
_EVALUATION = (
    "protocol",
    "num_classifiers",
    "num_probes",
    "num_clusterings",
    "representation",
    "readout",
    "num_devices",
    "eval_every",
    "checkpoint_every",
    "patience",
    "num_seeds",
    "num_folds",
    "sizes",
    "num_triplets",
    "num_pairs",
    "max_pair_nodes",
    "triplet_seed",
    "baselines",
)


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
    if any(size < 4 for size in config.get("sizes", ())):
        raise InputError(
            f"sizes of subgraphs must be 4 or more, found {min(config.sizes)}; smaller ones have "
            "no two edges to substitute"
        )
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


def static_settings(config: Config, num_nodes: int) -> Settings:
    """The framework's settings; `num_nodes` (of the graph, or of a batch of graphs) decides between
    dense and streamed losses."""
    contrasted = {
        "full": num_nodes,
        "nodes": config.batch_size,
        "window": config.batch_size * config.get("num_windows", 1),
        "graphs": num_nodes,
    }[config.sampler]
    automatic = _STREAM_BLOCK if contrasted > _STREAM_ABOVE else None
    return Settings(
        widths=(config.width,) * config.depth,
        mixing=config.mixing,
        candidates=config.candidates,
        objective=config.objective,
        negatives=config.negatives,
        temperature=config.temperature,
        mixing_temperature=config.mixing_temperature,
        self_weight=None if config.self_weight < 0 else config.self_weight,
        threshold=config.threshold,
        diversity_weight=config.diversity_weight,
        diversity_margin=config.diversity_margin,
        feature_mask=config.feature_mask,
        mix_normalised=config.mix_normalised,
        stop_gradient=config.stop_gradient,
        embed_from=config.embed_from,
        discriminator=config.discriminator,
        block_size=config.block_size or automatic,
        mixing_block_size=automatic,
        diffusion_kind=config.diffusion,
        alpha=config.alpha,
        diffusion_time=config.diffusion_time,
    )


def compare(config: Config, workdir: Path, *, mode: str) -> None:
    """Refuse a workdir that holds checkpoints of other settings; without any there is no harm.

    Raises:
      InputError: names the fields that differ; or `config.json` is damaged.
    """
    path = workdir / "config.json"
    if path.exists() and (workdir / "checkpoints").exists():
        _compare(json.loads(config.to_json()), _read(path), workdir, mode)


def record(config: Config, workdir: Path) -> None:
    """Write `config.json`, whole or not at all.

    Raises:
      InputError: the workdir cannot be written.
    """
    path = workdir / "config.json"
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        mine = json.loads(config.to_json())
        temporary.write_text(json.dumps(mine, indent=2, sort_keys=True) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"the workdir must be writable, found {workdir}: {error.strerror}; "
            "choose another --workdir"
        ) from error


def _read(path: Path) -> dict:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"config.json must be readable JSON, found a damaged {path}; choose another --workdir"
        ) from error
    if not isinstance(found, dict):
        raise InputError(
            f"config.json must be a JSON object, found a damaged {path}; choose another --workdir"
        )
    return found


def _compare(mine: dict, found: dict, workdir: Path, mode: str) -> None:
    may_change = set(_MAY_CHANGE) if mode == "train" else {*_MAY_CHANGE, *_EVALUATION}
    differing = sorted(
        name
        for name in mine.keys() | found.keys()
        if name not in may_change and mine.get(name) != found.get(name)
    )
    if differing:
        words = ", ".join(f"{n} ({found.get(n)!r} there, {mine.get(n)!r} asked)" for n in differing)
        raise InputError(
            f"a workdir belongs to one set of settings, found others in {workdir}: {words}; "
            "choose another --workdir"
        )
    if mode == "train" and mine["num_steps"] < found["num_steps"]:
        raise InputError(
            f"num_steps may only grow in a workdir, found {found['num_steps']} there and "
            f"{mine['num_steps']} asked; choose another --workdir"
        )
