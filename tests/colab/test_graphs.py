"""The notebook colab/graphs.ipynb: clean as committed, executed as a whole on generated graphs."""

import pytest

from tests.colab import notebooks

pytestmark = pytest.mark.slow

NOTEBOOK = notebooks.ROOT / "colab" / "graphs.ipynb"
FIGURES = ["graphs-show", "map", "edits", "curve", "nearest"]  # cells that draw one

# Appended to the notebook: what its variables hold at the end, as JSON.
FACTS = """
import json

print(json.dumps({
    "name": dataset.name,
    "features": sorted({graph.x.shape[1] for graph in dataset.graphs}),
    "trees, rings": [
        [(int(sizes[i]), int(edges[i])) for i in np.flatnonzero(dataset.labels == kind)]
        for kind in (0, 1)
    ],
    "steps": sorted({result.steps for result in results}),
    "svm": [[row.trained, row.representation, row.mean] for row in svm],
    "z": z.shape,
    "counts": counts,
    "cosines": {name: found.tolist() for name, found in cosines.items()},
    "edited_edges": sorted({graph.num_edges - anchor.num_edges for graph in edited}),
    "query": QUERY,
    "nearest": nearest.tolist(),
    "to_query": to_query.tolist(),
}))
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook after a run without any data set at hand, and its facts."""
    folder = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MMIX_DATA_DIR", raising=False)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # compiling is most of its time
        return notebooks.execute(NOTEBOOK, folder, FACTS)


@pytest.fixture
def facts(executed):
    return executed[1]


def test_its_first_cell_is_that_of_the_other_notebook():
    # Whose test tries it on Colab and in a checkout.
    other = notebooks.read(NOTEBOOK.with_name("nodes.ipynb"))
    for name in ("setup", "install"):
        mine = notebooks.cell(notebooks.read(NOTEBOOK), name)
        assert mine.source == notebooks.cell(other, name).source


def test_the_generated_graphs_differ_in_structure_and_not_in_size(facts):
    assert facts["name"] == "trees_and_rings"
    assert facts["features"] == [3]
    trees, rings = facts["trees, rings"]
    assert len(trees) == len(rings) == 60
    assert all(edges == size - 1 for size, edges in trees)
    assert all(size < edges <= size + 3 for size, edges in rings)
    assert {size for size, _ in trees} == {size for size, _ in rings} == set(range(12, 21))


def test_the_steps_come_from_the_environment(facts):
    assert facts["steps"] == [0, 4]  # 0 are those of the random-initialised encoder


def test_the_svm_scores_stand_beside_those_of_the_random_encoder(executed):
    notebook, facts = executed
    rows = [(trained, name) for trained, name, _ in facts["svm"]]
    assert rows == [(trained, name) for trained in (True, False) for name in ("a", "b", "mean")]
    assert all(0.4 < mean <= 1 for _, _, mean in facts["svm"])
    outputs = notebooks.cell(notebook, "scores").outputs
    table = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert [table.count(word) for word in ("random-init", "accuracy %")] == [3, 6]
    assert "the larger class: 50.00" in table


def test_every_figure_is_shown_once(executed):
    notebooks.check_figures(executed[0], FIGURES)


def test_there_is_one_embedding_per_graph(facts):
    assert facts["z"] == [120, 64]


def test_edits_keep_the_number_of_edges_and_move_the_embedding(facts):
    assert facts["edited_edges"] == [0]
    assert facts["counts"] == [0, 1, 2, 4, 8]
    assert list(facts["cosines"]) == ["trained", "random-init"]
    for rows in facts["cosines"].values():
        assert [len(row) for row in rows] == [20] * 5
        assert all(-1 <= cosine <= 1 + 1e-9 for row in rows for cosine in row)
        assert rows[0] == pytest.approx([1.0] * 20, abs=1e-6)
        means = [sum(row) / 20 for row in rows]
        assert means[0] > means[1] > means[-1]


def test_the_nearest_graphs_are_those_of_the_largest_cosines(facts):
    nearest, query = facts["nearest"], facts["query"]
    assert len(set(nearest)) == 5
    assert query not in nearest
    cosines = dict(enumerate(facts["to_query"]))
    assert cosines.pop(query) == pytest.approx(1.0, abs=1e-5)
    assert [cosines[index] for index in nearest] == sorted(cosines.values(), reverse=True)[:5]
