"""Every config file in every variant, and the keys that others rely on."""

import pytest

from mmix_jax.errors import InputError
from mmix_jax.experiments import (
    EDIT_DISTANCE_VARIANTS,
    GRAPH_VARIANTS,
    IMAGE_VARIANTS,
    VARIANTS,
    finish,
    graph_config,
    image_config,
    node_config,
    read,
)
from tests.experiments import configs

# Keys with one meaning everywhere (README, docs and scripts name them).
KEYS = (
    "dataset framework encoder mixing candidates objective negatives temperature "
    "mixing_temperature self_weight threshold diversity_weight embed_from width num_steps "
    "batch_size sampler learning_rate weight_decay seed num_seeds data_dir protocol selection "
    "eval_every checkpoint_every"
)
NAMED_VARIANTS = "none mo mp mp_nodiv mo_op random binary i_mix mvgrl paper smoke"


def test_every_data_set_has_a_config_of_its_name():
    assert {"cora", "citeseer", "pubmed", "digits_graph", "graph_file"} <= set(configs.NAMES)
    assert {"dblp", "ppi", "ppi_folder"} <= set(configs.NAMES)
    assert {"mutag", "ptc_mr", "imdb_binary", "imdb_multi", "reddit_binary"} <= set(configs.NAMES)
    assert {"cifar10", "cifar100", "digits", "image_folder"} <= set(configs.NAMES)
    for name in configs.NAMES:
        assert configs.load(name).dataset == name


def variants_of(name: str) -> list[str]:
    of_task = {"node": VARIANTS, "image": IMAGE_VARIANTS, "edit_distance": EDIT_DISTANCE_VARIANTS}
    return ["", *sorted(of_task.get(configs.load(name).task, GRAPH_VARIANTS))]


@pytest.mark.parametrize("name", configs.NAMES)
def test_every_variant_of_every_config_is_valid(name):
    for variant in variants_of(name):
        config = configs.load(name, variant)
        assert read(config).width == config.width
        absent = {"sampler", "embed_from"} if config.task == "image" else set()
        assert set(KEYS.split()) - absent <= set(config.keys())


def test_the_variants_that_are_promised_exist():
    assert set(NAMED_VARIANTS.split()) <= set(VARIANTS)
    graphs = set(NAMED_VARIANTS.split()) - {"i_mix"} | {"node_only", "graph_only"}
    assert graphs <= set(GRAPH_VARIANTS)


def test_image_configs_say_what_the_paper_does():
    config = image_config("cifar10")
    paper = {"batch_size": 256, "learning_rate": 1e-3, "weight_decay": 1e-6, "temperature": 0.4}
    paper |= {"threshold": 0.9, "head_width": 128, "num_steps": 500 * (50_000 // 256)}
    paper |= {"num_neighbours": 200, "knn_temperature": 0.4, "probe_epochs": 100}
    assert {name: config[name] for name in paper} == paper
    assert set(NAMED_VARIANTS.split()) - {"mvgrl"} <= set(IMAGE_VARIANTS)


@pytest.mark.parametrize("name", ["cora", "citeseer", "pubmed", "digits_graph", "graph_file"])
def test_paper_is_the_papers_on_every_node_set(name):
    config = configs.load(name, "paper")
    wanted = {"embed_from": "g", "width": 512, "num_steps": 2000, "sampler": "window"}
    wanted |= {"feature_mask": 0.0, "representation": "mean", "diversity_weight": 1.0}
    assert {key: config[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    "name", ["mutag", "ptc_mr", "imdb_binary", "imdb_multi", "reddit_binary", "coil_del"]
)
def test_paper_is_the_papers_on_every_set_of_graphs(name):
    config = configs.load(name, "paper")
    wanted = {"embed_from": "g", "features": "auto", "readout": "mean", "num_epochs": 200}
    wanted |= {"width": 512, "batch_size": 256, "contrast_nodes": 0, "learning_rate": 3e-4}
    assert {key: config[key] for key in wanted} == wanted


def test_graph_configs_say_what_the_paper_does():
    config = graph_config("mutag")
    paper = {"width": 512, "learning_rate": 3e-4, "graph_temperature": 1.0}
    paper |= {"objective": "both", "node_contrast": "graph", "num_folds": 10, "num_seeds": 5}
    assert {name: config[name] for name in paper} == paper
    assert configs.load("mutag", "node_only").objective == "node"
    assert configs.load("mutag", "mvgrl").objective == "mvgrl"


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("none", {"mixing": "none"}),
        ("mo", {"mixing": "mo", "candidates": "wp"}),
        ("mp", {"mixing": "mp", "candidates": "wp"}),
        ("mp_nodiv", {"mixing": "mp", "diversity_weight": 0.0}),
        ("mo_op", {"mixing": "mo", "candidates": "op"}),
        ("mvgrl", {"mixing": "none", "objective": "mvgrl"}),
        ("paper", {"mixing": "mp", "learning_rate": 3e-4, "mixing_temperature": 1.0}),
    ],
)
def test_a_variant_changes_what_its_name_says(variant, expected):
    config = configs.load("digits_graph", variant)
    assert {name: config[name] for name in expected} == expected


def test_variants_add_up():
    config = configs.load("cora", "grace+mo")
    assert (config.framework, config.mixing) == ("grace", "mo")
    assert (config.width, config.drop_edge_b) == (128, 0.4)
    assert configs.load("pubmed", "grace").mixing == "none"
    with pytest.raises(InputError, match="unknown variant 'mmo'"):
        configs.load("cora", "grace+mmo")


def test_gat_brings_its_framework():
    for name, width in (("cora", 128), ("dblp", 256), ("digits_graph", 256)):
        config = configs.load(name, "gat")
        assert (config.framework, config.encoder, config.width) == ("grace", "gat", width)
    assert configs.load("cora", "gat+mp").mixing == "mp"


def test_the_order_of_variants_does_not_matter():
    for name, one, other in (
        ("cora", "grace+mo", "mo+grace"),
        ("dblp", "gat+mo", "mo+gat"),
        ("dblp", "grace", ""),
    ):
        assert configs.load(name, one).to_json() == configs.load(name, other).to_json()
    assert configs.load("cora", "mvgrl+smoke").diffusion_form == "exact"
    assert configs.load("digits_graph", "paper+mo").batch_size == 1000


def test_grace_says_what_was_published_for_dblp():
    config = configs.load("dblp", "paper")
    published = {"width": 256, "head_width": 256, "activation": "relu", "temperature": 0.7}
    published |= {"drop_edge_a": 0.1, "drop_edge_b": 0.4, "drop_feature_a": 0.1}
    published |= {"drop_feature_b": 0.0, "num_steps": 1000, "learning_rate": 1e-3}
    published |= {"weight_decay": 1e-5, "depth": 2, "num_heads": 4, "sampler": "full"}
    assert {name: config[name] for name in published} == published


def test_the_defaults_are_the_papers():
    config = node_config("cora")
    paper = {"temperature": 1.0, "mixing_temperature": 1.0, "self_weight": 0.2, "depth": 1}
    paper |= {"learning_rate": 3e-4, "diversity_weight": 1.0, "alpha": 0.2, "negatives": "full"}
    paper |= {"num_steps": 2000, "patience": 30, "stop_gradient": False, "threshold": 0.9}
    assert {name: config[name] for name in paper} == paper


def test_an_unknown_variant_is_told_with_those_that_exist():
    with pytest.raises(
        InputError, match=r"unknown variant 'mo_mix'; expected one of: .*mo, mo_all, mo_op"
    ):
        finish(node_config("cora"), "mo_mix")


def test_a_misspelt_key_is_no_new_one():
    config = configs.load("cora")
    with pytest.raises(AttributeError, match="temprature"):
        config.temprature = 0.5
