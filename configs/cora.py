"""Cora, public split. Settings chosen on validation accuracy (README, "What was tried")."""

from mmix_jax.experiments.defaults import finish, node_config


def get_config(variant: str = ""):
    config = node_config("cora")
    config.learning_rate = 3e-3
    config.num_steps = 300
    config.sampler = "nodes"
    config.batch_size = 677
    config.eval_every = 20
    config = finish(config, variant)
    if variant == "mvgrl":  # its shuffled features are diffused anew each step
        config.diffusion_form = "exact"
        config.num_steps = 200
    return config
