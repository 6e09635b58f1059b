"""scikit-learn's digits as a 10-nearest-neighbour graph: needs no files."""

from mmix_jax.experiments.defaults import finish, node_config


def get_config(variant: str = ""):
    config = node_config("digits_graph")
    config.learning_rate = 1e-3
    config.num_steps = 200
    return finish(config, variant)
