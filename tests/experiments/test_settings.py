"""Checks of a config, and its record in the workdir."""

import json

import pytest

from mmix_jax.errors import InputError
from mmix_jax.experiments import settings
from mmix_jax.experiments.defaults import finish, node_config
from mmix_jax.experiments.graph_defaults import GRAPH_VARIANTS, graph_config


def config_with(**changes):
    config = finish(node_config("digits_graph"), None)
    config.update(changes)
    return config


def graph_config_with(**changes):
    config = finish(graph_config("mutag"), None, GRAPH_VARIANTS)
    config.update(changes)
    return config


# Values


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
        settings.check(graph_config_with(**changes))


def test_a_config_of_nodes_is_none_of_graphs():
    config = config_with()
    config.task = "graph"
    with pytest.raises(InputError, match=r"missing here: contrast_nodes, .*graph_config"):
        settings.check(config)


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
        ({"task": "edge"}, "unknown task 'edge'; expected one of: edit_distance, graph, node"),
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
        settings.check(config_with(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["learning_rate", "diversity_weight", "weight_decay"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_must_be_finite(name, value):
    with pytest.raises(InputError, match=name):
        settings.check(config_with(**{name: value}))


def test_a_negative_self_weight_makes_self_an_ordinary_candidate():
    config = config_with(self_weight=-1.0)
    settings.check(config)
    assert settings.static_settings(config, 100).self_weight is None
    assert settings.static_settings(config_with(), 100).self_weight == 0.2


@pytest.mark.parametrize(
    ("changes", "num_nodes", "block"),
    [
        ({"sampler": "full"}, 4096, None),
        ({"sampler": "full"}, 20_000, 1024),
        ({"block_size": 512}, 100, 512),
        ({"sampler": "nodes", "batch_size": 2048}, 20_000, None),
        ({"sampler": "window", "batch_size": 2500, "num_windows": 2}, 20_000, 1024),
    ],
)
def test_many_contrasted_nodes_are_streamed(changes, num_nodes, block):
    static = settings.static_settings(config_with(**changes), num_nodes)
    assert static.block_size == block
    assert static.mixing_block_size == (None if num_nodes == 100 else block)


# The record


def recorded(config, workdir):
    """A workdir as a run with a checkpoint leaves it."""
    settings.record(config, workdir)
    (workdir / "checkpoints").mkdir(exist_ok=True)


def test_a_fresh_workdir_gets_the_full_config(tmp_path):
    config = config_with(width=32)
    settings.compare(config, tmp_path / "a" / "run", mode="train")
    assert not (tmp_path / "a").exists()
    settings.record(config, tmp_path / "a" / "run")
    found = json.loads((tmp_path / "a" / "run" / "config.json").read_text())
    assert found == json.loads(config.to_json())
    assert [path.name for path in (tmp_path / "a" / "run").iterdir()] == ["config.json"]


@pytest.mark.parametrize("mode", ["train", "eval", "embed"])
def test_other_settings_are_told_by_name(tmp_path, mode):
    recorded(config_with(), tmp_path)
    other = config_with(width=32, mixing="mo", learning_rate=0.5)
    with pytest.raises(InputError) as caught:
        settings.compare(other, tmp_path, mode=mode)
    told = str(caught.value)
    for words in ("width (256 there, 32 asked)", "mixing ('mp' there, 'mo' asked)", str(tmp_path)):
        assert words in told
    assert "learning_rate" in told
    assert "seed" not in told
    assert "\n" not in told
    assert json.loads((tmp_path / "config.json").read_text())["width"] == 256


def test_without_a_checkpoint_a_workdir_is_free(tmp_path):
    settings.record(config_with(), tmp_path)
    settings.compare(config_with(width=32), tmp_path, mode="train")


def test_steps_may_grow_and_not_shrink(tmp_path):
    recorded(config_with(num_steps=10), tmp_path)
    settings.compare(config_with(num_steps=20), tmp_path, mode="train")
    recorded(config_with(num_steps=20), tmp_path)
    with pytest.raises(InputError, match="found 20 there and 10 asked"):
        settings.compare(config_with(num_steps=10), tmp_path, mode="train")
    settings.compare(config_with(num_steps=10), tmp_path, mode="eval")


def test_the_data_may_lie_elsewhere_when_it_goes_on(tmp_path):
    recorded(config_with(), tmp_path)
    settings.compare(config_with(data_dir="/elsewhere"), tmp_path, mode="train")


def test_a_checkpoint_may_be_evaluated_otherwise_than_its_run_was(tmp_path):
    recorded(config_with(), tmp_path)
    other = config_with(num_classifiers=3, protocol="reference", num_clusterings=0)
    settings.compare(other, tmp_path, mode="eval")
    with pytest.raises(InputError, match="num_classifiers"):
        settings.compare(other, tmp_path, mode="train")


def test_a_workdir_below_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the workdir must be writable") as caught:
        settings.record(config_with(), tmp_path / "file" / "run")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[1]", '"text"', "{}", '{"num_steps": "many"}'])
def test_a_damaged_record_is_told(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match=r"config\.json|belongs to one set of settings"):
        settings.compare(config_with(), tmp_path, mode="train")
    assert (tmp_path / "config.json").read_text() == content
