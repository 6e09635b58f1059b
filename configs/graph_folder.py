"""Your own graphs: --config.data_path=FOLDER of .npz files, one graph each."""

from mmix_jax.experiments import GRAPH_VARIANTS, finish, graph_config


def get_config(variant: str = ""):
    config = graph_config("graph_folder")
    config.num_seeds = 1
    return finish(config, variant, GRAPH_VARIANTS)
