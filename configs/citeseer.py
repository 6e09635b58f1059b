"""Citeseer, public split. Cora's settings: a quarter of the nodes per step."""

from mmix_jax.experiments import GRACE, VARIANTS, finish, node_config

# GRACE's published settings for Citeseer.
_GRACE = GRACE | {
    "activation": "prelu",
    "drop_edge_a": 0.2,
    "drop_edge_b": 0.0,
    "drop_feature_a": 0.3,
    "drop_feature_b": 0.2,
    "temperature": 0.9,
    "num_steps": 200,
}


def get_config(variant: str = ""):
    config = node_config("citeseer")
    config.learning_rate = 3e-3
    config.num_steps = 300
    config.sampler = "nodes"
    config.batch_size = 832
    config.eval_every = 20
    return finish(config, variant, VARIANTS | {"grace": _GRACE})
