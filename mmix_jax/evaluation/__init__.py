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
from mmix_jax.evaluation.multilabel import (
    MULTILABEL_L2_GRID,
    MultilabelScore,
    micro_f1,
    multilabel_logistic,
)
from mmix_jax.evaluation.split_protocol import (
    SPLITS_L2_GRID,
    SplitsScore,
    logistic_over_splits,
)
from mmix_jax.evaluation.svm import svm_path, svm_predict

__all__ = [
    "LOGISTIC_CS",
    "MULTILABEL_L2_GRID",
    "PROBE_L2_GRID",
    "SPLITS_L2_GRID",
    "SVM_CS",
    "CrossValidation",
    "LinearProbe",
    "LogisticScore",
    "MultilabelScore",
    "Selection",
    "SplitsScore",
    "Votes",
    "clustering",
    "knn_accuracy",
    "knn_cross_validation",
    "knn_predict",
    "linear_probe",
    "logistic",
    "logistic_cross_validation",
    "logistic_over_splits",
    "micro_f1",
    "multilabel_logistic",
    "protocol_l2",
    "select_by_inner",
    "svm_cross_validation",
    "svm_path",
    "svm_predict",
]
