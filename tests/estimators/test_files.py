"""Fitted estimators on disk, and in other processes."""

import json
import pickle

import numpy as np
import pytest

from mmix_jax.estimators import GraphEmbedder, ImageEmbedder, NodeEmbedder
from tests.estimators import made
from tests.experiments.images import small_images
from tests.main import program

DATA = {
    NodeEmbedder: made.node_graph(),
    GraphEmbedder: made.some_graphs(),
    ImageEmbedder: small_images.pixels(),
}
MAKE = {NodeEmbedder: made.nodes, GraphEmbedder: made.graphs, ImageEmbedder: made.images}
EVERY = pytest.mark.parametrize("of", list(DATA), ids=lambda of: of.__name__)


@pytest.fixture(scope="module")
def fitted():
    """Each estimator fitted once; to be looked at only."""
    return {of: MAKE[of](mixing="mo", seed=2).fit(data) for of, data in DATA.items()}


@EVERY
def test_saved_and_loaded_it_embeds_bitwise_alike(of, fitted, tmp_path):
    model = fitted[of]
    path = model.save(tmp_path / "a folder" / "model")
    loaded = of.load(path)
    np.testing.assert_array_equal(loaded.transform(DATA[of]), model.transform(DATA[of]))
    assert {**loaded.get_params(), "workdir": None} == model.get_params()
    for name in ("history_", "mixing_", "n_iter_", "n_features_in_", "notes_", "config_"):
        assert getattr(loaded, name) == getattr(model, name), name
    assert [p.name for p in path.parent.iterdir()] == ["model"]  # nothing is left beside it


@EVERY
def test_pickled_it_embeds_bitwise_alike(of, fitted):
    copy = pickle.loads(pickle.dumps(fitted[of]))
    np.testing.assert_array_equal(copy.transform(DATA[of]), fitted[of].transform(DATA[of]))


def test_a_loaded_one_has_not_the_data_of_its_training(fitted, tmp_path):
    loaded = NodeEmbedder.load(fitted[NodeEmbedder].save(tmp_path / "model"))
    with pytest.raises(ValueError, match=r"has not the data of its training.*hand them over"):
        loaded.transform()


def test_what_lies_there_is_not_overwritten_unasked(fitted, tmp_path):
    model, path = fitted[NodeEmbedder], tmp_path / "model"
    model.save(path)
    with pytest.raises(ValueError, match=r"a model lies in .*; choose another path, or overwrite"):
        model.save(path)
    assert model.save(path, overwrite=True) == path
    with pytest.raises(ValueError, match="a folder of its own, found something else"):
        model.save(tmp_path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_link_stays_one_and_its_folder_receives_the_model(fitted, tmp_path):
    target, link = tmp_path / "there" / "model", tmp_path / "link"
    link.symlink_to(target)
    for overwrite in (False, True):
        assert fitted[NodeEmbedder].save(link, overwrite=overwrite) == link
        assert link.is_symlink()
        assert (target / "model.json").is_file()


def test_a_save_that_fails_leaves_the_earlier_model(fitted, tmp_path, monkeypatch):
    model, path = fitted[NodeEmbedder], tmp_path / "model"
    model.save(path)
    before = sorted(p.relative_to(path) for p in path.rglob("*"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mmix_jax.estimators.files.write_history", full)
    with pytest.raises(ValueError, match=r"must be writable at .*, found No space left on device"):
        model.save(path, overwrite=True)
    assert sorted(p.relative_to(path) for p in path.rglob("*")) == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_another_estimators_model_is_refused(fitted, tmp_path):
    path = fitted[GraphEmbedder].save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"found a graph task in .*; use GraphEmbedder\.load$"):
        NodeEmbedder.load(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: (p / "config.json").unlink(), "a model is a folder with config.json"),
        (lambda p: (p / "config.json").write_text("{"), "config.json must be readable JSON"),
        (lambda p: (p / "config.json").write_text('{"task": "x"}'), "must be that of a model"),
        (lambda p: (p / "model.json").write_text("[1]"), "model.json must be a JSON object"),
        (
            lambda p: next((p / "checkpoints").rglob("digests.json")).write_text("{}"),
            "a checkpoint must be whole",
        ),
    ],
    ids=["none", "damaged", "foreign", "notes", "digests"],
)
def test_a_damaged_model_is_one_line(fitted, tmp_path, spoil, words, caplog):
    path = fitted[NodeEmbedder].save(tmp_path / "model")
    spoil(path)
    with pytest.raises(ValueError, match=words) as error:
        NodeEmbedder.load(path)
    assert "\n" not in str(error.value)


def test_a_model_of_other_settings_is_refused(fitted, tmp_path):
    path = fitted[NodeEmbedder].save(tmp_path / "model")
    record = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(record | {"width": 16}))
    with pytest.raises(ValueError, match="the checkpoint must be of this model"):
        NodeEmbedder.load(path)


def test_the_program_reads_a_saved_model_and_the_estimator_a_workdir(fitted, tmp_path):
    from tests.experiments.nodes import small

    model, path = fitted[NodeEmbedder], tmp_path / "model"
    model.save(path)
    data = small.save(tmp_path / "rings.npz")
    flags = [f"--config={program.CONFIGS}/graph_file.py:mo", f"--config.data_path={data}"]
    flags += [f"--config.{name}={value}" for name, value in made.NODES.items()]
    workdir = tmp_path / "run"
    checkpoint = path / "checkpoints" / "seed_2"
    ran = program.run(*flags, f"--workdir={workdir}", "--mode=embed", f"--checkpoint={checkpoint}")
    assert ran.status == 0, ran.err
    with np.load(workdir / "embeddings.npz") as arrays:
        np.testing.assert_allclose(arrays["z"], model.transform(), rtol=1e-6, atol=1e-6)
    assert program.run(*flags, f"--workdir={workdir}").status == 0
    loaded = NodeEmbedder.load(workdir)
    assert loaded.n_features_in_ == 6
    assert loaded.mixing == "mo"
    assert loaded.transform(made.node_graph()).shape == (small.N, 8)


@EVERY
def test_fewer_devices_than_trained_embed(of, fitted, tmp_path):
    """What a model asks for in training says nothing of the machine that embeds."""
    model, given = fitted[of], DATA[of]
    config = (model.save(tmp_path / "model") / "config.json").read_text()
    text = config.replace('"num_devices": 1', '"num_devices": 4096')
    assert text != config
    (tmp_path / "model" / "config.json").write_text(text)
    loaded = of.load(tmp_path / "model")
    np.testing.assert_allclose(loaded.transform(given), model.transform(given), rtol=1e-4)
    assert loaded.num_devices == 4096
    with pytest.raises(ValueError, match="num_devices asks for 4096"):
        loaded.fit(given)
