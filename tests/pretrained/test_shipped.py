"""The encoders that come with the package: whole, small, told of, and of use."""

import pathlib

import numpy as np
import pytest

import mmix_jax as mm
from mmix_jax import pretrained
from mmix_jax.experiments import read
from mmix_jax.pretrained import making, places
from mmix_jax.pretrained.__main__ import main
from mmix_jax.pretrained.cards import changed_by_storing, headline_rows, read_card
from mmix_jax.pretrained.places import settings_of

LARGEST = 40 * 2**20


def test_all_that_are_made_come_along_whole_with_their_cards():
    assert set(mm.pretrained_names()) == set(making.SHIPPED)
    for name, setting in making.SHIPPED.items():
        card = read_card(pretrained.folder_of(name))
        assert setting.given in card.command
        assert card.device and card.date > "2026" and card.licence and card.versions["jax"]
        for result in (*card.here, *card.of_setting):
            assert result.mixing == setting.variant.partition("_")[0] or "," in setting.name
        rows = headline_rows(card)
        assert rows
        assert "–" not in "".join(cell for row in rows for cell in row)


def test_settings_are_those_of_the_data_that_trained():
    """Without --config, also of sets of graphs that have no config of their own."""
    for name, setting in making.SHIPPED.items():
        config, workdir = settings_of(f"pretrained:{name}", "--checkpoint")
        assert read(config).dataset == setting.asked(range(1)).dataset
        assert workdir == f"pretrained-{name}"


def test_the_names_of_data_in_memory_are_those_of_estimators():
    kinds = (mm.NodeEmbedder, mm.GraphEmbedder, mm.ImageEmbedder)
    assert [of._name for of in kinds] == list(places._OF_OWN)


def test_together_they_are_small():
    files = [path for path in pretrained.MODELS.rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) < LARGEST


def test_what_is_stored_scores_as_what_was_trained():
    for name in mm.pretrained_names():
        card = read_card(pretrained.folder_of(name))
        assert changed_by_storing(card) <= 0.0025, name


@pytest.mark.parametrize("name", ["digits_graph-mp", "mutag-none", "digits-mo_op"])
def test_one_of_each_kind_embeds_what_has_its_features(name):
    model = mm.load_pretrained(name)
    untrained = model.untrained()
    if name.startswith("digits-"):
        data = mm.load_images("digits").train[:8]
    elif name.startswith("digits_graph"):
        data = mm.load_nodes("digits_graph")
    else:
        x = np.eye(model.n_features_in_, dtype=np.float32)[[1, 1]]
        data = [mm.make_graph(x, [0, 1], [1, 0])] * 2
    z, before = model.transform(data), untrained.transform(data)
    assert z.shape == before.shape and z.dtype == np.float32
    assert np.isfinite(z).all()
    assert np.abs(z - before).max() > 1e-3


def test_the_page_has_the_list(capsys):
    assert main([""]) == 0
    page = (pathlib.Path(__file__).parents[2] / "docs" / "pretrained.md").read_text("utf-8")
    assert "\n".join(capsys.readouterr().out.splitlines()[:-1]) in page
