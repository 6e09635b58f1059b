"""Citeseer, public split. Cora's settings: a quarter of the nodes per step."""

from mmix_jax.experiments.defaults import finish, node_config


def get_config(variant: str = ""):
    config = node_config("citeseer")
    config.learning_rate = 3e-3
    config.num_steps = 300
    config.sampler = "nodes"
    config.batch_size = 832
    config.eval_every = 20
    return finish(config, variant)
