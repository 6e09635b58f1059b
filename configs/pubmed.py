"""Pubmed, public split, random batches of nodes."""

from mmix_jax.experiments.defaults import finish, node_config


def get_config(variant: str = ""):
    config = node_config("pubmed")
    config.learning_rate = 1e-3
    config.num_steps = 400
    config.sampler = "nodes"
    config.batch_size = 2048
    return finish(config, variant)
