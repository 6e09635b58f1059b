"""DBLP in the GRACE-style framework: random 10/10/80 splits, random batches of nodes."""

from mmix_jax.experiments import GRACE, GRACE_PAPER, VARIANTS, finish, node_config


def get_config(variant: str = ""):
    config = node_config("dblp")
    config.update(GRACE)
    # Chosen on validation nodes among none, mo, mp and mp_nodiv; ahead of none on fresh seeds too.
    config.mixing = "mo"
    config.sampler = "nodes"
    config.batch_size = 2048
    config.learning_rate = 3e-3
    config.num_steps = 150
    config.protocol = "splits"
    config.num_clusterings = 0
    return finish(config, variant, VARIANTS | {"grace": {}, "paper": GRACE_PAPER})
