"""Augmentations: one key per purpose, nothing read from disk."""
