"""Your own graph: --config.data_path=graph.npz, or a folder or edge list in CSV."""

from mmix_jax.experiments import OWN_GRAPH, finish, node_config


def get_config(variant: str = ""):
    config = node_config("graph_file")
    config.update(OWN_GRAPH)
    return finish(config, variant)
