"""CIFAR-100, 100 classes: SimCLR-style pretraining with mo-mix-op, the paper's settings."""

from mmix_jax.experiments import IMAGE_VARIANTS, finish, image_config


def get_config(variant: str = ""):
    return finish(image_config("cifar100"), variant, IMAGE_VARIANTS)
