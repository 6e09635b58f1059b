"""Triplet and pair scores in closed cases and as loops, and the authors' golden score."""

import pathlib

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import naive
from mmix_jax.errors import InputError
from mmix_jax.evaluation.edit_distance import (
    cosine_similarities,
    pair_auc,
    spearman,
    triplet_accuracy,
)

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "match_eval.npz"


def auc_by_loop(near, far):
    """The share of (near pair, far pair) in which the near one is more similar."""
    total = 0.0
    for a in near:
        for b in far:
            total += 1.0 if a > b else 0.5 if a == b else 0.0
    return total / (len(near) * len(far))


@pytest.mark.parametrize(
    ("near", "far", "half_credit", "strict"),
    [
        ([0.9, 0.8], [0.1, 0.7], 1.0, 1.0),
        ([0.1, 0.7], [0.9, 0.8], 0.0, 0.0),
        ([1.0, 1.0], [1.0, 1.0], 0.5, 0.0),
        ([0.9, 0.5, 0.2, 0.3], [0.1, 0.5, 0.4, 0.2], 0.625, 0.5),
        ([-5.0], [-7.0], 1.0, 1.0),
    ],
)
def test_triplet_accuracy_by_hand(near, far, half_credit, strict):
    assert triplet_accuracy(np.array(near), np.array(far)) == (half_credit, strict)


def test_exchanging_near_and_far_exchanges_right_and_wrong():
    rng = np.random.default_rng(0)
    near, far = rng.integers(0, 5, (2, 200)) / 4
    one, other = triplet_accuracy(near, far), triplet_accuracy(far, near)
    ties = np.mean(near == far)
    assert ties > 0
    assert one.half_credit + other.half_credit == pytest.approx(1.0, abs=1e-12)
    assert one.strict + other.strict + ties == pytest.approx(1.0, abs=1e-12)
    assert pair_auc(near, far) + pair_auc(far, near) == pytest.approx(1.0, abs=1e-12)


def test_a_rise_in_scale_changes_neither_score():
    near, far = np.random.default_rng(1).normal(size=(2, 50))
    assert triplet_accuracy(np.exp(near), np.exp(far)) == triplet_accuracy(near, far)
    assert pair_auc(np.exp(near), np.exp(far)) == pair_auc(near, far)


@pytest.mark.parametrize("values", [3, 10**6], ids=["many_ties", "few_ties"])
def test_auc_against_a_loop_over_all_pairs(values):
    rng = np.random.default_rng(2)
    near, far = rng.integers(0, values, (2, 60))
    near += rng.integers(0, 2, 60) * (values // 3)
    expected = auc_by_loop(near, far)
    assert 0.5 < expected < 1
    assert pair_auc(near, far) == pytest.approx(expected, abs=1e-12)
    labels = [1] * 60 + [0] * 60
    assert pair_auc(near, far) == roc_auc_score(labels, np.append(near, far))


def test_auc_compares_pairs_of_different_triplets():
    # Within every triplet near is ahead, but triplets have levels of their own.
    near, far = np.array([0.2, 0.9]), np.array([0.1, 0.8])
    assert triplet_accuracy(near, far).strict == 1.0
    assert pair_auc(near, far) == 0.75


def test_the_authors_scores():
    with np.load(GOLDEN) as archive:
        golden = {name: archive[name] for name in archive if not name.startswith("sub")}
    near = cosine_similarities(golden["emb"], golden["emb_pos"])
    far = cosine_similarities(golden["emb"], golden["emb_neg"])
    np.testing.assert_allclose(near, golden["pos_sim"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(far, golden["neg_sim"], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(near[:3], far[:3])
    accuracy = triplet_accuracy(near, far)
    assert accuracy.strict == pytest.approx(float(golden["accuracy_exact"]), abs=1e-12)
    assert accuracy.half_credit == pytest.approx(accuracy.strict + 1.5 / len(near), abs=1e-12)
    assert pair_auc(near, far) == pytest.approx(float(golden["auc_exact"]), abs=1e-12)
    for precision, dtype in (("f64", np.float64), ("f32", np.float32)):
        anchor, positive, negative = (
            golden[name].astype(dtype) for name in ("emb", "emb_pos", "emb_neg")
        )
        near = cosine_similarities(anchor, positive)
        far = cosine_similarities(anchor, negative)
        printed = [golden[f"{precision}_{name}_printed5"] for name in ("accuracy", "auc")]
        found = [triplet_accuracy(near, far).strict, pair_auc(near, far)]
        np.testing.assert_allclose(found, np.array(printed, float), rtol=0, atol=0.51e-5)


def test_cosines_as_loops():
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=(2, 6, 4)).astype(np.float32)
    one[2] = 0
    found = cosine_similarities(one, other)
    expected = [naive.cosine(u, v) for u, v in zip(one, other, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert found[2] == 0
    assert found.dtype == np.float64


# Rank correlation


def ranks(values):
    """Mean ranks, by counting."""
    return np.array([sum(w < v for w in values) + sum(w == v for w in values) / 2 for v in values])


def test_rank_correlation_by_hand_and_by_its_formula():
    distance = np.array([0.0, 1.0, 2.0, 3.0])
    assert spearman(np.exp(-distance), distance) == pytest.approx(-1.0, abs=1e-12)
    assert spearman(distance**3, distance) == pytest.approx(1.0, abs=1e-12)
    # Ranks 2, 1, 3, 4 of 1, 2, 3, 4: 1 - 6 * 2 / (4 * 15).
    assert spearman(np.array([0.2, 0.1, 0.3, 0.4]), distance) == pytest.approx(0.8, abs=1e-12)
    rng = np.random.default_rng(4)
    similarity, distance = rng.normal(size=40), rng.integers(0, 6, 40)
    expected = np.corrcoef(ranks(similarity), ranks(distance))[0, 1]
    assert spearman(similarity, distance) == pytest.approx(expected, abs=1e-12)


def test_unknown_distances_are_left_out():
    similarity = np.array([0.9, -0.5, 0.4, 0.1])
    distance = np.array([0.0, np.nan, 2.0, 3.0])
    assert spearman(similarity, distance) == pytest.approx(-1.0, abs=1e-12)


@pytest.mark.parametrize(("similarity", "distance"), [([1, 1, 1], [0, 1, 2]), ([1, 2, 3], [4] * 3)])
def test_a_constant_orders_nothing(similarity, distance):
    assert spearman(np.array(similarity), np.array(distance)) == 0.0


# Bad input


@pytest.mark.parametrize("function", [triplet_accuracy, pair_auc])
@pytest.mark.parametrize(
    ("near", "far", "kind", "message"),
    [
        ([0.1, 0.2], [0.1], ValueError, r"near and far .* found shapes \(2,\) and \(1,\)"),
        ([], [], ValueError, r"found shapes \(0,\) and \(0,\)"),
        ([[0.1]], [[0.2]], ValueError, r"found shapes \(1, 1\)"),
        ([0.1, np.nan], [0.1, 0.2], InputError, "near must be finite, found .* in 1 of 2"),
        ([0.1, 0.2], [np.inf, 0.2], InputError, "far must be finite"),
    ],
)
def test_bad_similarities_are_told_in_one_line(function, near, far, kind, message):
    with pytest.raises(ValueError, match=message) as error:
        function(np.array(near), np.array(far))
    assert type(error.value) is kind
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("one", "other", "kind", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), ValueError, r"found \(2, 3\) and \(2, 4\)"),
        (np.ones(3), np.ones(3), ValueError, r"found \(3,\) and \(3,\)"),
        (np.ones((2, 1)), np.array([[1], [np.nan]]), InputError, "embeddings must be finite"),
    ],
)
def test_bad_embeddings_are_told_in_one_line(one, other, kind, message):
    with pytest.raises(ValueError, match=message) as error:
        cosine_similarities(one, other)
    assert type(error.value) is kind


@pytest.mark.parametrize(
    ("similarity", "distance", "kind", "message"),
    [
        ([0.1, 0.2], [1.0], ValueError, "similarity and distance must be vectors of one length"),
        ([0.1, np.nan], [1.0, 2.0], InputError, "similarity must be finite"),
        ([0.1, 0.2], [1.0, np.nan], InputError, "found 1 of 2"),
    ],
)
def test_bad_ranks_are_told_in_one_line(similarity, distance, kind, message):
    with pytest.raises(ValueError, match=message) as error:
        spearman(np.array(similarity), np.array(distance))
    assert type(error.value) is kind
