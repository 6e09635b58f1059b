"""Fashion-MNIST: SimCLR-style pretraining with mo-mix-op; grey images of 28 × 28."""

from mmix_jax.experiments import IMAGE_VARIANTS, finish, image_config


def get_config(variant: str = ""):
    config = image_config("fashion_mnist")
    config.saturation = 0.0  # one channel has no colours
    config.hue = 0.0
    config.grayscale = 0.0
    return finish(config, variant, IMAGE_VARIANTS)
