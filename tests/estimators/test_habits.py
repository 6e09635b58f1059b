"""Fitting and embedding as scikit-learn's users expect it."""

import logging
import signal

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from mmix_jax.data.libraries import from_scipy
from mmix_jax.training import loop
from tests.estimators import made
from tests.experiments.images import small_images
from tests.experiments.nodes import small

LABELS = np.arange(small_images.NUM_TRAIN + small_images.NUM_TEST) % 2


@pytest.mark.parametrize("make", [made.nodes, made.graphs, made.images])
def test_a_method_before_fit_is_refused(make, tmp_path):
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        make().transform([])
    with pytest.raises(NotFittedError):
        make().save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def nodes():
    return made.nodes(mixing="mo").fit(made.node_graph())


def test_fit_gives_itself_and_what_was_learnt(nodes):
    assert nodes.n_features_in_ == 6
    assert nodes.n_iter_ == 4
    assert [row["step"] for row in nodes.history_] == [2, 4]
    assert nodes.mixing_["partners"] > 1
    assert nodes.mixing_ == {
        name.removeprefix("mixing/"): value
        for name, value in nodes.history_[-1].items()
        if name.startswith("mixing/")
    }
    z = nodes.transform()
    assert (z.shape, z.dtype, z.flags.writeable) == ((small.N, 8), np.float32, True)
    assert nodes.fit(made.node_graph()) is nodes
    np.testing.assert_array_equal(nodes.transform(), z)  # the same seed, the same numbers


def test_other_nodes_are_embedded(nodes):
    adjacency, x = made.node_graph()
    np.testing.assert_array_equal(nodes.transform((adjacency, x)), nodes.transform())
    few = nodes.transform(made.node_graph(9))
    assert few.shape == (9, 8)
    order = np.random.default_rng(0).permutation(small.N)
    moved = nodes.transform((adjacency[order][:, order], x[order]))
    np.testing.assert_allclose(moved, nodes.transform()[order], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="must have the 6 features of those that trained, found 3"):
        nodes.transform((adjacency, x[:, :3]))


def test_labels_without_a_split_are_not_seen():
    labels = small.arrays()["y"]
    with_labels = made.nodes().fit(made.node_graph(), labels)
    without = made.nodes().fit(made.node_graph())
    np.testing.assert_array_equal(with_labels.transform(), without.transform())
    assert not any("validation_accuracy" in row for row in with_labels.history_)
    adjacency, x = made.node_graph()
    drawn = from_scipy(adjacency, x, labels, split="random", split_seed=1)  # as converters draw one
    assert drawn.split is not None
    of_drawn = made.nodes().fit(drawn)
    np.testing.assert_array_equal(of_drawn.transform(), without.transform())
    assert not any("validation_accuracy" in row for row in of_drawn.history_)


def test_one_graph_and_one_image_are_embedded():
    graphs = made.some_graphs()
    model = made.graphs().fit(graphs)
    np.testing.assert_allclose(
        model.transform(graphs[:1])[0], model.transform(graphs)[0], rtol=1e-4, atol=1e-5
    )
    pixels = small_images.pixels()
    images = made.images().fit(pixels)
    np.testing.assert_allclose(
        images.transform(pixels[5:6])[0], images.transform(pixels)[5], rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ValueError, match=r"must have the shape \(8, 8, 3\) .*found \(4, 8, 3\)"):
        images.transform(pixels[:, :4])


def test_degrees_do_not_stand_for_features_of_the_same_number():
    graphs = made.some_graphs()
    with_x = [(nx.to_numpy_array(graph), np.eye(len(graph), 6)) for graph in graphs]
    degrees, given = made.graphs(max_degree=5).fit(graphs), made.graphs(max_degree=5).fit(with_x)
    assert degrees.n_features_in_ == given.n_features_in_ == 6
    with pytest.raises(ValueError, match="found degrees, as these graphs have none; give them"):
        given.transform(graphs)
    with pytest.raises(ValueError, match="found others; leave them out: nodes had their degree"):
        degrees.transform(with_x)
    in_any_case = made.graphs(max_degree=5, features="degree").fit(with_x)
    np.testing.assert_array_equal(in_any_case.transform(with_x), degrees.transform(graphs))
    with pytest.raises(ValueError, match="unknown features 'labels' of graphs in memory"):
        made.graphs(features="labels").fit(with_x)


def test_labels_are_passed_over_by_graphs_and_images():
    pixels = small_images.pixels()
    z = made.images().fit_transform(pixels)
    np.testing.assert_array_equal(made.images().fit_transform(pixels, LABELS), z)


@pytest.mark.parametrize(
    ("make", "items", "labels"),
    [
        (made.images, small_images.pixels(), LABELS),
        (made.graphs, made.some_graphs(12), np.arange(12) % 2),
    ],
    ids=["images", "graphs"],
)
def test_it_stands_in_a_pipeline(make, items, labels):
    pipeline = make_pipeline(make(), LogisticRegression())
    scores = cross_val_score(pipeline, items, labels, cv=2)
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


def test_a_search_over_settings():
    step = make_pipeline(made.images(num_steps=1), LogisticRegression())
    grid = {"imageembedder__mixing": ["none", "mo"]}
    search = GridSearchCV(step, grid, cv=2).fit(small_images.pixels(), LABELS)
    assert search.best_params_["imageembedder__mixing"] in ("none", "mo")


def test_columns_of_a_frame_have_names():
    with sklearn.config_context(transform_output="pandas"):
        frame = made.images().fit_transform(small_images.pixels())
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == [f"imageembedder{i}" for i in range(frame.shape[1])]
    model = made.graphs().set_output(transform="pandas").fit(made.some_graphs())
    assert list(model.transform(made.some_graphs()).columns)[:1] == ["graphembedder0"]


def test_what_is_read_and_scaled_is_kept_and_printed_when_asked(capsys, caplog):
    adjacency, x = made.node_graph()
    x = x * [1, 10, 100, 1000, 1, 1] + 50
    quiet = made.nodes(num_steps=1).fit((adjacency, x))
    assert capsys.readouterr() == ("", "")
    assert any(note.startswith("features: 6 of 6 columns standardised") for note in quiet.notes_)
    assert any(note.startswith("graph: 30 nodes") for note in quiet.notes_)
    made.nodes(num_steps=1, verbose=True).fit((adjacency, x))
    out, err = capsys.readouterr()
    assert "features: 6 of 6 columns standardised" in out
    assert "graph mp seed 0" in err
    assert caplog.records == []  # whoever listens to warnings hears nothing else


def test_warnings_reach_whoever_listens(caplog):
    with caplog.at_level(logging.WARNING):
        made.images(threshold=1.0).fit(small_images.pixels())
    assert any("mixed with no other" in record.getMessage() for record in caplog.records)


def test_other_nodes_are_scaled_by_the_trainings_statistics():
    adjacency, x = made.node_graph()
    x = x * 10 + 50
    model = made.nodes().fit((adjacency, x))
    shifted = model.transform((adjacency, x + 7))
    assert np.abs(shifted - model.transform()).max() > 1e-3


def test_an_interrupted_fit_goes_on_to_the_same_numbers(tmp_path, monkeypatch):
    whole = made.nodes(num_steps=6).fit(made.node_graph())
    model = made.nodes(num_steps=6, workdir=tmp_path / "run")
    calls, judge = [], loop._judge

    def ask(*args):
        if not calls:
            calls.append(signal.raise_signal(signal.SIGINT))
        return judge(*args)

    monkeypatch.setattr(loop, "_judge", ask)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=r"interrupted after step 2.*fit again to go on"):
        model.fit(made.node_graph())
    assert signal.getsignal(signal.SIGINT) is before
    assert not hasattr(model, "encoder_")
    model.fit(made.node_graph())
    np.testing.assert_array_equal(model.transform(), whole.transform())
    assert [row["step"] for row in model.history_] == [2, 4, 6]


def test_a_workdir_of_other_settings_is_refused(tmp_path):
    made.nodes(workdir=tmp_path / "run").fit(made.node_graph())
    with pytest.raises(ValueError, match=r"found others in .*: width \(8 there, 4 asked\)"):
        made.nodes(workdir=tmp_path / "run", width=4).fit(made.node_graph())


def test_a_workdir_of_other_data_is_refused(tmp_path):
    adjacency, x = made.node_graph()
    first = made.nodes(workdir=tmp_path / "run").fit((adjacency, x))
    for other in ((adjacency, x[:, ::-1]), (np.roll(adjacency, 1, (0, 1)), x)):
        with pytest.raises(ValueError, match="belongs to the data of one training, found others"):
            sklearn.clone(first).fit(other)
    again = sklearn.clone(first).fit((adjacency, x))
    np.testing.assert_array_equal(again.transform(), first.transform())
    assert any("had been finished in" in note for note in again.notes_)
    (tmp_path / "run" / "data.json").write_text("[]")
    with pytest.raises(ValueError, match=r"data.json must be a JSON object"):
        sklearn.clone(first).fit((adjacency, x))


def test_all_devices_give_the_numbers_of_one(nodes):
    several = made.nodes(mixing="mo", num_devices=4).fit(made.node_graph())
    np.testing.assert_allclose(several.transform(), nodes.transform(), rtol=1e-3, atol=1e-4)


def test_what_is_mixed_into_what(nodes):
    found = nodes.mixtures()
    assert list(found.columns) == [
        "anchor", "own_weight", "partners", "partner", "weight", "cosine",
    ]  # fmt: skip
    sums = found.groupby("anchor").agg(
        {"weight": "sum", "own_weight": "first", "partners": "first"}
    )
    np.testing.assert_allclose(sums["weight"] + sums["own_weight"], 1, rtol=1e-5)
    assert (found["anchor"].value_counts().sort_index() == sums["partners"]).all()
    adjacency, _ = made.node_graph()
    joined = (adjacency + adjacency.T) > 0
    assert joined[found["anchor"], found["partner"]].all()
    assert len(found) == (joined & ~np.eye(small.N, dtype=bool)).sum()
    few = nodes.mixtures(made.node_graph(9))
    assert set(few["anchor"]) <= set(range(9))


def test_mixtures_of_images_and_graphs():
    images = made.images(threshold=-1.0).fit(small_images.pixels())
    found = images.mixtures()
    assert found["anchor"].nunique() == 8  # a batch
    sums = found.groupby("anchor")["weight"].sum()
    np.testing.assert_allclose(sums, 0.8, rtol=1e-4)
    found = made.graphs(mixing="mo").fit(made.some_graphs()).mixtures()
    assert {"graph", "anchor", "partner", "weight", "cosine"} <= set(found.columns)
    with pytest.raises(ValueError, match="found none: none of 30 embeddings was mixed"):
        made.nodes(mixing="none").fit(made.node_graph()).mixtures()


def test_untrained_is_the_encoder_before_training(nodes):
    before = nodes.untrained()
    z = before.transform()
    assert before.n_iter_ == 0 and before.history_ == []
    assert np.abs(z - nodes.transform()).max() > 1e-4
    again = made.nodes(mixing="mo", num_steps=1).fit(made.node_graph()).untrained()
    np.testing.assert_array_equal(again.transform(), z)  # whatever the training was


def test_a_data_set_keeps_its_labels_and_split():
    parts = small.arrays()
    masks = {name: parts[name] for name in ("train_mask", "val_mask", "test_mask")}
    adjacency, x = made.node_graph()
    import scipy.sparse

    dataset = from_scipy(scipy.sparse.csr_array(adjacency), x, parts["y"], masks=masks)
    model = made.nodes().fit(dataset)
    assert all("validation_accuracy" in row for row in model.history_)
    with_parts = made.nodes().fit((adjacency, x), parts["y"], split=masks)
    np.testing.assert_array_equal(model.transform(), with_parts.transform())
