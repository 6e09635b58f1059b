"""The notebook colab/images.ipynb: clean as committed, executed as a whole on digits."""

import pytest

from tests.colab import notebooks

pytestmark = pytest.mark.slow

NOTEBOOK = notebooks.ROOT / "colab" / "images.ipynb"
FIGURES = ["views", "map", "mixed"]  # cells that draw one

# Appended to the notebook: what its variables hold at the end, as JSON.
FACTS = """
import json

print(json.dumps({
    "sizes": [len(task.dataset.train), len(task.dataset.test)],
    "views": [list(view_a.shape), float(abs(view_a - view_b).max())],
    "steps": sorted({result.steps for result in results}),
    "rows": [[row.trained, row.protocol, row.metric, row.mean] for row in results],
    "few": sorted({row.protocol for row in few}),
    "z": embeddings["z"].shape,
    "step": encoder.progress["step"],
    "mixtures": [[int(a), float(c), weights.tolist()] for a, c, _, weights in mixtures],
    "labels": [int(label) for label in labels],
    "own": list(own.values()),
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


def test_views_are_of_the_images_and_differ(facts):
    assert facts["sizes"] == [1297, 500]
    shape, difference = facts["views"]
    assert shape == [8, 8, 8, 1]
    assert difference > 0.1


def test_the_steps_come_from_the_environment(facts):
    assert facts["steps"] == [0, 4]  # 0 are those of the random-initialised encoder
    assert facts["step"] == 4


def test_scores_stand_beside_those_of_the_random_encoder(executed):
    notebook, facts = executed
    rows = [tuple(row[:3]) for row in facts["rows"]]
    protocols = ("knn k=200", "linear")
    assert rows == [(t, p, m) for t in (True, False) for p in protocols for m in ("top1", "top5")]
    assert all(0.1 < mean <= 1 for *_, mean in facts["rows"])
    outputs = notebooks.cell(notebook, "scores").outputs
    table = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert [table.count(word) for word in ("random-init", "top1 %", "top5")] == [2, 4, 0]


def test_the_checkpoint_is_evaluated_otherwise(facts):
    assert facts["few"] == ["knn k=20", "linear"]


def test_there_is_one_embedding_per_image(facts):
    assert facts["z"] == [1797, 32]


def test_weights_of_a_mixture_sum_to_one(facts):
    assert len(facts["mixtures"]) == 8
    for anchor, own, weights in facts["mixtures"]:
        assert 0 <= anchor < 128
        assert own == pytest.approx(0.2, abs=1e-6)
        assert own + sum(weights) == pytest.approx(1.0, abs=1e-5)
    assert len(facts["labels"]) == 128


def test_every_figure_is_shown_once(executed):
    notebooks.check_figures(executed[0], FIGURES)


def test_a_lower_threshold_has_more_partners(facts):
    (_, strict), (_, loose) = facts["own"]
    assert strict < loose
