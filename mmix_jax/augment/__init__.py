"""Augmentations: one key per purpose, nothing read from disk."""

from mmix_jax.augment.images import (
    CIFAR,
    DIGITS,
    ImageAugmentation,
    augment,
    normalise_images,
)

__all__ = ["CIFAR", "DIGITS", "ImageAugmentation", "augment", "normalise_images"]
