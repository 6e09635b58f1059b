"""Citeseer, public split."""

from mmix_jax.experiments.defaults import finish, node_config


def get_config(variant: str = ""):
    config = node_config("citeseer")
    config.learning_rate = 1e-3
    config.num_steps = 600
    config.feature_mask = 0.3
    return finish(config, variant)
