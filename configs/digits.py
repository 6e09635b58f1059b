"""scikit-learn's digits as images: needs no files, trains on a CPU in one to two minutes.

Settings chosen without mixing, on 300 held-out training images (docs/choices.md).
"""

from mmix_jax.experiments import IMAGE_VARIANTS, finish, image_config

# All of it is small.
_SMALL = IMAGE_VARIANTS["small"] | {"num_train": 0, "num_test": 0}


def get_config(variant: str = ""):
    config = image_config("digits")
    config.stages = (1, 1, 1)
    config.width = 24
    config.head_width = 64
    config.crop_min = 0.1
    config.flip = 0.0  # a mirrored digit is no digit
    config.saturation = 0.0  # one channel has no colours
    config.hue = 0.0
    config.grayscale = 0.0
    config.batch_size = 128
    config.num_steps = 400  # 40 epochs
    config.learning_rate = 3e-3
    config.probe_batch_size = 32  # 1,297 images: as many steps as 512 of 20,000
    config.eval_every = 50
    config.checkpoint_every = 100
    return finish(config, variant, IMAGE_VARIANTS | {"small": _SMALL})
