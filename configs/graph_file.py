"""Your own graph: --config.data_path=graph.npz, or a folder or edge list in CSV."""

from mmix_jax.experiments import finish, node_config


def get_config(variant: str = ""):
    config = node_config("graph_file")
    config.learning_rate = 1e-3
    config.num_steps = 300
    return finish(config, variant)
