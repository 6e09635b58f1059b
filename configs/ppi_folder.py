"""Your own graphs in PPI's format, of either kind: --config.data_path=FOLDER."""

from mmix_jax.experiments.defaults import GRACE, VARIANTS, finish, node_config

_PAPER = {"mixing": "mp", "learning_rate": 1e-3, "num_steps": 1000}


def get_config(variant: str = ""):
    config = node_config("ppi_folder")
    config.update(GRACE)
    config.mixing = "mp"
    # All nodes of the training graphs: a batch of a given size may not fit them.
    config.sampler = "full"
    config.learning_rate = 3e-3
    config.num_steps = 150
    return finish(config, variant, VARIANTS | {"paper": _PAPER})
