"""Pubmed, public split, random batches of nodes. Settings chosen on validation accuracy."""

from mmix_jax.experiments.defaults import finish, node_config


def get_config(variant: str = ""):
    config = node_config("pubmed")
    config.learning_rate = 3e-3
    config.num_steps = 100
    config.embed_from = "mixed"
    config.sampler = "nodes"
    config.batch_size = 2048
    config.eval_every = 20
    # One run of k-means on 19,717 nodes takes seconds.
    config.num_clusterings = 3
    return finish(config, variant)
