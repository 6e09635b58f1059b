"""DBLP in the GRACE-style framework: random 10/10/80 splits, random batches of nodes."""

from mmix_jax.experiments.defaults import GRACE, finish, node_config


def get_config(variant: str = ""):
    config = node_config("dblp")
    config.update(GRACE)
    config.mixing = "mp"
    config.num_steps = 300
    config.protocol = "splits"
    config.num_clusterings = 0
    return finish(config, variant)
