"""The graph task where the score of every seed, step and branch is planted, and all differ."""

import jax
import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from mmix_jax.evaluation.cross_validation import svm_cross_validation
from mmix_jax.experiments import run
from mmix_jax.experiments.graphs import task as graphs
from mmix_jax.experiments.pretraining import pretrain
from mmix_jax.experiments.task import keys_of
from tests.experiments.wiring import planted
from tests.experiments.wiring import planted_graphs as data

pytestmark = pytest.mark.slow

SVM, KNN, LOGISTIC = (f"{name} 4-fold" for name in ("svm", "knn", "logistic"))


@pytest.fixture(autouse=True)
def framework(monkeypatch):
    data.install(monkeypatch)


def values_of(results, metric: str = "accuracy"):
    """{(protocol, representation, trained): values by seed}."""
    rows = [row for row in results if row.metric == metric]
    return {(row.protocol, row.representation, row.trained): row.values for row in rows}


def exactly(values):
    return pytest.approx(tuple(values), abs=1e-6)


def results_of(task, workdir=None):
    return run.evaluate(task, [pretrain(task, s, workdir=workdir).encoder for s in (0, 1)])


@pytest.mark.parametrize("headline", ["a", "mean"])
def test_every_row_is_of_its_branch_its_seed_and_its_encoder(headline):
    task = run.task_of(data.config(representation=headline), data.dataset())
    results = results_of(task)
    found = values_of(results)
    for trained, clock in ((True, 4), (False, 0)):
        for place, name in enumerate(data.NAMES):
            assert found[SVM, name, trained] == exactly(data.SHARES[place, :2, clock])
        place = data.NAMES.index(headline)
        for protocol in (KNN, LOGISTIC):
            assert found[protocol, headline, trained] == exactly(data.SHARES[place, :2, clock])
        codes = data.embedded()[:, place, :2, clock]
        agreement = [normalized_mutual_info_score(data.LABELS, code) for code in codes.T]
        nmi = values_of(results, "nmi")
        assert nmi["k-means", headline, trained] == exactly(agreement)


def test_every_seed_has_a_shuffle_of_folds_of_its_own():
    results = results_of(run.task_of(data.config(), data.dataset()))
    found = values_of(results, "fold_std")
    for place, name in enumerate(data.NAMES):
        for trained, clock in ((True, 4), (False, 0)):
            spread = []
            for seed in (0, 1):
                z = data.embedded()[:, place, seed, clock, None]
                judged = svm_cross_validation(z, data.LABELS, seed=seed, num_folds=4)
                spread.append(np.std(judged.folds, ddof=1))
            assert found[SVM, name, trained] == exactly(spread)


def test_representations_draw_by_the_key_of_their_seed(monkeypatch):
    """While training and after it, of trained encoders and of fresh ones."""
    keys, original = [], graphs._embed

    def spy(settings, params, tables, batch, key):
        keys.append(jax.random.key_data(key).tolist())
        return original(settings, params, tables, batch, key)

    monkeypatch.setattr(graphs, "_embed", spy)
    task = run.task_of(data.config(num_steps=1), data.dataset())
    for seed in (0, 1):
        keys.clear()
        run.evaluate(task, [pretrain(task, seed).encoder])
        of_seed = jax.random.key_data(keys_of(seed)[2]).tolist()
        assert len(keys) == 1 + 2 * task.whole.num_batches
        assert all(key == of_seed for key in keys)


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
def test_inner_cv_takes_the_best_step_of_the_seeds_own_training(tmp_path, on_disk):
    """Where one step is far better than all others, every fold finds it."""
    task = run.task_of(data.config(selection="inner_cv"), data.dataset())
    found = values_of(results_of(task, tmp_path if on_disk else None))
    for place, name in enumerate(data.NAMES):
        best = data.SHARES[place, :2, 1:5].max(axis=1)
        assert found[SVM, name, True] == exactly(best)
        assert found[SVM, name, False] == exactly(data.SHARES[place, :2, 0])
    # What has no candidates is scored at the last step.
    assert found[KNN, "mean", True] == exactly(data.SHARES[2, :2, 4])


@pytest.mark.parametrize(("selection", "num_steps", "chosen", "end"), [
    ("fixed", 8, 8, 8), ("loss", 5, 2, 4),
])  # fmt: skip
def test_the_selection_says_which_step_is_scored(selection, num_steps, chosen, end):
    config = data.config(selection=selection, num_steps=num_steps, patience=2)
    training = pretrain(run.task_of(config, data.dataset()))
    assert (training.encoder.progress["step"], int(training.state.step)) == (chosen, end)


@pytest.mark.parametrize("interrupted", [False, True], ids=["whole", "resumed"])
def test_batches_and_draws_are_those_of_the_seed_and_the_step(tmp_path, interrupted):
    task = run.task_of(data.config(), data.dataset())
    batches = {}
    for seed in (0, 1):
        sampler = graphs.make_sampler(task.config, task.union, seed, 1)
        numbers = [sampler.batch(step).globals["graph"][0] for step in range(4)]
        batches[seed] = [float(planted.fingerprint(of_step)) for of_step in numbers]
        if interrupted:
            asked = iter([False, True])
            with pytest.raises(run.Interrupted):
                pretrain(task, seed, workdir=tmp_path, interrupted=lambda asked=asked: next(asked))
        history = pretrain(task, seed, workdir=tmp_path).history
        assert [row["batch"] for row in history] == batches[seed]
        drawn = [planted.drawn_at(seed, step) for step in range(4)]
        assert [row["drawn"] for row in history] == exactly(drawn)
    assert not set(batches[0]) & set(batches[1])


def test_embeddings_are_the_headlines_in_the_sets_own_order():
    for place, name in enumerate(data.NAMES):
        task = run.task_of(data.config(representation=name), data.dataset())
        z = task.embed(pretrain(task, 1).encoder)["z"]
        np.testing.assert_array_equal(z[:, 0], data.embedded()[:, place, 1, 4])
