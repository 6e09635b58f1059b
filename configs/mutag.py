"""MUTAG: 10-fold cross-validated linear SVM on graph representations."""

from mmix_jax.experiments import GRAPH_VARIANTS, finish, graph_config


def get_config(variant: str = ""):
    config = graph_config("mutag")
    # Inner cross-validation prefers them to atoms, and to both (docs/choices.md).
    config.features = "degree"
    return finish(config, variant, GRAPH_VARIANTS)
