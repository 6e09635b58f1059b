"""Settings of estimators: what scikit-learn wants of them, and what the config says of them."""

import inspect

import numpy as np
import pytest
import sklearn.base
import sklearn.utils.estimator_checks as checks

from mmix_jax.estimators import GraphEmbedder, ImageEmbedder, NodeEmbedder
from mmix_jax.estimators.settings import OWN, config_of
from mmix_jax.experiments.flat import entries
from mmix_jax.experiments.nodes.config import NodeConfig
from tests.estimators import made
from tests.experiments import configs

EVERY = pytest.mark.parametrize("of", [NodeEmbedder, GraphEmbedder, ImageEmbedder])
FILES = [(NodeEmbedder, "graph_file"), (GraphEmbedder, "graph_folder")]
FILES += [(ImageEmbedder, "image_folder")]


@EVERY
@pytest.mark.parametrize(
    "check",
    [
        checks.check_no_attributes_set_in_init,
        checks.check_parameters_default_constructible,
        checks.check_get_params_invariance,
        checks.check_set_params,
        checks.check_estimator_cloneable,
        checks.check_estimator_repr,
        checks.check_do_not_raise_errors_in_init_or_set_params,
        checks.check_valid_tag_types,
        checks.check_mixin_order,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learns_checks_of_settings(of, check):
    check(of.__name__, of(width=3))


@EVERY
def test_a_clone_has_the_settings_and_nothing_learnt(of):
    model = of(width=3, seed=7)
    model.encoder_ = object()
    copy = sklearn.base.clone(model)
    assert copy.get_params() == model.get_params()
    assert (copy.width, copy.seed) == (3, 7)
    assert not hasattr(copy, "encoder_")


@pytest.mark.parametrize(("of", "name"), FILES)
def test_defaults_are_those_of_the_programs_config(of, name):
    """Of data of one's own: a run of the program and an estimator have the same settings."""
    wanted = configs.load(name)
    settings = {k: v for k, v in of().get_params().items() if k not in OWN}
    assert {k: wanted[k] for k in settings} == settings
    # What the estimator has not: data on disk, scores, and several seeds.
    for left_out in wanted.keys() - settings.keys() - {"task"}:
        entry = entries(of._of)[left_out]
        assert entry.meaning.section in ("data", "evaluation and model choice", "training")
    assert "num_seeds" not in settings


def test_a_setting_without_a_place_is_named_with_the_nearest():
    with pytest.raises(
        TypeError, match=r"NodeEmbedder has no setting 'widht'; did you mean 'width'\?"
    ):
        NodeEmbedder(widht=3)
    with pytest.raises(TypeError, match=r"has no setting 'colour'$"):
        ImageEmbedder(colour=3)


@EVERY
def test_help_tells_every_setting_with_its_default(of):
    signature = inspect.signature(of)
    assert set(signature.parameters) == set(of().get_params(deep=False))
    doc = inspect.getdoc(of)
    for name, parameter in signature.parameters.items():
        assert f"\n  {name} ({parameter.default!r}): " in doc


def test_numpys_numbers_are_settings():
    settings = NodeEmbedder(width=np.int64(8), learning_rate=np.float32(0.5)).get_params()
    config = config_of(NodeConfig, settings, "graph")
    assert (config.width, config.learning_rate) == (8, 0.5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": -1}, "width must be positive, found -1"),
        ({"width": "8"}, "width must be of type int, found '8'"),
        ({"mixing": "mo_mix"}, "unknown mixing 'mo_mix'; expected one of: "),
        ({"framework": "grace"}, "representation of framework 'grace' must be single"),
    ],
)
def test_what_is_wrong_with_a_setting_is_told_by_fit(settings, words):
    with pytest.raises(ValueError, match=words):
        made.nodes(**settings).fit(made.node_graph())


def test_a_variant_is_that_of_the_config():
    model = NodeEmbedder.variant("grace+mo", width=16, verbose=True)
    wanted = configs.load("graph_file", "grace+mo")
    changed = {k: v for k, v in model.get_params().items() if k not in (*OWN, "width")}
    assert changed == {k: wanted[k] for k in changed}
    assert (model.width, model.verbose) == (16, True)
    assert ImageEmbedder.variant("small").width == 16
    with pytest.raises(ValueError, match="unknown variant 'hm'; expected one of: "):
        GraphEmbedder.variant("hm")


def test_a_subclass_keeps_its_own_beginning():
    class Mine(NodeEmbedder):
        def __init__(self, *, width=5):
            super().__init__(width=width)

    assert Mine().get_params() == {"width": 5}
