"""The notebook colab/images.ipynb: executed as a whole on digits."""

import pytest

from tests.colab import notebooks

pytestmark = pytest.mark.slow

NOTEBOOK = notebooks.ROOT / "colab" / "images.ipynb"
FIGURES = ["map", "mixed"]  # cells that draw one

# Appended to the notebook: what its variables hold at the end, as JSON.
FACTS = """
import json

print(json.dumps({
    "steps": model.n_iter_,
    "scores": scores.to_dict("index"),
    "z": {name: z.shape for name, z in shown.items()},
    "rows": [float(own) + float(weights.sum()) for _, own, _, weights in rows],
    "equal": equal,
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


def test_the_steps_come_from_the_environment(facts):
    assert facts["steps"] == 4


def test_the_trained_stand_beside_the_untrained(facts):
    scores = facts["scores"]
    assert list(scores) == ["untrained", "trained", "gain"]
    for kind in ("kNN, k = 20", "linear"):
        before, after, gain = (scores[name][kind] for name in scores)
        assert gain == pytest.approx(after - before)
        assert 10 < min(before, after) <= 100
    assert facts["z"] == {"untrained": [500, 32], "trained": [500, 32]}


def test_the_model_on_disk_is_bitwise_the_same(facts):
    assert facts["equal"]


def test_weights_of_a_mixture_sum_to_one(facts):
    assert facts["rows"] == pytest.approx([1.0] * 5, abs=1e-5)


def test_every_figure_is_shown_once(executed):
    notebooks.check_figures(executed[0], FIGURES)


def test_a_lower_threshold_has_more_partners(facts):
    (_, strict), (_, loose) = facts["own"]
    assert strict < loose
