"""COIL-DEL: encoders asked for graph edit distances, beside kernels and a supervised GNN."""

from mmix_jax.experiments import EDIT_DISTANCE_VARIANTS, edit_distance_config, finish


def get_config(variant: str = ""):
    config = edit_distance_config("coil_del")
    config.width = 256
    config.num_steps = 200  # 13 epochs
    return finish(config, variant, EDIT_DISTANCE_VARIANTS)
