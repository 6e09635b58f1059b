"""k-means against labels, on clusters whose scores are known."""

import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.evaluation import clustering


def blobs(counts, seed=0, spread=0.1):
    """Points around far-apart centres, and which centre each belongs to."""
    centres = 10.0 * np.eye(len(counts))
    label = np.repeat(np.arange(len(counts)), counts)
    noise = np.random.default_rng(seed).normal(size=(len(label), len(counts)))
    return (centres[label] + spread * noise).astype(np.float32), label


def test_clusters_that_are_the_classes_score_one_under_any_names():
    z, labels = blobs([12, 9, 15])
    for names in (labels, (labels + 1) % 3):
        scores = clustering(z, names, num_clusters=3, num_repeats=2)
        assert set(scores) == {"nmi", "ari"}
        for found in scores.values():
            assert found.values == pytest.approx((1.0, 1.0), abs=1e-12)


def test_values_by_hand():
    # Two clusters of four; one is class 0, the other is half class 1, half class 2.
    # Entropies ln 2 and 1.5 ln 2, mutual information ln 2: NMI = 1 / 1.25. Pairs that agree: 8,
    # within clusters 12, within classes 8, of 28: ARI = (8 - 24/7) / (10 - 24/7).
    z, _ = blobs([4, 4])
    scores = clustering(z, [0, 0, 0, 0, 1, 1, 2, 2], num_clusters=2, num_repeats=1)
    assert scores["nmi"].mean == pytest.approx(0.8, abs=1e-12)
    assert scores["ari"].mean == pytest.approx(32 / 46, abs=1e-12)


def test_labels_that_have_nothing_to_do_with_z_score_about_zero():
    z, _ = blobs([150, 150])
    labels = np.random.default_rng(1).integers(0, 2, 300)
    scores = clustering(z, labels, num_clusters=2, num_repeats=1)
    assert abs(scores["ari"].mean) < 0.03
    assert 0.0 <= scores["nmi"].mean < 0.03


def test_nodes_without_label_are_clustered_but_not_scored():
    z, labels = blobs([10, 10])
    wrong = labels.copy()
    wrong[:3] = 1
    assert clustering(z, wrong, num_clusters=2, num_repeats=1)["ari"].mean < 0.9
    wrong[:3] = -1
    assert clustering(z, wrong, num_clusters=2, num_repeats=1)["ari"].mean == 1.0


def test_repeats_follow_from_the_seed():
    z = np.random.default_rng(2).normal(size=(60, 5)).astype(np.float32)
    labels = np.random.default_rng(3).integers(0, 8, 60)
    first, again, other = (
        clustering(z, labels, num_clusters=8, seed=seed, num_repeats=3) for seed in (0, 0, 1)
    )
    assert first == again
    assert first["nmi"].values != other["nmi"].values
    assert first["nmi"].n == 3
    assert len(set(first["nmi"].values)) > 1  # repeats draw their own starts


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"num_clusters": 7}, InputError, "needs 1 to 6 clusters, found 7"),
        ({"num_clusters": 0}, InputError, "needs 1 to 6 clusters, found 0"),
        ({"labels": [-1] * 6}, InputError, "found none; give labels"),
        ({"labels": [0, 1]}, ValueError, r"found shapes \(6, 2\) and \(2,\)"),
        ({"labels": [0.5] * 6}, ValueError, "labels must be integers, found float64"),
        ({"z": np.full((6, 2), np.nan)}, InputError, "NaN or infinity in 6 of 6 rows"),
        ({"num_repeats": 0}, ValueError, "num_repeats must be at least 1, found 0"),
    ],
)
def test_bad_input_is_told_in_one_line(changes, kind, message):
    good = {"z": np.eye(6)[:, :2], "labels": [0, 1, 0, 1, 0, 1], "num_clusters": 2}
    with pytest.raises(ValueError, match=message) as error:
        clustering(**(good | changes))
    assert type(error.value) is kind
    assert "\n" not in str(error.value)
