"""A training that mixes late, and one that is watched: on a graph of thirty nodes."""

import dataclasses

import jax
import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.experiments import read, run
from mmix_jax.experiments.pretraining import pretrain
from mmix_jax.experiments.records import check_record
from mmix_jax.experiments.watching import WatchedWriter, warn_of_flat_weights
from mmix_jax.mixing import Mixing
from mmix_jax.training.loop import Interrupted
from tests.experiments.nodes import small


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with small.compile_cache(tmp_path_factory.mktemp("programs")):
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache):
    """`trained(**changes)`: what a training of the small graph comes to."""
    path = small.save(tmp_path_factory.mktemp("data") / "rings.npz")

    def train(workdir=None, interrupted=lambda: False, **changes):
        config = small.config(path, num_steps=6, eval_every=1, selection="last", **changes)
        return pretrain(run.load(config), workdir=workdir, interrupted=interrupted, show=False)

    return train


def assert_equal(found, wanted):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(a, b)


def losses_of(pretrained):
    return [row["loss"] for row in pretrained.history]


def test_the_first_steps_mix_nothing(trained):
    """At 0.4 of six steps the third, number 2.4 rounded up, is the last without."""
    none, late = trained(mixing="none"), trained(mixing="mp", mixing_start=0.4)
    assert losses_of(late)[:3] == losses_of(none)[:3]
    assert losses_of(late)[3] != losses_of(none)[3]
    never = trained(mixing="mp", mixing_start=1.0)
    assert losses_of(never) == losses_of(none)
    assert_equal(never.state.params["encoder_a"], none.state.params["encoder_a"])


def test_a_late_start_resumes(trained, tmp_path):
    late = {"mixing": "mo", "mixing_start": 0.5}
    whole = trained(**late)
    for stop in (2, 3, 5):
        calls = iter(range(100))
        with pytest.raises(Interrupted):
            trained(tmp_path / str(stop), lambda calls=calls, s=stop: next(calls) + 1 >= s, **late)
        assert_equal(trained(tmp_path / str(stop), **late).state, whole.state)


def test_the_length_of_a_late_start_is_fixed(trained, tmp_path):
    """Which step mixes first hangs on it."""
    trained(tmp_path / "run", mixing="mo", mixing_start=0.5)
    config = small.config(
        tmp_path / "rings.npz", num_steps=8, eval_every=1, selection="last", mixing="mo",
        mixing_start=0.5,
    )  # fmt: skip
    with pytest.raises(InputError, match=r"num_steps \(6 there, 8 asked\)"):
        check_record(read(config), tmp_path / "run", mode="train")


def test_before_the_start_the_plain_loss_is_watched(trained):
    none = trained(mixing="none", mechanism=True).history
    late = trained(mixing="mo", mixing_start=0.5, mechanism=True).history
    for early, plain in zip(late[:2], none[:2], strict=True):
        watched = {name: value for name, value in early.items() if "contrast/" in name}
        assert watched == {name: plain[name] for name in watched} and len(watched) > 5
        assert "gradients/cosine" not in early
    # What is watched is the next step: the third state's is the first that mixes.
    assert all("gradients/cosine" in row for row in late[2:])
    assert len({row["contrast/hardness"] for row in late}) == len(late)


def test_an_encoder_tells_by_what_it_was_trained(trained, tmp_path):
    debiased = trained(tmp_path / "run", mixing="none", debiased=0.1)
    config = small.config(
        tmp_path / "again.npz", num_steps=6, eval_every=1, selection="last", mixing="none"
    )
    small.save(tmp_path / "again.npz")
    task = run.load(config)
    results = run.evaluate(task, [debiased.encoder])
    assert {row.beyond for row in results} == {"debiased=0.1"}
    restored = list(run.encoders_of(task, tmp_path, str(tmp_path / "run")))
    assert {row.beyond for row in run.evaluate(task, restored)} == {"debiased=0.1"}


def test_unmixed_rows_are_no_fault_before_the_start(caplog):
    class Nowhere:
        def write(self, step, values):
            pass

    writer = WatchedWriter(Nowhere(), Mixing("mo", "op"), first_mixed=4)
    for step in (2, 4):
        writer.write(step, {"mixing/unmixed": 1.0})
    assert not caplog.records
    writer.write(6, {"mixing/unmixed": 1.0})
    assert "mixed with no other at step 6" in caplog.text


def test_flat_weights_are_told(caplog):
    """τ_mix 1 over many candidates; not of few, not along edges, not at a sharp temperature."""
    told = Mixing("mo", "all")
    quiet = (
        (told, 499),
        (dataclasses.replace(told, candidates="wp"), 5000),
        (dataclasses.replace(told, candidates="op"), 5000),
        (dataclasses.replace(told, temperature=0.1), 5000),
        (dataclasses.replace(told, rule="random"), 5000),
        (dataclasses.replace(told, into="negatives"), 5000),
    )
    for mixing, count in quiet:
        warn_of_flat_weights(mixing, count)
    assert not caplog.records
    warn_of_flat_weights(told, 500)
    assert "at mixing_temperature 1 a mixture of 500 candidates is nearly" in caplog.text


def test_watching_changes_nothing_else(trained):
    plain, watched = trained(mixing="mo"), trained(mixing="mo", mechanism=True)
    assert_equal(watched.state, plain.state)
    names = {name for name in watched.history[0] if name not in plain.history[0]}
    assert {"contrast/hardness", "contrast/false_negatives", "gradients/cosine"} <= names
    for row in watched.history:
        assert -1.0 <= row["gradients/cosine"] < 1.0 - 1e-6  # mixing changes the gradient
        assert row["gradients/ratio"] > 0
        assert 0.4 < row["contrast/same_class"] < 0.6  # two classes of equal size


def test_without_mixing_there_is_no_gradient_to_compare(trained):
    watched = trained(mixing="none", mechanism=True)
    assert "contrast/weight" in watched.history[0]
    assert not any(name.startswith("gradients/") for name in watched.history[0])
