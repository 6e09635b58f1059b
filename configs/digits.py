"""scikit-learn's digits as images: needs no files, trains on a CPU in two minutes."""

from mmix_jax.experiments.defaults import finish
from mmix_jax.experiments.image_defaults import IMAGE_VARIANTS, image_config


def get_config(variant: str = ""):
    config = image_config("digits")
    config.stages = (1, 1)
    config.width = 32
    config.head_width = 64
    config.crop_min = 0.3
    config.flip = 0.0  # a mirrored digit is no digit
    config.saturation = 0.0  # one channel has no colours
    config.hue = 0.0
    config.grayscale = 0.0
    config.batch_size = 256
    config.num_steps = 500  # 100 epochs
    config.eval_every = 50
    config.checkpoint_every = 100
    return finish(config, variant, IMAGE_VARIANTS)
