"""IMDB-MULTI: 10-fold cross-validated linear SVM on graph representations."""

from mmix_jax.experiments import GRAPH_VARIANTS, finish, graph_config


def get_config(variant: str = ""):
    config = graph_config("imdb_multi")
    config.width = 256
    return finish(config, variant, GRAPH_VARIANTS)
