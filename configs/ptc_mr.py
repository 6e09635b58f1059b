"""PTC_MR: 10-fold cross-validated linear SVM on graph representations."""

from mmix_jax.experiments import GRAPH_VARIANTS, finish, graph_config


def get_config(variant: str = ""):
    config = graph_config("ptc_mr")
    return finish(config, variant, GRAPH_VARIANTS)
