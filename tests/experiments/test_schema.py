"""Checks of a config, its typed view, and the static settings made from it."""

import pathlib

import pytest

from mmix_jax.errors import InputError
from mmix_jax.experiments import (
    GRAPH_VARIANTS,
    IMAGE_VARIANTS,
    finish,
    graph_config,
    image_config,
    node_config,
    read,
)
from mmix_jax.experiments.configs import TASKS
from mmix_jax.experiments.flat import defaults, entries, flat, view
from mmix_jax.experiments.listing import markdown
from mmix_jax.experiments.nodes.inputs import settings_of
from mmix_jax.experiments.schema import MIXING_VARIANTS


def config_with(**changes):
    config = finish(node_config("digits_graph"), None)
    config.update(changes)
    return config


def graph_config_with(**changes):
    config = finish(graph_config("mutag"), None, GRAPH_VARIANTS)
    config.update(changes)
    return config


def image_config_with(**changes):
    config = finish(image_config("digits"), None, IMAGE_VARIANTS)
    config.update(changes)
    return config


# Values


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mixing": "propagate"}, "unknown mixing 'propagate'; expected one of: binary, i_mix, mo"),
        ({"candidates": "wp"}, "unknown candidates 'wp'; expected one of: all, op"),
        ({"framework": "moco"}, "unknown framework 'moco'; expected one of: simclr"),
        ({"precision": "half"}, "unknown precision 'half'; expected one of: auto, bfloat16"),
        ({"optimizer": "lamb"}, "unknown optimizer 'lamb'; expected one of: adam, lars, sgd"),
        ({"schedule": "linear"}, "unknown schedule 'linear'; expected one of: constant, cosine"),
        ({"selection": "validation"}, "unknown selection 'validation'; expected one of: last"),
        ({"stages": ()}, r"stages must be numbers of blocks, one or more each, found \(\)"),
        ({"stages": (2, 0)}, r"stages must be numbers of blocks"),
        ({"stages": (1.5,)}, r"stages must be numbers of blocks"),
        ({"stages": ("a",)}, r"stages must be numbers of blocks"),
        ({"batch_size": 1}, "batch_size must be 2 or more on images, found 1"),
        ({"mix_into": "loss"}, "unknown mix_into 'loss'; expected one of: anchor, negatives"),
        ({"mix_into": "negatives", "skip_hops": 1}, "skip_hops is of nodes in one graph"),
        ({"mix_into": "negatives", "symmetric": True}, "found symmetric; leave it"),
        ({"mixing": "i_mix", "debiased": 0.1}, "i_mix has the plain loss, found debiased"),
        ({"debiased": 1.0}, r"debiased must lie in \[0, 1\), found 1.0"),
        ({"warmup_steps": 500}, "warmup_steps must be fewer than num_steps, found 500 of 500"),
        ({"momentum": 1.0}, r"momentum must lie in \[0, 1\), found 1.0"),
        ({"momentum": -0.1}, r"momentum must lie in \[0, 1\), found -0.1"),
        ({"batch_size": 0}, "batch_size must be positive, found 0"),
        ({"crop_min": 0.0}, "crop_min must lie in"),
        ({"hue": 0.7}, "hue must lie in"),
        ({"temperature": 0.01}, "temperature must lie in"),
        ({"knn_temperature": float("nan")}, "knn_temperature must be positive, found nan"),
        ({"probe_copies": -1}, "probe_copies must not be negative, found -1"),
    ],
)
def test_wrong_values_for_images_are_told(changes, told):
    config = image_config_with(num_steps=500)
    config.update(changes)
    with pytest.raises(InputError, match=told):
        read(config)


NEGATIVES = MIXING_VARIANTS["negatives"]
GRACE = {"framework": "grace", "representation": "single", "depth": 2}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"framework": "grace"},
            "of framework 'grace' must be single, found 'mean'",
        ),
        ({"representation": "single"}, "of framework 'mvgrl' must be mean, a or b, found 'single'"),
        ({"encoder": "gat"}, "encoder 'gat' belongs to framework grace, found framework 'mvgrl'"),
        ({"encoder": "sage"}, "unknown encoder 'sage'; expected one of: gat, gcn"),
        (GRACE | {"activation": "tanh"}, "unknown activation 'tanh'; expected one of: prelu, relu"),
        (GRACE | {"objective": "mvgrl", "mixing": "none"}, "framework 'grace' contrasts nodes of"),
        (GRACE | {"sampler": "window", "depth": 1}, "whole graph, found sampler 'window'"),
        (GRACE | {"encoder": "gat", "width": 30}, "multiple of the 4 heads, found 30; the nearest"),
        (GRACE | {"drop_edge_b": 1.0}, r"drop_edge_b must lie in \[0.0, 0.99\], found 1.0"),
        (GRACE | {"drop_feature_a": -0.1}, "drop_feature_a must lie in"),
        (GRACE | {"symmetric": True, "mixing": "i_mix"}, "i_mix mixes the inputs of view a"),
        (GRACE | {"num_heads": 0}, "num_heads must be positive, found 0"),
        ({"protocol": "splits"}, "protocol 'splits' must not choose by one split's validation"),
        ({"mix_into": "negatives"}, "candidates of the whole batch, found candidates 'wp'"),
        (NEGATIVES | {"mixing": "binary"}, "mixes by mo, mp, random, neighbour_mean, found mixing"),
        (NEGATIVES | {"num_mixed": 65}, r"hold the 65 candidates of a mixture \(num_mixed\)"),
        (NEGATIVES | {"skip_hops": 3}, "skip_hops must lie in"),
        (NEGATIVES | {"skip_hardest": 1.0}, r"skip_hardest must lie in \[0, 1\), found 1.0"),
        ({"mixing_start": 1.1}, "mixing_start must lie in"),
        ({"hardness": 100.0}, r"temperature / \(1 \+ hardness\) must be at least 0.015"),
        ({"objective": "mvgrl", "mixing": "none", "hardness": 1.0}, "no InfoNCE, found hardness"),
        ({"protocol": "splits", "selection": "last", "num_splits": 101}, "num_splits must lie"),
    ],
)
def test_wrong_values_of_grace_are_told(changes, told):
    with pytest.raises(InputError, match=told):
        read(config_with(**changes))


def test_static_settings_of_grace():
    config = config_with(**GRACE, drop_edge_a=0.3, drop_feature_b=0.2, symmetric=True, num_heads=2)
    static = settings_of(read(config), 10_000)
    assert static.widths == (256, 256) and static.drop_edge == (0.3, 0.4)
    assert static.drop_feature == (0.1, 0.2) and static.symmetric and static.num_heads == 2
    assert static.num_contrasted == 10_000


@pytest.mark.parametrize(
    ("dataset", "path", "completed"),
    [
        ("generated", "images.zip", "image_folder"),
        ("generated", "", "generated"),
        ("digits", "images.zip", "digits"),  # told where the data are read
    ],
)
def test_a_path_takes_the_place_of_generated_images(dataset, path, completed):
    config = image_config_with(dataset=dataset, data_path=path)
    typed = read(config)
    assert (typed.dataset, typed.data_path) == (completed, path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mixing": "i_mix"}, "unknown mixing 'i_mix'; expected one of: binary, mo, mp"),
        ({"objective": "nodes"}, "unknown objective 'nodes'; expected one of: both, graph, mvgrl"),
        ({"node_contrast": "set"}, "unknown node_contrast 'set'; expected one of: batch, graph"),
        ({"features": "words"}, "unknown features 'words'"),
        ({"selection": "validation"}, "unknown selection 'validation'; expected one of: fixed"),
        ({"sampler": "full"}, "unknown sampler 'full'; expected one of: graphs"),
        ({"graph_temperature": 0.0}, "graph_temperature must lie in"),
        ({"contrast_nodes": -1}, "contrast_nodes must not be negative, found -1"),
        ({"max_buckets": 0}, "max_buckets must be positive, found 0"),
        ({"num_folds": 0}, "num_folds must be positive, found 0"),
        ({"objective": "mvgrl"}, "objective 'mvgrl' mixes nothing, found mixing 'mp'"),
    ],
)
def test_wrong_values_for_sets_of_graphs_are_told(changes, told):
    with pytest.raises(InputError, match=told):
        read(graph_config_with(**changes))


def test_a_config_of_nodes_is_none_of_graphs():
    config = config_with()
    config.task = "graph"
    with pytest.raises(InputError, match=r"missing here: contrast_nodes, .*graph_config"):
        read(config)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mixing": "mo_mix"}, "unknown mixing 'mo_mix'; expected one of: binary, i_mix, mo, mp"),
        ({"candidates": "neighbours"}, "unknown candidates 'neighbours'; expected one of: all, op"),
        ({"sampler": "edges"}, "unknown sampler 'edges'"),
        ({"negatives": "none"}, "unknown negatives 'none'; expected one of: cross, full"),
        ({"objective": "graph"}, "unknown objective 'graph'"),
        ({"selection": "test"}, "unknown selection 'test'"),
        ({"protocol": "5-fold"}, "unknown protocol '5-fold'"),
        ({"embed_from": "h"}, "unknown embed_from 'h'"),
        ({"representation": "c"}, "unknown representation 'c'"),
        ({"diffusion": "katz"}, "unknown diffusion 'katz'"),
        (
            {"task": "edge"},
            "unknown task 'edge'; expected one of: edit_distance, graph, image, node",
        ),
        ({"temperature": 0.0}, "temperature must lie in .* found 0.0"),
        ({"mixing_temperature": 0.0}, "mixing_temperature must be positive, found 0.0"),
        ({"mixing_temperature": float("nan")}, "mixing_temperature must be positive, found nan"),
        ({"temperature": float("nan")}, "temperature must lie in .* found nan"),
        ({"feature_mask": 2.0}, "feature_mask must lie in .* found 2.0"),
        ({"feature_mask": -0.1}, "feature_mask must lie in .* found -0.1"),
        ({"self_weight": 1.5}, "self_weight must lie in .* found 1.5"),
        ({"threshold": 1.5}, "threshold must lie in .* found 1.5"),
        ({"alpha": 0.0}, "alpha must lie in .* found 0.0"),
        ({"diversity_margin": -2.0}, "diversity_margin must lie in .* found -2.0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, found 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive, found nan"),
        ({"weight_decay": -1.0}, "weight_decay must not be negative, found -1.0"),
        ({"num_steps": 0}, "num_steps must be positive, found 0"),
        ({"width": -4}, "width must be positive, found -4"),
        ({"depth": 0}, "depth must be positive, found 0"),
        ({"eval_every": 0}, "eval_every must be positive, found 0"),
        ({"num_seeds": 0}, "num_seeds must be positive, found 0"),
        ({"seed": -1}, "seed must not be negative, found -1"),
        ({"patience": -1}, "patience must not be negative, found -1"),
        ({"mixing": "propagate", "candidates": "op"}, "'propagate' runs along graph edges"),
        ({"depth": 2, "sampler": "window"}, "sampler 'window' needs one-layer encoders"),
        ({"diffusion": "heat_elementwise"}, "exists as a dense matrix only"),
        ({"objective": "mvgrl"}, "objective 'mvgrl' mixes nothing, found mixing 'mp'"),
        ({"sampler": "window", "candidates": "op"}, "several windows mix along edges only"),
    ],
)
def test_a_bad_value_is_told_in_one_line(changes, told):
    with pytest.raises(InputError, match=told) as caught:
        read(config_with(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["learning_rate", "diversity_weight", "weight_decay"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_must_be_finite(name, value):
    with pytest.raises(InputError, match=name):
        read(config_with(**{name: value}))


def test_a_negative_self_weight_makes_self_an_ordinary_candidate():
    assert read(config_with(self_weight=-1.0)).mixing.options()["self_weight"] is None
    assert read(config_with()).mixing.options()["self_weight"] == 0.2


@pytest.mark.parametrize(
    ("changes", "num_nodes", "block"),
    [
        ({"sampler": "full"}, 4096, None),
        ({"sampler": "full"}, 20_000, 2048),
        ({"block_size": 512}, 100, 512),
        ({"sampler": "nodes", "batch_size": 2048}, 20_000, None),
        ({"sampler": "window", "batch_size": 2500, "num_windows": 2}, 20_000, 2048),
    ],
)
def test_many_contrasted_nodes_are_streamed(changes, num_nodes, block):
    static = settings_of(read(config_with(**changes)), num_nodes)
    assert static.contrast.options(static.num_contrasted)["block_size"] == block
    assert static.num_nodes == num_nodes  # mixed over all nodes, whatever the batch


# The flat form and the typed view


@pytest.mark.parametrize("of", TASKS.values(), ids=TASKS.keys())
def test_the_typed_view_has_every_value_of_the_flat_config(of):
    values = defaults(of)
    some = {name: 0.37 for name, entry in entries(of).items() if entry.type is float}
    changed = values | some | {"diffusion_time": 3.0, "hue": 0.2, "dataset": _dataset(of)}
    changed = {name: value for name, value in changed.items() if name in values}
    typed = view(of, changed)
    assert flat(typed) == changed
    assert typed.contrast.temperature == typed.mixing.temperature == 0.37


def _dataset(of) -> str:
    return (entries(of)["dataset"].choices or ("mutag",))[0]


def test_a_field_that_nobody_has_is_told():
    config = node_config("digits_graph")  # not locked yet: a misspelt name makes a new field
    config.mixin = "mo"
    with pytest.raises(InputError, match="task 'node' has no field mixin"):
        read(config)


def test_a_value_of_another_type_is_told():
    values = defaults(TASKS["node"]) | {"dataset": "cora", "num_steps": 10.5}
    with pytest.raises(InputError, match=r"num_steps must be of type int, found 10\.5"):
        view(TASKS["node"], values)


def test_the_page_of_settings_is_up_to_date():
    page = pathlib.Path(__file__).parents[2] / "docs" / "configuration.md"
    assert page.read_text("utf-8") == markdown(), (
        "python -m mmix_jax.experiments.listing > docs/configuration.md"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mixing": "mo"}, ""),
        ({"mixing": "none"} | {"mixing_temperature": 0.1, "mixing_start": 0.5}, ""),
        ({"mixing": "mo", "mixing_temperature": 0.1}, "mixing_temperature=0.1"),
        ({"mixing": "i_mix", "mixing_start": 0.5}, "mixing_start=0.5"),
        ({"mixing": "random", "mixing_temperature": 0.1}, ""),
        ({"mixing": "mp", "diversity_margin": 0.0}, "diversity_margin=0.0"),
        ({"mixing": "mp", "diversity_margin": 0.0, "diversity_weight": 0.0}, ""),
        (
            NEGATIVES | {"debiased": 0.1, "skip_hops": 1, "mixing_start": 0.5},
            "debiased=0.1, mix_into=negatives, mixing_start=0.5, num_hardest=64, num_mixed=4, "
            "num_synthetic=16, skip_hops=1",
        ),
        (NEGATIVES | {"mixing": "none", "hardness": 0.5}, "hardness=0.5"),
    ],
)
def test_options_beyond_the_paper_are_named(changes, told):
    assert read(config_with(**changes)).beyond == told
