"""Your own images: --config.data_path=FOLDER or an archive, a sub-folder per class or none."""

from mmix_jax.experiments import IMAGE_VARIANTS, OWN_IMAGES, finish, image_config


def get_config(variant: str = ""):
    config = image_config("image_folder")
    config.update(OWN_IMAGES)
    return finish(config, variant, IMAGE_VARIANTS)
