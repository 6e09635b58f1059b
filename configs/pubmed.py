"""Pubmed, public split, random batches of nodes. Settings chosen on validation accuracy."""

from mmix_jax.experiments import GRACE, VARIANTS, finish, node_config

# GRACE's published settings for Pubmed, but fewer and larger steps, and PReLU: after ReLU two
# thirds of the dimensions were zero, of one training in three those that tell a class.
_GRACE = GRACE | {
    "activation": "prelu",
    "sampler": "nodes",
    "batch_size": 2048,
    "drop_edge_a": 0.4,
    "drop_edge_b": 0.1,
    "drop_feature_a": 0.0,
    "drop_feature_b": 0.2,
    "learning_rate": 3e-3,
    "num_steps": 150,
}


def get_config(variant: str = ""):
    config = node_config("pubmed")
    config.learning_rate = 3e-3
    config.num_steps = 200
    config.sampler = "nodes"
    config.batch_size = 1024
    config.eval_every = 20
    # One run of k-means on 19,717 nodes takes seconds.
    config.num_clusterings = 3
    return finish(config, variant, VARIANTS | {"grace": _GRACE})
