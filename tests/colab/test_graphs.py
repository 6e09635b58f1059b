"""The notebook colab/graphs.ipynb: executed as a whole on generated graphs."""

import pytest

from tests.colab import notebooks

pytestmark = pytest.mark.slow

NOTEBOOK = notebooks.ROOT / "colab" / "graphs.ipynb"
FIGURES = ["graphs-show", "map", "mixing", "nearest"]  # cells that draw one

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
    "steps": model.n_iter_,
    "scores": scores.to_dict("index"),
    "z": z.shape,
    "sums": (of_one.groupby("anchor")["weight"].sum() + model.self_weight).tolist(),
    "query": QUERY,
    "nearest": nearest.tolist(),
    "to_query": to_query.tolist(),
    "own": list(own.values()),
}))
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook after a run without any data set at hand, and its facts."""
    # Compiling is most of its time.
    fast = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return notebooks.executed_once(NOTEBOOK, tmp_path_factory, FACTS, **fast)


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
    assert facts["steps"] == 4


def test_the_trained_stand_beside_the_untrained(facts):
    scores = facts["scores"]
    assert list(scores) == ["number of nodes", "untrained", "trained", "gain"]
    for kind in ("linear", "kNN, k = 5"):
        assert scores["gain"][kind] == pytest.approx(
            scores["trained"][kind] - scores["untrained"][kind]
        )
        assert 40 < scores["trained"][kind] <= 100
    assert scores["untrained"]["linear"] > 80 > scores["number of nodes"]["linear"]


def test_mixtures_are_whole(facts):
    assert facts["sums"] == pytest.approx([1.0] * len(facts["sums"]), abs=1e-5)
    assert 12 <= len(facts["sums"]) <= 20


def test_the_loss_of_ones_own_loop_is_another_with_mixing(facts):
    plain, mixed = facts["own"]
    assert plain != mixed


def test_every_figure_is_shown_once(executed):
    notebooks.check_figures(executed[0], FIGURES)


def test_there_is_one_embedding_per_graph(facts):
    assert facts["z"] == [120, 64]


def test_the_nearest_graphs_are_those_of_the_largest_cosines(facts):
    nearest, query = facts["nearest"], facts["query"]
    assert len(set(nearest)) == 5
    assert query not in nearest
    cosines = dict(enumerate(facts["to_query"]))
    assert cosines.pop(query) == pytest.approx(1.0, abs=1e-5)
    assert [cosines[index] for index in nearest] == sorted(cosines.values(), reverse=True)[:5]
