"""M-Mix in JAX: contrastive representation learning with mixed hard negatives."""

__version__ = "0.1.0"
