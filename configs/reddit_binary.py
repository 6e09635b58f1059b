"""REDDIT-BINARY: 10-fold cross-validated linear SVM on graph representations."""

from mmix_jax.experiments import GRAPH_VARIANTS, finish, graph_config


def get_config(variant: str = ""):
    config = graph_config("reddit_binary")
    config.width = 128
    config.batch_size = 64
    config.contrast_nodes = 128
    config.num_steps = 640  # 20 epochs
    config.readout = "sum"  # inner cross-validation: three points more than the mean
    config.num_seeds = 1
    return finish(config, variant, GRAPH_VARIANTS)
