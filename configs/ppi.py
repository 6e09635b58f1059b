"""PPI in the GRACE-style framework: 24 graphs, several labels a node, tested on unseen graphs."""

from mmix_jax.experiments import GRACE, GRACE_PAPER, VARIANTS, finish, node_config


def get_config(variant: str = ""):
    config = node_config("ppi")
    config.update(GRACE)
    config.mixing = "mp"
    config.sampler = "nodes"
    config.batch_size = 2048
    config.learning_rate = 3e-3
    config.num_steps = 150
    return finish(config, variant, VARIANTS | {"grace": {}, "paper": GRACE_PAPER})
