"""The words that configs are checked against are those that the library knows."""

import pytest

from mmix_jax.data.catalog import IMAGE_DATASETS, NODE_DATASETS
from mmix_jax.data.graphs.tudataset import FEATURES
from mmix_jax.encoders.gcn import ACTIVATIONS
from mmix_jax.experiments import choices
from mmix_jax.frameworks.grace import ENCODERS
from mmix_jax.frameworks.mvgrl_graphs import READOUTS
from mmix_jax.graphs.samplers import SAMPLERS
from mmix_jax.losses.info_nce import EXCHANGES, NEGATIVES
from mmix_jax.losses.node_graph import FORMS
from mmix_jax.mixing.pairs import CANDIDATES
from mmix_jax.mixing.rules import RULES

KNOWN = {
    "NODE_DATASETS": NODE_DATASETS,
    "IMAGE_DATASETS": IMAGE_DATASETS,
    "RULES": tuple(RULES),
    "CANDIDATES": CANDIDATES,
    "NEGATIVES": NEGATIVES,
    "EXCHANGES": EXCHANGES,
    "FORMS": FORMS,
    "SAMPLERS": SAMPLERS,
    "ENCODERS": ENCODERS,
    "ACTIVATIONS": ACTIVATIONS,
    "READOUTS": READOUTS,
    "FEATURES": FEATURES,
}


@pytest.mark.parametrize("name", KNOWN)
def test_choices_are_the_librarys(name):
    assert getattr(choices, name) == KNOWN[name]


def test_every_choice_is_compared():
    assert {name for name in vars(choices) if name.isupper()} == set(KNOWN)
