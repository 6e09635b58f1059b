"""Scores of frozen representations by the field's protocols."""

from mmix_jax.evaluation.clustering import clustering
from mmix_jax.evaluation.cross_validation import (
    LOGISTIC_CS,
    SVM_CS,
    CrossValidation,
    Selection,
    knn_cross_validation,
    logistic_cross_validation,
    select_by_inner,
    svm_cross_validation,
)
from mmix_jax.evaluation.knn import Votes, knn_accuracy, knn_predict
from mmix_jax.evaluation.linear_probe import PROBE_L2_GRID, LinearProbe, linear_probe
from mmix_jax.evaluation.logistic import LogisticScore, logistic, protocol_l2
from mmix_jax.evaluation.svm import svm_path, svm_predict

__all__ = [
    "LOGISTIC_CS",
    "PROBE_L2_GRID",
    "SVM_CS",
    "CrossValidation",
    "LinearProbe",
    "LogisticScore",
    "Selection",
    "Votes",
    "clustering",
    "knn_accuracy",
    "knn_cross_validation",
    "knn_predict",
    "linear_probe",
    "logistic",
    "logistic_cross_validation",
    "protocol_l2",
    "select_by_inner",
    "svm_cross_validation",
    "svm_path",
    "svm_predict",
]
