"""Your own graphs in PPI's format, of either kind: --config.data_path=FOLDER."""

from mmix_jax.experiments import GRACE, GRACE_PAPER, VARIANTS, finish, node_config


def get_config(variant: str = ""):
    config = node_config("ppi_folder")
    config.update(GRACE)
    config.mixing = "mp"
    config.learning_rate = 3e-3
    config.num_steps = 150
    return finish(config, variant, VARIANTS | {"grace": {}, "paper": GRACE_PAPER})
