"""Epochs become steps by the number of batches that an epoch of the data has."""

import logging

import pytest

from mmix_jax.experiments import read, run
from mmix_jax.experiments.pretraining import pretrain
from mmix_jax.experiments.task import in_epochs
from tests.experiments.graphs import small_graphs
from tests.experiments.nodes import small


@pytest.mark.parametrize(
    ("epochs", "steps", "wanted", "words"),
    [
        (0, 70, 70, ""),
        (3, 70, 21, "21 steps: 3 epochs of 7 (--config.num_epochs)"),
        (1, 70, 7, "7 steps: 1 epoch of 7 (--config.num_epochs)"),
        (20, 70, 70, "70 steps: num_steps, before the end of 20 epochs of 7"),
    ],
)
def test_steps_of_epochs(tmp_path, epochs, steps, wanted, words):
    config = read(small.config(tmp_path / "x.npz", num_epochs=epochs, num_steps=steps))
    found, told = in_epochs(config, 7)
    assert (found.num_steps, told) == (wanted, words)


@pytest.mark.parametrize(("batch_size", "wanted"), [(18, 3), (9, 6), (6, 9)])
def test_an_epoch_of_graphs_is_all_of_them(tmp_path, caplog, batch_size, wanted):
    caplog.set_level(logging.INFO)
    folder = small_graphs.save(tmp_path / "mine")
    config = small_graphs.config(folder, batch_size=batch_size, num_epochs=3, num_steps=100)
    task = run.load(config)
    assert task.config.num_steps == wanted
    if batch_size != 9:
        return
    pretrained = pretrain(task, workdir=tmp_path / "run")
    assert int(pretrained.state.step) == wanted
    assert "training for 6 steps: 3 epochs of 2" in caplog.text
    # More epochs go on from there, as the record keeps what was asked for.
    config.num_epochs = 4
    longer = run.load(config)
    assert int(pretrain(longer, workdir=tmp_path / "run").state.step) == 8


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"sampler": "full"}, 5),
        ({"sampler": "nodes", "batch_size": 10}, 15),
        ({"sampler": "nodes", "batch_size": 14}, 10),
    ],
)
def test_an_epoch_of_nodes_is_as_many_as_there_are(tmp_path, changes, wanted):
    path = small.save(tmp_path / "rings.npz")
    task = run.load(small.config(path, num_epochs=5, num_steps=100, **changes))
    assert task.config.num_steps == wanted
