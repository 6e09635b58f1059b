"""Other graphs by what a training's checkpoint keeps: columns, fillings, structure."""

import logging

import numpy as np
import pandas as pd
import pytest

from mmix_jax.data import from_scipy, from_tables
from mmix_jax.errors import InputError
from mmix_jax.estimators import NodeEmbedder
from mmix_jax.experiments.nodes.remembered import as_remembered, facts_of
from tests.estimators import made
from tests.main import program

pytestmark = pytest.mark.slow

NODES = pd.DataFrame(
    {
        "id": [f"p{i}" for i in range(12)],
        "age": np.arange(12) * 3.0 + 20,
        "city": ["Oslo", "Rome", "Paris"] * 4,
    }
)
EDGES = pd.DataFrame({"source": NODES["id"][:-1].tolist(), "target": NODES["id"][1:].tolist()})
FEW_EDGES = EDGES.iloc[:2]


def tables(nodes, edges=EDGES, **options):
    return from_tables(nodes, edges, split="given", missing="mean", **options)


@pytest.fixture(scope="module")
def kept():
    return facts_of(tables(NODES))


def test_the_same_columns_stay_as_they_are(kept):
    dataset = tables(NODES)
    assert as_remembered(dataset, kept) is dataset
    assert as_remembered(dataset, {}) is dataset  # a checkpoint of an older version


def test_columns_go_by_their_names(kept, caplog):
    few = NODES.iloc[[1, 2, 3]][["city", "age", "id"]].assign(city=["Rome", "Bern", "Bern"])
    with caplog.at_level(logging.INFO):
        found = as_remembered(tables(few, FEW_EDGES.iloc[1:]), kept)
    assert found.feature_names == ("age", "city=Oslo", "city=Paris", "city=Rome")
    np.testing.assert_array_equal(found.graph.x, [[23, 0, 0, 1], [26, 0, 0, 0], [29, 0, 0, 0]])
    assert "'city=Bern' was not there in training; left out (2 nodes have it)" in caplog.text
    assert "no node has city=Oslo, city=Paris" in caplog.text


def test_a_missing_column_is_refused(kept):
    with pytest.raises(InputError, match="found no age among city=Oslo"):
        as_remembered(tables(NODES.drop(columns="age")), kept)
    with pytest.raises(InputError, match="found no city=Oslo, city=Paris, city=Rome among age"):
        as_remembered(tables(NODES.drop(columns="city")), kept)


def test_gaps_are_filled_by_the_training(kept):
    few = NODES.iloc[:3].assign(age=[np.nan, 50, 60], city=["Rome", None, "Rome"])
    found = as_remembered(tables(few, FEW_EDGES, known=kept["feature_names"]), kept)
    x = dict(zip(found.feature_names, found.graph.x.T, strict=True))
    np.testing.assert_allclose(x["age"], [NODES["age"].mean(), 50, 60])
    np.testing.assert_allclose(x["city=Rome"], [1, 1 / 3, 1], rtol=1e-6)
    np.testing.assert_allclose(x["city=Oslo"], [0, 1 / 3, 0], rtol=1e-6)


def test_positions_belong_to_one_graph():
    positions, roles = (
        from_tables(None, EDGES, structure=structure) for structure in ("both", "roles")
    )
    assert as_remembered(positions, facts_of(positions)) is positions
    other = from_tables(None, FEW_EDGES)
    with pytest.raises(InputError, match="positions belong to the graph that trained, found anoth"):
        as_remembered(other, facts_of(positions))
    few_roles = from_tables(None, FEW_EDGES, structure="roles")
    assert as_remembered(few_roles, facts_of(roles)) is few_roles
    with pytest.raises(InputError, match="the structure that trained, roles, found both"):
        as_remembered(other, facts_of(roles))


def test_features_do_not_stand_for_structure_nor_structure_for_features(kept):
    bare = from_tables(None, EDGES, structure="roles")
    with pytest.raises(InputError, match="those that trained, found none of the graph's own"):
        as_remembered(bare, kept)
    with pytest.raises(InputError, match="that trained, roles, found the graph's own; leave"):
        as_remembered(tables(NODES), facts_of(bare))
    older = {name: fact for name, fact in kept.items() if name != "structure"}
    assert as_remembered(tables(NODES), older).structure == ""


def test_words_are_divided_by_rows_as_in_training():
    adjacency, x = made.node_graph()
    words = from_scipy(adjacency, np.round(3 * np.abs(x)) + np.eye(*x.shape), bag_of_words=True)
    model = made.nodes().fit(words)
    own = model.transform()
    np.testing.assert_array_equal(model.transform((adjacency, words.graph.x)), own)
    plain = made.nodes().fit((adjacency, words.graph.x))
    np.testing.assert_array_equal(plain.transform(words), plain.transform())
    assert np.abs(plain.transform() - own).max() > 1e-3


def test_the_estimator_and_the_program_agree_on_other_nodes(tmp_path, caplog):
    """Trained on one table, another is embedded: by the command line, and in Python."""
    nodes = NODES.assign(age=NODES["age"].where(NODES.index != 3))
    few = nodes.iloc[[8, 3, 5]].assign(city=["Rome", "Rome", "Bern"])[["city", "id", "age"]]
    edges = pd.DataFrame({"source": ["p8"], "target": ["p3"]})
    for name, (frame, links) in {"all": (nodes, EDGES), "few": (few, edges)}.items():
        (tmp_path / name).mkdir()
        frame.to_csv(tmp_path / name / "nodes.csv", index=False)
        links.to_csv(tmp_path / name / "edges.csv", index=False)
    flags = [f"--config={program.CONFIGS}/graph_file.py", "--config.missing=median"]
    flags += [f"--config.{name}={value}" for name, value in made.NODES.items()]
    trained = program.run(*flags, f"--config.data_path={tmp_path}/all", f"--workdir={tmp_path}/run")
    assert trained.status == 0, trained.err
    embedded = program.run(
        *flags, f"--config.data_path={tmp_path}/few", f"--workdir={tmp_path}/other",
        "--mode=embed", f"--checkpoint={tmp_path}/run/checkpoints/seed_0",
    )  # fmt: skip
    assert embedded.status == 0, embedded.err
    assert "'city=Bern' was not there in training" in embedded.err
    other = program.run(
        *flags, "--config.mixing=mo", f"--config.data_path={tmp_path}/few", "--mode=embed",
        f"--workdir={tmp_path}/third", f"--checkpoint={tmp_path}/run",
    )  # fmt: skip
    assert other.status == 2
    assert "mixing ('mp' there, 'mo' asked); add --config.mixing=mp" in other.err
    assert not (tmp_path / "third" / "embeddings.npz").exists()
    assert "filled and scaled by statistics of the training" in embedded.out
    model = made.nodes(missing="median").fit((nodes, EDGES))
    assert model.feature_names_in_.tolist() == ["age", "city=Oslo", "city=Paris", "city=Rome"]
    loaded = NodeEmbedder.load(model.save(tmp_path / "model"))
    assert loaded.feature_names_in_.tolist() == model.feature_names_in_.tolist()
    with np.load(tmp_path / "other" / "embeddings.npz") as arrays:
        np.testing.assert_array_equal(model.transform((few, edges)), arrays["z"])
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        theirs = loaded.transform((few, edges))
    assert [text for text in caplog.messages if "not there in training" in text] == [
        "warning: feature 'city=Bern' was not there in training; left out (1 nodes have it)"
    ]
    np.testing.assert_array_equal(theirs, model.transform((few, edges)))


def test_other_columns_do_not_go_on_with_a_training(tmp_path):
    adjacency, x = made.node_graph()
    frame = pd.DataFrame(x, columns=list("abcdef"))
    edges = pd.DataFrame(np.argwhere(np.triu(adjacency)), columns=["source", "target"])
    made.nodes(workdir=tmp_path / "run").fit((frame, edges))
    other = made.nodes(workdir=tmp_path / "run", num_steps=6)
    with pytest.raises(InputError, match="found other feature_names than its checkpoint keeps"):
        other.fit((frame.rename(columns={"a": "z"}), edges))
    assert other.fit((frame, edges)).n_iter_ == 6
