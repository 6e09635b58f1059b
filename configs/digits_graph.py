"""scikit-learn's digits as a 10-nearest-neighbour graph: needs no files."""

from mmix_jax.experiments import VARIANTS, finish, node_config

# The graph has 1,797 nodes, the paper's windows 2,000.
_PAPER = VARIANTS["paper"] | {"batch_size": 1000}


def get_config(variant: str = ""):
    config = node_config("digits_graph")
    config.learning_rate = 1e-3
    config.num_steps = 100
    config.sampler = "nodes"
    config.batch_size = 600
    return finish(config, variant, VARIANTS | {"paper": _PAPER})
