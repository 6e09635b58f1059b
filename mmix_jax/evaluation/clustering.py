"""Clustering of frozen embeddings: k-means against the labels."""

import jax
import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.evaluation.checks import check_embeddings
from mmix_jax.fields import MOST_ROWS
from mmix_jax.ops.arrays import by_power_of_two, numbers_of, wide
from mmix_jax.ops.numbers import seed_number, whole_number
from mmix_jax.results import Score, score


def clustering(
    z: np.ndarray | jax.Array,
    labels: np.ndarray | jax.Array,
    *,
    num_clusters: int,
    seed: int = 0,
    num_repeats: int = 10,
) -> dict[str, Score]:
    """Agreement of k-means clusters with the labels: ``"nmi"`` and ``"ari"`` over the repeats.

    Every repeat is scikit-learn's k-means from one k-means++ start. All nodes are clustered;
    those with label -1 are left out of the scoring. NMI (normalised by the mean of the entropies)
    lies in [0, 1]; ARI in [-0.5, 1], 0 for chance. Fewer distinct rows than clusters give fewer
    clusters, and scikit-learn's warning.

    Args:
      z: embeddings [N, D].
      labels: classes [N]; negative means unknown.
      num_clusters: k, the number of classes.
      seed: of all repeats, each of which draws its own starts.
      num_repeats: runs of k-means.

    Raises:
      ValueError: a shape or type, or ``num_repeats``, is not as described.
      InputError: an embedding is not finite, no node has a label, or there are fewer nodes than
        clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    labels = check_embeddings("clustering", z, labels)
    num_clusters = whole_number("num_clusters", num_clusters, -MOST_ROWS, "it is a number")
    num_repeats = whole_number("num_repeats", num_repeats, 1, "10 is the default")
    seed = seed_number("seed", seed)
    _check_counts(labels, num_clusters)
    z = np.asarray(numbers_of("embeddings", z))
    z = z.astype(wide(z.dtype), copy=False)
    if not 1e-15 < np.abs(z).max(initial=0.0) < 1e15:  # squares of distances may leave its range
        z = by_power_of_two(z, axis=None)
    known = labels >= 0
    nmi, ari = [], []
    for state in np.random.SeedSequence(seed).generate_state(num_repeats):
        kmeans = KMeans(num_clusters, n_init="auto", random_state=int(state))
        found = kmeans.fit_predict(z)[known]
        nmi.append(normalized_mutual_info_score(labels[known], found))
        ari.append(adjusted_rand_score(labels[known], found))
    return {"nmi": score(nmi), "ari": score(ari)}


def _check_counts(labels: np.ndarray, num_clusters: int) -> None:
    if not 1 <= num_clusters <= len(labels):
        raise InputError(
            f"k-means on {len(labels)} nodes needs 1 to {len(labels)} clusters, "
            f"found {num_clusters}; give the number of classes"
        )
    if not (labels >= 0).any():
        raise InputError(
            "clustering is scored on labelled nodes, found none; give labels, -1 for unknown ones"
        )
