"""Your own images: --config.data_path=FOLDER or an archive, a sub-folder per class or none."""

from mmix_jax.experiments import IMAGE_VARIANTS, finish, image_config


def get_config(variant: str = ""):
    config = image_config("image_folder")
    config.num_epochs = 200  # num_steps, which fit CIFAR, are the most
    return finish(config, variant, IMAGE_VARIANTS)
