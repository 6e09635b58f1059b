"""Your own images: --config.data_path=FOLDER or an archive, a sub-folder per class or none."""

from mmix_jax.experiments import IMAGE_VARIANTS, finish, image_config


def get_config(variant: str = ""):
    return finish(image_config("image_folder"), variant, IMAGE_VARIANTS)
