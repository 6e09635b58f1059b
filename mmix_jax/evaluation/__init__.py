"""Scores of frozen representations by the field's protocols."""

from mmix_jax.evaluation.clustering import clustering
from mmix_jax.evaluation.logistic import LogisticScore, logistic, protocol_l2

__all__ = ["LogisticScore", "clustering", "logistic", "protocol_l2"]
