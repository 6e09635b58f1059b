"""Tables in files: the training is that of tables in memory; refused where a step reads more."""

import numpy as np
import pytest

from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph, load_synthetic_graph
from mmix_jax.errors import InputError
from mmix_jax.estimators import NodeEmbedder
from mmix_jax.experiments import node_config, pretrain, run, task_of
from mmix_jax.experiments.configs import read
from mmix_jax.experiments.nodes import tables
from mmix_jax.experiments.task import Pieces
from mmix_jax.surroundings import locked
from mmix_jax.training.loop import Interrupted

SMALL = {
    "num_nodes": 200, "num_classes": 2, "num_features": 12, "width": 8, "num_steps": 4,
    "eval_every": 2, "num_classifiers": 1, "num_clusterings": 0, "sampler": "nodes",
    "batch_size": 60, "mixing": "mo", "num_devices": 1,
}  # fmt: skip


def config_of(**changes):
    config = node_config("synthetic_graph")
    config.update(SMALL | changes)
    return config


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mmix_jax"


def test_it_is_the_training_of_tables_in_memory(cache):
    dataset = load_synthetic_graph(SyntheticGraph(200, num_classes=2, num_features=12))
    memory = task_of(config_of(tables="memory"), dataset)
    trained = pretrain(memory, show=False)
    task = task_of(config_of(tables="mapped"), dataset)
    assert task.tables == tables.NO_TABLES and isinstance(task.stored.x_a, np.memmap)
    again = pretrain(task, show=False)
    losses = [[row["loss"] for row in done.history] for done in (trained, again)]
    assert losses[0] == losses[1]
    z = task.embed(again.encoder)["z"]
    assert isinstance(z, Pieces)
    whole = np.concatenate(list(z.pieces))
    np.testing.assert_allclose(whole, memory.embed(trained.encoder)["z"], atol=1e-6)
    found = task.score(again.encoder, lambda: False)
    assert found == memory.score(trained.encoder, lambda: False)
    # Drawn into files it is the same graph, whose tables are there.
    drawn = run.load(config_of(tables="mapped"))
    assert isinstance(drawn.graph.x, np.memmap)
    np.testing.assert_array_equal(drawn.graph.x, dataset.graph.x)
    assert len(list((cache / "tables").iterdir())) == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"depth": 2}, "found depth 2"),
        ({"objective": "mvgrl", "mixing": "none"}, "found objective mvgrl"),
        ({"diffusion_form": "top_k"}, "found diffusion_form top_k"),
        ({"mixing": "i_mix"}, "found mixing i_mix"),
        ({"candidates": "op"}, "found candidates op"),
        ({"sampler": "full"}, "found sampler full"),
        ({"sampler": "auto", "batch_size": 500}, "found batch_size 500 of 200 nodes"),
    ],
)
def test_where_a_step_reads_more_they_are_refused(changes, told):
    with pytest.raises(InputError, match=told):
        tables.mapped(read(config_of(tables="mapped", **changes)), 200, 12)
    if "batch_size" not in changes:
        assert not tables.mapped(read(config_of(**changes)), 10**9, 64)  # auto does without


def test_auto_goes_by_size():
    config = read(config_of())
    assert not tables.mapped(config, 1_000_000, 128)
    assert tables.mapped(config, 10_000_000, 64)
    assert not tables.mapped(read(config_of(tables="memory")), 10_000_000, 64)
    # Without mixing candidates are not read.
    assert tables.mapped(read(config_of(mixing="none", candidates="op")), 10_000_000, 64)


def test_features_in_files_are_not_changed(cache):
    with pytest.raises(InputError, match="taken as they are, found normalise_features zscore"):
        run.load(config_of(tables="mapped", normalise_features="zscore"))


def test_what_others_are_writing_is_waited_for(cache):
    run.load(config_of(tables="mapped"))
    (folder,) = (cache / "tables").iterdir()
    calls = []

    def interrupted():
        calls.append(0)
        return len(calls) > 20

    with locked(folder), pytest.raises(Interrupted):  # as another process has it
        run.load(config_of(tables="mapped"), interrupted)


def test_estimators_and_pictures_take_what_comes_in_pieces(cache, monkeypatch):
    graph = load_synthetic_graph(SyntheticGraph(200, num_classes=2, num_features=12)).graph
    settings = {"mixing": "mo", "width": 8, "num_steps": 2, "sampler": "nodes", "batch_size": 60}
    other = NodeEmbedder(**settings).fit(graph)
    monkeypatch.setattr(tables, "_MOST_BYTES", 0)  # auto
    model = NodeEmbedder(**settings).fit(graph)
    assert len(list((cache / "tables").iterdir())) == 1
    z = model.transform()
    assert z.shape == (200, 8) and z.dtype == np.float32
    np.testing.assert_allclose(z, other.transform(), atol=1e-6)
    found, expected = (fitted.mixtures(graph) for fitted in (model, other))
    assert found.equals(expected)


def test_an_interrupt_while_propagating_is_answered():
    calls = iter([False] * 3 + [True] * 99)
    with pytest.raises(Interrupted, match="finished columns of tables are kept"):
        run.load(config_of(tables="mapped"), lambda: next(calls))
