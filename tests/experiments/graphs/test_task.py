"""The graph task on eighteen small graphs: resumption, what is reported, kinds of training."""

import dataclasses

import jax
import numpy as np
import pytest

from mmix_jax.data.catalog import load_graphs
from mmix_jax.errors import InputError
from mmix_jax.experiments import read, run
from mmix_jax.experiments.graphs import task as graphs
from mmix_jax.experiments.pretraining import checkpoint_folder, pretrain, restored_encoder
from mmix_jax.frameworks import graph_tables
from mmix_jax.training.loop import Interrupted
from tests.experiments.graphs import small_graphs
from tests.frameworks import problem
from tests.metric_lines import lines_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_graphs.save(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, folder):
    """(workdir, results) of a training that nothing interrupts."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, train(small_graphs.config(folder), workdir)


def train(config, workdir, interrupted=lambda: False):
    return run.train(config, workdir, interrupted)


def timeless(results):
    return [dataclasses.replace(result, seconds=0.0) for result in results]


def test_results_have_every_row_of_the_protocol(whole):
    rows = {(r.protocol, r.representation, r.metric, r.trained) for r in whole[1]}
    for trained in (True, False):
        for name in ("a", "b", "mean"):
            for metric in ("accuracy", "fold_std"):
                assert ("svm 3-fold", name, metric, trained) in rows
        assert ("logistic 3-fold", "mean", "accuracy", trained) in rows
        assert ("knn 3-fold", "mean", "accuracy", trained) in rows
        assert ("k-means", "mean", "nmi", trained) in rows
    for result in whole[1]:
        assert result.selection == ("fixed" if result.trained else "none")
        assert result.steps == (4 if result.trained else 0)
        assert result.objective == "both"
        assert result.task == ("clustering" if result.protocol == "k-means" else "graph")
        assert 0 <= result.mean <= 1 or result.metric == "ari"


def test_interrupted_and_resumed_ends_bitwise_as_uninterrupted(tmp_path, folder, whole):
    config = small_graphs.config(folder)
    for count in (1, 2):
        asked = iter([False] * (count - 1) + [True])
        with pytest.raises(Interrupted):
            train(config, tmp_path, lambda asked=asked: next(asked))
    results = train(config, tmp_path)
    assert timeless(results) == timeless(whole[1])
    assert lines_of(tmp_path) == lines_of(whole[0])
    task = run.load(config)
    states = [
        restored_encoder(task, 0, checkpoint_folder(path, 0), path).state
        for path in (tmp_path, whole[0])
    ]
    for left, right in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_finished_run_is_evaluated_again_with_the_same_scores(folder, whole):
    config = small_graphs.config(folder)
    assert timeless(run.evaluate_checkpoints(config, whole[0], None)) == timeless(whole[1])


def test_embeddings_are_in_the_sets_own_order(folder, whole):
    config = small_graphs.config(folder)
    arrays = run.embed(config, whole[0], None)
    assert arrays["z"].shape == (small_graphs.NUM_GRAPHS, 8)
    assert list(arrays["ids"]) == [f"g{number:02d}" for number in range(small_graphs.NUM_GRAPHS)]
    np.testing.assert_array_equal(arrays["labels"], np.arange(small_graphs.NUM_GRAPHS) % 2)
    one_batch = run.embed(small_graphs.config(folder, batch_size=18), whole[0], None)
    np.testing.assert_allclose(one_batch["z"], arrays["z"], atol=1e-5)


def test_the_encoder_of_each_fold_may_be_chosen_within_it(tmp_path, folder):
    config = small_graphs.config(folder, selection="inner_cv", contrast_nodes=4)
    results = train(config, tmp_path)
    steps = sorted(path.stem for path in (tmp_path / "candidates/mean/seed_0").glob("*.npz"))
    assert steps == ["2", "4"]
    assert {result.selection for result in results if result.trained} == {"inner_cv"}
    assert {result.objective for result in results} == {"both (4 nodes a graph at most)"}
    folder_of_seed = checkpoint_folder(tmp_path, 0)
    with pytest.raises(InputError, match="needs the embeddings that its training left"):
        run.evaluate_checkpoints(config, tmp_path, str(folder_of_seed))
    in_memory = run.task_of(config, run.load(config).dataset)
    assert timeless(run.evaluate(in_memory, [pretrain(in_memory).encoder])) == timeless(results)
    config.readout = "sum"  # those that are there are means
    with pytest.raises(InputError, match="needs the embeddings that its training left"):
        run.evaluate_checkpoints(config, tmp_path, None)


def test_graphs_without_labels_are_trained_and_embedded(tmp_path):
    folder = small_graphs.save(tmp_path / "set", labelled=False, num_graphs=8)
    config = small_graphs.config(folder, num_steps=1, batch_size=8)
    assert train(config, tmp_path / "run") == []
    assert set(run.embed(config, tmp_path / "run", None)) == {"z", "ids"}
    with pytest.raises(InputError, match="evaluation needs labels"):
        run.evaluate_checkpoints(config, tmp_path / "run", None)


@pytest.mark.parametrize("form", ["features", "exact", "top_k"])
def test_propagated_features_are_those_of_each_graph(folder, form):
    config = read(small_graphs.config(folder, diffusion_form=form, top_k=20))
    dataset = load_graphs("graph_folder", path=folder)
    tables = graphs.task_of(config, dataset).tables
    for name, operator in (("x_a", problem.adjacency), ("x_b", problem.diffusion)):
        expected = [operator(graph) @ graph.x.astype(float) for graph in dataset.graphs]
        if form == "top_k" and name == "x_b":  # columns are divided by what is left of them
            expected = []
            for graph in dataset.graphs:
                whole = problem.diffusion(graph)
                expected.append(whole / whole.sum(axis=0)[None, :] @ graph.x.astype(float))
        np.testing.assert_allclose(getattr(tables, name), np.concatenate(expected), atol=1e-4)


def test_diffusion_is_computed_once(folder, monkeypatch):
    config = small_graphs.config(folder)
    first = run.load(config).tables

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(graph_tables, "_diffused", refuse)
    np.testing.assert_array_equal(first.x_b, run.load(config).tables.x_b)
    with pytest.raises(AssertionError, match="computed again"):
        run.load(small_graphs.config(folder, alpha=0.3))
    with pytest.raises(AssertionError, match="computed again"):  # in memory nothing is kept
        run.task_of(config, load_graphs("graph_folder", path=folder))


def test_a_class_with_fewer_graphs_than_folds_is_told(tmp_path, folder, whole):
    config = small_graphs.config(folder, num_folds=12)
    with pytest.raises(InputError, match="fold"):
        run.evaluate_checkpoints(config, whole[0], None)
