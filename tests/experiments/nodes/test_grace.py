"""GRACE in the node task: resumption, what is reported, splits, several graphs."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.experiments import run
from mmix_jax.experiments.pretraining import restored_encoder
from mmix_jax.training.loop import Interrupted
from tests.data.nodes import ppi_files
from tests.experiments import configs
from tests.experiments.nodes import small
from tests.metric_lines import lines_of

pytestmark = pytest.mark.slow

GRACE = {
    "sampler": "nodes",
    "batch_size": 14,
    "mixing": "mp",
    "num_steps": 4,
    "eval_every": 2,
    "checkpoint_every": 3,
    "width": 8,
    "num_clusterings": 0,
    "num_classifiers": 1,
    "num_devices": 1,
}


@pytest.fixture(scope="module")
def graph_file(tmp_path_factory):
    return small.save(tmp_path_factory.mktemp("data") / "rings.npz")


@pytest.fixture(scope="module")
def ppi_folder(tmp_path_factory):
    return ppi_files.write_per_split(tmp_path_factory.mktemp("ppi") / "mine")


def grace_config(graph_file, **changes):
    config = configs.load("graph_file", "grace+smoke")
    config.update({"data_path": str(graph_file)} | GRACE | changes)
    return config


def inductive_config(folder, **changes):
    config = configs.load("ppi_folder", "smoke")
    config.update({"data_path": str(folder), "width": 8, "num_devices": 1} | changes)
    return config


def train(config, workdir, interrupted=lambda: False):
    return run.train(config, workdir, interrupted)


def state_of(config, workdir) -> list[bytes]:
    encoder = restored_encoder(run.load(config), 0, workdir / "checkpoints" / "seed_0", workdir)
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(encoder.state.params)]


def test_interrupted_and_resumed_ends_bitwise_as_uninterrupted(tmp_path, graph_file):
    config = grace_config(graph_file)
    whole = train(config, tmp_path / "whole")
    asked = iter([False, False, True])
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts", lambda: next(asked))
    parts = train(config, tmp_path / "parts")
    assert [dataclasses.replace(r, seconds=0.0) for r in parts] == [
        dataclasses.replace(r, seconds=0.0) for r in whole
    ]
    assert state_of(config, tmp_path / "parts") == state_of(config, tmp_path / "whole")
    assert lines_of(tmp_path / "parts") == lines_of(tmp_path / "whole")
    assert [(r.representation, r.trained, r.framework, r.steps) for r in whole] == [
        ("single", True, "grace", 4),
        ("single", False, "grace", 0),
    ]


def test_splits_are_reported_one_by_one(tmp_path):
    draw = np.random.default_rng(1)
    labels = np.arange(100) % 2
    edges = draw.integers(0, 100, size=(2, 300))
    x = draw.normal(size=(100, 5)) + labels[:, None]
    np.savez(tmp_path / "hundred.npz", x=x, edge_index=edges, y=labels)
    config = grace_config(
        tmp_path / "hundred.npz",
        protocol="splits", num_splits=3, num_seeds=2, num_steps=2, encoder="gat", mixing="none",
    )  # fmt: skip
    results = train(config, tmp_path / "run")
    assert [(r.trained, r.protocol, r.n, r.encoder) for r in results] == [
        (True, "splits", 6, "gat"),
        (False, "splits", 6, "gat"),
    ]
    for row in results:
        parts = np.array(row.parts)
        assert parts.shape == (2, 3)
        np.testing.assert_allclose(parts.mean(axis=1), row.values)
        np.testing.assert_allclose([row.mean, row.std], [parts.mean(), parts.std(ddof=1)])


def test_data_that_a_protocol_does_not_fit_are_told_before_training(
    tmp_path, graph_file, ppi_folder
):
    with pytest.raises(InputError, match="'splits' trains classifiers on a tenth of rings's"):
        train(grace_config(graph_file, protocol="splits"), tmp_path)
    with pytest.raises(InputError, match="protocol 'splits' needs one class a node"):
        train(inductive_config(ppi_folder, protocol="splits"), tmp_path)
    mvgrl = configs.load("ppi_folder", "mvgrl+smoke")
    mvgrl.data_path = str(ppi_folder)
    with pytest.raises(InputError, match="objective 'mvgrl' has one summary of one graph"):
        train(mvgrl, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num_nodes", [1, 5])
def test_a_graph_without_edges_trains(tmp_path, num_nodes):
    x = np.random.default_rng(0).normal(size=(num_nodes, 4))
    np.savez(tmp_path / "bare.npz", x=x, edge_index=np.zeros((2, 0), int))
    config = grace_config(tmp_path / "bare.npz", sampler="full", num_steps=2)
    assert train(config, tmp_path / "run") == []
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert all(np.isfinite(json.loads(line)["loss"]) for line in lines)
    assert np.isfinite(run.embed(config, tmp_path / "run", None)["z"]).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": "gat", "mixing": "mo", "symmetric": True},
        {"mixing": "i_mix", "sampler": "full", "activation": "prelu", "binarise_features": True},
        {"mixing": "binary", "candidates": "all", "selection": "validation"},
    ],
    ids=["gat", "i_mix", "binary"],
)
def test_every_kind_of_training_runs(tmp_path, graph_file, changes):
    config = grace_config(graph_file, num_steps=2, **changes)
    results = train(config, tmp_path)
    assert len(results) == 2
    assert {row.mixing for row in results} == {config.mixing}
    arrays = run.embed(config, tmp_path, None)
    assert arrays["z"].shape == (small.N, 8)


def test_several_graphs_are_judged_on_unseen_ones(tmp_path, ppi_folder):
    config = inductive_config(ppi_folder)
    results = train(config, tmp_path)
    assert [(r.metric, r.protocol, r.trained, r.n) for r in results] == [
        ("micro_f1", "inductive", True, 1),
        ("micro_f1", "inductive", False, 1),
    ]
    assert all(0.3 < r.mean <= 1 for r in results)
    arrays = run.embed(config, tmp_path, None)
    num_nodes = ppi_files.make_rows().x.shape[0]
    assert arrays["z"].shape == (num_nodes, 8)
    assert arrays["labels"].shape == (num_nodes, ppi_files.NUM_LABELS)


def test_unseen_graphs_do_not_change_the_training(tmp_path, ppi_folder):
    """Validation and test graphs of other features: the same parameters, to the bit."""
    config = inductive_config(ppi_folder, selection="last")
    train(config, tmp_path / "one")
    other = tmp_path / "other"
    other.mkdir()
    for path in ppi_folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    for part in ("valid", "test"):
        x = np.load(other / f"{part}_feats.npy")
        np.save(other / f"{part}_feats.npy", 1 - x)
    changed = inductive_config(other, selection="last")
    train(changed, tmp_path / "two")
    assert state_of(config, tmp_path / "one") == state_of(changed, tmp_path / "two")


def test_validation_micro_f1_chooses_where_it_is_asked_to(tmp_path, ppi_folder):
    results = train(inductive_config(ppi_folder, selection="validation"), tmp_path)
    assert {row.selection for row in results} == {"validation", "none"}
    record = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert 0 < record["validation_micro_f1"] <= 1
    assert "mixing/agreement" not in record  # there is no one class to agree on


def test_a_batch_that_the_training_graphs_do_not_fill_is_told(tmp_path, ppi_folder):
    config = inductive_config(ppi_folder, sampler="nodes", batch_size=60)
    with pytest.raises(InputError, match="must lie in 2 … 51"):
        train(config, tmp_path)
