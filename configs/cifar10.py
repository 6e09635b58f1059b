"""CIFAR-10: SimCLR-style pretraining with mo-mix-op, the paper's settings."""

from mmix_jax.experiments import IMAGE_VARIANTS, finish, image_config


def get_config(variant: str = ""):
    return finish(image_config("cifar10"), variant, IMAGE_VARIANTS)
