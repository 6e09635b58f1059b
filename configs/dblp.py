"""DBLP in the GRACE-style framework: random 10/10/80 splits, random batches of nodes."""

from mmix_jax.experiments.defaults import GRACE, VARIANTS, finish, node_config

# As published: more and smaller steps.
_PAPER = {"mixing": "mp", "learning_rate": 1e-3, "num_steps": 1000}


def get_config(variant: str = ""):
    config = node_config("dblp")
    config.update(GRACE)
    config.mixing = "mp"
    config.sampler = "nodes"
    config.batch_size = 2048
    config.learning_rate = 3e-3
    config.num_steps = 150
    config.protocol = "splits"
    config.num_clusterings = 0
    return finish(config, variant, VARIANTS | {"paper": _PAPER})
